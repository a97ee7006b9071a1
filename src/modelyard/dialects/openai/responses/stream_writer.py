"""Streams of the Responses API, written for a caller (API reference, "Streaming events").

Each event has its number. What a client needs of a delta is the same for all deltas of a block but for the number and
the text, so the rest is encoded once per block.
"""

from typing import Any

from modelyard.canonical.chat import LENGTH, REFUSED, Redacted, Refusal, Text, Thinking, ToolCall
from modelyard.canonical.events import (
    ArgumentsDelta,
    BlockStart,
    BlockStop,
    Event,
    Finish,
    SignatureDelta,
    TextDelta,
    ThinkingDelta,
)
from modelyard.canonical.usage import NOTHING
from modelyard.core import raw
from modelyard.core.errors import Problem
from modelyard.dialects.dialect import Asker
from modelyard.dialects.openai.errors import TYPES
from modelyard.dialects.openai.responses.answer import call_item, message_item, reasoning_item, said_part, told_logprobs
from modelyard.dialects.openai.responses.items import encrypted_of
from modelyard.dialects.openai.responses.shell import COMPLETED, FAILED, IN_PROGRESS, INCOMPLETE, Shell


class _Block:
    """One block as it grows. `place` is the JSON that says where it belongs; `delta` all of a delta before its number."""

    __slots__ = ("block", "delta", "item_id", "logprobs", "output_index", "part", "pieces", "place")

    def __init__(self, block: Any, item_id: str, output_index: int, part: int) -> None:
        self.block = block
        self.item_id = item_id
        self.output_index = output_index
        self.part = part
        self.pieces: list[str] = []
        self.logprobs: list[Any] = []
        self.place = b'"item_id":"%b","output_index":%d' % (item_id.encode(), output_index)
        match block:
            case Text():
                self.place += b',"content_index":%d' % part
                self.delta = _opening(b"response.output_text.delta") + self.place
            case Refusal():
                self.place += b',"content_index":%d' % part
                self.delta = _opening(b"response.refusal.delta") + self.place
            case Thinking():
                self.place += b',"summary_index":0'
                self.delta = _opening(b"response.reasoning_summary_text.delta") + self.place
            case _:
                self.delta = _opening(b"response.function_call_arguments.delta") + self.place
        self.delta = self.delta.replace(b"%", b"%%") + b',"sequence_number":%d,"delta":%b%b}\n\n'


def _opening(name: bytes) -> bytes:
    return b'event: %b\ndata: {"type":"%b",' % (name, name)


class ResponsesWriter:
    """See `dialects.dialect.EventWriter`."""

    __slots__ = ("_blocks", "_call_id", "_content", "_count", "_items", "_message", "_number", "_out", "_shell")

    def __init__(self, asker: Asker) -> None:
        self._shell = Shell(asker)
        self._call_id = asker.call_id
        self._number = 0  # of the next event
        self._count = 0  # of items so far
        self._blocks: dict[int, _Block] = {}
        self._items: dict[int, bytes] = {}  # those that are complete, by their place in the output
        self._message: tuple[str, int] | None = None  # the message that the next text belongs to
        self._content: list[dict[str, Any]] = []  # its parts so far
        self._out: list[bytes] = []

    def write(self, events: list[Event]) -> bytes:
        """The bytes for these events."""
        out = self._out = []
        if not self._number:
            self._begin()
        for event in events:
            kind = type(event)
            if kind is TextDelta:
                self._text(event)  # type: ignore[arg-type]
            elif kind is ArgumentsDelta:
                self._delta(self._blocks[event.index], event.text, b"")  # type: ignore[union-attr]
            elif kind is ThinkingDelta:
                self._thought(event)  # type: ignore[arg-type]
            elif kind is BlockStart:
                self._start(event)  # type: ignore[arg-type]
            elif kind is BlockStop:
                self._stop(self._blocks[event.index])  # type: ignore[union-attr]
            elif kind is SignatureDelta:
                thought = self._blocks[event.index].block  # type: ignore[union-attr]
                thought.signature, thought.origin = event.signature, event.origin  # type: ignore[union-attr]
            elif kind is Finish:
                self._finish(event)  # type: ignore[arg-type]
        return b"".join(out)

    def fail(self, problem: Problem) -> bytes:
        """The event that ends the stream instead."""
        self._out = []
        try:
            if self._number:
                response = self._shell.response(FAILED, self._complete(), problem=problem)
                self._event(b"response.failed", b'"response":' + response)
            else:
                told = {
                    "code": problem.code or TYPES[problem.kind][1],
                    "message": problem.message,
                    "param": problem.param,
                }
                self._event(b"error", raw.encode(told)[1:-1])
        except UnicodeEncodeError:
            self._out = []
            self._event(b"error", b'"code":"server_error","message":"The answer cannot be written.","param":null')
        return b"".join(self._out)

    def _event(self, name: bytes, body: bytes) -> None:
        self._out.append(b'%b"sequence_number":%d,%b}\n\n' % (_opening(name), self._number, body))
        self._number += 1

    def _begin(self) -> None:
        begun = b'"response":' + self._shell.response(IN_PROGRESS, [])
        self._event(b"response.created", begun)
        self._event(b"response.in_progress", begun)

    def _delta(self, block: _Block, text: str, more: bytes) -> None:
        if text:
            block.pieces.append(text)
            self._out.append(block.delta % (self._number, raw.encode(text), more))
            self._number += 1

    def _text(self, event: TextDelta) -> None:
        block = self._blocks[event.index]
        if isinstance(block.block, Refusal):
            self._delta(block, event.text, b"")
        elif event.logprobs:
            logprobs = told_logprobs(event.logprobs)
            block.logprobs += logprobs
            self._delta(block, event.text, b',"logprobs":' + raw.encode(logprobs))
        else:
            self._delta(block, event.text, b',"logprobs":[]')

    def _thought(self, event: ThinkingDelta) -> None:
        block = self._blocks[event.index]
        if not block.pieces and event.text:
            body = block.place + b',"part":{"type":"summary_text","text":""}'
            self._event(b"response.reasoning_summary_part.added", body)
        self._delta(block, event.text, b"")

    def _new_item(self, prefix: str) -> tuple[str, int]:
        index = self._count
        self._count += 1
        return f"{prefix}_{self._call_id}_{index}", index

    def _added(self, index: int, item: dict[str, Any]) -> None:
        self._event(b"response.output_item.added", b'"output_index":%d,"item":%b' % (index, raw.encode(item)))

    def _done(self, index: int, item: dict[str, Any]) -> None:
        self._items[index] = encoded = raw.encode(item)
        self._event(b"response.output_item.done", b'"output_index":%d,"item":%b' % (index, encoded))

    def _complete(self) -> list[bytes]:
        return [item for _, item in sorted(self._items.items())]

    def _start(self, event: BlockStart) -> None:
        block = event.block
        part = 0
        if isinstance(block, (Text, Refusal)):
            if self._message is None:
                self._message = self._new_item("msg")
                self._added(self._message[1], message_item(self._message[0], "in_progress", []))
            item_id, index = self._message
            part = len(self._content)
        else:
            self._end_message("completed")
            item_id, index = self._new_item("fc" if isinstance(block, ToolCall) else "rs")
            if isinstance(block, ToolCall):
                self._added(index, call_item(item_id, block, "", "in_progress"))
            else:
                self._added(index, reasoning_item(item_id, "", None))
        if isinstance(block, Thinking):
            block = Thinking(text="", signature=block.signature, origin=block.origin)
        growing = self._blocks[event.index] = _Block(block, item_id, index, part)
        if isinstance(block, (Text, Refusal)):
            self._content.append({})
            empty = Text(text="") if isinstance(block, Text) else Refusal(text="")
            body = b'%b,"part":%b' % (growing.place, raw.encode(said_part(empty, [])))
            self._event(b"response.content_part.added", body)

    def _stop(self, block: _Block) -> None:
        text = "".join(block.pieces)
        match block.block:
            case Text():
                self._stop_part(block, Text(text=text), b"response.output_text.done", b"text")
            case Refusal():
                self._stop_part(block, Refusal(text=text), b"response.refusal.done", b"refusal")
            case Thinking() as thought:
                if text:
                    said = raw.encode(text)
                    self._event(b"response.reasoning_summary_text.done", b'%b,"text":%b' % (block.place, said))
                    body = b'%b,"part":{"type":"summary_text","text":%b}' % (block.place, said)
                    self._event(b"response.reasoning_summary_part.done", body)
                self._done(block.output_index, reasoning_item(block.item_id, text, encrypted_of(thought)))
            case Redacted() as redacted:
                self._done(block.output_index, reasoning_item(block.item_id, "", encrypted_of(redacted)))
            case call:
                if not text:  # clients parse the arguments
                    text = "{}"
                    self._delta(block, text, b"")
                body = b'%b,"arguments":%b' % (block.place, raw.encode(text))
                self._event(b"response.function_call_arguments.done", body)
                self._done(block.output_index, call_item(block.item_id, call, text, "completed"))

    def _stop_part(self, block: _Block, said: Text | Refusal, name: bytes, field: bytes) -> None:
        body = b'%b,"%b":%b' % (block.place, field, raw.encode(said.text))
        if isinstance(said, Text):
            body += b',"logprobs":' + raw.encode(block.logprobs)
        self._event(name, body)
        part = self._content[block.part] = said_part(said, block.logprobs)
        self._event(b"response.content_part.done", b'%b,"part":%b' % (block.place, raw.encode(part)))

    def _end_message(self, status: str) -> None:
        """A message ends when something else follows it."""
        if self._message is not None:
            item_id, index = self._message
            self._done(index, message_item(item_id, status, self._content))
            self._message, self._content = None, []

    def _finish(self, event: Finish) -> None:
        cut = event.reason if event.reason in (LENGTH, REFUSED) else None
        self._end_message("completed" if cut is None else "incomplete")
        status, name = (COMPLETED, b"response.completed") if cut is None else (INCOMPLETE, b"response.incomplete")
        response = self._shell.response(status, self._complete(), usage=event.usage or NOTHING, cut=cut)
        self._event(name, b'"response":' + response)
