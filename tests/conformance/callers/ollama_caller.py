"""The caller with Ollama's SDK."""

from collections.abc import Mapping
from typing import Any

import ollama

from tests.conformance.asking import (
    OLLAMA,
    Answer,
    Ask,
    Assistant,
    Called,
    Message,
    NotSayable,
    Picture,
    System,
    ToolSpec,
    Usage,
    User,
)

ROOT = frozenset({"keep_alive", "logprobs", "top_logprobs"})
OPTIONS = frozenset(
    {
        "temperature", "top_p", "top_k", "min_p", "max_tokens", "stop", "seed", "frequency_penalty", "presence_penalty",
        "repeat_penalty", "num_ctx",
    }
)  # fmt: skip


class OllamaCaller:
    """/api/chat."""

    name = OLLAMA
    errors = (ollama.ResponseError,)

    def __init__(self, url: str, key: str) -> None:
        self.heads: list[Mapping[str, str]] = []
        self.validates = True  # this SDK always does
        self.client: Any = ollama.Client(
            host=url,
            headers={"authorization": f"Bearer {key}"},
            timeout=30,
            event_hooks={"response": [lambda got: self.heads.append(got.headers)]},
        )

    def close(self) -> None:
        self.client.close()

    def whole(self, model: str, ask: Ask) -> Answer:
        return answer_of([self._client_for(ask).chat(model=model, **arguments(ask))], streamed=False)

    def stream(self, model: str, ask: Ask) -> Answer:
        return answer_of(list(self._client_for(ask).chat(model=model, stream=True, **arguments(ask))), streamed=True)

    def _client_for(self, ask: Ask) -> Any:
        """This SDK has headers for a client, not for a call."""
        http = self.client._client
        for name in [name for name in http.headers if name.startswith("x-modelyard-")]:
            del http.headers[name]
        http.headers.update(ask.headers)
        return self.client

    def raised(self, error: Exception) -> tuple[int | None, str]:
        assert isinstance(error, ollama.ResponseError)
        return error.status_code if error.status_code > 0 else None, error.error


def arguments(ask: Ask) -> dict[str, Any]:
    """The SDK's arguments for a request."""
    messages: list[Any] = []
    if ask.system is not None:
        if not isinstance(ask.system, str):
            raise NotSayable("Ollama's messages are one text each, without cache markers")
        messages.append({"role": "system", "content": ask.system})
    messages += [_message(message) for message in ask.messages]
    if unknown := ask.params.keys() - ROOT - OPTIONS:
        raise NotSayable(f"Ollama has no {', '.join(unknown)}")
    if ask.choice is not None or ask.parallel is not None:
        raise NotSayable("Ollama has no choice of tools")
    if ask.user is not None:
        raise NotSayable("Ollama has no name for the user")
    options = {
        "num_predict" if name == "max_tokens" else name: value for name, value in ask.params.items() if name not in ROOT
    }
    said: dict[str, Any] = {name: value for name, value in ask.params.items() if name in ROOT}
    if ask.tools:
        said["tools"] = [_tool(tool) for tool in ask.tools]
    if ask.schema is not None:
        said["format"] = ask.schema
    if ask.effort is not None:
        said["think"] = ask.effort
    return {**said, "messages": messages, "options": options or None}


def _tool(tool: ToolSpec) -> dict[str, Any]:
    if tool.strict is not None:
        raise NotSayable("Ollama's tools have no `strict`")
    function = {"name": tool.name, "description": tool.description, "parameters": tool.schema}
    return {"type": "function", "function": function}


def _message(message: Message) -> Any:
    if isinstance(message, Answer):
        return message.turn
    if isinstance(message, User):
        return _said(message)
    if isinstance(message, Assistant):
        calls = [{"function": {"name": call.name, "arguments": call.arguments}} for call in message.calls]
        return {"role": "assistant", "content": message.text, "tool_calls": calls}
    if isinstance(message, System):
        return {"role": "system", "content": message.text}
    if message.is_error:
        raise NotSayable("Ollama's tool messages have no mark of an error")
    images = [message.picture.data] if message.picture is not None else []
    return {"role": "tool", "content": message.text, "tool_name": message.call.name, "images": images}


def _said(message: User) -> dict[str, Any]:
    if any(not isinstance(part, (str, Picture)) for part in message.parts):
        raise NotSayable("Ollama's messages hold text and pictures")
    pictures = [part.data for part in message.parts if isinstance(part, Picture)]
    if None in pictures:
        raise NotSayable("Ollama takes no addresses of pictures")
    texts = [part for part in message.parts if isinstance(part, str)]
    return {"role": "user", "content": "".join(texts), "images": pictures}


def answer_of(lines: list[Any], *, streamed: bool) -> Answer:
    """One object, or the lines of a stream put together as this SDK's users do it."""
    assert lines, "an answer without a line"
    last = lines[-1]
    assert last.done is True, "the last line is not marked as the end"
    assert all(line.message.role == "assistant" for line in lines)
    text = "".join(line.message.content or "" for line in lines)
    thinking = "".join(line.message.thinking or "" for line in lines)
    calls = [call for line in lines for call in line.message.tool_calls or ()]
    turn = ollama.Message(role="assistant", content=text, thinking=thinking or None, tool_calls=calls or None)
    known = last.prompt_eval_count is not None and last.eval_count is not None
    return Answer(
        text=text,
        stop=last.done_reason,
        raw=last,
        turn=turn,
        usage=Usage(input=last.prompt_eval_count, output=last.eval_count) if known else None,
        thinking=thinking,
        calls=tuple(Called(id="", name=call.function.name, arguments=dict(call.function.arguments)) for call in calls),
        logprobs=tuple((one.token, one.logprob) for line in lines for one in line.logprobs or ()),
        pieces=tuple(line.message.content for line in lines if line.message.content) if streamed else (),
    )
