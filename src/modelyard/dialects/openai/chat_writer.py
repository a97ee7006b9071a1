"""Events as a stream of chat completion chunks (API reference, "The chat completion chunk object")."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import msgspec

from modelyard.canonical.chat import Redacted, Refusal, Thinking, ToolCall
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
from modelyard.canonical.usage import NOTHING
from modelyard.core import raw
from modelyard.core.errors import Problem
from modelyard.dialects.dialect import Asker
from modelyard.dialects.openai.chat_answer import FINISHES, call_id_of, speaks_functions, thinking_block
from modelyard.dialects.openai.errors import write_error
from modelyard.dialects.openai.figures import write_usage
from modelyard.dialects.openai.request import asked_for_usage

DONE = b"data: [DONE]\n\n"

_encode = msgspec.json.Encoder().encode


def head_of(asker: Asker, prefix: str, kind: str) -> bytes:
    """How every chunk of one stream begins, up to its choices."""
    told = {"id": f"{prefix}-{asker.call_id}", "object": kind, "created": asker.created, "model": asker.model}
    return b"data: " + raw.encode(told)[:-1]


class ChatWriter:
    """See `dialects.dialect.EventWriter`."""

    __slots__ = (
        "_asker", "_calls", "_end", "_functions", "_head", "_plain", "_refusals", "_silent", "_started", "_thoughts", "_top",
        "_wants_usage", "_words",
    )  # fmt: skip

    def __init__(self, asker: Asker) -> None:
        self._asker = asker
        self._wants_usage = asked_for_usage(asker.fields)
        self._functions = speaks_functions(asker)
        self._top = head_of(asker, "chatcmpl", "chat.completion.chunk")
        self._head = self._top + b',"choices":[{"index":0,"delta":'
        # A caller who asked for usage finds the field in every chunk, null until the last.
        self._end = b',"usage":null}\n\n' if self._wants_usage else b"}\n\n"
        self._plain = b',"logprobs":null,"finish_reason":null}]' + self._end
        self._started = False
        self._refusals: set[int] = set()
        # Block number to the number that the call has for the caller.
        self._calls: dict[int, int] = {}
        self._silent: set[int] = set()  # calls whose arguments are still empty
        self._thoughts: dict[int, int] = {}
        self._words: list[str] = []  # of the thought that is being told

    def write(self, events: list[Event]) -> bytes:
        """The chunks for these events; b"" where there is nothing to show."""
        if len(events) == 1:
            return self._one(events[0])
        return b"".join([self._one(event) for event in events])

    def fail(self, problem: Problem) -> bytes:
        """The error event that ends the stream instead of `[DONE]`."""
        return b"data: " + write_error(problem) + b"\n\n"

    def _one(self, event: Event) -> bytes:
        return self._WRITERS[type(event)](self, event)

    def _start(self, _: Start | None = None) -> bytes:
        if self._started:
            return b""
        self._started = True
        return self._delta({"role": "assistant", "content": "", "refusal": None})

    def _delta(self, delta: Any) -> bytes:
        return self._head + _encode(delta) + self._plain

    def _text(self, event: TextDelta) -> bytes:
        refusal = event.index in self._refusals
        delta = (b'{"refusal":' if refusal else b'{"content":') + _encode(event.text) + b"}"
        if event.logprobs is None:
            return self._head + delta + self._plain
        told = {"content": None, "refusal": event.logprobs} if refusal else {"content": event.logprobs, "refusal": None}
        return self._head + delta + b',"logprobs":' + _encode(told) + b',"finish_reason":null}]' + self._end

    def _thinking(self, event: ThinkingDelta) -> bytes:
        self._words.append(event.text)
        return self._head + b'{"reasoning_content":' + _encode(event.text) + b"}" + self._plain

    def _signature(self, event: SignatureDelta) -> bytes:
        # Whole, beside its signature: a client sends back the list, and a signature fits its own words only.
        words, self._words = "".join(self._words), []
        return self._thought(event.index, Thinking(text=words, signature=event.signature, origin=event.origin))

    def _begin(self, event: BlockStart) -> bytes:
        block = event.block
        first = self._start()
        if isinstance(block, ToolCall):
            return first + self._call(event.index, block)
        if isinstance(block, Redacted):
            return first + self._thought(event.index, block)
        if isinstance(block, Refusal):
            self._refusals.add(event.index)
        elif isinstance(block, Thinking):
            self._words = []
        return first

    def _stop(self, event: BlockStop) -> bytes:
        # Clients read the arguments as JSON: none are an empty object.
        return self._more(event.index, "{}") if event.index in self._silent else b""

    def _thought(self, index: int, thought: Thinking | Redacted) -> bytes:
        # The official SDK puts a list of objects together by their `index`.
        number = self._thoughts.setdefault(index, len(self._thoughts))
        return self._delta({"thinking_blocks": [{"index": number, **thinking_block(thought)}]})

    def _call(self, index: int, call: ToolCall) -> bytes:
        number = self._calls[index] = len(self._calls)
        self._silent.add(index)
        if self._functions:
            return b"" if number else self._delta({"function_call": {"name": call.name, "arguments": ""}})
        told = {
            "index": number,
            "id": call_id_of(call, self._asker, number),
            "type": "function",
            "function": {"name": call.name, "arguments": ""},
        }
        return self._delta({"tool_calls": [told]})

    def _arguments(self, event: ArgumentsDelta) -> bytes:
        return self._more(event.index, event.text)

    def _more(self, index: int, text: str) -> bytes:
        number = self._calls.get(index)
        if number is None or not text:
            return b""
        self._silent.discard(index)
        if self._functions:
            return b"" if number else self._delta({"function_call": {"arguments": text}})
        piece = b'{"tool_calls":[{"index":%d,"function":{"arguments":%b}}]}' % (number, _encode(text))
        return self._head + piece + self._plain

    def _finish(self, event: Finish) -> bytes:
        reason = FINISHES.get(event.reason, "stop")
        if reason == "tool_calls" and self._functions:
            reason = "function_call"
        last = (
            self._start() + self._head + b'{},"logprobs":null,"finish_reason":"' + reason.encode() + b'"}]' + self._end
        )
        if not self._wants_usage:
            return last + DONE
        usage = _encode(write_usage(event.usage or NOTHING, event.timings))
        return last + self._top + b',"choices":[],"usage":' + usage + b"}\n\n" + DONE

    _WRITERS: ClassVar[Mapping[type, Callable[[Any, Any], bytes]]] = {
        TextDelta: _text,
        ThinkingDelta: _thinking,
        ArgumentsDelta: _arguments,
        Start: _start,
        BlockStart: _begin,
        SignatureDelta: _signature,
        BlockStop: _stop,
        Finish: _finish,
    }
