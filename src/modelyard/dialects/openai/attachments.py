"""Images, documents and recordings within a message: the API's parts, read and written.

API reference, "Create chat completion": `image_url`, `input_audio` and `file` parts.
"""

from typing import Any

from modelyard.canonical.chat import AUDIO, DOCUMENT, IMAGE, Media
from modelyard.core.errors import Kind, Problem

# Data without its media type: what the first characters of its base64 tell.
_SIGNS = (
    ("iVBORw0KGgo", "image/png"),
    ("/9j/", "image/jpeg"),
    ("R0lGOD", "image/gif"),
    ("UklGR", "image/webp"),
    ("JVBERi", "application/pdf"),
)
_UNKNOWN = {IMAGE: "image/png", DOCUMENT: "application/pdf", AUDIO: "audio/wav"}

# The API's word for a format, where it is not the second half of the media type.
_FORMATS = {"mpeg": "mp3", "x-wav": "wav", "wave": "wav", "vnd.wave": "wav", "x-flac": "flac", "x-m4a": "m4a"}
_ENDINGS = {
    "application/pdf": "pdf",
    "text/plain": "txt",
    "text/markdown": "md",
    "text/csv": "csv",
    "text/html": "html",
}

SHORT = 100  # characters; where a URL has its scheme and a data URI its media type


def media_type_of(data: str, kind: str) -> str:
    """The media type of base64 data that came without one."""
    return next((name for sign, name in _SIGNS if data.startswith(sign)), _UNKNOWN[kind])


def read_media(kind: str, address: str, param: str, *, name: str | None = None, detail: str | None = None) -> Media:
    """An image or file by its `data:` URI, its http(s) URL or its bare base64. Raises INVALID_REQUEST."""
    start = address[:SHORT]
    if start[:5].lower() == "data:":
        head, comma, data = address.partition(",")
        media_type, *options = head[5:].split(";")
        if not comma or "base64" not in options:
            raise Problem(
                Kind.INVALID_REQUEST,
                f"`{param}` must be a data: URI with base64 in it (data:image/png;base64,...).",
                param=param,
            )
        media_type = media_type.strip().lower() or media_type_of(data, kind)
        return Media(kind=kind, media_type=media_type, data=data, name=name, detail=detail)
    scheme, mark, _ = start.partition("://")
    if mark and scheme.lower() in ("http", "https"):
        return Media(kind=kind, url=address, name=name, detail=detail)
    if mark or not start or start[0] in "{[<":
        raise Problem(Kind.INVALID_REQUEST, f"`{param}` must be a data: URI or an http(s) URL.", param=param)
    return Media(kind=kind, media_type=media_type_of(address, kind), data=address, name=name, detail=detail)


def _uri(media: Media) -> str:
    return f"data:{media.media_type or media_type_of(media.data or '', media.kind)};base64,{media.data}"


def _format_of(media: Media) -> str:
    kind = (media.media_type or "audio/wav").rpartition("/")[2]
    return _FORMATS.get(kind, kind)


def write_media(media: Media) -> dict[str, Any] | None:
    """The part for a message, None when the API has none for it: a recording or document that is elsewhere, say.

    A document that is plain text becomes a part of text.
    """
    if media.kind == IMAGE:
        address = media.url if media.data is None else _uri(media)
        if address is None:
            return None
        image = {"url": address} if media.detail is None else {"url": address, "detail": media.detail}
        return {"type": "image_url", "image_url": image}
    if media.kind == AUDIO:
        if media.data is None:
            return None
        return {"type": "input_audio", "input_audio": {"data": media.data, "format": _format_of(media)}}
    return _document(media)


def _document(media: Media) -> dict[str, Any] | None:
    if media.text is not None:
        return {"type": "text", "text": f"{media.name}\n\n{media.text}" if media.name else media.text}
    if media.data is not None:
        ending = _ENDINGS.get(media.media_type or "", "pdf")
        return {"type": "file", "file": {"filename": media.name or f"document.{ending}", "file_data": _uri(media)}}
    if media.file_id is not None:
        return {"type": "file", "file": {"file_id": media.file_id}}
    return None
