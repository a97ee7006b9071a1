"""A backend's stream as events of the hub (API reference, "Streaming messages").

Compatible servers take liberties: a whole text or input in `content_block_start`, a block that is never stopped.
"""

from typing import Any

import msgspec

from modelyard.canonical.chat import Redacted, Refusal, Text, Thinking, ToolCall, read_signature
from modelyard.canonical.events import (
    ArgumentsDelta,
    BlockStart,
    BlockStop,
    Event,
    Finish,
    SignatureDelta,
    Start,
    TextDelta,
    ThinkingDelta,
)
from modelyard.core.errors import Problem
from modelyard.core.raw import Raw
from modelyard.core.sse import EventSplitter, EventTooLarge
from modelyard.dialects.anthropic.answer import WireBlock, arguments_of, block_of, explanation_of, finish_of
from modelyard.dialects.anthropic.errors import told_instead
from modelyard.dialects.anthropic.figures import merge, usage_of
from modelyard.dialects.anthropic.words import NAME, loose
from modelyard.dialects.faults import CUT, broken_stream, upstream_failed
from modelyard.dialects.growth import Growth
from modelyard.dialects.named_events import event_data
from modelyard.dialects.reading import MALFORMED, NULL
from modelyard.dialects.writing import mended

BROKEN = "The backend's stream is broken: it sent a line that is not an event of an Anthropic answer."
OUT_OF_ORDER = "The backend's stream is broken: it sent more of a block that it had not begun."


class WireDelta(msgspec.Struct, gc=False):
    """What an event adds to a block, or to the answer as a whole."""

    type: str | None = None
    text: str | None = None
    partial_json: str | None = None
    thinking: str | None = None
    signature: str | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: Raw = NULL


class WireHead(msgspec.Struct):
    """The message that a stream begins with."""

    id: Any = None
    model: Any = None
    usage: Any = None


class WireEvent(msgspec.Struct):
    """An event of any type. What is of use in few of them stays raw."""

    type: str
    index: int = 0
    delta: WireDelta | None = None
    content_block: Raw = NULL
    message: Raw = NULL
    usage: Raw = NULL
    error: Raw = NULL


decoder = msgspec.json.Decoder(WireEvent)
_block = msgspec.json.Decoder(WireBlock)
_head = msgspec.json.Decoder(WireHead)


class _Open:
    """A block that has begun. `number` is its place in the answer, -1 for one that the hub does not know.

    `given` is the input that the backend told at the start: it holds when no other follows.
    """

    __slots__ = ("given", "kind", "number", "signature")

    def __init__(self, number: int, kind: type | None) -> None:
        self.number = number
        self.kind = kind
        self.given = ""
        self.signature: str | None = None


class StreamReader:
    """See `dialects.dialect.EventReader`."""

    __slots__ = (
        "_alone", "_blocks", "_called", "_done", "_growth", "_id", "_next", "_open", "_reason", "_sequence", "_splitter",
        "_started", "_told", "_words", "fault",
    )  # fmt: skip

    def __init__(self) -> None:
        self.fault: Problem | None = None
        self._splitter = EventSplitter()
        self._growth = Growth()
        self._open: dict[int, _Open] = {}
        self._alone: int | None = None  # the index of the last block, if that is no tool call
        self._next = 0
        self._started = False
        self._done = False
        self._called = False
        self._reason: str | None = None
        self._sequence: str | None = None
        self._words = ""
        self._told: dict[str, Any] = {}
        self._id = ""
        self._blocks = 0

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that this chunk completes, up to the first that is malformed or an error."""
        events: list[Event] = []
        if self._done or self.fault is not None:
            return events
        try:
            for event in self._splitter.feed(chunk):
                data = event_data(event)
                if data and not self._done:
                    self._read(data, events, BROKEN)
        except EventTooLarge as error:
            self.fault = broken_stream(error)
        except Problem as problem:
            self.fault = problem
        return events

    def end(self) -> list[Event]:
        """The last events. Raises Problem when the stream had no proper end."""
        if self.fault is not None:
            raise self.fault
        events: list[Event] = []
        if self._done:
            return events
        rest = self._splitter.rest.strip()
        data = event_data(rest + b"\n\n") if rest else b""
        if data:
            # Some servers leave out the last blank line; a whole event is taken as one, half an event is a cut.
            self._read(data, events, CUT)
        if not self._done:
            if self._reason is None:
                raise upstream_failed(CUT)
            self._finish(events)
        return events

    def _read(self, data: bytes, events: list[Event], broken: str) -> None:
        try:
            event = decoder.decode(data)
        except MALFORMED:
            if data.strip() == b"[DONE]":
                return  # a habit of OpenAI's that some proxies add
            event = _mended(decoder, data, broken)
        kind = event.type
        if kind == "content_block_delta":
            self._delta(event, events)
        elif kind == "content_block_start":
            self._begin(event, events)
        elif kind == "content_block_stop":
            self._stop(event.index, events)
        elif kind == "message_delta":
            self._message_delta(event)
        elif kind == "message_start":
            self._start(event, events)
        elif kind == "message_stop":
            if not self._started:
                raise upstream_failed(CUT)
            self._finish(events)
        elif kind == "error" or event.error is not NULL:
            raise told_instead(loose(Raw(data)), " in mid-stream")

    def _start(self, event: WireEvent, events: list[Event]) -> None:
        if self._started:
            return
        self._started = True
        head = _mended(_head, bytes(event.message), BROKEN)
        self._id = head.id if isinstance(head.id, str) else ""
        merge(self._told, head.usage)
        events.append(Start(self._id, head.model if isinstance(head.model, str) else "", usage_of(head.usage)))

    def _delta(self, event: WireEvent, events: list[Event]) -> None:
        block = self._open.get(event.index)
        if block is None:
            raise upstream_failed(OUT_OF_ORDER)
        delta = event.delta
        if delta is None or block.kind is None:
            return
        kind = block.kind
        if kind is Text:
            if delta.text:
                self._growth.piece(len(delta.text))
                events.append(TextDelta(block.number, delta.text))
        elif kind is ToolCall:
            if delta.partial_json:
                self._growth.piece(len(delta.partial_json))
                block.given = ""
                events.append(ArgumentsDelta(block.number, delta.partial_json))
        elif kind is Thinking:
            if delta.thinking:
                self._growth.piece(len(delta.thinking))
                events.append(ThinkingDelta(block.number, delta.thinking))
            if delta.signature:
                block.signature = delta.signature

    def _begin(self, event: WireEvent, events: list[Event]) -> None:
        if not self._started:
            raise upstream_failed(BROKEN)
        told: WireBlock = _mended(_block, bytes(event.content_block), BROKEN)
        block = block_of(told, self._id, self._next)
        self._blocks += 1
        calls = block is not None and isinstance(block, ToolCall)
        # Tool calls may be open beside each other; any other block is alone.
        for index in (event.index, self._alone) if calls else list(self._open):
            if index is not None and index in self._open:
                self._stop(index, events)
        self._alone = None if calls else event.index
        self._growth.block(len(event.content_block))
        if block is None:
            self._open[event.index] = _Open(-1, None)
            return
        opened = _Open(self._next, type(block))
        self._open[event.index] = opened
        self._next += 1
        number = opened.number
        if isinstance(block, Text):
            events.append(BlockStart(number, Text(text="")))
            if block.text:
                events.append(TextDelta(number, block.text))
        elif isinstance(block, Thinking):
            opened.signature = told.signature or None
            events.append(BlockStart(number, Thinking(text="")))
            if block.text:
                events.append(ThinkingDelta(number, block.text))
        elif isinstance(block, Redacted):
            events.append(BlockStart(number, block))
        else:
            self._called = True
            given = arguments_of(told)
            opened.given = "" if given == "{}" else given
            events.append(BlockStart(number, block))

    def _stop(self, index: int, events: list[Event]) -> None:
        block = self._open.pop(index, None)
        if block is None:
            raise upstream_failed(OUT_OF_ORDER)
        if block.number < 0:
            return
        if block.given:
            events.append(ArgumentsDelta(block.number, block.given))
        if block.signature is not None:
            signature, origin = read_signature(block.signature, NAME)
            events.append(SignatureDelta(block.number, signature or "", origin))
        events.append(BlockStop(block.number))

    def _message_delta(self, event: WireEvent) -> None:
        if event.usage is not NULL:
            merge(self._told, loose(event.usage))
        delta = event.delta
        if delta is not None and delta.stop_reason is not None:
            self._reason, self._sequence = delta.stop_reason, delta.stop_sequence
            if delta.stop_details is not NULL:
                self._words = explanation_of(loose(delta.stop_details))

    def _finish(self, events: list[Event]) -> None:
        """The stream has properly ended."""
        for index in list(self._open):
            self._stop(index, events)
        if not self._blocks and self._words:
            events += (BlockStart(0, Refusal(text="")), TextDelta(0, self._words), BlockStop(0))
        self._done = True
        reason, sequence = finish_of(self._reason, self._sequence, called=self._called)
        events.append(Finish(reason, sequence, usage_of(self._told)))


def _mended(decoder: "msgspec.json.Decoder[Any]", data: bytes, broken: str) -> Any:
    """Decode, if need be what msgspec refuses; Problem UPSTREAM_FAILED with the message `broken` for anything else."""
    try:
        return decoder.decode(data)
    except MALFORMED:
        pass
    try:
        return decoder.decode(mended(data))
    except (ValueError, *MALFORMED):
        raise upstream_failed(broken) from None
