"""Ollama's chat and generate: lines of JSON, a stream unless the request says otherwise."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from modelyard.upstream.scripted.answers import logprob
from modelyard.upstream.scripted.asked import Asked, field, number, objects, packed, strings, text_of
from modelyard.upstream.scripted.form import FAILED, Act, Answer, Block, Call, Fault, Finish, Form, Kind, Reply, encode

FINISH = {Finish.LENGTH: "length", Finish.ODD: "gave_up"}
MESSAGES = {
    "model_not_found": "model '{about}' not found",
    "context_length_exceeded": "the input length exceeds the context length",
    "overloaded": "server busy, please try again.  maximum pending requests exceeded",
}
GO_TYPES = {list: "array", dict: "object", str: "string", bool: "bool", int: "number", float: "number"}
NANOSECONDS_PER_TOKEN = 5_000_000


def _asked(body: dict[str, Any]) -> Asked:
    """What chats and generations have in common."""
    return Asked(
        tools=strings([field(tool, "function", "name") for tool in objects(body.get("tools"))]),
        limit=number(field(body, "options", "num_predict")),
        stops=strings(field(body, "options", "stop")),
        format=body.get("format") or None,
    )


def read_chat(body: dict[str, Any]) -> Asked:
    """A request of `POST /api/chat`."""
    asked = _asked(body)
    for message in objects(body.get("messages")):
        role, text = str(message.get("role")), text_of(message.get("content"))
        asked.add(role, text)
        asked.images += [packed(image) for image in strings(message.get("images"))]
        for call in objects(message.get("tool_calls")):
            asked.called(call.get("id"), field(call, "function", "name"), field(call, "function", "arguments"))
        if role == "tool":
            asked.returned(message.get("tool_call_id"), text, name=message.get("tool_name"))
        if message.get("thinking"):
            asked.thinking.append({"text": message["thinking"], "signature": ""})
    return asked


def read_generate(body: dict[str, Any]) -> Asked:
    """A request of `POST /api/generate`."""
    asked = _asked(body)
    if body.get("system"):
        asked.add("system", text_of(body["system"]))
    if body.get("prompt"):
        asked.add("user", text_of(body["prompt"]))
    asked.images += [packed(image) for image in strings(body.get("images"))]
    return asked


def wrong(body: dict[str, Any], headers: Mapping[str, str]) -> Fault | None:
    """What Ollama, which is written in Go, says to values of the wrong type."""
    for message in objects(body.get("messages")):
        content = message.get("content", "")
        if content is not None and not isinstance(content, str):
            return _unmarshal(content, "ChatRequest.messages.content", "string")
        for call in objects(message.get("tool_calls")):
            arguments = field(call, "function", "arguments")
            if not isinstance(arguments, dict):
                where = "ChatRequest.messages.tool_calls.function.arguments"
                return _unmarshal(arguments, where, "api.ToolCallFunctionArguments")
        if any(entry["bytes"] < 0 for entry in map(packed, strings(message.get("images")))):
            return Fault(status=400, message="illegal base64 data at input byte 4")
    return None


def _unmarshal(value: object, where: str, wanted: str) -> Fault:
    told = GO_TYPES.get(type(value), "null")
    return Fault(status=400, message=f"json: cannot unmarshal {told} into Go struct field {where} of type {wanted}")


def error(fault: Fault) -> bytes:
    """An error in the shape of Ollama's."""
    return encode({"error": MESSAGES.get(fault.code or "", "").format(about=fault.about) or fault.message})


def fault(call: Call) -> bytes:
    """An error in the middle of a stream, or with status 200."""
    return error(FAILED) + (b"\n" if call.stream else b"")


def common(call: Call) -> dict[str, Any]:
    """What every line begins with."""
    return {"model": call.model, "created_at": moment(call.created)}


def moment(seconds: float) -> str:
    """Unix seconds as Ollama writes them."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _content(call: Call, *, text: str = "", **more: Any) -> dict[str, Any]:
    if call.form is GENERATE:
        return {"response": text, **more}
    return {"message": {"role": "assistant", "content": text, **more}}


def _tool(call: Call, block: Block) -> dict[str, Any]:
    """Ollama tells a tool call as a whole, its arguments as an object."""
    try:
        arguments = msgspec.json.decode(block.text)
    except ValueError:
        arguments = {}  # cut off by num_predict
    function = {"index": block.number, "name": block.name, "arguments": arguments}
    return {"id": block.call_id("call", call.identifier), "function": function}


def _told(call: Call, block: Block) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """What the lines of a block say: in the content, and beside it."""
    if block.kind is Kind.TOOL and call.form is CHAT:
        yield {"tool_calls": [_tool(call, block)]}, {}
    elif block.kind is Kind.THINKING:
        for piece in block.pieces:
            yield {"thinking": piece}, {}
    elif block.kind is not Kind.REDACTED:
        for piece in block.pieces:
            yield {"text": piece}, ({"logprobs": [logprob(piece)]} if call.script.logprobs else {})


def _statistics(call: Call, answer: Answer) -> dict[str, Any]:
    before, after = answer.usage.all_input, answer.usage.output
    durations = {
        "total_duration": 1_000_000 + (before + after) * NANOSECONDS_PER_TOKEN,
        "load_duration": 1_000_000,
        "prompt_eval_count": before,
        "prompt_eval_duration": before * NANOSECONDS_PER_TOKEN,
        "eval_count": after,
        "eval_duration": after * NANOSECONDS_PER_TOKEN,
    }
    return {"context": [1, 2, 3], **durations} if call.form is GENERATE else durations


def keeps(body: dict[str, Any]) -> bool:
    """Whether the model stays loaded. The value is a number of seconds or a text with a unit."""
    value = body.get("keep_alive")
    return not (str(value).rstrip("hms") == "0" or (isinstance(value, float) and value == 0))


def _last(call: Call, answer: Answer) -> dict[str, Any]:
    """The end. A request with nothing to answer loads the model, or unloads it."""
    if not call.asked.texts:
        return {"done": True, "done_reason": "load" if keeps(call.body) else "unload"}
    return {"done": True, "done_reason": FINISH.get(answer.finish, "stop"), **_statistics(call, answer)}


def _events(call: Call, answer: Answer) -> Iterator[bytes]:
    begin = common(call)
    for block in answer.blocks if call.asked.texts else []:
        for content, more in _told(call, block):
            yield encode({**begin, **_content(call, **content), **more, "done": False}) + b"\n"
    if call.script.act is not Act.TRUNCATED:
        last = encode({**begin, **_content(call), **_last(call, answer)})
        yield last if call.script.act is Act.NO_DONE else last + b"\n"


def _whole(call: Call, answer: Answer) -> Reply:
    if not call.asked.texts:
        return Reply(200, encode({**common(call), **_content(call), **_last(call, answer)}))
    tools = [_tool(call, block) for block in answer.of(Kind.TOOL)] if call.form is CHAT else []
    spoken = (Kind.TEXT, Kind.REFUSAL) if call.form is CHAT else (Kind.TEXT, Kind.REFUSAL, Kind.TOOL)
    more: dict[str, Any] = {"tool_calls": tools} if tools else {}
    if thought := answer.text(Kind.THINKING):
        more["thinking"] = thought
    last: dict[str, Any] = {"done": False} if call.script.act is Act.TRUNCATED else _last(call, answer)
    if call.script.logprobs:
        last["logprobs"] = [logprob(piece) for block in answer.of(Kind.TEXT) for piece in block.pieces]
    return Reply(200, encode({**common(call), **_content(call, text=answer.text(*spoken), **more), **last}))


CHAT = Form(
    name="ollama.chat",
    read=read_chat,
    whole=_whole,
    events=_events,
    error=error,
    fault=fault,
    broken=b'{"model":"broken","message":{"role":"assistant","content":"never clo\n',
    stream_type="application/x-ndjson",
    streams=True,
    wrong=wrong,
)
GENERATE = Form(
    name="ollama.generate",
    read=read_generate,
    whole=_whole,
    events=_events,
    error=error,
    fault=fault,
    broken=b'{"model":"broken","response":"never clo\n',
    stream_type="application/x-ndjson",
    streams=True,
)
