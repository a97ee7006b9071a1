"""Whole answers, read and written (API reference, "Messages": the `Message` object)."""

from typing import Any

import msgspec

from modelyard.canonical.chat import (
    LENGTH,
    PAUSE,
    REFUSED,
    STOP,
    STOP_SEQUENCE,
    TOOL_CALLS,
    Block,
    ChatReply,
    Redacted,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    read_signature,
    reply_usage,
    write_signature,
)
from modelyard.canonical.usage import Usage
from modelyard.core import raw
from modelyard.dialects.anthropic.errors import told_instead
from modelyard.dialects.anthropic.figures import usage_of, write_usage
from modelyard.dialects.anthropic.words import NAME
from modelyard.dialects.dialect import Asker
from modelyard.dialects.faults import NAMELESS_CALL, no_answer, upstream_failed
from modelyard.dialects.reading import MALFORMED, NULL, is_null
from modelyard.dialects.writing import UNPARSED, encoded, mended

NOT_AN_ANSWER = no_answer("an Anthropic answer")

FINISHES = {
    "end_turn": STOP,
    "max_tokens": LENGTH,
    "stop_sequence": STOP_SEQUENCE,
    "tool_use": TOOL_CALLS,
    "refusal": REFUSED,
    "pause_turn": PAUSE,
    "model_context_window_exceeded": LENGTH,
}
REASONS = {
    STOP: "end_turn",
    LENGTH: "max_tokens",
    STOP_SEQUENCE: "stop_sequence",
    TOOL_CALLS: "tool_use",
    REFUSED: "refusal",
    PAUSE: "pause_turn",
}


class WireBlock(msgspec.Struct, gc=False):
    """A block of an answer, of any type."""

    type: str
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: raw.Raw = NULL


class WireMessage(msgspec.Struct):
    """An answer. Fields that only decorate it may be of any type."""

    type: Any = None
    content: list[WireBlock] | None = None
    id: Any = None
    model: Any = None
    stop_reason: Any = None
    stop_sequence: Any = None
    stop_details: Any = None
    usage: Any = None
    error: Any = None


class _Seen(msgspec.Struct):
    """What the books need of an answer that passes."""

    type: Any = None
    usage: Any = None
    error: Any = None


_message = msgspec.json.Decoder(WireMessage)
_seen = msgspec.json.Decoder(_Seen)


def read_usage(body: bytes) -> Usage | None:
    """Usage of a whole answer; None when it tells none. Raises Problem UPSTREAM_FAILED when it is not an answer."""
    seen = _decoded(_seen, body)
    if seen.error is not None or seen.type == "error":
        raise told_instead({"error": seen.error})
    return usage_of(seen.usage)


def _decoded(decoder: "msgspec.json.Decoder[Any]", body: bytes) -> Any:
    try:
        return decoder.decode(body)
    except MALFORMED:
        pass
    try:
        return decoder.decode(mended(body))
    except (ValueError, *MALFORMED):
        raise upstream_failed(NOT_AN_ANSWER) from None


def read_reply(body: bytes) -> ChatReply:
    """Read a backend's answer. Raises Problem: UPSTREAM_FAILED when it is not one, by its type when it is an error."""
    message: WireMessage = _decoded(_message, body)
    if message.error is not None or message.type == "error":
        raise told_instead({"error": message.error})
    if message.content is None:
        raise upstream_failed(NOT_AN_ANSWER)
    told_id = message.id if isinstance(message.id, str) else ""
    blocks: list[Block] = []
    called = False
    for number, part in enumerate(message.content):
        block = block_of(part, told_id, number)
        if block is None:
            continue
        blocks.append(block)
        if isinstance(block, ToolCall):
            called = True
            block.arguments = arguments_of(part)
    if not blocks:
        words_of_refusal = explanation_of(message.stop_details)
        if words_of_refusal:
            blocks.append(Refusal(text=words_of_refusal))
    finish, stop_sequence = finish_of(message.stop_reason, message.stop_sequence, called=called)
    return ChatReply(
        blocks=blocks,
        finish=finish,
        stop_sequence=stop_sequence,
        usage=usage_of(message.usage),
        model=message.model if isinstance(message.model, str) else "",
        id=told_id,
    )


def block_of(part: WireBlock, answer_id: str, number: int) -> Text | Thinking | Redacted | ToolCall | None:
    """A block with what is told of it, but for a call's arguments; None for what the server did by itself.

    Raises Problem UPSTREAM_FAILED for a call of no tool.
    """
    if part.type == "text":
        return Text(text=part.text or "")
    if part.type == "tool_use":
        if not part.name:
            raise upstream_failed(NAMELESS_CALL)
        return ToolCall(id=part.id or f"toolu_{answer_id}_{number}", name=part.name, arguments="")
    if part.type == "thinking":
        signature, origin = read_signature(part.signature or None, NAME)
        return Thinking(text=part.thinking or "", signature=signature, origin=origin)
    return Redacted(data=part.data or "") if part.type == "redacted_thinking" else None


def arguments_of(part: WireBlock) -> str:
    """The text of a call's arguments, "" for none."""
    return "" if is_null(part.input) else bytes(part.input).decode("utf-8", "replace")


def explanation_of(details: Any) -> str:
    """The words of `stop_details`, "" for none."""
    explanation = details.get("explanation") if isinstance(details, dict) else None
    return explanation if isinstance(explanation, str) else ""


def finish_of(reason: Any, sequence: Any, *, called: bool) -> tuple[str, str | None]:
    """(why the answer ended, the stop sequence that ended it). `called`: there are tool calls in it."""
    finish = FINISHES.get(reason, STOP) if isinstance(reason, str) else STOP
    if finish == STOP_SEQUENCE:
        return finish, sequence if isinstance(sequence, str) else None
    if finish in (STOP, TOOL_CALLS):
        return (TOOL_CALLS if called else STOP), None
    return finish, None


# Writing


def message_id(asker: Asker) -> str:
    """The id of an answer, ours: a backend's own is not unique among backends."""
    return f"msg_{asker.call_id}"


def call_id_of(call: ToolCall, asker: Asker, number: int) -> str:
    """The id of a call; some backends give none."""
    return call.id or f"toolu_{asker.call_id}_{number}"


def reason_of(finish: str, *, refused: bool) -> str:
    """`stop_reason`. Other dialects tell a refusal by its words alone."""
    return "refusal" if refused and finish == STOP else REASONS.get(finish, "end_turn")


def write_reply(reply: ChatReply, asker: Asker) -> bytes:
    """A whole answer for a caller."""
    content = []
    refused = False
    for number, block in enumerate(reply.blocks):
        match block:
            case Text(text=text):
                content.append({"type": "text", "text": text})
            case Refusal(text=text):
                refused = True
                content.append({"type": "text", "text": text})
            case Thinking(text=text):
                signature = write_signature(block.signature, block.origin, NAME) or ""
                content.append({"type": "thinking", "thinking": text, "signature": signature})
            case Redacted(data=data):
                content.append({"type": "redacted_thinking", "data": data})
            case ToolCall(name=name):
                made = call_id_of(block, asker, number)
                content.append({"type": "tool_use", "id": made, "name": name, "input": _input(block.arguments)})
            case _:
                raise TypeError(f"no answer holds a {type(block).__name__}")
    return encoded(
        {
            "id": message_id(asker),
            "type": "message",
            "role": "assistant",
            "model": asker.model,
            "content": content,
            "stop_reason": reason_of(reply.finish, refused=refused),
            "stop_sequence": reply.stop_sequence,
            "usage": write_usage(reply_usage(reply)),
        }
    )


def _input(arguments: str) -> Any:
    if not arguments or arguments.isspace():
        return {}
    try:
        data = arguments.encode()
        raw.split(data)
    except (raw.NotJson, UnicodeEncodeError):
        return {UNPARSED: arguments}
    return raw.Raw(data)
