"""Streams of the Responses API, read (API reference, "Streaming events").

OpenAI numbers items and parts and ends each before the next begins. Other servers leave the numbers out, tell an item
only when it is complete, or end all items together: what is read here is what all of them have in common.
"""

from typing import Any, ClassVar

import msgspec

from modelyard.canonical.chat import ChatReply, Redacted, Refusal, Text, Thinking, ToolCall
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
    events_of,
)
from modelyard.core.errors import Problem
from modelyard.core.sse import EventSplitter, EventTooLarge
from modelyard.dialects.faults import CUT, broken_stream, upstream_failed
from modelyard.dialects.growth import Growth
from modelyard.dialects.named_events import event_data
from modelyard.dialects.openai.responses.answer import (
    blocks_of,
    decode_answer,
    finish_of,
    items_of,
    read_logprobs,
    usage_in,
)
from modelyard.dialects.openai.responses.events import failure_in
from modelyard.dialects.openai.responses.items import KINDS, Item, thought_of, timings_in
from modelyard.dialects.reading import MALFORMED, NULL
from modelyard.dialects.writing import mended

Raw = msgspec.Raw

BROKEN = "The backend's stream is broken: it sent an event that is not as the Responses API has it."


class _Told(msgspec.Struct):
    type: str = ""
    delta: str | None = None
    output_index: int | None = None
    item_id: str | None = None
    content_index: int | None = None
    summary_index: int | None = None
    logprobs: Raw = NULL
    text: str | None = None
    refusal: str | None = None
    arguments: str | None = None
    item: Raw = NULL
    response: Raw = NULL
    timings: Raw = NULL
    error: Raw = NULL


class _Type(msgspec.Struct, gc=False):
    type: str = ""


class _Begun(msgspec.Struct, gc=False):
    id: str | None = None
    model: str | None = None


class _Call:
    """A tool call as it grows."""

    __slots__ = ("index", "open", "said")

    def __init__(self, index: int) -> None:
        self.index = index
        self.said = False
        self.open = True


_told = msgspec.json.Decoder(_Told)
_type = msgspec.json.Decoder(_Type)
_begun = msgspec.json.Decoder(_Begun)
_item = msgspec.json.Decoder(Item)

_FAILURES = frozenset({"response.failed", "error"})


class ResponsesReader:
    """See `dialects.dialect.EventReader`."""

    __slots__ = (
        "_alone", "_begun", "_calls", "_count", "_finished", "_growth", "_open_calls", "_out", "_part", "_sources",
        "_speaker", "_splitter", "fault",
    )  # fmt: skip

    def __init__(self) -> None:
        self.fault: Problem | None = None
        self._splitter = EventSplitter()
        self._growth = Growth()
        self._begun = False
        self._finished = False
        self._count = 0  # blocks so far
        self._alone: int | None = None  # the block that is open and no tool call
        self._speaker: tuple[Any, ...] | None = None  # whose block that is: (kind, item, part)
        self._part: int | None = None  # the part of a summary that was told last
        self._calls: dict[str | int, _Call] = {}  # by output index, item id and call id
        self._open_calls: dict[int, _Call] = {}  # by the number of their block
        # From which events text, refusals and thoughts are taken: the first ones that held any. The later ones
        # (done events, whole items, the whole response) repeat them.
        self._sources: dict[str, str] = {}
        self._out: list[Event] = []

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that this chunk completes."""
        out: list[Event] = []
        self._out = out
        if self.fault is not None:
            return out
        try:
            for event in self._splitter.feed(chunk):
                self._read(event)
        except EventTooLarge as error:
            self.fault = broken_stream(error)
        except Problem as problem:
            self.fault = problem
        return out

    def end(self) -> list[Event]:
        """Called when the body is complete. Raises Problem when the stream had no proper end."""
        self._out = []
        rest = self._splitter.rest
        if rest.strip() and self.fault is None:
            # Some servers leave out the last blank line; a whole event is taken as one, half an event is a cut.
            try:
                self._read(rest.rstrip(b"\r\n") + b"\n\n")
            except Problem as problem:
                raise upstream_failed(CUT) if problem.message == BROKEN else problem from None
        if not self._finished:
            raise upstream_failed(CUT)
        return self._out

    def _read(self, event: bytes) -> None:
        data = event_data(event)
        if not data or self._finished or data == b"[DONE]":
            return
        try:
            told = _told.decode(data)
        except MALFORMED as error:
            told = self._reread(data, isinstance(error, msgspec.ValidationError))
        kind = told.type
        if kind == "response.output_text.delta":
            if told.delta and self._takes("text", kind):
                key = ("text", told.item_id or told.output_index, told.content_index)
                if key != self._speaker:
                    self._speak(key, Text(text=""))
                logprobs = read_logprobs(told.logprobs) if len(told.logprobs) > len(b"[]") else None
                self._growth.piece(len(told.delta))
                self._out.append(TextDelta(self._alone, told.delta, logprobs))  # type: ignore[arg-type]
        elif (read := self._READERS.get(kind)) is not None:
            read(self, told)
        elif kind in _FAILURES or len(told.error) > len(b"null"):
            raise failure_in(data)

    def _reread(self, data: bytes, is_json: bool) -> _Told:
        """An event that is not as it should be: no matter if it is none of ours, or only half a surrogate pair."""
        if not is_json:
            try:
                data = mended(data)
                return _told.decode(data)
            except msgspec.ValidationError:
                pass
            except (ValueError, *MALFORMED):
                raise upstream_failed(BROKEN) from None
        try:
            kind = _type.decode(data).type
        except MALFORMED:
            raise upstream_failed(BROKEN) from None
        if kind in self._READERS or kind == "response.output_text.delta":
            raise upstream_failed(BROKEN)
        return _Told(type=kind)

    def _takes(self, what: str, source: str) -> bool:
        return self._sources.setdefault(what, source) == source

    def _start(self) -> None:
        if not self._begun:
            self._begun = True
            self._out.append(Start())

    def _speak(self, speaker: tuple[Any, ...], block: Text | Refusal | Thinking) -> None:
        """Begin a block that stands alone."""
        self._stop_all()
        self._growth.block()
        self._alone, self._speaker, self._part = self._count, speaker, None
        self._out.append(BlockStart(self._count, block))
        self._count += 1

    def _stop_alone(self) -> None:
        self._start()
        if self._alone is not None:
            self._out.append(BlockStop(self._alone))
            self._alone = self._speaker = None

    def _stop_all(self) -> None:
        self._stop_alone()
        for call in list(self._open_calls.values()):
            self._stop_call(call)

    def _stop_call(self, call: _Call) -> None:
        if call.open:
            call.open = False
            del self._open_calls[call.index]
            self._out.append(BlockStop(call.index))

    def _created(self, told: _Told) -> None:
        if self._begun:
            return
        try:
            begun = _begun.decode(told.response)
        except MALFORMED:
            begun = _Begun()
        self._begun = True
        self._out.append(Start(begun.id or "", begun.model or ""))

    def _said(self, what: str, told: _Told, text: str | None) -> None:
        """Words of the assistant: all of a part at once, or of a refusal as it grows."""
        if text and self._takes(what, told.type):
            key = (what, told.item_id or told.output_index, told.content_index)
            if key != self._speaker:
                self._speak(key, Text(text="") if what == "text" else Refusal(text=""))
            assert self._alone is not None
            logprobs = read_logprobs(told.logprobs) if what == "text" else None
            self._growth.piece(len(text))
            self._out.append(TextDelta(self._alone, text, logprobs))

    def _text_done(self, told: _Told) -> None:
        self._said("text", told, told.text)

    def _refusal(self, told: _Told) -> None:
        self._said("refusal", told, told.delta if told.delta is not None else told.refusal)

    def _thought(self, told: _Told) -> None:
        """Thoughts, as a summary or as they are; as they grow or a part at once."""
        text = told.delta if told.delta is not None else told.text
        if not text or not self._takes("thinking", told.type):
            return
        key = ("thinking", told.item_id or told.output_index)
        if key != self._speaker:
            self._speak(key, Thinking(text=""))
        elif told.summary_index != self._part:
            text = "\n\n" + text
        self._part = told.summary_index
        assert self._alone is not None
        self._growth.piece(len(text))
        self._out.append(ThinkingDelta(self._alone, text))

    def _item_of(self, told: _Told) -> Item:
        try:
            return _item.decode(told.item)
        except MALFORMED:
            pass
        try:
            kind = _type.decode(told.item).type
        except MALFORMED:
            kind = None
        if kind is None or kind in KINDS:
            raise upstream_failed(BROKEN)
        return Item(type=kind)

    def _item_added(self, told: _Told) -> None:
        item = self._item_of(told)
        if item.type == "function_call":
            self._call(told, item)

    def _call(self, told: _Told, item: Item) -> _Call:
        """The call that this item is; a new one when it was not heard of before."""
        keys = [key for key in (told.output_index, item.id, item.call_id) if key is not None]
        for key in keys:
            if key in self._calls:
                return self._calls[key]
        self._stop_alone()
        self._growth.block(len(told.item))
        call = self._open_calls[self._count] = _Call(self._count)
        self._count += 1
        for key in keys or [f"#{call.index}"]:
            self._calls[key] = call
        self._out.append(
            BlockStart(call.index, ToolCall(id=item.call_id or item.id or "", name=item.name or "", arguments=""))
        )
        return call

    def _arguments(self, told: _Told) -> None:
        call = self._calls.get(told.output_index) if told.output_index is not None else None
        if call is None and told.item_id is not None:
            call = self._calls.get(told.item_id)
        if call is None:
            raise upstream_failed("The backend's stream is broken: it sent arguments of a tool call that never began.")
        if told.delta:
            if not call.open:
                raise upstream_failed("The backend's stream is broken: a tool call went on after its end.")
            call.said = True
            self._growth.piece(len(told.delta))
            self._out.append(ArgumentsDelta(call.index, told.delta))
        elif told.arguments:
            self._all_arguments(call, told.arguments)

    def _all_arguments(self, call: _Call, arguments: str | None) -> None:
        if arguments and call.open and not call.said:
            call.said = True
            self._growth.piece(len(arguments))
            self._out.append(ArgumentsDelta(call.index, arguments))

    def _item_done(self, told: _Told) -> None:
        item = self._item_of(told)
        match item.type:
            case "function_call":
                call = self._call(told, item)
                self._all_arguments(call, item.arguments)
                self._stop_call(call)
            case "reasoning":
                self._thought_done(told, item)
            case "message":
                self._message_done(told, item)
            case _:
                pass  # of a tool that the server runs itself

    def _thought_done(self, told: _Told, item: Item) -> None:
        thought = thought_of(item)
        key = ("thinking", item.id or told.output_index)
        if isinstance(thought, Redacted):
            self._stop_all()
            self._growth.block(len(thought.data))
            self._out += [BlockStart(self._count, thought), BlockStop(self._count)]
            self._count += 1
        elif thought is not None:
            if thought.text and self._takes("thinking", told.type):
                self._speak(key, Thinking(text=""))
                assert self._alone is not None
                self._growth.piece(len(thought.text))
                self._out.append(ThinkingDelta(self._alone, thought.text))
            elif thought.signature is not None and not thought.text:
                self._speak(key, Thinking(text=""))
        # A signature belongs to the thoughts of its own item, if they are still open.
        if self._alone is not None and self._speaker == key:
            if isinstance(thought, Thinking) and thought.signature is not None:
                self._out.append(SignatureDelta(self._alone, thought.signature, thought.origin))
            self._stop_alone()

    def _message_done(self, told: _Told, item: Item) -> None:
        blocks, logprobs = blocks_of([item])
        for index, block in enumerate(blocks):
            if isinstance(block, (Text, Refusal)) and block.text:
                what = "text" if isinstance(block, Text) else "refusal"
                if self._takes(what, told.type):
                    self._speak((what, item.id, index), type(block)(text=""))
                    assert self._alone is not None
                    self._growth.piece(len(block.text))
                    self._out.append(TextDelta(self._alone, block.text, logprobs if what == "text" else None))
        if self._speaker is not None and self._speaker[0] != "thinking":
            self._stop_alone()

    def _completed(self, told: _Told) -> None:
        answer = decode_answer(told.response, BROKEN)
        self._created(told)
        if not self._count and len(answer.output) > len(b"[]"):
            # Nothing was told as it grew: the answer comes at once.
            blocks, logprobs = blocks_of(items_of(answer, BROKEN))
            self._out += events_of(ChatReply(blocks=blocks, finish="", logprobs=logprobs))[1:-1]
            called = any(isinstance(block, ToolCall) for block in blocks)
        else:
            self._stop_all()
            called = bool(self._calls)
        self._finished = True
        self._out.append(Finish(finish_of(answer, called=called), None, usage_in(answer), timings_in(told.timings)))

    _READERS: ClassVar = {
        "response.created": _created,
        "response.in_progress": _created,
        "response.output_text.done": _text_done,
        "response.refusal.delta": _refusal,
        "response.refusal.done": _refusal,
        "response.reasoning_text.delta": _thought,
        "response.reasoning_text.done": _thought,
        "response.reasoning_summary_text.delta": _thought,
        "response.reasoning_summary_text.done": _thought,
        "response.output_item.added": _item_added,
        "response.output_item.done": _item_done,
        "response.function_call_arguments.delta": _arguments,
        "response.function_call_arguments.done": _arguments,
        "response.completed": _completed,
        "response.incomplete": _completed,
    }
