"""Messages as callers send them, decoded: what is wrong is told by its place, what is unknown by its name.

API reference, "Create a Message", `messages` and `system`. Nearly every request is decoded in one go; one with blocks or
fields that we do not know is taken apart, and goes on without them.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from modelyard.core import raw
from modelyard.core.errors import Kind, Problem
from modelyard.dialects.reading import (
    MALFORMED,
    NULL,
    CacheMarker,
    decoded_in,
    is_null,
    note,
    object_in,
    unreadable,
    wrong,
)

Raw = msgspec.Raw

NO_INPUT = Raw(b"{}")
DEEPEST = 3  # an image in a document in a tool's result


class _Part(msgspec.Struct, tag_field="type", forbid_unknown_fields=True):
    pass


class _Marked(_Part, kw_only=True):
    cache_control: CacheMarker | None = None


class TextPart(_Marked, kw_only=True, tag="text"):
    text: str
    citations: Raw = NULL


class Source(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Where an image or a document is: base64, url, file, text or content, as `type` says."""

    type: str
    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    file_id: str | None = None
    content: "str | list[TextPart | ImagePart] | None" = None


class ImagePart(_Marked, kw_only=True, tag="image"):
    source: Source
    transformations: Raw = NULL


class DocumentPart(_Marked, kw_only=True, tag="document"):
    source: Source
    title: str | None = None
    context: str | None = None
    citations: Raw = NULL


class SearchResultPart(_Marked, kw_only=True, tag="search_result"):
    source: str
    title: str
    content: list[TextPart]
    citations: Raw = NULL


class ToolUsePart(_Marked, kw_only=True, tag="tool_use"):
    """`caller` says who called the tool; it is the model itself unless it was a tool of the server's."""

    id: str
    name: str
    input: Raw = NO_INPUT
    caller: Raw = NULL
    toolset_name: str | None = None


Shown = TextPart | ImagePart | DocumentPart | SearchResultPart


class ToolResultPart(_Marked, kw_only=True, tag="tool_result"):
    tool_use_id: str
    content: str | list[Shown] | None = None
    is_error: bool | None = None
    toolset_name: str | None = None


class ThinkingPart(_Part, kw_only=True, tag="thinking"):
    thinking: str
    signature: str | None = None


class RedactedPart(_Part, kw_only=True, tag="redacted_thinking"):
    data: str


Part = Shown | ToolUsePart | ToolResultPart | ThinkingPart | RedactedPart


class Message(msgspec.Struct, forbid_unknown_fields=True):
    """One message. A block that we do not know stands as None, so that the others keep their numbers."""

    role: str
    content: str | list[Part | None]


class _Bare(msgspec.Struct):
    """A message whose blocks have still to be looked at."""

    role: str
    content: Raw


_messages = msgspec.json.Decoder(list[Message])
_bare = msgspec.json.Decoder(_Bare)
_text = msgspec.json.Decoder(str)
_part = msgspec.json.Decoder(Part)
_system = msgspec.json.Decoder(str | list[TextPart] | None)

_PARTS: Mapping[str, type[msgspec.Struct]] = {
    "text": TextPart,
    "image": ImagePart,
    "document": DocumentPart,
    "search_result": SearchResultPart,
    "tool_use": ToolUsePart,
    "tool_result": ToolResultPart,
    "thinking": ThinkingPart,
    "redacted_thinking": RedactedPart,
}
# What an answer says of itself, when it is sent back whole.
_BOOKKEEPING = frozenset(
    {"id", "type", "model", "stop_reason", "stop_sequence", "stop_details", "usage", "container", "index"}
)
# What SDKs leave in blocks that they have read.
_LEFTOVERS = frozenset({"index", "parsed_output"})


def decode_messages(value: Raw, unread: list[str]) -> list[Message]:
    """Decode `messages`. Raises INVALID_REQUEST with the place of what is wrong."""
    try:
        return _messages.decode(value)
    except msgspec.ValidationError:
        pass
    except MALFORMED as error:
        raise unreadable(error, "messages") from None
    messages: list[Message] = []
    for index, item in enumerate(_items(value, "messages")):
        place = f"messages[{index}]"
        bare = decoded_in(_bare, item, place)
        for name, inner in raw.split(bytes(item)).items():
            if name not in ("role", "content") and name not in _BOOKKEEPING and not is_null(inner):
                note(unread, f"messages.{name}")
        messages.append(Message(bare.role, _content(bare.content, f"{place}.content", unread)))
    return messages


def decode_system(value: Raw, unread: list[str]) -> str | list[TextPart] | None:
    """Decode `system`. Raises INVALID_REQUEST with the place of what is wrong."""
    try:
        told: str | list[TextPart] | None = _system.decode(value)
        return told
    except msgspec.ValidationError:
        pass
    except MALFORMED as error:
        raise unreadable(error, "system") from None
    texts: list[TextPart] = []
    for number, item in enumerate(_items(value, "system")):
        part = _one(item, f"system[{number}]", "system", unread)
        if isinstance(part, TextPart):
            texts.append(part)
        elif part is not None:
            raise wrong(f"system[{number}]", "a block of text")
    return texts


def _content(value: Raw, place: str, unread: list[str]) -> Any:
    opening = bytes(memoryview(value)[:1])
    if opening == b'"':
        return decoded_in(_text, value, place)
    if opening != b"[":
        raise wrong(place, "a string or an array of blocks")
    return [_one(item, f"{place}[{number}]", "messages", unread) for number, item in enumerate(_items(value, place))]


def _one(item: Raw, place: str, field: str, unread: list[str]) -> Part | None:
    """One block without what we do not know of it; None for a block of an unknown type."""
    known = _known(item, place, field, unread)
    part: Part | None = None if known is None else decoded_in(_part, known, place)
    return part


def _known(item: Raw, place: str, field: str, unread: list[str], depth: int = 0) -> Raw | None:
    if depth > DEEPEST:
        return item  # no block is legal there: the decoder will say so
    fields = object_in(item, place)
    try:
        kind = _text.decode(fields.get("type", NULL))
    except MALFORMED:
        raise wrong(f"{place}.type", "the type of a block") from None
    part = _PARTS.get(kind)
    if part is None:
        note(unread, f"{field}.{kind}")
        return None
    kept = {"type": fields["type"]}
    for name, inner in fields.items():
        if name in part.__struct_fields__:
            kept[name] = inner
        elif name != "type" and name not in _LEFTOVERS and not is_null(inner):
            note(unread, f"{field}.{kind}.{name}")
    if kind in ("tool_result", "search_result"):
        _clean_content(kept, place, field, unread, depth)
    elif kind in ("image", "document") and bytes(memoryview(kept.get("source", NULL))[:1]) == b"{":
        source = raw.split(bytes(kept["source"]))
        for name in [name for name in source if name not in Source.__struct_fields__]:
            if not is_null(source.pop(name)):
                note(unread, f"{field}.{kind}.source.{name}")
        _clean_content(source, f"{place}.source", field, unread, depth)
        kept["source"] = Raw(raw.join(source))
    return Raw(raw.join(kept))


def _clean_content(fields: raw.Fields, place: str, field: str, unread: list[str], depth: int) -> None:
    """Clean the blocks within a block; what is not a list is left for the decoder."""
    value = fields.get("content", NULL)
    if bytes(memoryview(value)[:1]) == b"[":
        place = f"{place}.content"
        inner = [
            _known(item, f"{place}[{number}]", field, unread, depth + 1)
            for number, item in enumerate(_items(value, place))
        ]
        fields["content"] = raw.join_list([item for item in inner if item is not None])


def _items(value: Raw, place: str) -> list[Raw]:
    if bytes(memoryview(value)[:1]) != b"[":
        raise wrong(place, "an array")
    try:
        return raw.split_list(value)
    except raw.NotJson as error:
        raise Problem(Kind.INVALID_REQUEST, f"`{place}` cannot be read: {error}.", param=place) from None
