"""The caller with Anthropic's SDK."""

import base64
from collections.abc import Mapping
from typing import Any

import anthropic
from anthropic.types import Message, RawMessageStreamEvent
from pydantic import TypeAdapter

from tests.conformance import asking
from tests.conformance.asking import (
    ANTHROPIC,
    Answer,
    Ask,
    Assistant,
    Called,
    Marked,
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

EVENT: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
# What the SDK passes on as it came; the rest of its events it makes itself.
RAW = frozenset({"message_start", "content_block_start", "content_block_delta", "message_delta"})
MAX_TOKENS = 256
BUDGETS = {"low": 1024, "medium": 4096, "high": 16384}
CHOICES = {"auto": "auto", "none": "none", "required": "any"}
# Parameters that the API has, though this SDK's signature does not name all of them any more.
EXTRA = frozenset({"temperature", "top_p", "top_k"})


class AnthropicCaller:
    """Messages."""

    name = ANTHROPIC
    errors = (anthropic.APIError,)

    def __init__(self, url: str, key: str) -> None:
        self.heads: list[Mapping[str, str]] = []
        self.validates = False
        http = anthropic.DefaultHttpxClient(event_hooks={"response": [lambda got: self.heads.append(got.headers)]})
        self.client: Any = anthropic.Anthropic(base_url=url, api_key=key, max_retries=0, timeout=30, http_client=http)

    def close(self) -> None:
        self.client.close()

    def whole(self, model: str, ask: Ask) -> Answer:
        message = self.client.messages.create(model=model, **arguments(ask))
        if self.validates:
            Message.model_validate(message.to_dict(warnings=False))
        return answer_of(message, [])

    def stream(self, model: str, ask: Ask) -> Answer:
        with self.client.messages.stream(model=model, **arguments(ask)) as stream:
            events = list(stream)
            message = stream.get_final_message()
        if self.validates:
            for event in events:
                if event.type in RAW:
                    EVENT.validate_python(event.to_dict(warnings=False))
            Message.model_validate(message.to_dict(warnings=False))
        return answer_of(message, [event.text for event in events if event.type == "text"])

    def raised(self, error: Exception) -> tuple[int | None, str]:
        # Within a stream the SDK raises with the status of the answer that had begun well.
        status = error.status_code if isinstance(error, anthropic.APIStatusError) else None
        return None if status == 200 else status, str(getattr(error, "body", None) or error)


def arguments(ask: Ask) -> dict[str, Any]:
    """The SDK's arguments for a request."""
    messages: list[Any] = []
    for message in ask.messages:
        _add(messages, message)
    params = dict(ask.params)
    said: dict[str, Any] = {"messages": messages, "max_tokens": params.pop("max_tokens", MAX_TOKENS)}
    if ask.system is not None:
        said["system"] = ask.system if isinstance(ask.system, str) else [part_of(part) for part in ask.system]
    if "stop" in params:
        said["stop_sequences"] = params.pop("stop")
    if unknown := params.keys() - EXTRA:
        raise NotSayable(f"the Messages API has no {', '.join(unknown)}")
    if ask.tools:
        said["tools"] = [tool_of(tool) for tool in ask.tools]
    choice = _choice(ask)
    if choice is not None:
        said["tool_choice"] = choice
    if ask.schema == "json":
        raise NotSayable("the Messages API has no JSON without a schema")
    if ask.schema is not None:
        said["output_config"] = {"format": {"type": "json_schema", "schema": ask.schema}}
    if ask.effort is not None:
        budget = BUDGETS[ask.effort]
        said["thinking"] = {"type": "enabled", "budget_tokens": budget}
        said["max_tokens"] = budget + MAX_TOKENS
    if ask.user is not None:
        said["metadata"] = {"user_id": ask.user}
    return {**said, "extra_body": params or None, "extra_headers": dict(ask.headers)}


def tool_of(tool: ToolSpec) -> dict[str, Any]:
    told: dict[str, Any] = {"name": tool.name, "description": tool.description, "input_schema": tool.schema}
    if tool.strict is not None:
        told["strict"] = tool.strict
    return told


def _choice(ask: Ask) -> dict[str, Any] | None:
    if ask.choice is None and ask.parallel is None:
        return None
    word = ask.choice or "auto"
    choice: dict[str, Any] = {"type": CHOICES[word]} if word in CHOICES else {"type": "tool", "name": word}
    if ask.parallel is not None:
        choice["disable_parallel_tool_use"] = not ask.parallel
    return choice


def _add(messages: list[Any], message: asking.Message) -> None:
    """Add a message; results of tools that follow each other stand in one."""
    if isinstance(message, Answer):
        messages.append(message.turn)
    elif isinstance(message, User):
        single = len(message.parts) == 1 and isinstance(message.parts[0], str)
        content = message.parts[0] if single else [part_of(part) for part in message.parts]
        messages.append({"role": "user", "content": content})
    elif isinstance(message, Assistant):
        text = [{"type": "text", "text": message.text}] if message.text else []
        messages.append({"role": "assistant", "content": [*text, *(_call(call) for call in message.calls)]})
    elif isinstance(message, System):
        raise NotSayable("the Messages API has its system prompt in front only")
    elif messages and messages[-1]["role"] == "user":
        messages[-1]["content"].append(_result(message))
    else:
        messages.append({"role": "user", "content": [_result(message)]})


def _call(call: Called) -> dict[str, Any]:
    return {"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments}


def _result(result: Result) -> dict[str, Any]:
    told: dict[str, Any] = {"type": "tool_result", "tool_use_id": result.call.id, "content": result.text}
    if result.is_error:
        told["is_error"] = True
    if result.picture is not None:
        told["content"] = [part_of(result.text), part_of(result.picture)]
    return told


def part_of(part: Part) -> dict[str, Any]:
    """One block of a message."""
    if isinstance(part, str):
        return {"type": "text", "text": part}
    if isinstance(part, Marked):
        return {"type": "text", "text": part.text, "cache_control": {"type": "ephemeral"}}
    if isinstance(part, Recording):
        raise NotSayable("the Messages API takes no audio")
    if isinstance(part, Picture):
        linked = {"type": "url", "url": part.url}
        return {"type": "image", "source": linked if part.url else _source("image/png", part.data)}
    if part.text is not None:
        source: dict[str, Any] = {"type": "text", "media_type": "text/plain", "data": part.text}
    else:
        source = _source("application/pdf", part.data)
    return {"type": "document", "title": part.name, "source": source}


def _source(media_type: str, data: bytes | None) -> dict[str, Any]:
    return {"type": "base64", "media_type": media_type, "data": base64.b64encode(data or b"").decode()}


def answer_of(message: Any, pieces: list[str]) -> Answer:
    """A message, whole or accumulated by the SDK."""
    blocks = message.content
    thoughts = [block for block in blocks if block.type == "thinking"]
    usage = message.usage
    details = usage.output_tokens_details
    cached, written = usage.cache_read_input_tokens, usage.cache_creation_input_tokens
    return Answer(
        text="".join(block.text for block in blocks if block.type == "text"),
        stop=message.stop_reason,
        stop_sequence=message.stop_sequence,
        raw=message,
        turn={"role": "assistant", "content": [block.to_dict() for block in blocks]},
        usage=Usage(
            # This SDK's `input_tokens` are those that no cache had to do with.
            input=usage.input_tokens + (cached or 0) + (written or 0),
            output=usage.output_tokens,
            cached=cached,
            written=written,
            reasoning=details.thinking_tokens if details is not None else None,
        ),
        thinking="".join(block.thinking for block in thoughts),
        signature=next((block.signature for block in thoughts if block.signature), None),
        redacted=tuple(block.data for block in blocks if block.type == "redacted_thinking"),
        calls=tuple(
            Called(id=block.id, name=block.name, arguments=block.input) for block in blocks if block.type == "tool_use"
        ),
        pieces=tuple(pieces),
    )
