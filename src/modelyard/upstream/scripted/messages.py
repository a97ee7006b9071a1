"""Anthropic's messages and their count of tokens."""

from collections.abc import Iterator
from typing import Any

import msgspec

from modelyard.upstream.scripted.answers import sign
from modelyard.upstream.scripted.asked import Asked, field, linked, marks, number, objects, packed, strings, text_of
from modelyard.upstream.scripted.form import (
    FAILED,
    Act,
    Answer,
    Block,
    Call,
    Fault,
    Finish,
    Form,
    Kind,
    Reply,
    Usage,
    encode,
    sse,
)
from modelyard.upstream.scripted.messages_checks import of, wrong, wrong_count

FINISH = {
    Finish.LENGTH: "max_tokens",
    Finish.TOOLS: "tool_use",
    Finish.STOP_SEQUENCE: "stop_sequence",
    Finish.REFUSAL: "refusal",
    Finish.FILTER: "refusal",
    Finish.PAUSE: "pause_turn",
    Finish.ODD: "gave_up",
}
KINDS = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}
WORDS = {
    "context_length_exceeded": "prompt is too long: 9001 tokens > 8192 maximum",
    "rate_limit_exceeded": "This request would exceed your organization's rate limit of 50 requests per minute.",
    "model_not_found": "model: {about}",
    "invalid_api_key": "invalid x-api-key: {about}",
    "overloaded": "Overloaded",
}
UNFINISHED: dict[str, Any] = {"stop_reason": None, "stop_sequence": None, "stop_details": None}
BROKEN = (
    b"event: content_block_delta\n"
    b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"never clo\n\n'
)


def read(body: dict[str, Any]) -> Asked:
    """A request of `POST /v1/messages`."""
    asked = Asked(
        tools=strings([tool.get("name") for tool in objects(body.get("tools"))]),
        limit=number(body.get("max_tokens")),
        stops=strings(body.get("stop_sequences")),
        format=field(body, "output_config", "format", "schema") or field(body, "output_format", "schema"),
        cache_marks=marks(body),
    )
    if body.get("system"):
        asked.add("system", text_of(body["system"]))
    for message in objects(body.get("messages")):
        role, content = str(message.get("role")), message.get("content")
        said = asked.said
        asked.add(role, text_of(content))
        if role == "user" and not asked.texts[-1] and of(content, "tool_result"):
            asked.said = said  # results are not words of the user
        _read_blocks(asked, content)
    return asked


def _read_blocks(asked: Asked, content: object) -> None:
    for block in objects(content):
        match block.get("type"):
            case "image":
                asked.images.append(_source(block))
            case "document":
                asked.documents.append(_source(block))
            case "tool_use":
                asked.called(block.get("id"), block.get("name"), block.get("input"))
            case "tool_result":
                text, wrong = text_of(block.get("content")), block.get("is_error") is True
                asked.texts.append(text)
                asked.returned(block.get("tool_use_id"), text, is_error=wrong)
                _read_blocks(asked, block.get("content"))
            case "thinking":
                asked.thinking.append({"text": block.get("thinking"), "signature": block.get("signature") or ""})
            case "redacted_thinking":
                asked.thinking.append({"text": "", "signature": block.get("data") or ""})
            case _:
                pass


def _source(block: dict[str, Any]) -> dict[str, Any]:
    name = {"name": block["title"]} if block.get("title") else {}
    kind = field(block, "source", "type")
    if kind == "base64":
        return packed(field(block, "source", "data"), field(block, "source", "media_type"), **name)
    if kind == "url":
        return linked(field(block, "source", "url"), **name)
    if kind == "file":
        return {"media_type": "", "bytes": 0, "file_id": field(block, "source", "file_id"), **name}
    text = field(block, "source", "data") if kind == "text" else text_of(field(block, "source", "content"))
    return {"media_type": "text/plain", "bytes": len(str(text).encode()), **name}


def error(fault: Fault) -> bytes:
    """An error in the shape of Anthropic's."""
    message = WORDS.get(fault.code or "", "").format(about=fault.about) or fault.message
    kind = KINDS.get(fault.status, "invalid_request_error" if fault.status < 500 else "api_error")
    return encode({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_scripted"})


def _fault(call: Call) -> bytes:
    return sse(error(FAILED), "error") if call.stream else error(FAILED)


def _usage(usage: Usage, output: int) -> dict[str, Any]:
    told: dict[str, Any] = {
        "input_tokens": usage.input,
        "cache_creation_input_tokens": usage.written,
        "cache_read_input_tokens": usage.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write,
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
        },
        "output_tokens": output,
        "service_tier": "standard",
    }
    if usage.reasoning and output == usage.output:
        told["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    return told


def _block(call: Call, block: Block, *, begun: bool = False) -> dict[str, Any]:
    """A block of the content, complete or as it begins."""
    text = "" if begun else block.text
    match block.kind:
        case Kind.THINKING:
            return {"type": "thinking", "thinking": text, "signature": "" if begun else sign(text)}
        case Kind.REDACTED:
            return {"type": "redacted_thinking", "data": block.text}
        case Kind.TOOL:
            identifier = block.call_id("toolu", call.identifier)
            return {"type": "tool_use", "id": identifier, "name": block.name, "input": {} if begun else _input(text)}
        case Kind.TEXT | Kind.REFUSAL:
            return {"type": "text", "text": text}


def _input(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except ValueError:
        return {}  # cut off by max_tokens


def _message(call: Call, content: list[dict[str, Any]], usage: dict[str, Any], end: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": f"msg_{call.identifier}",
        "type": "message",
        "role": "assistant",
        "model": call.model,
        "content": content,
        **end,
        "usage": usage,
    }


def _ending(call: Call, answer: Answer) -> dict[str, Any]:
    if call.script.act is Act.TRUNCATED:
        return UNFINISHED
    reason = FINISH.get(answer.finish, "end_turn")
    details = {"type": "refusal", "category": None, "explanation": None} if reason == "refusal" else None
    return {"stop_reason": reason, "stop_sequence": answer.stop, "stop_details": details}


def _event(kind: str, **fields: Any) -> bytes:
    return sse(encode({"type": kind, **fields}), kind)


def _deltas(block: Block, index: int) -> Iterator[bytes]:
    kind, name = {
        Kind.THINKING: ("thinking_delta", "thinking"),
        Kind.TOOL: ("input_json_delta", "partial_json"),
    }.get(block.kind, ("text_delta", "text"))
    if block.kind is not Kind.REDACTED:
        for piece in block.pieces:
            yield _event("content_block_delta", index=index, delta={"type": kind, name: piece})
    if block.kind is Kind.THINKING:
        delta = {"type": "signature_delta", "signature": sign(block.text)}
        yield _event("content_block_delta", index=index, delta=delta)


def _events(call: Call, answer: Answer) -> Iterator[bytes]:
    waiting = _event("message_start", message=_message(call, [], _usage(answer.usage, 1), UNFINISHED))
    for index, block in enumerate(answer.blocks):
        begin = _event("content_block_start", index=index, content_block=_block(call, block, begun=True))
        yield waiting + begin + (b"" if index else _event("ping"))
        yield from _deltas(block, index)
        waiting = _event("content_block_stop", index=index)
    yield waiting
    if call.script.act is not Act.TRUNCATED:
        usage = _usage(answer.usage, answer.usage.output)
        told = {name: value for name, value in usage.items() if name not in ("cache_creation", "service_tier")}
        yield _event("message_delta", delta=_ending(call, answer), usage=told)


def _whole(call: Call, answer: Answer) -> Reply:
    content = [_block(call, block) for block in answer.blocks]
    usage = _usage(answer.usage, answer.usage.output)
    return Reply(200, encode(_message(call, content, usage, _ending(call, answer))))


def _count(call: Call, answer: Answer) -> Reply:
    return Reply(200, encode({"input_tokens": answer.usage.all_input}))


MESSAGES = Form(
    name="anthropic.messages",
    read=read,
    whole=_whole,
    events=_events,
    error=error,
    fault=_fault,
    broken=BROKEN,
    done=_event("message_stop"),
    wrong=wrong,
)
COUNT_TOKENS = Form(
    name="anthropic.count_tokens", read=read, whole=_count, error=error, fault=_fault, wrong=wrong_count
)
