"""Whole answers of chat completions, read and written (API reference, "The chat completion object")."""

from typing import Any

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
from modelyard.core import raw
from modelyard.dialects.dialect import Asker
from modelyard.dialects.faults import NAMELESS_CALL, reported, upstream_failed
from modelyard.dialects.openai.answer import NOT_AN_ANSWER
from modelyard.dialects.openai.errors import read_error
from modelyard.dialects.openai.figures import timings_of, usage_of, write_usage
from modelyard.dialects.openai.wire import (
    WireMessage,
    WirePart,
    arguments_of,
    decoder,
    finish_of,
    logprobs_of,
    made_id,
    mended,
    words_of,
)
from modelyard.dialects.reading import MALFORMED

FINISHES = {
    STOP: "stop",
    LENGTH: "length",
    TOOL_CALLS: "tool_calls",
    STOP_SEQUENCE: "stop",
    REFUSED: "content_filter",
    PAUSE: "stop",
}


def read_reply(body: bytes) -> ChatReply:
    """Read a backend's answer. Raises Problem UPSTREAM_FAILED when it is not one, or holds an error."""
    try:
        answer = decoder.decode(body)
    except MALFORMED:
        answer, _ = mended(body, NOT_AN_ANSWER)
    if answer.error is not None:
        raise reported(read_error(body))
    if not answer.choices:
        raise upstream_failed(NOT_AN_ANSWER)
    choice = next((choice for choice in answer.choices if choice.index in (0, None)), answer.choices[0])
    message = choice.message or choice.delta
    if message is None and choice.text is None:
        raise upstream_failed(NOT_AN_ANSWER)
    blocks = _blocks(message, answer.id) if message is not None else []
    if choice.text:
        blocks.append(Text(text=choice.text))
    if choice.finish_reason == "error":
        raise upstream_failed("The backend reported that its answer failed.")
    called = any(isinstance(block, ToolCall) for block in blocks)
    finish, stop_sequence = finish_of(choice.finish_reason or "stop", choice.stop_reason, called=called)
    return ChatReply(
        blocks=blocks,
        finish=finish,
        stop_sequence=stop_sequence,
        usage=usage_of(answer.usage),
        model=answer.model if isinstance(answer.model, str) else "",
        id=answer.id if isinstance(answer.id, str) else "",
        logprobs=logprobs_of(choice.logprobs),
        timings=timings_of(answer.timings),
    )


def _blocks(message: WireMessage, answer_id: Any) -> list[Block]:
    """Thoughts, words, calls."""
    blocks = _thoughts(message)
    if isinstance(message.content, list):
        blocks += [block for block in map(_part, message.content) if block is not None]
    elif message.content:
        blocks.append(Text(text=message.content))
    if message.refusal:
        blocks.append(Refusal(text=message.refusal))
    for number, call in enumerate(message.tool_calls or ()):
        if call.function is None or not call.function.name:
            raise upstream_failed(NAMELESS_CALL)
        call_id = call.id or made_id(answer_id, number)
        blocks.append(ToolCall(id=call_id, name=call.function.name, arguments=arguments_of(call.function)))
    old = message.function_call
    if old is not None and old.name:
        blocks.append(ToolCall(id=made_id(answer_id, 0), name=old.name, arguments=arguments_of(old)))
    return blocks


def _thoughts(message: WireMessage) -> list[Block]:
    """Thoughts in blocks, which may be signed, stand for the same thoughts in plain words beside them."""
    blocks: list[Block] = []
    for thought in message.thinking_blocks or ():
        if thought.type == "redacted_thinking":
            blocks.append(Redacted(data=thought.data or ""))
        else:
            signature, origin = read_signature(thought.signature or None, "openai")
            blocks.append(Thinking(text=thought.thinking or "", signature=signature, origin=origin))
    words = message.reasoning_content or message.reasoning
    if words and not any(isinstance(block, Thinking) for block in blocks):
        blocks.append(Thinking(text=words))
    return blocks


def _part(part: WirePart) -> Block | None:
    if part.thinking:
        return Thinking(text=words_of(part.thinking))
    if part.text:
        return Text(text=part.text)
    return Refusal(text=part.refusal) if part.refusal else None


def speaks_functions(asker: Asker) -> bool:
    """True for a caller who asked with `functions`, as tools were called first: it reads `function_call`."""
    return "functions" in asker.fields and "tools" not in asker.fields


def call_id_of(call: ToolCall, asker: Asker, number: int) -> str:
    """The call's id; a backend that gives none gets one made of ours."""
    return call.id or f"call_{asker.call_id}_{number}"


def thinking_block(thinking: Thinking | Redacted) -> dict[str, Any]:
    """A thought that only its model can read again, as LiteLLM's clients know it."""
    if isinstance(thinking, Redacted):
        return {"type": "redacted_thinking", "data": thinking.data}
    signature = write_signature(thinking.signature, thinking.origin, "openai")
    return {"type": "thinking", "thinking": thinking.text, "signature": signature or ""}


def write_reply(reply: ChatReply, asker: Asker) -> bytes:
    """Write an answer for a caller."""
    message = _message(reply, asker)
    finish = FINISHES.get(reply.finish, "stop")
    if finish == "tool_calls" and "function_call" in message:
        finish = "function_call"
    logprobs = {"content": reply.logprobs, "refusal": None} if reply.logprobs is not None else None
    return raw.encode(
        {
            "id": f"chatcmpl-{asker.call_id}",
            "object": "chat.completion",
            "created": asker.created,
            "model": asker.model,
            "choices": [{"index": 0, "message": message, "logprobs": logprobs, "finish_reason": finish}],
            "usage": write_usage(reply_usage(reply), reply.timings),
        }
    )


def _message(reply: ChatReply, asker: Asker) -> dict[str, Any]:
    texts: list[str] = []
    refusals: list[str] = []
    thoughts: list[Thinking | Redacted] = []
    calls: list[ToolCall] = []
    for block in reply.blocks:
        match block:
            case Text(text=text):
                texts.append(text)
            case Refusal(text=text):
                refusals.append(text)
            case Thinking() | Redacted():
                thoughts.append(block)
            case ToolCall():
                calls.append(block)
            case _:
                pass  # no backend answers with the rest
    text = "".join(texts)
    message: dict[str, Any] = {
        "role": "assistant",
        "content": text if text or not (calls or refusals) else None,
        "refusal": "".join(refusals) or None,
    }
    words = "".join([thought.text for thought in thoughts if isinstance(thought, Thinking)])
    if words:
        message["reasoning_content"] = words
    if any(isinstance(thought, Redacted) or thought.signature is not None for thought in thoughts):
        message["thinking_blocks"] = [thinking_block(thought) for thought in thoughts]
    if calls and speaks_functions(asker):
        message["function_call"] = {"name": calls[0].name, "arguments": calls[0].arguments or "{}"}
    elif calls:
        message["tool_calls"] = [
            {
                "id": call_id_of(call, asker, number),
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments or "{}"},
            }
            for number, call in enumerate(calls)
        ]
    return message
