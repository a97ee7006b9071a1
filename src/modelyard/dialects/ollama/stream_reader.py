"""Streams of an Ollama target, read into events: lines of JSON of which the last one says `done`."""

from modelyard.canonical.chat import Text, Thinking, ToolCall
from modelyard.canonical.events import (
    ArgumentsDelta,
    BlockStart,
    BlockStop,
    Event,
    Finish,
    Start,
    TextDelta,
    ThinkingDelta,
)
from modelyard.core.errors import Problem
from modelyard.core.ndjson import LineSplitter, LineTooLarge
from modelyard.dialects.faults import CUT, broken_stream, upstream_failed
from modelyard.dialects.growth import Growth
from modelyard.dialects.ollama.answer import (
    WireCall,
    arguments_of,
    call_id_of,
    finish_of,
    logprobs_of,
    read_figures,
    read_line,
    timings_of,
    usage_of,
)
from modelyard.dialects.reading import NULL


class Reader:
    """See `dialects.dialect.EventReader`. Reads chats and generations alike."""

    __slots__ = ("_calls", "_done", "_growth", "_index", "_kind", "_splitter", "_started", "fault")

    def __init__(self) -> None:
        self._splitter = LineSplitter()
        self.fault: Problem | None = None
        self._growth = Growth()
        self._started = False
        self._done = False
        self._index = -1
        self._kind: type[Text | Thinking] | None = None  # of the open block, if any
        self._calls = 0

    def feed(self, chunk: bytes) -> list[Event]:
        """The events of the lines that this chunk completes."""
        events: list[Event] = []
        if self._done or self.fault is not None:
            return events
        try:
            for data in self._splitter.feed(chunk):
                if self._read(data, events):
                    break
        except LineTooLarge as error:
            self.fault = broken_stream(error)
        except Problem as fault:
            self.fault = fault
        return events

    def end(self) -> list[Event]:
        """The last events. Raises Problem when the stream ended without a line that says `done`."""
        events: list[Event] = []
        if self._done:
            return events
        if self.fault is not None:
            raise self.fault
        rest = self._splitter.rest  # may be a whole line without its line feed; half of one is a fault
        if not rest.strip() or not self._read(rest, events):
            raise upstream_failed(CUT)
        return events

    def _read(self, data: bytes, events: list[Event]) -> bool:
        """Add the events of one line; True for the last one."""
        line = read_line(data)
        if not self._started:
            self._started = True
            events.append(Start("", line.model or ""))
        message = line.message
        if message is not None:
            text, thought, calls = message.content, message.thinking, message.tool_calls
        else:
            text, thought, calls = line.response, line.thinking, line.tool_calls
        if thought:
            if self._kind is not Thinking:
                self._begin(Thinking(text=""), events)
            self._growth.piece(len(thought))
            events.append(ThinkingDelta(self._index, thought))
        if text:
            if self._kind is not Text:
                self._begin(Text(text=""), events)
            logprobs = None if line.logprobs is NULL else logprobs_of(line)
            self._growth.piece(len(text))
            events.append(TextDelta(self._index, text, logprobs))
        if calls:
            self._add_calls(calls, data, events)
        if line.done:
            self._finish(data, events)
        return self._done

    def _begin(self, block: Text | Thinking, events: list[Event]) -> None:
        self._close(events)
        self._growth.block()
        self._kind = type(block)
        self._index += 1
        events.append(BlockStart(self._index, block))

    def _close(self, events: list[Event]) -> None:
        if self._kind is not None:
            events.append(BlockStop(self._index))
            self._kind = None

    def _add_calls(self, calls: list[WireCall], data: bytes, events: list[Event]) -> None:
        self._close(events)
        for call in calls:
            arguments = arguments_of(call)
            self._growth.block(len(arguments) + len(call.function.name))
            self._index += 1
            block = ToolCall(id=call_id_of(call, self._calls, data), name=call.function.name, arguments="")
            self._calls += 1
            events += [
                BlockStart(self._index, block),
                ArgumentsDelta(self._index, arguments),
                BlockStop(self._index),
            ]

    def _finish(self, data: bytes, events: list[Event]) -> None:
        self._close(events)
        figures = read_figures(data)
        events.append(Finish(finish_of(figures, self._calls), None, usage_of(figures), timings_of(figures)))
        self._done = True
