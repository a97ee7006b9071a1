"""Streams for Ollama's callers, written from events: a line for each piece, tool calls whole, figures in the last."""

from modelyard.canonical.chat import ToolCall
from modelyard.canonical.events import (
    ArgumentsDelta,
    BlockStart,
    BlockStop,
    Event,
    Finish,
    TextDelta,
    ThinkingDelta,
)
from modelyard.canonical.usage import NOTHING
from modelyard.core.errors import Problem
from modelyard.dialects.dialect import Asker
from modelyard.dialects.ollama.answer import call_json, closing, logprobs_json, opening
from modelyard.dialects.ollama.errors import write_stream_error
from modelyard.dialects.ollama.words import quoted


class _Pending:
    """A tool call whose arguments are still coming. `number` is its place among the calls."""

    __slots__ = ("call", "number", "pieces")

    def __init__(self, call: ToolCall, number: int) -> None:
        self.call = call
        self.number = number
        self.pieces: list[str] = [call.arguments]


class _Writer:
    """See `dialects.dialect.EventWriter`. What differs between the operations is where the pieces stand in a line."""

    __slots__ = ("_after", "_calls", "_more", "_pending", "_text")

    def __init__(self, asker: Asker, text: bytes, after: bytes) -> None:
        head = opening(asker)
        self._text = head + text  # then the text, `after`, and the end of the line
        self._more = head + text + b'"",'  # then a further field's name and value, likewise
        self._after = after
        self._pending: dict[int, _Pending] = {}
        self._calls = 0

    def write(self, events: list[Event]) -> bytes:
        """The lines of these events."""
        lines = []
        for event in events:
            kind = type(event)
            if kind is TextDelta:
                assert isinstance(event, TextDelta)
                if event.text:
                    rest = b"" if event.logprobs is None else logprobs_json(event.logprobs)
                    lines.append(b'%b%b%b"done":false%b}\n' % (self._text, quoted(event.text), self._after, rest))
            elif kind is ThinkingDelta:
                assert isinstance(event, ThinkingDelta)
                if event.text:
                    lines.append(b'%b"thinking":%b%b"done":false}\n' % (self._more, quoted(event.text), self._after))
            else:
                lines.append(self._rarer(event))
        return b"".join(lines)

    def fail(self, problem: Problem) -> bytes:
        """The line that ends the stream instead."""
        return write_stream_error(problem)

    def _rarer(self, event: Event) -> bytes:
        match event:
            case BlockStart(index=index, block=ToolCall() as call):
                self._pending[index] = _Pending(call, self._calls)
                self._calls += 1
            case ArgumentsDelta(index=index, text=text):
                pending = self._pending.get(index)
                if pending is not None:
                    pending.pieces.append(text)
            case BlockStop(index=index):
                pending = self._pending.pop(index, None)
                if pending is not None:
                    return self._call_line(pending)
            case Finish(reason=reason, usage=usage, timings=timings):
                last = closing(reason, usage if usage is not None else NOTHING, timings)
                return b'%b""%b%b}\n' % (self._text, self._after, last)
            case _:
                pass
        return b""

    def _call_line(self, pending: _Pending) -> bytes:
        call = pending.call
        written = call_json(pending.number, call.id, call.name, "".join(pending.pieces))
        return b'%b"tool_calls":[%b]%b"done":false}\n' % (self._more, written, self._after)


def write_chat(asker: Asker) -> _Writer:
    """A writer of lines of /api/chat."""
    return _Writer(asker, b'"message":{"role":"assistant","content":', b"},")


def write_generate(asker: Asker) -> _Writer:
    """A writer of lines of /api/generate."""
    return _Writer(asker, b'"response":', b",")
