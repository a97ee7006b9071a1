"""OpenAI's chat completions and (legacy) completions."""

from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

from modelyard.upstream.scripted.answers import logprob
from modelyard.upstream.scripted.asked import Asked, field, linked, number, objects, packed, strings, text_of
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

FINISH = {
    Finish.LENGTH: "length",
    Finish.TOOLS: "tool_calls",
    Finish.FILTER: "content_filter",
    Finish.ODD: "gave_up",
}
BROKEN = b'data: {"id":"chatcmpl-broken","choices":[{"index":0,"delta":{"content":"never clo\n\n'
DONE = b"data: [DONE]\n\n"


def read_chat(body: dict[str, Any]) -> Asked:
    """A request of `POST /v1/chat/completions`."""
    asked = Asked(
        tools=strings([field(tool, "function", "name") for tool in objects(body.get("tools"))]),
        limit=number(body.get("max_completion_tokens"), body.get("max_tokens")),
        stops=strings(body.get("stop")),
        include_usage=field(body, "stream_options", "include_usage") is True,
        format=field(body, "response_format", "json_schema", "schema"),
    )
    if asked.format is None and field(body, "response_format", "type") == "json_object":
        asked.format = "json"
    for message in objects(body.get("messages")):
        role, content = str(message.get("role")), message.get("content")
        asked.add(role, text_of(content))
        _read_parts(asked, content)
        if role == "tool":
            asked.returned(message.get("tool_call_id"), text_of(content))
        if role == "assistant":
            _read_earlier(asked, message)
    return asked


def _read_parts(asked: Asked, content: object) -> None:
    for part in objects(content):
        if part.get("type") == "image_url":
            given = part.get("image_url")
            asked.images.append(linked(given.get("url") if isinstance(given, dict) else given))
        elif part.get("type") == "input_audio":
            asked.audio.append(packed(field(part, "input_audio", "data"), field(part, "input_audio", "format")))
        elif part.get("type") == "file":
            asked.documents.append(document(part.get("file")))


def document(given: object) -> dict[str, Any]:
    """An entry for a file: its data as a URL, or its id."""
    name = {"name": field(given, "filename")} if field(given, "filename") else {}
    if field(given, "file_id"):
        return {"media_type": "", "bytes": 0, "file_id": field(given, "file_id"), **name}
    return linked(field(given, "file_data"), **name)


def _read_earlier(asked: Asked, message: dict[str, Any]) -> None:
    for call in objects(message.get("tool_calls")):
        asked.called(call.get("id"), field(call, "function", "name"), field(call, "function", "arguments"))
    thought = message.get("reasoning_content") or message.get("reasoning")
    if thought:
        asked.thinking.append({"text": thought, "signature": ""})


def read_completion(body: dict[str, Any]) -> Asked:
    """A request of `POST /v1/completions`."""
    asked = Asked(
        limit=number(body.get("max_tokens")),
        stops=strings(body.get("stop")),
        include_usage=field(body, "stream_options", "include_usage") is True,
    )
    asked.add("user", text_of(body.get("prompt")))
    return asked


def error(fault: Fault) -> bytes:
    """An error in the shape of OpenAI's."""
    said = {"message": fault.message, "type": fault.kind, "param": fault.param, "code": fault.code}
    return encode({"error": said})


def _fault(call: Call) -> bytes:
    return sse(error(FAILED)) if call.stream else error(FAILED)


def write_usage(usage: Usage) -> dict[str, Any]:
    """Details only where there is something to tell."""
    total = usage.all_input + usage.output
    told: dict[str, Any] = {
        "prompt_tokens": usage.all_input,
        "completion_tokens": usage.output,
        "total_tokens": total,
    }
    if usage.cache_read or usage.written:
        details = {"cached_tokens": usage.cache_read, "cache_write_tokens": usage.written, "audio_tokens": 0}
        told["prompt_tokens_details"] = details
    if usage.reasoning:
        told["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning, "audio_tokens": 0}
    return told


def _common(call: Call, prefix: str, kind: str) -> dict[str, Any]:
    return {"id": f"{prefix}-{call.identifier}", "object": kind, "created": call.created, "model": call.model}


def _usage_field(call: Call) -> dict[str, Any]:
    # With include_usage every chunk has a null usage but the last one, which has it and no choices.
    return {"usage": None} if call.asked.include_usage or call.script.null_usage else {}


def _tool(call: Call, block: Block, arguments: str) -> dict[str, Any]:
    function = {"name": block.name, "arguments": arguments}
    return {"id": block.call_id("call", call.identifier), "type": "function", "function": function}


def _deltas(call: Call, answer: Answer) -> Iterator[dict[str, Any]]:
    """The deltas of a chat: blocks one after the other, but the arguments of several tool calls in turns."""
    first: dict[str, Any] = {"role": "assistant", "content": ""}
    if answer.of(Kind.TEXT, Kind.THINKING, Kind.REDACTED, Kind.REFUSAL) or not answer.blocks:
        yield {**first, "refusal": None}
        first = {}
    fields = {Kind.TEXT: "content", Kind.THINKING: call.script.reasoning, Kind.REFUSAL: "refusal"}
    for block in answer.of(*fields):
        for piece in block.pieces:
            yield {fields[block.kind]: piece}
    tools = answer.of(Kind.TOOL)
    for block in tools:
        begin = {"tool_calls": [{"index": block.number, **_tool(call, block, "")}]}
        yield {**first, "content": None, **begin} if first else begin
        first = {}
    for turn in zip_longest(*(block.pieces for block in tools)):
        for block, piece in zip(tools, turn, strict=True):
            if piece is not None:
                yield {"tool_calls": [{"index": block.number, "function": {"arguments": piece}}]}


def _chat_events(call: Call, answer: Answer) -> Iterator[bytes]:
    common, usage_field = _common(call, "chatcmpl", "chat.completion.chunk"), _usage_field(call)

    def chunk(delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
        told = {"content": [logprob(delta["content"])], "refusal": None} if _has_logprob(call, delta) else None
        choice = {"index": 0, "delta": delta, "logprobs": told, "finish_reason": finish_reason}
        return sse(encode({**common, "choices": [choice], **usage_field}))

    for delta in _deltas(call, answer):
        yield chunk(delta)
    if call.script.act is Act.TRUNCATED:
        return
    yield chunk({}, FINISH.get(answer.finish, "stop"))
    if call.asked.include_usage:
        yield sse(encode({**common, "choices": [], "usage": write_usage(answer.usage)}))


def _has_logprob(call: Call, delta: dict[str, Any]) -> bool:
    return call.script.logprobs and bool(delta.get("content"))


def _whole_chat(call: Call, answer: Answer) -> Reply:
    tools = answer.of(Kind.TOOL)
    text, thought, refused = answer.text(Kind.TEXT), answer.text(Kind.THINKING), answer.text(Kind.REFUSAL)
    message: dict[str, Any] = {"role": "assistant", "content": None if refused or (tools and not text) else text}
    message["refusal"] = refused or None
    if thought:
        message[call.script.reasoning] = thought
    if tools:
        message["tool_calls"] = [_tool(call, block, block.text) for block in tools]
    logprobs = None
    if call.script.logprobs:
        tokens = [piece for block in answer.of(Kind.TEXT) for piece in block.pieces]
        logprobs = {"content": [logprob(token) for token in tokens], "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": logprobs, "finish_reason": _ending(call, answer)}
    common = _common(call, "chatcmpl", "chat.completion")
    return Reply(200, encode({**common, "choices": [choice], "usage": write_usage(answer.usage)}))


def _ending(call: Call, answer: Answer) -> str | None:
    return None if call.script.act is Act.TRUNCATED else FINISH.get(answer.finish, "stop")


def _spoken(answer: Answer) -> list[str]:
    """A completion has nothing but text: a tool call's arguments are told as text."""
    return [piece for block in answer.of(Kind.TEXT, Kind.TOOL, Kind.REFUSAL) for piece in block.pieces]


def _text_choice(call: Call, pieces: list[str], finish: str | None) -> dict[str, Any]:
    told = None
    if call.script.logprobs and pieces:
        tops = [{piece: -0.25, piece.upper(): -1.75} for piece in pieces]
        offsets = [len("".join(pieces[:count])) for count in range(len(pieces))]
        told = {
            "tokens": pieces,
            "token_logprobs": [-0.25] * len(pieces),
            "top_logprobs": tops,
            "text_offset": offsets,
        }
    ending = "stop" if finish == "tool_calls" else finish
    return {"index": 0, "text": "".join(pieces), "logprobs": told, "finish_reason": ending}


def _completion_events(call: Call, answer: Answer) -> Iterator[bytes]:
    common, usage_field = _common(call, "cmpl", "text_completion"), _usage_field(call)
    for piece in _spoken(answer):
        yield sse(encode({**common, "choices": [_text_choice(call, [piece], None)], **usage_field}))
    if call.script.act is Act.TRUNCATED:
        return
    yield sse(encode({**common, "choices": [_text_choice(call, [], _ending(call, answer))], **usage_field}))
    if call.asked.include_usage:
        yield sse(encode({**common, "choices": [], "usage": write_usage(answer.usage)}))


def _whole_completion(call: Call, answer: Answer) -> Reply:
    choice = _text_choice(call, _spoken(answer), _ending(call, answer))
    common = _common(call, "cmpl", "text_completion")
    return Reply(200, encode({**common, "choices": [choice], "usage": write_usage(answer.usage)}))


CHAT = Form(
    name="openai.chat",
    read=read_chat,
    whole=_whole_chat,
    events=_chat_events,
    error=error,
    fault=_fault,
    broken=BROKEN,
    done=DONE,
)
COMPLETIONS = Form(
    name="openai.completions",
    read=read_completion,
    whole=_whole_completion,
    events=_completion_events,
    error=error,
    fault=_fault,
    broken=BROKEN,
    done=DONE,
)
