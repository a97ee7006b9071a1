"""A model's picture: what may be uploaded, where it is kept, and what is answered when there is none.

People write `meta.profile_image_url`. An uploaded picture arrives there as a data URI and is stored in a column of its
own, so that lists need not read it; lists show the path that serves it instead.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final
from urllib.parse import quote, urlsplit

from modelyard.core.errors import Kind, Problem

FIELD = "profile_image_url"
IMAGE_PATH = "/api/v1/models/model/profile/image"
MAX_IMAGE_BYTES = 1024 * 1024
MAX_URL_LENGTH = 2000

# The label of a data URI; the rest is base64 of at most MAX_IMAGE_BYTES.
_DATA_URI = re.compile(r"data:(image/[a-z0-9.+-]{1,40});base64,", re.IGNORECASE)
_LONGEST_BASE64 = 4 * -(-MAX_IMAGE_BYTES // 3)
_LABELS = {"image/jpg": "image/jpeg"}

# How the bytes of each type begin. SVG is not among them: it can hold scripts.
_TYPES: Mapping[str, Callable[[bytes], bool]] = {
    "image/png": lambda data: data.startswith(b"\x89PNG\r\n\x1a\n"),
    "image/jpeg": lambda data: data.startswith(b"\xff\xd8\xff"),
    "image/gif": lambda data: data.startswith((b"GIF87a", b"GIF89a")),
    "image/webp": lambda data: data.startswith(b"RIFF") and data[8:12] == b"WEBP",
}

# What a model without a picture shows: a cube in outline.
DEFAULT_IMAGE = (
    b'<svg xmlns="http://www.w3.org/2000/svg" width="128" height="128" viewBox="0 0 128 128">'
    b'<rect width="128" height="128" rx="24" fill="#e4e7ec"/>'
    b'<path d="M64 28 96 46v36L64 100 32 82V46zM32 46l32 18 32-18M64 64v36" fill="none" stroke="#667085" '
    b'stroke-width="5" stroke-linejoin="round"/></svg>'
)


class Keep(Enum):
    """The sender sent back the path that lists show: the stored picture stays as it is."""

    KEEP = "keep"


KEEP: Final = Keep.KEEP


@dataclass(frozen=True, slots=True)
class Image:
    """A picture as it is served. `etag` is derived from its content."""

    media_type: str
    content: bytes
    etag: str


def take_image(meta: Mapping[str, Any]) -> tuple[dict[str, Any], str | Keep | None]:
    """The `meta` to store, and the picture to store beside it: a data URI, None for none, or KEEP.

    A data URI must be a PNG, JPEG, GIF or WebP of at most 1 MiB; it is taken out of `meta`. Our own path of a model's
    picture is taken out too and means KEEP. An http(s) URL or another path beginning with `/` stays in `meta`.
    Raises Problem MALFORMED for anything else.
    """
    value = meta.get(FIELD)
    if value is None:
        return dict(meta), None
    if not isinstance(value, str):
        raise _malformed("it must be text")
    without = {name: kept for name, kept in meta.items() if name != FIELD}
    if not value:
        return without, None
    if value[:5].lower() == "data:":
        _decoded(value)
        return without, value
    if value.partition("?")[0] == IMAGE_PATH:
        return without, KEEP
    if not _is_plain_address(value):
        raise _malformed("it must be an uploaded picture, an http(s) URL or a path that begins with /")
    return dict(meta), None


def put_back(meta: Mapping[str, Any], data_uri: str | None) -> dict[str, Any]:
    """`meta` as it was sent, with the stored picture in it."""
    return dict(meta) if data_uri is None else {**meta, FIELD: data_uri}


def listed(meta: Mapping[str, Any], model_id: str, has_image: bool) -> dict[str, Any]:
    """`meta` as lists show it: the path that serves the picture in place of the picture."""
    return {**meta, FIELD: image_path(model_id)} if has_image or _is_data_uri(meta) else dict(meta)


def image_path(model_id: str) -> str:
    """Where the picture of this model is served."""
    return f"{IMAGE_PATH}?id={quote(model_id, safe='')}"


def image_of(meta: Mapping[str, Any], data_uri: str | None) -> Image:
    """The picture to serve: the stored one, or one that a file declares in `meta`, or the default.

    Nobody is sent to another server's picture: that server would learn who looks at which model.
    """
    if data_uri is None and _is_data_uri(meta):
        data_uri = meta[FIELD]
    if data_uri is None:
        return DEFAULT
    try:
        media_type, content = _decoded(data_uri)
    except Problem:
        return DEFAULT
    return _image(media_type, content)


def _image(media_type: str, content: bytes) -> Image:
    return Image(media_type, content, f'"{hashlib.sha256(content).hexdigest()[:32]}"')


DEFAULT = _image("image/svg+xml", DEFAULT_IMAGE)


def _is_data_uri(meta: Mapping[str, Any]) -> bool:
    value = meta.get(FIELD)
    return isinstance(value, str) and value[:5].lower() == "data:"


def _decoded(data_uri: str) -> tuple[str, bytes]:
    """Media type and content. Raises Problem MALFORMED."""
    label = _DATA_URI.match(data_uri)
    media_type = "" if label is None else _LABELS.get(label[1].lower(), label[1].lower())
    if label is None or media_type not in _TYPES:
        raise _malformed("a picture must be a base64 data URI of type PNG, JPEG, GIF or WebP")
    if len(data_uri) - label.end() > _LONGEST_BASE64:
        raise _malformed(f"a picture can have at most {MAX_IMAGE_BYTES} bytes")
    try:
        content = base64.b64decode(data_uri[label.end() :], validate=True)
    except (binascii.Error, ValueError):
        raise _malformed("the picture is not valid base64") from None
    if len(content) > MAX_IMAGE_BYTES:
        raise _malformed(f"a picture can have at most {MAX_IMAGE_BYTES} bytes")
    if not _TYPES[media_type](content):
        raise _malformed(f"the content of the picture is not {media_type}")
    return media_type, content


def _is_plain_address(value: str) -> bool:
    """True for an http(s) URL with a host and without a password, or a path on this server."""
    if len(value) > MAX_URL_LENGTH or not value.isprintable() or " " in value or "\\" in value:
        return False
    if value.startswith("/"):
        return not value.startswith("//")
    try:
        parts = urlsplit(value)
        plain = bool(parts.hostname) and "@" not in parts.netloc and (parts.port or 0) >= 0
        return parts.scheme in ("http", "https") and plain
    except ValueError:
        return False


def _malformed(what: str) -> Problem:
    return Problem(Kind.MALFORMED, f"meta.{FIELD}: {what}.", param=f"meta.{FIELD}")
