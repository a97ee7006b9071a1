"""Ollama answers, whole and in lines: read into events and replies, written for callers, and judged by its own client."""

import json
import time
from pathlib import Path
from typing import Any

import ollama
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.canonical.chat import ChatReply, Refusal, Text, Thinking, Timings, ToolCall
from modelyard.canonical.events import (
    ArgumentsDelta,
    BlockStart,
    BlockStop,
    Event,
    Finish,
    SignatureDelta,
    Start,
    TextDelta,
    ThinkingDelta,
    events_of,
    reply_of,
)
from modelyard.canonical.usage import Usage
from modelyard.core.errors import Kind, Problem
from modelyard.dialects.dialect import Asker
from modelyard.dialects.ollama import OLLAMA, answer
from modelyard.dialects.ollama.errors import read_error
from modelyard.dialects.ollama.stream_reader import Reader
from modelyard.dialects.ollama.stream_writer import write_chat, write_generate
from tests.unit.make import cut, json_bytes, marks, object_of

CORPUS = Path(__file__).parents[1] / "corpus" / "ollama"
CASES = {path.stem: json.loads(path.read_text()) for path in sorted(CORPUS.glob("*.json"))}
TALKS = {
    name: case for name, case in CASES.items() if name.startswith(("chat-", "generate-")) and case["status"] == 200
}
STREAMS = {name: case for name, case in TALKS.items() if "ndjson" in (case["content_type"] or "")}
WHOLES = {
    name: case
    for name, case in TALKS.items()
    if name not in STREAMS and "_debug_render_only" not in str(case["request"])
}

ASKER = Asker("id1", 'our "model"', 1_790_000_000, {})


def lines_of(*lines: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def read(body: bytes, places: list[int] | None = None) -> list[Event]:
    reader = Reader()
    events = []
    for chunk in cut(body, places or []):
        events += reader.feed(chunk)
        if reader.fault is not None:
            raise reader.fault
    return events + reader.end()


def test_the_corpus_is_there():
    assert len(STREAMS) > 20
    assert len(WHOLES) > 40


@pytest.mark.parametrize("name", STREAMS)
def test_a_recorded_stream_is_read(name: str):
    body = STREAMS[name]["body"].encode()
    lines = [json.loads(line) for line in body.splitlines()]
    last = lines[-1]
    if "error" in last or not last.get("done"):
        with pytest.raises(Problem) as caught:
            read(body)
        assert caught.value.kind is Kind.UPSTREAM_FAILED
        assert last.get("error", "before the answer was complete") in caught.value.message
        return
    reply = reply_of(read(body))
    told = [line.get("message", line) for line in lines]
    assert text_of(reply) == "".join(part.get("content", part.get("response", "")) for part in told)
    assert thinking_of(reply) == "".join(part.get("thinking", "") for part in told)
    calls = [call for part in told for call in part.get("tool_calls", ())]
    assert [(call.id, call.name, json.loads(call.arguments)) for call in calls_of(reply)] == [
        (call["id"], call["function"]["name"], call["function"]["arguments"]) for call in calls
    ]
    assert reply.usage == Usage(input=last["prompt_eval_count"], output=last["eval_count"])
    assert reply.timings is not None
    assert reply.timings.total == last["total_duration"]
    assert reply.finish == ("length" if last["done_reason"] == "length" else "tool_calls" if calls else "stop")
    assert reply.model == lines[0]["model"]


@pytest.mark.parametrize("name", WHOLES)
def test_a_recorded_answer_is_read(name: str):
    body = WHOLES[name]["body"].encode()
    told = json.loads(body)
    if not told["done"]:
        with pytest.raises(Problem, match="gave up"):
            answer.read_reply(body)
        return
    reply = answer.read_reply(body)
    part = told.get("message", told)
    assert text_of(reply) == part.get("content", part.get("response"))
    assert thinking_of(reply) == part.get("thinking", "")
    assert len(calls_of(reply)) == len(part.get("tool_calls", ()))
    wanted = [{"bytes": None, "top_logprobs": [], **entry} for entry in told.get("logprobs") or ()]
    assert reply.logprobs == (wanted or None)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case["status"] >= 400])
def test_a_recorded_error_is_read(name: str):
    case = CASES[name]
    told = read_error(case["body"].encode())
    if "json" not in (case["content_type"] or "") or not case["body"]:
        assert told is None
    else:
        assert told is not None
        said = json.loads(case["body"])["error"]
        assert told.message == (json.loads(said)["error"]["message"] if said.startswith("{") else said)


@given(st.sampled_from(sorted(STREAMS)), marks)
def test_chunk_borders_change_nothing(name: str, places: list[int]):
    body = STREAMS[name]["body"].encode()

    def outcome(where: list[int]) -> Any:
        try:
            return read(body, where)
        except Problem as problem:
            return problem.message

    assert outcome(places) == outcome([])


def test_a_stream_is_read_into_blocks():
    body = lines_of(
        {"model": "m", "message": {"role": "assistant", "content": "", "thinking": "hm"}, "done": False},
        {"model": "m", "message": {"role": "assistant", "content": "a"}, "done": False},
        {
            "message": {"content": "b", "tool_calls": [{"function": {"name": "f", "arguments": {"x": 1}}}]},
            "done": False,
        },
        {"message": {"content": "c"}, "done": False},
        {"message": {"content": ""}, "done": True, "created_at": "2026-11-21T09:35:14.3Z", "done_reason": "stop"},
        {"message": {"content": "late"}, "done": False},
    )
    assert read(body) == [
        Start("", "m"),
        BlockStart(0, Thinking(text="")), ThinkingDelta(0, "hm"), BlockStop(0),
        BlockStart(1, Text(text="")), TextDelta(1, "a"), TextDelta(1, "b"), BlockStop(1),
        BlockStart(2, ToolCall(id="call__0", name="f", arguments="")), ArgumentsDelta(2, '{"x": 1}'), BlockStop(2),
        BlockStart(3, Text(text="")), TextDelta(3, "c"), BlockStop(3),
        Finish("tool_calls"),
    ]  # fmt: skip


def test_calls_without_ids_get_some_that_differ_from_answer_to_answer():
    calls = [{"function": {"name": "f", "arguments": '{"a":1}'}}, {"id": "", "function": {"name": "g"}}]
    body = {"message": {"tool_calls": calls}, "done": True, "created_at": "2026-11-21T09:35:14.337Z"}
    reply = answer.read_reply(json.dumps(body).encode())
    assert calls_of(reply) == [
        ToolCall(id="call_20261121093514337_0", name="f", arguments='{"a":1}'),
        ToolCall(id="call_20261121093514337_1", name="g", arguments="{}"),
    ]


def test_a_line_without_its_line_feed_is_taken_and_half_a_line_is_not():
    whole = lines_of({"message": {"content": "a"}, "done": True})[:-1]
    assert text_of(reply_of(read(whole))) == "a"
    for body in (b"", b"\n", whole[:-1], lines_of({"message": {"content": "a"}, "done": False})):
        with pytest.raises(Problem) as caught:
            read(body)
        assert caught.value.kind is Kind.UPSTREAM_FAILED


@pytest.mark.parametrize(
    "bad", [b"<html>\n", b"[]\n", b"null\n", b'{"message":3}\n', b'{"message":{"content":[]}}\n', b'{"done":"yes"}\n',
            b'{"error":"it broke"}\n', b'{"error":{"message":"it broke"}}\n', b'{"message":{"tool_calls":[{}]}}\n',
            b"[" * 5000 + b"\n", b'{"x":NaN}\n', b"\xff\n"],
)  # fmt: skip
def test_a_bad_line_is_a_fault_and_what_came_before_it_is_kept(bad: bytes):
    reader = Reader()
    events = reader.feed(lines_of({"message": {"content": "a"}, "done": False}) + bad + lines_of({"done": True}))
    assert events[-1] == TextDelta(0, "a")
    assert reader.fault is not None
    assert reader.fault.kind is Kind.UPSTREAM_FAILED
    assert reader.feed(lines_of({"done": True})) == []
    with pytest.raises(Problem):
        reader.end()


def test_half_a_surrogate_pair_is_replaced():
    body = b'{"message":{"content":"a\\ud83d"},"done":true,"prompt_eval_count":2,"eval_count":-5}\n'
    reply = reply_of(read(body))
    assert text_of(reply) == "a\ufffd"


def test_hostile_figures_are_bounded():
    figures = b'"done":true,"prompt_eval_count":1e300,"eval_count":-4,"total_duration":1e300,"load_duration":-1'
    reply = answer.read_reply(b'{"response":"x",%b}' % figures)
    assert reply.usage == Usage(input=2**40)
    assert reply.timings == Timings(total=2**62)


@given(
    st.lists(object_of("message", "response", "thinking", "done", "error", "tool_calls", "logprobs"), max_size=4),
    json_bytes,
)
def test_whatever_the_bytes_there_are_events_or_a_problem(lines: list[bytes], odd: bytes):
    lines.append(b'{"message":{"content":"x","tool_calls":[{"function":{"name":"f","arguments":%b}}]}}' % odd)
    lines.append(b'{"message":{"content":"x"},"logprobs":%b,"done":true,"eval_count":%b}' % (odd, odd))
    kinds: set[Kind] = set()
    for write in (write_chat, write_generate):
        try:
            written = write(ASKER).write(read(b"\n".join(lines)))
        except Problem as problem:
            kinds.add(problem.kind)
        else:
            for line in written.decode().splitlines():
                json.loads(line)
    for line in lines:
        try:
            reply = answer.read_reply(line)
        except Problem as problem:
            kinds.add(problem.kind)
        else:
            json.loads(answer.write_chat(reply, ASKER))
            json.loads(answer.write_generate(reply, ASKER))
    assert kinds <= {Kind.UPSTREAM_FAILED}


# Writing

CALLS = [ToolCall(id="c1", name="f", arguments='{\n "a": 1.50\n}'), ToolCall(id="c2", name="g", arguments="")]
REPLY = ChatReply(
    blocks=[Thinking(text="hm", signature="s", origin="anthropic"), Text(text="Hi\u2028 ü\x85"), *CALLS],
    finish="tool_calls",
    usage=Usage(input=3, cached_input=4, output=5, reasoning=6),
    logprobs=[{"token": "Hi", "logprob": -0.5, "bytes": [72], "top_logprobs": [{"token": "Hi", "logprob": -0.5}]}],
    timings=Timings(total=9, load=1, prompt=2, output=6),
)


def test_a_whole_chat_is_what_the_client_expects():
    written = answer.write_chat(REPLY, ASKER)
    response = ollama.ChatResponse(**json.loads(written))
    assert list(json.loads(written)) == [
        "model", "created_at", "message", "done", "done_reason", "prompt_eval_count", "eval_count", "total_duration",
        "load_duration", "prompt_eval_duration", "eval_duration", "logprobs",
    ]  # fmt: skip
    assert response.message.content == "Hi\u2028 ü\x85"
    assert response.message.thinking == "hm"
    assert response.message.tool_calls is not None
    assert [(call.function.name, call.function.arguments) for call in response.message.tool_calls] == [
        ("f", {"a": 1.5}), ("g", {}),
    ]  # fmt: skip
    assert (response.model, response.created_at) == ('our "model"', "2026-09-21T14:13:20Z")
    assert (response.done, response.done_reason) == (True, "stop")
    assert (response.prompt_eval_count, response.eval_count) == (7, 11)
    assert (response.total_duration, response.eval_duration) == (9, 6)
    assert len(written.decode().splitlines()) == 1


def test_a_whole_generation_is_what_the_client_expects():
    response = ollama.GenerateResponse(**json.loads(answer.write_generate(REPLY, ASKER)))
    assert (response.response, response.thinking, response.eval_count) == ("Hi\u2028 ü\x85", "hm", 11)
    bare = answer.write_generate(ChatReply(blocks=[Refusal(text="No.")], finish="length"), ASKER)
    response = ollama.GenerateResponse(**json.loads(bare))
    assert (response.response, response.done_reason, response.total_duration) == ("No.", "length", None)


def test_lines_of_a_chat_are_what_the_client_expects():
    written = write_chat(ASKER).write(events_of(REPLY))
    parts = [
        ollama.ChatResponse(**json.loads(line)) for line in written.decode().splitlines()
    ]  # as the client cuts them
    assert [part.done for part in parts] == [False, False, False, False, True]
    assert "".join(part.message.content or "" for part in parts) == "Hi\u2028 ü\x85"
    assert parts[0].message.thinking == "hm"
    assert [call.function.name for part in parts for call in part.message.tool_calls or ()] == ["f", "g"]
    assert parts[1].logprobs is not None
    assert parts[1].logprobs[0].token == "Hi"
    assert (parts[-1].done_reason, parts[-1].prompt_eval_count, parts[-1].total_duration) == ("stop", 7, 9)
    assert reply_of(read(written)).blocks == [
        Thinking(text="hm"), Text(text="Hi\u2028 ü\x85"),
        ToolCall(id="c1", name="f", arguments='{"a":1.5}'), ToolCall(id="c2", name="g", arguments="{}"),
    ]  # fmt: skip


def test_lines_of_a_generation_are_what_the_client_expects():
    written = write_generate(ASKER).write(events_of(REPLY))
    parts = [ollama.GenerateResponse(**json.loads(line)) for line in written.decode().splitlines()]
    assert "".join(part.response or "" for part in parts) == "Hi\u2028 ü\x85"
    assert parts[0].thinking == "hm"
    assert parts[-1].done
    assert calls_of(reply_of(read(written)))[1] == ToolCall(id="c2", name="g", arguments="{}")


def test_calls_that_come_at_once_are_written_whole():
    events: list[Event] = [
        BlockStart(0, ToolCall(id="a", name="f", arguments="")), BlockStart(1, ToolCall(id="b", name="g", arguments="")),
        ArgumentsDelta(0, '{"x"'), ArgumentsDelta(1, '{"y":'), ArgumentsDelta(0, ":1}"), SignatureDelta(7, "s", "openai"),
        ArgumentsDelta(1, "2"), BlockStop(1), BlockStop(0),
    ]  # fmt: skip
    writer = write_chat(ASKER)
    lines = b"".join(writer.write([event]) for event in events).splitlines()
    (second,), (first,) = (json.loads(line)["message"]["tool_calls"] for line in lines)
    assert first == {"id": "a", "function": {"index": 0, "name": "f", "arguments": {"x": 1}}}
    assert second == {"id": "b", "function": {"index": 1, "name": "g", "arguments": {"_unparsed": '{"y":2'}}}


def test_an_error_ends_a_stream_as_the_client_expects():
    line = json.loads(write_chat(ASKER).fail(Problem(Kind.UPSTREAM_FAILED, "It broke\u2028.")))
    assert line == {"error": "It broke\u2028."}
    assert OLLAMA.write_error(Problem(Kind.NOT_FOUND, "Nothing.\ud800"), "id") == '{"error":"Nothing.\ufffd"}'.encode()


def test_half_a_surrogate_pair_is_written_as_a_replacement():
    written = write_chat(ASKER).write([TextDelta(0, "a\ud83d"), ArgumentsDelta(3, "x")])
    assert json.loads(written)["message"]["content"] == "a\ufffd"


def test_an_answer_that_only_loads_is_written():
    chat = ollama.ChatResponse(**json.loads(answer.write_loaded("chat", ASKER, unload=False)))
    assert (chat.message.content, chat.done, chat.done_reason) == ("", True, "load")
    generated = ollama.GenerateResponse(**json.loads(answer.write_loaded("generate", ASKER, unload=True)))
    assert (generated.response, generated.done_reason) == ("", "unload")
    assert answer.read_reply(answer.write_loaded("chat", ASKER, unload=True)).usage == Usage()


def test_one_delta_is_cheap():
    line = lines_of(
        {
            "model": "m",
            "created_at": "2026-11-21T09:35:14.3Z",
            "message": {"role": "assistant", "content": " word"},
            "done": False,
        }
    )
    reader, writer = Reader(), write_chat(ASKER)
    best = min(timed(reader, writer, line) for _ in range(5))
    assert best < 30e-6  # 3 us on an idle machine; this one may be busy


def timed(reader: Reader, writer: Any, line: bytes) -> float:
    started = time.process_time()
    for _ in range(2000):
        writer.write(reader.feed(line))
    return (time.process_time() - started) / 2000


def text_of(reply: ChatReply) -> str:
    return "".join(block.text for block in reply.blocks if isinstance(block, Text))


def thinking_of(reply: ChatReply) -> str:
    return "".join(block.text for block in reply.blocks if isinstance(block, Thinking))


def calls_of(reply: ChatReply) -> list[ToolCall]:
    return [block for block in reply.blocks if isinstance(block, ToolCall)]
