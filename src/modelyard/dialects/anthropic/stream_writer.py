"""A streamed answer for a caller (API reference, "Streaming messages").

Blocks stand one after another there. What belongs to a block that has begun while another was open waits until its turn.
"""

from collections.abc import Callable, Mapping
from typing import Any

from modelyard.canonical.chat import Redacted, Refusal, Text, Thinking, ToolCall, write_signature
from modelyard.canonical.events import DELTAS, BlockStart, BlockStop, Event, Finish, SignatureDelta, Start
from modelyard.canonical.usage import NOTHING
from modelyard.core.errors import Problem
from modelyard.dialects.anthropic.answer import call_id_of, message_id, reason_of
from modelyard.dialects.anthropic.errors import write_stream_error
from modelyard.dialects.anthropic.figures import write_usage
from modelyard.dialects.anthropic.words import NAME
from modelyard.dialects.dialect import Asker
from modelyard.dialects.writing import encoded, quoted

_DELTA = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":'
_END = b"}}\n\n"
_STOP = b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n'
_OVER = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'

# The start of a delta of each kind, up to its text.
_KINDS: Mapping[type, bytes] = {
    Text: b'{"type":"text_delta","text":',
    Refusal: b'{"type":"text_delta","text":',
    Thinking: b'{"type":"thinking_delta","thinking":',
    ToolCall: b'{"type":"input_json_delta","partial_json":',
}


def _event(name: str, fields: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), encoded({"type": name, **fields}))


class StreamWriter:
    """See `dialects.dialect.EventWriter`."""

    __slots__ = ("_asker", "_ended", "_heads", "_now", "_refused", "_waiting")

    def __init__(self, asker: Asker) -> None:
        self._asker = asker
        self._heads: dict[int, bytes] = {}
        # The block that is being written, what waits for it by its number, and which of those are complete.
        self._now = -1
        self._waiting: dict[int, list[bytes]] = {}
        self._ended: set[int] = set()
        self._refused = False

    def write(self, events: list[Event]) -> bytes:
        """The events for the caller; b"" where there is nothing to show yet."""
        if len(events) == 1:
            return self._one(events[0])
        return b"".join([self._one(event) for event in events])

    def fail(self, problem: Problem) -> bytes:
        """The error event that ends the stream instead of `message_stop`."""
        return write_stream_error(problem, self._asker.call_id)

    def _one(self, event: Event) -> bytes:
        if isinstance(event, DELTAS):
            if not event.text:
                return b""
            data = self._heads[event.index] + quoted(event.text) + _END
            return data if event.index == self._now else self._wait(event.index, data)
        return _WRITERS[type(event)](self, event)

    def _wait(self, index: int, data: bytes) -> bytes:
        self._waiting[index].append(data)
        return b""

    def _start(self, event: Start) -> bytes:
        message: dict[str, Any] = {
            "id": message_id(self._asker),
            "type": "message",
            "role": "assistant",
            "model": self._asker.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": write_usage(event.usage or NOTHING),
        }
        return _event("message_start", {"message": message})

    def _begin(self, event: BlockStart) -> bytes:
        block, index = event.block, event.index
        head = _KINDS.get(type(block))
        if head is not None:
            self._heads[index] = _DELTA % index + head
        told: dict[str, Any]
        if isinstance(block, ToolCall):
            call_id = call_id_of(block, self._asker, index)
            told = {"type": "tool_use", "id": call_id, "name": block.name, "input": {}}
        elif isinstance(block, Thinking):
            told = {"type": "thinking", "thinking": "", "signature": ""}
        elif isinstance(block, Redacted):
            told = {"type": "redacted_thinking", "data": block.data}
        else:
            self._refused |= isinstance(block, Refusal)
            told = {"type": "text", "text": ""}
        data = _event("content_block_start", {"index": index, "content_block": told})
        if self._now >= 0:
            self._waiting[index] = [data]
            return b""
        self._now = index
        return data

    def _sign(self, event: SignatureDelta) -> bytes:
        signature = write_signature(event.signature, event.origin, NAME) or ""
        data = _DELTA % event.index + b'{"type":"signature_delta","signature":' + quoted(signature) + _END
        return data if event.index == self._now else self._wait(event.index, data)

    def _stop(self, event: BlockStop) -> bytes:
        data = _STOP % event.index
        if event.index != self._now:
            self._waiting[event.index].append(data)
            self._ended.add(event.index)
            return b""
        written = [data]
        self._now = -1
        while self._waiting and self._now < 0:
            index = next(iter(self._waiting))
            written += self._waiting.pop(index)
            if index not in self._ended:
                self._now = index
        return b"".join(written)

    def _finish(self, event: Finish) -> bytes:
        delta = {
            "stop_reason": reason_of(event.reason, refused=self._refused),
            "stop_sequence": event.stop_sequence,
        }
        usage = write_usage(event.usage or NOTHING)
        return _event("message_delta", {"delta": delta, "usage": usage}) + _OVER


_WRITERS: Mapping[type, Callable[[StreamWriter, Any], bytes]] = {
    Start: StreamWriter._start,  # noqa: SLF001 - one module, one writer
    BlockStart: StreamWriter._begin,  # noqa: SLF001
    SignatureDelta: StreamWriter._sign,  # noqa: SLF001
    BlockStop: StreamWriter._stop,  # noqa: SLF001
    Finish: StreamWriter._finish,  # noqa: SLF001
}
