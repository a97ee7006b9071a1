"""What is kept of an exchange, so that a later request can go on from it by `previous_response_id`.

Only items are kept, in the form in which any server of the API, and the hub, takes them back: without ids that only
the server that gave them could find.
"""

import msgspec

from modelyard.core import raw
from modelyard.core.raw import Fields
from modelyard.dialects.named_events import event_data
from modelyard.dialects.openai.responses.items import KINDS
from modelyard.dialects.reading import MALFORMED, NULL, is_null, wrong

Raw = msgspec.Raw

MOST_ID = 64  # characters, the API's bound for the id of an item

_MADE = "msg_my_"


class _Peek(msgspec.Struct, gc=False):
    type: str | None = None
    id: str | None = None
    role: str | None = None
    encrypted_content: Raw = NULL


class _Answer(msgspec.Struct, gc=False):
    id: str
    output: list[Raw]


class _Event(msgspec.Struct, gc=False):
    type: str
    response: _Answer


_peek = msgspec.json.Decoder(_Peek)
_answer = msgspec.json.Decoder(_Answer)
_event = msgspec.json.Decoder(_Event)


def turn_items(fields: Fields, output_items: list[Raw]) -> bytes:
    """What to keep of one exchange: a JSON array of the request's input and the answer's output.

    With the fields that `with_history` gave, that is the whole conversation so far. Raises INVALID_REQUEST for an
    input that is none.
    """
    return bytes(raw.join_list([*map(_kept, filter(_keeps, [*_input(fields), *output_items]))]))


def _input(fields: Fields) -> list[Raw]:
    value = fields.get("input")
    if value is None or is_null(value):
        return []
    if bytes(memoryview(value)[:1]) == b'"':
        return [Raw(b'{"type":"message","role":"user","content":%b}' % bytes(value))]
    try:
        return raw.split_list(value)
    except raw.NotJson:
        raise wrong("input", "a string or an array of items") from None


def _peeked(item: Raw) -> _Peek | None:
    try:
        return _peek.decode(item)
    except MALFORMED:
        return None


def _keeps(item: Raw) -> bool:
    """False for reasoning that its server alone could find again, and for what only refers to another item."""
    peek = _peeked(item)
    if peek is None:
        return False
    if peek.type == "reasoning":
        return bytes(peek.encrypted_content) not in (b"null", b'""')
    return peek.type != "item_reference" and not (peek.type is None and peek.role is None)


def _kept(item: Raw) -> Raw:
    peek = _peeked(item)
    if peek is None or peek.id is None or peek.type not in KINDS:
        return item  # a call of a tool that the server ran itself needs its id
    try:
        inner = raw.split(bytes(item))
    except raw.NotJson:
        raise wrong("input", "a string or an array of items") from None
    if peek.type == "message" and peek.role == "assistant":
        # Some servers want a message that was said to have an id; under its old one it might be looked for.
        inner["id"] = raw.raw_of((peek.id if peek.id.startswith(_MADE) else _MADE + peek.id)[:MOST_ID])
    else:
        inner.pop("id", None)
    return Raw(raw.join(inner))


def with_history(fields: Fields, history: bytes) -> Fields:
    """The request with the kept items in front of its input, and without `previous_response_id`.

    `history` is what `turn_items` gave. Raises INVALID_REQUEST for an input that is none.
    """
    complete = {name: value for name, value in fields.items() if name != "previous_response_id"}
    complete["input"] = raw.join_list([*raw.split_list(Raw(history)), *_input(fields)])
    return complete


def output_of(answer_body: bytes) -> tuple[str, list[Raw]] | None:
    """(id, output items) of a whole answer, None when it is none."""
    try:
        answer = _answer.decode(answer_body)
    except MALFORMED:
        return None
    return answer.id, _own(answer.output)


def output_in_event(event: bytes) -> tuple[str, list[Raw]] | None:
    """The same of the event that completes a stream; None for any other event."""
    data = event_data(event)
    if b'"response.completed"' not in data and b'"response.incomplete"' not in data:
        return None
    try:
        told = _event.decode(data)
    except MALFORMED:
        return None
    if told.type not in ("response.completed", "response.incomplete"):
        return None
    return told.response.id, _own(told.response.output)


def _own(items: list[Raw]) -> list[Raw]:
    """Items that do not keep the body that they came in alive."""
    return [Raw(bytes(item)) for item in items]
