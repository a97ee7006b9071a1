"""Requests, answers and garbage of the OpenAI dialect for its tests."""

import json
from typing import Any

import pytest
from hypothesis import strategies as st

from modelyard.canonical.chat import (
    ChatReply,
    ChatRequest,
    Redacted,
    Refusal,
    Text,
    Thinking,
    ToolCall,
)
from modelyard.canonical.snapshot import Accent
from modelyard.canonical.usage import Usage
from modelyard.core import raw
from modelyard.core.errors import Kind, Problem
from modelyard.dialects.dialect import Asker, Recipient
from modelyard.dialects.openai.translation import CHAT
from tests.unit.make import target

PLAIN = Accent(dialect="openai", paths={}, translate={})
USER = {"role": "user", "content": "hi"}
PNG = "data:image/png;base64,iVBORw0KGgo="


def asker(**fields: Any) -> Asker:
    return Asker("c1", "our-name", 1_700_000_000, raw.split(json.dumps(fields).encode()))


def read(messages: Any = None, **fields: Any) -> ChatRequest:
    told = {"model": "m", "messages": [USER] if messages is None else messages, **fields}
    return CHAT.read_request(raw.split(json.dumps(told).encode()))


def written(request: ChatRequest, accent: Accent = PLAIN) -> tuple[dict[str, Any], list[str]]:
    body, losses = CHAT.write_request(request, Recipient(target(accent=accent), None))
    return json.loads(body), losses


def refused(messages: Any = None, **fields: Any) -> str | None:
    with pytest.raises(Problem) as caught:
        read(messages, **fields)
    assert caught.value.kind is Kind.INVALID_REQUEST
    assert caught.value.param is not None
    return caught.value.param


texts = st.text(max_size=20)
words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
usages = st.builds(
    Usage, input=st.integers(0, 99), cached_input=st.integers(0, 99), output=st.integers(0, 99), reasoning=st.integers(0, 99)
)  # fmt: skip
calls = st.lists(st.builds(ToolCall, id=words, name=words, arguments=st.just('{"a":1}')), max_size=3)


@st.composite
def replies(draw: st.DrawFn) -> ChatReply:
    """Answers that chat completions can hold without a change."""
    blocks: list[Any] = []
    if draw(st.booleans()):
        signed = draw(st.booleans())
        blocks.append(
            Thinking(text=draw(words), signature="s" if signed else None, origin="anthropic" if signed else "")
        )
        if signed:
            blocks.append(Redacted(data=draw(words)))
    if draw(st.booleans()):
        blocks.append(Text(text=draw(words)))
    elif draw(st.booleans()):
        blocks.append(Refusal(text=draw(words)))
    called = draw(calls)
    blocks += called
    finish = "tool_calls" if called else draw(st.sampled_from(["stop", "length", "content_filter"]))
    return ChatReply(blocks=blocks, finish=finish, usage=draw(usages), model="our-name", id="chatcmpl-c1")


# Garbage of the shape of a request, and of an answer.
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
NAMES = ["role", "content", "type", "text", "image_url", "url", "file", "tool_calls", "function", "name", "arguments",
         "id", "refusal", "thinking_blocks", "cache_control", "tool_call_id", "reasoning", "detail", "custom"]  # fmt: skip
ROLES = ["user", "assistant", "tool", "system", "function", "text", "image_url", "file", "input_audio", "thinking"]
shaped = st.recursive(
    values | st.sampled_from(ROLES),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6),
    max_leaves=20,
)
FIELDS = ["tools", "tool_choice", "functions", "function_call", "response_format", "format", "reasoning", "thinking",
          "think", "options", "stop", "temperature", "metadata", "stream", "logprobs", "parallel_tool_calls",
          "prompt"]  # fmt: skip
like_messages = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(ROLES)}, optional=dict.fromkeys(NAMES[1:], shaped)), max_size=3
)
