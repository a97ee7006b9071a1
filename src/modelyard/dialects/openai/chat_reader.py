"""A backend's stream of chat (or text) completion chunks as events (API reference, "Streaming").

Real servers take liberties, and clients live with them: no index on tool calls, an index used twice, thoughts under
several names, usage in the last chunk of text, no `[DONE]`.
"""

from typing import Any

from modelyard.canonical.chat import Redacted, Refusal, Text, Thinking, Timings, ToolCall, read_signature
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
from modelyard.canonical.usage import Usage
from modelyard.core import raw
from modelyard.core.errors import Problem
from modelyard.core.sse import EventSplitter, EventTooLarge, data_of
from modelyard.dialects.faults import CUT, NAMELESS_CALL, broken_stream, reported, upstream_failed
from modelyard.dialects.growth import Growth
from modelyard.dialects.openai.chat_answer import read_reply
from modelyard.dialects.openai.errors import read_error
from modelyard.dialects.openai.figures import timings_of, usage_of
from modelyard.dialects.openai.wire import (
    WireAnswer,
    WireCall,
    WireChoice,
    WireFunction,
    WireMessage,
    WirePart,
    WireThought,
    arguments_of,
    decoder,
    finish_of,
    logprobs_of,
    made_id,
    mended,
    words_of,
)
from modelyard.dialects.reading import MALFORMED

BROKEN = "The backend's stream is broken: it sent a line that is not a chunk of an OpenAI answer."
HELD_TOKEN = 1000  # characters that the log probabilities of one token count, when they are held

MANY = 64  # open calls among which an id is looked for

_NOTHING = WireFunction()

# Kinds of block that are alone while they are open.
TEXT, REFUSAL, THINKING = 1, 2, 3


class _OpenCall:
    """One tool call as it comes in. It has no block until its name is known."""

    __slots__ = ("id", "index", "may_repeat", "name", "number", "pieces")

    def __init__(self, call_id: str, number: int) -> None:
        self.id = call_id
        self.number = number
        self.name = ""
        self.index = -1
        self.pieces: list[str] = []
        self.may_repeat = True


class ChatReader:
    """See `dialects.dialect.EventReader`."""

    __slots__ = (
        "_answer_id",
        "_calls",
        "_done",
        "_finish",
        "_growth",
        "_half",
        "_held",
        "_in_order",
        "_kind",
        "_next",
        "_number",
        "_splitter",
        "_started",
        "_stop_reason",
        "_thought",
        "_thought_size",
        "_timings",
        "_usage",
        "fault",
    )  # fmt: skip

    def __init__(self) -> None:
        self.fault: Problem | None = None
        self._splitter = EventSplitter()
        self._growth = Growth()
        self._started = False
        self._done = False
        self._answer_id = ""
        self._finish = ""
        self._stop_reason: Any = None
        self._usage: Usage | None = None
        self._timings: Timings | None = None
        self._next = 0
        self._kind = 0
        self._thought: list[str] = []
        self._thought_size = 0
        self._number = 0
        self._calls: dict[object, _OpenCall] = {}
        self._in_order: list[_OpenCall] = []
        # Half a surrogate pair, between the chunk that ended with it and the next.
        self._half = ""
        # What was said while tool calls were open: it is a block of its own after them.
        self._held: list[tuple[int, str, list[Any] | None]] = []

    def _over(self) -> bool:
        """True when nothing that comes is read any more."""
        return self._done or self.fault is not None

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that this chunk completes, up to the first that is malformed or an error."""
        events: list[Event] = []
        if self._over():
            return events
        try:
            for event in self._splitter.feed(chunk):
                data = data_of(event)
                if data:
                    self._read(data, events)
                elif not self._started and event[:1] == b"{":
                    events += self._whole(event)
                if self._over():
                    break
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
        if rest[:1] == b"{" and not self._started:
            return self._whole(rest)
        data = data_of(rest + b"\n\n") if rest else b""
        if data:
            # Some servers leave out the last blank line; a whole event is taken as one, half an event is a cut.
            self._read(data, events, broken=CUT)
        if not self._done:
            if not self._finish:
                raise upstream_failed(CUT)
            self._complete(events)
        return events

    def _whole(self, body: bytes) -> list[Event]:
        """The answer of a server that does not stream, whatever it is asked."""
        events = events_of(read_reply(body))
        self._done = True
        return events

    def _read(self, data: bytes, events: list[Event], broken: str = BROKEN) -> None:
        half = ""
        try:
            chunk = decoder.decode(data)
        except MALFORMED:
            if data.strip() == b"[DONE]":
                if not self._started:
                    raise upstream_failed(CUT) from None
                self._complete(events)
                return
            chunk, half = mended(data, broken, self._half)
            self._half = ""
        if chunk.error is not None or chunk.object == "error":
            raise reported(read_error(data), " in mid-stream")
        if chunk.usage is not None:
            self._usage = usage_of(chunk.usage) or self._usage
        if chunk.timings is not None:
            self._timings = timings_of(chunk.timings) or self._timings
        if chunk.choices:
            if not self._started:
                self._start(chunk, events)
            for choice in chunk.choices:
                if not choice.index:
                    self._choice(choice, events)
            self._half = self._half or half

    def _start(self, chunk: WireAnswer, events: list[Event]) -> None:
        self._started = True
        self._answer_id = chunk.id if isinstance(chunk.id, str) else ""
        events.append(Start(self._answer_id, chunk.model if isinstance(chunk.model, str) else ""))

    def _choice(self, choice: WireChoice, events: list[Event]) -> None:
        delta = choice.delta if choice.delta is not None else choice.message
        logprobs = logprobs_of(choice.logprobs) if choice.logprobs is not None else None
        if delta is not None:
            content = delta.content
            if delta.thinking_blocks or delta.reasoning_content or delta.reasoning:
                self._thoughts(delta, events)
            if content:
                if isinstance(content, str):
                    self._say(TEXT, content, logprobs, events)
                else:
                    self._parts(content, logprobs, events)
            if delta.refusal:
                self._say(REFUSAL, delta.refusal, None, events)
            if delta.tool_calls:
                for call in delta.tool_calls:
                    self._call(call, events)
            elif delta.function_call is not None:
                self._call(WireCall(function=delta.function_call, index=0), events)
        if choice.text:
            self._say(TEXT, choice.text, logprobs, events)
        if choice.finish_reason:
            if choice.finish_reason == "error":
                raise upstream_failed("The backend reported in mid-stream that its answer failed.")
            self._finish, self._stop_reason = choice.finish_reason, choice.stop_reason

    def _say(self, kind: int, text: str, logprobs: list[Any] | None, events: list[Event]) -> None:
        """More of a text, a refusal or a thought."""
        if self._half and kind == TEXT:
            self._half, text = "", f"\ufffd{text}"
        if self._kind != kind:
            if self._in_order:
                # What was told with it is held as well.
                self._growth.piece(len(text) + (HELD_TOKEN * len(logprobs) if logprobs else 0))
                self._held.append((kind, text, logprobs))
                return
            self._open(kind, events)
        self._growth.piece(len(text))
        if kind == THINKING:
            events.append(ThinkingDelta(self._number, text))
        else:
            events.append(TextDelta(self._number, text, logprobs))

    def _open(self, kind: int, events: list[Event]) -> None:
        self._close(events)
        self._growth.block()
        self._kind, self._number = kind, self._next
        self._next += 1
        block = Text(text="") if kind == TEXT else Refusal(text="") if kind == REFUSAL else Thinking(text="")
        events.append(BlockStart(self._number, block))

    def _close(self, events: list[Event]) -> None:
        if self._kind:
            events.append(BlockStop(self._number))
            self._kind = 0

    def _parts(self, parts: list[WirePart], logprobs: list[Any] | None, events: list[Event]) -> None:
        for part in parts:
            if part.thinking:
                self._say(THINKING, words_of(part.thinking), None, events)
            elif part.text:
                self._say(TEXT, part.text, logprobs, events)
                logprobs = None
            elif part.refusal:
                self._say(REFUSAL, part.refusal, None, events)

    def _thoughts(self, delta: WireMessage, events: list[Event]) -> None:
        """Thoughts in blocks, which may be signed, stand for the same thoughts in plain words beside them."""
        worded = False
        for thought in delta.thinking_blocks or ():
            # With its signature a thought may come once more, whole.
            if thought.thinking and not (thought.signature and self._is_known(thought.thinking)):
                worded = True
                self._keep_thought(thought.thinking)
                self._say(THINKING, thought.thinking, None, events)
            if not self._in_order:
                self._sign(thought, events)
        words = delta.reasoning_content or delta.reasoning
        if words and not worded:
            self._keep_thought(words)
            self._say(THINKING, words, None, events)

    def _keep_thought(self, text: str) -> None:
        self._thought.append(text)
        self._thought_size += len(text)

    def _is_known(self, text: str) -> bool:
        return len(text) == self._thought_size and text == "".join(self._thought)

    def _sign(self, thought: WireThought, events: list[Event]) -> None:
        """What only its model can read: the end of a block of thoughts, or a block of its own."""
        if thought.type == "redacted_thinking":
            if thought.data:
                self._close(events)
                self._growth.block(len(thought.data))
                events += (BlockStart(self._next, Redacted(data=thought.data)), BlockStop(self._next))
                self._next += 1
        elif thought.signature:
            if self._kind != THINKING:
                self._open(THINKING, events)
            self._thought, self._thought_size = [], 0
            signature, origin = read_signature(thought.signature, "openai")
            events.append(SignatureDelta(self._number, signature or "", origin))
            self._close(events)

    def _call(self, call: WireCall, events: list[Event]) -> None:
        function = call.function or _NOTHING
        known = self._find(call, function)
        if known is None:
            self._growth.block(len(call.id or "") + len(function.name or ""))
            known = _OpenCall(call.id or "", len(self._in_order))
            self._in_order.append(known)
        if call.index is not None:
            self._calls[call.index] = known
        if call.id and not known.id:
            known.id = call.id
        text = arguments_of(function) if function.arguments is not None else ""
        if text:
            self._growth.piece(len(text))
            known.pieces.append(text)
        if known.index >= 0:
            if text:
                events.append(ArgumentsDelta(known.index, text))
        elif function.name:
            self._begin(known, function.name, events)

    def _find(self, call: WireCall, function: WireFunction) -> _OpenCall | None:
        """The call that this piece continues; None when it begins a new one."""
        if call.index is None:
            if call.id:
                return next((known for known in self._in_order[-MANY:] if known.id == call.id), None)
            return None if function.name or not self._in_order else self._in_order[-1]
        known = self._calls.get(call.index)
        if known is None or not function.name or not known.name:
            return known
        # Some servers count every call as 0. Another id with a name is a new call; so is, where there are no ids, another
        # name, or the same one once the arguments before it are complete.
        if call.id and known.id:
            return known if call.id == known.id else None
        return None if function.name != known.name or _is_whole(known, function) else known

    def _begin(self, call: _OpenCall, name: str, events: list[Event]) -> None:
        self._close(events)
        call.name, call.index = name, self._next
        self._next += 1
        # What was made up is no id that another piece could bring.
        call_id = call.id or made_id(self._answer_id, call.number)
        events.append(BlockStart(call.index, ToolCall(id=call_id, name=name, arguments="")))
        if call.pieces:
            events.append(ArgumentsDelta(call.index, "".join(call.pieces)))

    def _complete(self, events: list[Event]) -> None:
        """The stream has properly ended."""
        if self._half:
            self._say(TEXT, "", None, events)
        self._close(events)
        calls, self._in_order = self._in_order, []
        for call in calls:
            if call.index >= 0:
                events.append(BlockStop(call.index))
            elif call.id or call.pieces:
                raise upstream_failed(NAMELESS_CALL)
        for kind, text, logprobs in self._held:
            self._say(kind, text, logprobs, events)
        self._close(events)
        self._done = True
        reason, stop_sequence = finish_of(self._finish or "stop", self._stop_reason, called=bool(calls))
        events.append(Finish(reason, stop_sequence, self._usage, self._timings))


def _is_whole(call: _OpenCall, function: WireFunction) -> bool:
    """True when the arguments of `call` are complete and `function` brings others."""
    if not (call.may_repeat and call.pieces and arguments_of(function).startswith("{")):
        return False
    try:
        raw.split("".join(call.pieces).encode())
    except raw.NotJson:
        call.may_repeat = False
        return False
    return True
