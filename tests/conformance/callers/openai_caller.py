"""The caller with OpenAI's SDK."""

import base64
import json
from collections.abc import Mapping
from typing import Any

import openai
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tests.conformance.asking import (
    OPENAI,
    Answer,
    Ask,
    Assistant,
    Called,
    Marked,
    Message,
    NotSayable,
    Part,
    Picture,
    Recording,
    Result,
    System,
    ToolSpec,
    Usage,
    User,
)

# The hub's names that the SDK's signature has; the rest goes as `extra_body`, as users of compatible servers do it.
NAMED = frozenset(
    {
        "temperature", "top_p", "max_tokens", "stop", "seed", "n", "frequency_penalty", "presence_penalty", "logit_bias",
        "logprobs", "top_logprobs",
    }
)  # fmt: skip


class OpenAICaller:
    """Chat completions."""

    name = OPENAI
    errors = (openai.APIError,)

    def __init__(self, url: str, key: str) -> None:
        self.heads: list[Mapping[str, str]] = []
        self.validates = False
        http = openai.DefaultHttpxClient(event_hooks={"response": [lambda got: self.heads.append(got.headers)]})
        self.client: Any = openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=30, http_client=http)

    def close(self) -> None:
        self.client.close()

    def whole(self, model: str, ask: Ask) -> Answer:
        done = self.client.chat.completions.create(model=model, **arguments(ask))
        if self.validates:
            ChatCompletion.model_validate(done.to_dict(warnings=False))
        return answer_of(done, [])

    def stream(self, model: str, ask: Ask) -> Answer:
        state: Any = ChatCompletionStreamState()
        pieces: list[str] = []
        options = {"include_usage": True}
        chunks = self.client.chat.completions.create(model=model, stream=True, stream_options=options, **arguments(ask))
        with chunks:
            for chunk in chunks:
                if self.validates:
                    ChatCompletionChunk.model_validate(chunk.to_dict(warnings=False))
                state.handle_chunk(chunk)
                pieces += [choice.delta.content for choice in chunk.choices if choice.delta.content]
        return answer_of(state.current_completion_snapshot, pieces)

    def raised(self, error: Exception) -> tuple[int | None, str]:
        status = error.status_code if isinstance(error, openai.APIStatusError) else None
        return status, str(getattr(error, "message", error))


def arguments(ask: Ask) -> dict[str, Any]:
    """The SDK's arguments for a request."""
    messages: list[Any] = []
    if ask.system is not None:
        content = ask.system if isinstance(ask.system, str) else [part_of(part) for part in ask.system]
        messages.append({"role": "system", "content": content})
    for message in ask.messages:
        messages += messages_of(message)
    more = {name: value for name, value in ask.params.items() if name not in NAMED}
    said: dict[str, Any] = {"messages": messages}
    said |= {name: value for name, value in ask.params.items() if name in NAMED}
    if ask.tools:
        said["tools"] = [tool_of(tool) for tool in ask.tools]
    if ask.choice is not None:
        word = ask.choice in ("auto", "none", "required")
        said["tool_choice"] = ask.choice if word else {"type": "function", "function": {"name": ask.choice}}
    if ask.parallel is not None:
        said["parallel_tool_calls"] = ask.parallel
    if ask.schema == "json":
        said["response_format"] = {"type": "json_object"}
    elif ask.schema is not None:
        told = {"name": "answer", "schema": ask.schema, "strict": True}
        said["response_format"] = {"type": "json_schema", "json_schema": told}
    if ask.effort is not None:
        said["reasoning_effort"] = ask.effort
    if ask.user is not None:
        said["user"] = ask.user
    return {**said, "extra_body": more or None, "extra_headers": dict(ask.headers)}


def tool_of(tool: ToolSpec) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name, "description": tool.description, "parameters": tool.schema}
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def messages_of(message: Message) -> list[Any]:
    if isinstance(message, Answer):
        return [message.turn]
    if isinstance(message, User):
        return [{"role": "user", "content": _content(message.parts)}]
    if isinstance(message, Assistant):
        told: dict[str, Any] = {"role": "assistant", "content": message.text or None}
        if message.calls:
            told["tool_calls"] = [_call(call) for call in message.calls]
        return [told]
    if isinstance(message, System):
        return [{"role": "system", "content": message.text}]
    return [_result(message)]


def _call(call: Called) -> dict[str, Any]:
    function = {"name": call.name, "arguments": json.dumps(call.arguments)}
    return {"id": call.id, "type": "function", "function": function}


def _result(result: Result) -> dict[str, Any]:
    if result.is_error or result.picture:
        raise NotSayable("a tool message has no mark of an error and no picture")
    return {"role": "tool", "tool_call_id": result.call.id, "content": result.text}


def _content(parts: tuple[Part, ...]) -> Any:
    return parts[0] if len(parts) == 1 and isinstance(parts[0], str) else [part_of(part) for part in parts]


def part_of(part: Part) -> dict[str, Any]:
    """One part of a message."""
    if isinstance(part, str):
        return {"type": "text", "text": part}
    if isinstance(part, Marked):
        return {"type": "text", "text": part.text, "cache_control": {"type": "ephemeral"}}
    if isinstance(part, Picture):
        return {"type": "image_url", "image_url": {"url": part.url or _uri("image/png", part.data)}}
    if isinstance(part, Recording):
        return {"type": "input_audio", "input_audio": {"data": _packed(part.data), "format": "wav"}}
    if part.data is None:
        raise NotSayable("chat completions have no document of plain text")
    return {"type": "file", "file": {"filename": part.name, "file_data": _uri("application/pdf", part.data)}}


def _packed(data: bytes | None) -> str:
    return base64.b64encode(data or b"").decode()


def _uri(media_type: str, data: bytes | None) -> str:
    return f"data:{media_type};base64,{_packed(data)}"


def answer_of(done: Any, pieces: list[str]) -> Answer:
    """A completion, whole or accumulated by the SDK."""
    choice = done.choices[0]
    message = choice.message
    told = message.to_dict()
    blocks = told.get("thinking_blocks") or []
    calls = tuple(
        Called(id=call.id, name=call.function.name, arguments=json.loads(call.function.arguments))
        for call in message.tool_calls or ()
    )
    logprobs = choice.logprobs.content if choice.logprobs is not None else None
    # What an application keeps of an answer: all that is said, nothing that is None or only the SDK's.
    turn = {name: value for name, value in told.items() if value is not None and name != "parsed"}
    return Answer(
        text=message.content or "",
        stop=choice.finish_reason,
        raw=done,
        turn=turn,
        usage=None if done.usage is None else _usage(done.usage),
        thinking=str(told.get("reasoning_content") or ""),
        signature=next((block["signature"] for block in blocks if block.get("signature")), None),
        redacted=tuple(block["data"] for block in blocks if block["type"] == "redacted_thinking"),
        refusal=message.refusal,
        calls=calls,
        logprobs=tuple((one.token, one.logprob) for one in logprobs or ()),
        pieces=tuple(pieces),
    )


def _usage(usage: Any) -> Usage:
    inside, outside = usage.prompt_tokens_details, usage.completion_tokens_details
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    return Usage(
        input=usage.prompt_tokens,
        output=usage.completion_tokens,
        cached=inside.cached_tokens if inside is not None else None,
        written=inside.cache_write_tokens if inside is not None else None,
        reasoning=outside.reasoning_tokens if outside is not None else None,
    )
