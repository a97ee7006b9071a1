"""A streamed answer in the hub's vocabulary, and the way between it and a whole one.

    Start, then for each block BlockStart, its deltas, BlockStop, then Finish

Blocks are numbered from 0 in the order in which they begin. Several tool calls may be open at once, and their deltas
may alternate; any other block is alone while it is open. Every block is stopped before Finish. Finish comes once, and
only when the backend's stream has properly ended: what breaks is a Problem, never an event.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from modelyard.canonical.chat import (
    Block,
    ChatReply,
    Redacted,
    Refusal,
    Text,
    Thinking,
    Timings,
    ToolCall,
)
from modelyard.canonical.usage import Usage


class Start(msgspec.Struct, gc=False):
    """The backend has begun. `usage` holds the prompt's part where the backend tells it first."""

    id: str = ""
    model: str = ""
    usage: Usage | None = None


class BlockStart(msgspec.Struct, gc=False):
    """A block begins. `block` is a Text, Thinking, Redacted, Refusal or ToolCall with what is known of it, its text
    and arguments still empty (a Redacted is complete)."""

    index: int
    block: Text | Thinking | Redacted | Refusal | ToolCall


class TextDelta(msgspec.Struct, gc=False):
    """More of a Text or Refusal block."""

    index: int
    text: str
    logprobs: list[Any] | None = None


class ThinkingDelta(msgspec.Struct, gc=False):
    """More of a Thinking block."""

    index: int
    text: str


class SignatureDelta(msgspec.Struct, gc=False):
    """The signature of a Thinking block, whole, after its text."""

    index: int
    signature: str
    origin: str


class ArgumentsDelta(msgspec.Struct, gc=False):
    """More of the text of a tool call's arguments."""

    index: int
    text: str


class BlockStop(msgspec.Struct, gc=False):
    """A block is complete."""

    index: int


class Finish(msgspec.Struct, gc=False):
    """The answer is complete. `usage` is that of the whole call."""

    reason: str
    stop_sequence: str | None = None
    usage: Usage | None = None
    timings: Timings | None = None


Event = Start | BlockStart | TextDelta | ThinkingDelta | SignatureDelta | ArgumentsDelta | BlockStop | Finish

DELTAS = (TextDelta, ThinkingDelta, ArgumentsDelta)


def events_of(reply: ChatReply) -> list[Event]:
    """A whole answer as the stream it could have been: for a backend that does not stream."""
    events: list[Event] = [Start(reply.id, reply.model)]
    for index, block in enumerate(reply.blocks):
        match block:
            case Text(text=text):
                events += [BlockStart(index, Text(text="")), TextDelta(index, text, reply.logprobs)]
            case Refusal(text=text):
                events += [BlockStart(index, Refusal(text="")), TextDelta(index, text)]
            case Thinking(text=text, signature=signature, origin=origin):
                events += [BlockStart(index, Thinking(text="")), ThinkingDelta(index, text)]
                if signature is not None:
                    events.append(SignatureDelta(index, signature, origin))
            case ToolCall(id=call_id, name=name, arguments=arguments):
                events += [BlockStart(index, ToolCall(id=call_id, name=name, arguments=""))]
                events.append(ArgumentsDelta(index, arguments))
            case Redacted():
                events.append(BlockStart(index, block))
            case _:
                raise TypeError(f"no answer holds a {type(block).__name__}")
        events.append(BlockStop(index))
    events.append(Finish(reply.finish, reply.stop_sequence, reply.usage, reply.timings))
    return events


def reply_of(events: Iterable[Event]) -> ChatReply:
    """The whole answer that a complete stream makes: for the record of an answer, and for tests."""
    reply = ChatReply(blocks=[], finish="")
    blocks: dict[int, Any] = {}
    for event in events:
        match event:
            case Start():
                reply.id, reply.model = event.id, event.model
            case BlockStart(index=index, block=block):
                blocks[index] = msgspec.structs.replace(block)
            case TextDelta(index=index, text=text) | ThinkingDelta(index=index, text=text):
                blocks[index].text += text
                if isinstance(event, TextDelta) and event.logprobs:
                    reply.logprobs = [*(reply.logprobs or []), *event.logprobs]
            case SignatureDelta(index=index):
                blocks[index].signature, blocks[index].origin = event.signature, event.origin
            case ArgumentsDelta(index=index, text=text):
                blocks[index].arguments += text
            case Finish():
                reply.finish, reply.stop_sequence = event.reason, event.stop_sequence
                reply.usage, reply.timings = event.usage, event.timings
            case BlockStop():
                pass
    ordered: list[Block] = [blocks[index] for index in sorted(blocks)]
    reply.blocks = ordered
    return reply
