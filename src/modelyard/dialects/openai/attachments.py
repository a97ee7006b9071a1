"""Images, documents and recordings within a message: the API's parts, read and written.

API reference, "Create chat completion": `image_url`, `input_audio` and `file` parts.
"""

from typing import Any

from modelyard.canonical.chat import AUDIO, IMAGE, Media
from modelyard.core.errors import Kind, Problem
from modelyard.dialects.media_types import data_uri, file_name, media_type_of

# The API's word for a format, where it is not the second half of the media type.
_FORMATS = {"mpeg": "mp3", "x-wav": "wav", "wave": "wav", "vnd.wave": "wav", "x-flac": "flac", "x-m4a": "m4a"}
SHORT = 100  # characters; where a URL has its scheme and a data URI its media type


def read_media(kind: str, address: str, param: str, *, name: str | None = None, detail: str | None = None) -> Media:
    """An image or file by its `data:` URI, its http(s) URL or its bare base64. Raises INVALID_REQUEST."""
    start = address[:SHORT]
    if start[:5].lower() == "data:":
        head, comma, data = address.partition(",")
        media_type, *options = head[5:SHORT].split(";")
        if not comma or not ("base64" in options or head.endswith(";base64")):
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


def _format_of(media: Media) -> str:
    kind = (media.media_type or "audio/wav").rpartition("/")[2]
    return _FORMATS.get(kind, kind)


def write_media(media: Media) -> dict[str, Any] | None:
    """The part for a message, None when the API has none for it: a recording or document that is elsewhere, say.

    A document that is plain text becomes a part of text.
    """
    if media.kind == IMAGE:
        address = media.url if media.data is None else data_uri(media)
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
        return {"type": "file", "file": {"filename": file_name(media), "file_data": data_uri(media)}}
    if media.file_id is not None:
        return {"type": "file", "file": {"file_id": media.file_id}}
    return None
