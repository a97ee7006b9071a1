"""Reading lists of a caller's request: what is wrong is told by its place, what is unknown by its name."""

from collections.abc import Mapping
from typing import Any

import msgspec

from modelyard.core import raw
from modelyard.core.raw import NotJson
from modelyard.dialects.reading import MALFORMED, misplaced, note, unreadable

Raw = msgspec.Raw
# Field path below the list's items ("content.image_url") to the record that is read there.
Shape = Mapping[str, type[msgspec.Struct]]

_UNKNOWN = "Object contains unknown field"


def decode_list(decoder: msgspec.json.Decoder[Any], value: Raw, field: str, shape: Shape, unread: list[str]) -> Any:
    """Decode a field of a request with a decoder whose records refuse unknown fields.

    Fields that they do not know are taken out and noted, as `messages.content.foo`. Raises INVALID_REQUEST with the
    place of what is wrong.
    """
    try:
        return decoder.decode(value)
    except msgspec.ValidationError as error:
        if not str(error).startswith(_UNKNOWN):
            raise misplaced(error, field) from None
    except MALFORMED as error:
        raise unreadable(error, field) from None
    try:
        return decoder.decode(_only_known(value, "", field, shape, unread))
    except msgspec.ValidationError as error:
        raise misplaced(error, field) from None
    except (*MALFORMED, NotJson) as error:
        raise unreadable(error, field) from None


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
