"""Whole answers, errors and the list of models of the Anthropic dialect, and what a real server of it says."""

import json
import urllib.error
import urllib.request
from typing import Any

import pytest
from anthropic.types import Message, ModelInfo
from hypothesis import given

from modelyard.canonical.chat import (
    LENGTH,
    REFUSED,
    STOP,
    TOOL_CALLS,
    ChatReply,
    ChatRequest,
    Controls,
    Redacted,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
)
from modelyard.canonical.events import reply_of
from modelyard.canonical.usage import Usage
from modelyard.core.errors import Kind, Problem
from modelyard.core.raw import Raw, split
from modelyard.dialects.anthropic import ANTHROPIC, listing
from modelyard.dialects.anthropic.answer import read_reply, read_usage, write_reply
from modelyard.dialects.anthropic.errors import TYPES, read_error
from modelyard.dialects.anthropic.passing import read_count
from modelyard.dialects.anthropic.stream_reader import StreamReader
from modelyard.dialects.dialect import Asker, Recipient
from modelyard.dialects.flavours import FLAVOURS
from tests.engine import ALIAS, Engine
from tests.unit.make import json_bytes, object_of, target

MESSAGES, COUNT = ANTHROPIC.operations
ASKER = Asker("0123", "mine", 1_700_000_000, split(b"{}"))


def answer(*content: Any, **fields: Any) -> bytes:
    told = {"id": "msg_1", "type": "message", "role": "assistant", "model": "theirs", "content": list(content)}
    return json.dumps({**told, "stop_reason": "end_turn", "stop_sequence": None, **fields}).encode()


def failed(body: bytes) -> Problem:
    with pytest.raises(Problem) as caught:
        read_reply(body)
    return caught.value


def test_an_answer_is_read() -> None:
    usage = {
        "input_tokens": 3,
        "output_tokens": 9,
        "cache_read_input_tokens": 2,
        "output_tokens_details": {"thinking_tokens": 4},
    }
    reply = read_reply(
        answer(
            {"type": "thinking", "thinking": "hm", "signature": "s"},
            {"type": "redacted_thinking", "data": "d"},
            {"type": "server_tool_use", "id": "s", "name": "x", "input": {}},
            {"type": "text", "text": "Hi", "citations": [{"type": "x"}]},
            {"type": "tool_use", "id": "t", "name": "f", "input": {"b": 1.0, "a": "é"}},
            usage=usage,
            stop_reason="tool_use",
        )
    )
    assert reply.blocks == [
        Thinking(text="hm", signature="s", origin="anthropic"),
        Redacted(data="d"),
        Text(text="Hi"),
        ToolCall(id="t", name="f", arguments='{"b": 1.0, "a": "\\u00e9"}'),
    ]
    assert (reply.finish, reply.id, reply.model) == (TOOL_CALLS, "msg_1", "theirs")
    assert reply.usage == Usage(input=3, cached_input=2, output=5, reasoning=4)


def test_odd_answers_are_borne() -> None:
    assert read_reply(answer(stop_reason="refusal", stop_details={"explanation": "no"})).blocks == [Refusal(text="no")]
    assert read_reply(answer(stop_reason=None)).finish == STOP
    assert read_reply(answer(stop_reason="model_context_window_exceeded", usage="x")).finish == LENGTH
    assert read_reply(answer({"type": "text", "text": "\ud800"})).blocks == [Text(text="�")]
    assert read_reply(answer({"type": "tool_use", "name": "f", "input": None}, id=3)).blocks == [
        ToolCall(id="toolu__0", name="f", arguments="")
    ]
    hostile = {"input_tokens": 1e300, "output_tokens": -5, "cache_read_input_tokens": True, "cache_creation": []}
    assert read_reply(answer(usage=hostile)).usage == Usage(input=2**40)


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b"{}", b'{"content":"x"}', b'{"content":[3]}', answer({"type": "tool_use", "id": "x"})],
)
def test_what_is_no_answer(body: bytes) -> None:
    assert failed(body).kind is Kind.UPSTREAM_FAILED


def test_an_error_in_place_of_an_answer() -> None:
    body = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'
    assert (failed(body).kind, failed(body).message) == (Kind.UNAVAILABLE, "The backend reported an error: Overloaded")
    for reader in (read_usage, read_count):
        with pytest.raises(Problem):
            reader(body)
    assert failed(b'{"error":"no"}').kind is Kind.UPSTREAM_FAILED


def test_usage_of_a_passing_answer() -> None:
    assert read_usage(answer(usage={"input_tokens": 1, "output_tokens": 2})) == Usage(input=1, output=2)
    assert read_usage(b'{"foo":1}') is None
    assert read_count(b'{"input_tokens":7}') is None
    for body in (b"", b"[]", b"{}", b'{"foo":1}'):
        with pytest.raises(Problem):
            read_count(body)
    for body in (b"", b"[]"):
        with pytest.raises(Problem):
            read_usage(body)


@given(object_of("type", "content", "usage", "error", "stop_reason", "id", "model") | json_bytes)
def test_whatever_comes_it_is_an_answer_or_a_problem(body: bytes) -> None:
    for reader in (read_reply, read_usage, read_count):
        try:
            reader(body)
        except Problem as problem:
            told = problem
            assert told.kind in (Kind.UPSTREAM_FAILED, Kind.UNAVAILABLE, Kind.RATE_LIMITED)
    read_error(body)


def test_an_answer_is_written() -> None:
    blocks: list[Any] = [
        Thinking(text="hm", signature="enc", origin="openai"),
        Thinking(text="plain"),
        Text(text="Hi"),
        ToolCall(id="", name="f", arguments='{"a":1}'),
        ToolCall(id="c", name="g", arguments=""),
        ToolCall(id="d", name="h", arguments='{"cut of'),
    ]
    usage = Usage(input=1, cached_input=2, cache_write=3, cache_write_1h=4, output=5, reasoning=6, audio_input=7)
    told = json.loads(write_reply(ChatReply(blocks=blocks, finish=TOOL_CALLS, usage=usage), ASKER))
    message = Message.model_validate(told)
    assert told["content"] == [
        {"type": "thinking", "thinking": "hm", "signature": "modelyard:openai:enc"},
        {"type": "thinking", "thinking": "plain", "signature": ""},
        {"type": "text", "text": "Hi"},
        {"type": "tool_use", "id": "toolu_0123_3", "name": "f", "input": {"a": 1}},
        {"type": "tool_use", "id": "c", "name": "g", "input": {}},
        {"type": "tool_use", "id": "d", "name": "h", "input": {"_unparsed": '{"cut of'}},
    ]
    assert (message.id, message.model, message.stop_reason) == ("msg_0123", "mine", "tool_use")
    assert (message.usage.input_tokens, message.usage.output_tokens) == (8, 11)
    assert (message.usage.cache_read_input_tokens, message.usage.cache_creation_input_tokens) == (2, 7)
    assert message.usage.cache_creation is not None
    assert message.usage.cache_creation.ephemeral_1h_input_tokens == 4


def test_a_refusal_is_told_by_its_reason() -> None:
    for finish in (STOP, REFUSED):
        told = json.loads(write_reply(ChatReply(blocks=[Refusal(text="No.")], finish=finish), ASKER))
        assert told["content"] == [{"type": "text", "text": "No."}]
        assert told["stop_reason"] == "refusal"


# Errors


def test_every_problem_has_a_type() -> None:
    assert set(TYPES) == set(Kind)
    told = json.loads(ANTHROPIC.write_error(Problem(Kind.RATE_LIMITED, "Slow down."), "0123"))
    assert told == {
        "type": "error",
        "error": {"type": "rate_limit_error", "message": "Slow down."},
        "request_id": "0123",
    }
    assert ANTHROPIC.statuses == {422: 400, 503: 529}


def test_a_prompt_that_is_too_long_is_known_in_both_worlds() -> None:
    problem = Problem(Kind.INVALID_REQUEST, "9 tokens are more than 8.", code="context_length_exceeded")
    told = json.loads(ANTHROPIC.write_error(problem, "x"))
    assert told["error"]["message"] == "prompt is too long: 9 tokens are more than 8."
    heard = read_error(
        b'{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 9 > 8"}}'
    )
    assert heard is not None
    assert heard.code == "context_length_exceeded"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"type":"error","error":{"type":"api_error","message":"a"},"request_id":"r"}', "a"),
        (b'{"error":"b"}', "b"),
        (b'{"detail":"c"}', "c"),
        (b'{"message":"d"}', "d"),
        (b"<html>", None),
        (b"[]", None),
        (b'{"error":{"message":3}}', None),
    ],
)
def test_errors_are_read(body: bytes, message: str | None) -> None:
    told = read_error(body)
    assert (told.message if told is not None else None) == message


# The list of models

ROWS = [(f"m{number}", f"Model {number}", 1_700_000_000 + number) for number in range(25)]


def page(query: str) -> Any:
    return json.loads(listing.write_models(ROWS, query.encode()))


def test_pages_of_the_list() -> None:
    first = page("")
    assert [len(first["data"]), first["has_more"], first["first_id"], first["last_id"]] == [20, True, "m0", "m19"]
    second = page("after_id=m19")
    assert ([row["id"] for row in second["data"]], second["has_more"]) == ([f"m{n}" for n in range(20, 25)], False)
    before = page("before_id=m10&limit=4")
    assert ([row["id"] for row in before["data"]], before["has_more"]) == (["m6", "m7", "m8", "m9"], True)
    assert not page("before_id=m2&limit=4")["has_more"]
    assert len(page("limit=1000&beta=true")["data"]) == 25
    assert json.loads(listing.write_models([], b"")) == {
        "data": [],
        "has_more": False,
        "first_id": None,
        "last_id": None,
    }


@pytest.mark.parametrize(
    ("query", "param"),
    [("limit=0", "limit"), ("limit=x", "limit"), ("limit=1001", "limit"), ("limit=99999999999", "limit"),
     ("after_id=zz", "after_id"), ("before_id=%ff", "before_id"), ("after_id=m1&before_id=m2", "before_id")],
)  # fmt: skip
def test_pages_that_are_not_there(query: str, param: str) -> None:
    with pytest.raises(Problem) as caught:
        page(query)
    assert (caught.value.kind, caught.value.param) == (Kind.INVALID_REQUEST, param)


def test_one_model() -> None:
    told = json.loads(listing.write_model("a/b:c", "A \ud800", 1_700_000_000))
    model = ModelInfo.model_validate(told)
    assert (model.id, model.type, told["created_at"]) == ("a/b:c", "model", "2023-11-14T22:13:20Z")
    for created in (-1, 10**30):
        ModelInfo.model_validate(json.loads(listing.write_model("a", "A", created)))


# A real server


def test_llama_cpp_takes_what_we_write(engine: Engine) -> None:
    assert MESSAGES.chat is not None
    base_url = engine.base_url.removesuffix("/v1")
    place = target(upstream=ALIAS, accent=FLAVOURS["anthropic"].accent)
    calls = [ToolCall(id="a b", name="get", arguments='{"city":"Oslo"}'), ToolCall(id="c", name="get", arguments="")]
    told = [ToolResult(call_id="a b", content=[Text(text="cold")]), ToolResult(call_id="c", content=[], is_error=True)]
    request = ChatRequest(
        system=[Text(text="Be brief.", cache="5m")],
        turns=[
            Turn(role="user", blocks=[Text(text="Hi")]),
            Turn(role="assistant", blocks=[Text(text="I look."), *calls]),
            Turn(role="user", blocks=[*told]),
            Turn(role="system", blocks=[Text(text="Careful.")]),
        ],
        tools=[Tool(name="get", schema=Raw(b'{"properties":{"city":{"type":"string"}}}'))],
        controls=Controls(params={"max_tokens": 12, "temperature": 0.5, "top_k": 4, "stop": ["END"], "user": "u"}),
    )
    body = MESSAGES.chat.write_request(request, Recipient(place, None)).body
    reply = read_reply(_post(base_url + MESSAGES.path, body))
    request.stream = True
    stream = _post(base_url + MESSAGES.path, MESSAGES.chat.write_request(request, Recipient(place, None)).body)
    reader = StreamReader()
    streamed = reply_of([*reader.feed(stream), *reader.end()])
    for one in (reply, streamed):
        (block,) = one.blocks
        assert isinstance(block, Text)
        assert len(block.text) == 12
        assert (one.finish, one.model) == (LENGTH, ALIAS)
        assert one.usage is not None
        assert (one.usage.output, one.usage.all_input > 20) == (12, True)
    count = _post(base_url + COUNT.path, COUNT.passing.address(split(body), place, False))
    assert read_count(count) is None
    assert reply.usage is not None
    assert json.loads(count)["input_tokens"] == reply.usage.all_input
    error = _post(base_url + MESSAGES.path, body.replace(b"Be brief.", b"brief " * 2000))
    heard = read_error(error)
    assert heard is not None
    assert heard.code == "context_length_exceeded"


def _post(url: str, body: bytes) -> bytes:
    headers = {"content-type": "application/json", "anthropic-version": "2023-06-01"}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=body, headers=headers), timeout=60) as answered:
            got: bytes = answered.read()
    except urllib.error.HTTPError as error:
        got = error.read()
    return got
