# ruff: noqa: PT017 - either outcome is right
"""Whole answers of chat and text completions to and from the hub."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import Completion
from openai.types.chat import ChatCompletion

from modelyard.canonical.chat import (
    ChatReply,
    Text,
    Thinking,
    Timings,
    ToolCall,
    Turn,
)
from modelyard.canonical.usage import Usage
from modelyard.core import raw
from modelyard.core.errors import Kind, Problem
from modelyard.dialects.dialect import Recipient
from modelyard.dialects.openai.translation import CHAT, COMPLETIONS
from tests.unit.make import target
from tests.unit.openai_make import PLAIN, asker, replies, shaped


@given(replies())
def test_an_answer_comes_back_as_it_was(reply: ChatReply) -> None:
    body = CHAT.write_reply(reply, asker())
    ChatCompletion.model_validate_json(body)
    back = CHAT.read_reply(body)
    # Unsigned thoughts have no origin that could be told.
    for block in back.blocks:
        if isinstance(block, Thinking) and block.signature is None:
            block.origin = ""
    assert back == reply


def test_an_answer_with_timings_and_logprobs() -> None:
    rows = [{"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}]
    timings = Timings(total=3_725_000_000_000, prompt=2_000_000_000, output=4_000_000_000)
    usage = Usage(input=10, output=6)
    reply = ChatReply(blocks=[Text(text="a")], finish="stop", usage=usage, logprobs=rows, timings=timings)
    answer = ChatCompletion.model_validate_json(CHAT.write_reply(reply, asker()))
    assert answer.choices[0].logprobs is not None and answer.usage is not None
    told = answer.usage.model_dump()
    assert (told["response_token/s"], told["prompt_token/s"], told["approximate_total"]) == (1.5, 5.0, "1h2m5s")
    text = Completion.model_validate_json(COMPLETIONS.write_reply(reply, asker()))
    assert text.choices[0].logprobs is not None and text.choices[0].logprobs.tokens == ["a"]


def test_a_call_without_an_id_gets_one() -> None:
    reply = ChatReply(blocks=[ToolCall(id="", name="f", arguments="")], finish="tool_calls")
    message = ChatCompletion.model_validate_json(CHAT.write_reply(reply, asker())).choices[0].message
    assert message.content is None and message.tool_calls is not None
    assert message.tool_calls[0].id == "call_c1_0"


def test_liberties_of_real_answers() -> None:
    message = {
        "role": "assistant",
        "content": [{"type": "thinking", "thinking": [{"type": "text", "text": "t"}]}, {"type": "text", "text": "a"}],
        "tool_calls": [{"function": {"name": "f", "arguments": {"x": 1}}}],
    }
    body = {
        "choices": [{"message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1e999, "completion_tokens": -5},
    }
    reply = CHAT.read_reply(json.dumps(body).replace("Infinity", "NaN").encode())
    assert reply.blocks == [Thinking(text="t"), Text(text="a"), ToolCall(id="", name="f", arguments='{"x":1}')]
    assert (reply.finish, reply.usage) == ("tool_calls", Usage())
    half = CHAT.read_reply(b'{"choices":[{"message":{"content":"a\\ud83d"},"finish_reason":"length"}]}')
    assert (half.blocks, half.finish) == ([Text(text="a\ufffd")], "length")


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b"{}", b"null", b'{"choices":[]}', b'{"choices":[{}]}', b'{"error":{"message":"x"}}',
     b'{"error":"x"}', b'{"choices":[{"message":{"tool_calls":[{}]}}]}', b'{"choices":[{"message":{"content":5}}]}',
     b"[" * 100_000, b'{"choices":[{"message":{"content":"a"},"finish_reason":"error"}]}'],
)  # fmt: skip
def test_what_is_no_answer_is_the_backends_fault(body: bytes) -> None:
    with pytest.raises(Problem) as caught:
        CHAT.read_reply(body)
    assert caught.value.kind is Kind.UPSTREAM_FAILED


def test_text_completions() -> None:
    fields = {
        "prompt": ["once"],
        "suffix": "end",
        "logprobs": 3,
        "echo": True,
        "best_of": 1,
        "max_tokens": 5,
        "stream": True,
    }
    request = COMPLETIONS.read_request(raw.split(json.dumps(fields).encode()))
    assert request.turns == [Turn(role="user", blocks=[Text(text="once")])]
    assert request.completion and request.stream and request.unread == ["echo"]
    assert request.controls.params == {"suffix": "end", "max_tokens": 5, "logprobs": True, "top_logprobs": 3}
    body, losses = COMPLETIONS.write_request(request, Recipient(target(accent=PLAIN), None))
    sent = json.loads(body)
    assert (sent["prompt"], sent["suffix"], sent["logprobs"], losses) == ("once", "end", 3, [])
    for prompt in ([], [1, 2], ["a", "b"], None, 5):
        with pytest.raises(Problem) as caught:
            COMPLETIONS.read_request(raw.split(json.dumps({"prompt": prompt}).encode()))
        assert caught.value.param == "prompt"


@given(st.binary(max_size=60) | shaped.map(lambda value: json.dumps({"choices": [{"message": value}]}).encode()))
def test_garbage_is_no_answer(body: bytes) -> None:
    try:
        reply = CHAT.read_reply(body)
    except Problem as problem:
        assert problem.kind is Kind.UPSTREAM_FAILED
    else:
        ChatCompletion.model_validate_json(CHAT.write_reply(reply, asker()))
