"""Reading lists of a caller's request: what is wrong is told by its place, what is unknown by its name."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from modelyard.core import raw
from modelyard.core.errors import Kind, Problem
from modelyard.core.raw import NotJson

Raw = msgspec.Raw
NULL = Raw(b"null")

# Field path below the list's items ("content.image_url") to the record that is read there.
Shape = Mapping[str, type[msgspec.Struct]]

_PLACE = re.compile(r" - at `\$(?P<path>[^`]*)`$")
_UNKNOWN = "Object contains unknown field"


class CacheMarker(msgspec.Struct, gc=False):
    """A mark for the prompt cache, as LiteLLM and OpenRouter take it from Anthropic's API."""

    type: str = "ephemeral"
    ttl: str | None = None


def cache_of(marker: CacheMarker | None, unread: list[str]) -> str | None:
    """The lifetime of a marker, None without one."""
    if marker is None:
        return None
    if marker.ttl in (None, "5m", "1h"):
        return marker.ttl or "5m"
    note(unread, "cache_control")
    return None


MOST_NAMES = 100  # that are told apart; a request with more of them is made to hurt


def note(names: list[str], name: str) -> None:
    """Add a name once."""
    if len(names) < MOST_NAMES and name not in names:
        names.append(name)


def decode_list(decoder: msgspec.json.Decoder[Any], value: Raw, field: str, shape: Shape, unread: list[str]) -> Any:
    """Decode a field of a request with a decoder whose records refuse unknown fields.

    Fields that they do not know are taken out and noted, as `messages.content.foo`. Raises INVALID_REQUEST with the
    place of what is wrong.
    """
    try:
        return decoder.decode(value)
    except msgspec.ValidationError as error:
        if not str(error).startswith(_UNKNOWN):
            raise _misplaced(error, field) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _unreadable(error, field) from None
    try:
        return decoder.decode(_only_known(value, "", field, shape, unread))
    except msgspec.ValidationError as error:
        raise _misplaced(error, field) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, NotJson) as error:
        raise _unreadable(error, field) from None


def _misplaced(error: Exception, field: str) -> Problem:
    text = str(error)
    place = _PLACE.search(text)
    param = field + place["path"] if place else field
    told = text[: place.start()] if place else text
    return Problem(Kind.INVALID_REQUEST, f"`{param}` is not as it must be: {told}.", param=param)


def _unreadable(error: Exception, field: str) -> Problem:
    told = "it is nested too deeply" if isinstance(error, RecursionError) else "a string in it is not valid text"
    return Problem(Kind.INVALID_REQUEST, f"`{field}` cannot be read: {told}.", param=field)


def _only_known(value: Raw, path: str, field: str, shape: Shape, unread: list[str]) -> Raw:
    """`value` without the fields that the shape does not know. What is not of the shape is left for the decoder."""
    opening = bytes(memoryview(value)[:1])
    if opening == b"[":
        return raw.join_list([_item_known(item, path, field, shape, unread) for item in raw.split_list(value)])
    return _item_known(value, path, field, shape, unread)


def _item_known(value: Raw, path: str, field: str, shape: Shape, unread: list[str]) -> Raw:
    if bytes(memoryview(value)[:1]) != b"{":
        return value
    known = {}
    for name, inner in raw.split(bytes(value)).items():
        below = f"{path}.{name}" if path else name
        if name in shape[path].__struct_encode_fields__:
            known[name] = _only_known(inner, below, field, shape, unread) if below in shape else inner
        elif bytes(inner) != b"null":
            note(unread, f"{field}.{below}")
    return Raw(raw.join(known))
