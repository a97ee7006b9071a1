"""Media as they are written within a message: base64 that tells its own type, and `data:` URIs."""

from modelyard.canonical.chat import AUDIO, DOCUMENT, IMAGE, Media

# Data without its media type: what the first characters of its base64 tell.
_SIGNS = (
    ("iVBORw0KGgo", "image/png"),
    ("/9j/", "image/jpeg"),
    ("R0lGOD", "image/gif"),
    ("UklGR", "image/webp"),
    ("JVBERi", "application/pdf"),
)
_UNKNOWN = {IMAGE: "image/png", DOCUMENT: "application/pdf", AUDIO: "audio/wav"}

# How the name of a file ends that came without one.
_ENDINGS = {
    "application/pdf": "pdf",
    "text/plain": "txt",
    "text/markdown": "md",
    "text/csv": "csv",
    "text/html": "html",
}


def told_type(data: str) -> str | None:
    """The media type that base64 data tells by its first characters, None when we do not know them."""
    return next((name for sign, name in _SIGNS if data.startswith(sign)), None)


def media_type_of(data: str, kind: str) -> str:
    """The media type of base64 data that came without one: the usual one of its kind where it tells none."""
    return told_type(data) or _UNKNOWN[kind]


def data_uri(media: Media) -> str:
    """Media with `data` as a `data:` URI."""
    data = media.data or ""
    return f"data:{media.media_type or media_type_of(data, media.kind)};base64,{data}"


def file_name(document: Media) -> str:
    """The name of a document, one made of its type where it came without."""
    return document.name or f"document.{_ENDINGS.get(document.media_type or '', 'pdf')}"
