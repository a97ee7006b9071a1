# ruff: noqa: PT017 - either outcome is right
"""Streams of the Responses API, against the official SDK's types and its accumulator."""

import json
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai import OpenAI
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from modelyard.canonical.chat import (
    LENGTH,
    STOP,
    TOOL_CALLS,
    ChatReply,
    Redacted,
    Refusal,
    Text,
    Thinking,
    ToolCall,
)
from modelyard.canonical.events import (
    ArgumentsDelta,
    BlockStart,
    BlockStop,
    Finish,
    Start,
    TextDelta,
    events_of,
    reply_of,
)
from modelyard.canonical.usage import Usage
from modelyard.core.errors import Kind, Problem
from modelyard.core.raw import Fields, split
from modelyard.dialects.dialect import Asker
from modelyard.dialects.openai.responses import RESPONSES
from modelyard.dialects.openai.responses.passing import ResponsesTap
from modelyard.dialects.openai.responses.stream_reader import ResponsesReader
from modelyard.dialects.openai.responses.stream_writer import ResponsesWriter
from tests.unit.make import cut, json_bytes, marks, object_of

EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


def asker(**fields: Any) -> Asker:
    asked: Fields = split(json.dumps({"model": "m", "input": "hi", "stream": True, **fields}).encode())
    return Asker("c1", "my-model", 1700000000, asked)


REPLY = ChatReply(
    blocks=[
        Thinking(text="hm, 100% sure", signature="sig", origin="openai"),
        Redacted(data="xyz"),
        Text(text="Grüße "),
        Text(text="dich"),
        ToolCall(id="a", name="f", arguments='{"x":1}'),
        ToolCall(id="b", name="g", arguments=""),
        Refusal(text="no"),
    ],
    finish=TOOL_CALLS,
    usage=Usage(input=3, cached_input=2, output=5, reasoning=4, cache_write=1),
    id="up",
    model="m",
)


def told(stream: bytes) -> list[dict[str, Any]]:
    found = []
    for event in stream.decode().split("\n\n")[:-1]:
        name, _, data = event.partition("\n")
        value = json.loads(data.removeprefix("data: "))
        assert name == f"event: {value['type']}"
        found.append(value)
    return found


def write(reply: ChatReply, **fields: Any) -> bytes:
    writer = ResponsesWriter(asker(**fields))
    return b"".join([writer.write([event]) for event in events_of(reply)])


def read(stream: bytes, places: list[int] | None = None) -> ChatReply:
    reader = ResponsesReader()
    events = [event for chunk in cut(stream, places or []) for event in reader.feed(chunk)]
    assert reader.fault is None
    return reply_of(events + reader.end())


def test_every_event_is_one_of_the_sdk_and_numbered() -> None:
    events = told(write(REPLY, tools=[{"type": "function", "name": "f", "parameters": {}, "strict": True}], text={}))
    for event in events:
        EVENT.validate_python(event, strict=False)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"].removeprefix("response.") for event in events] == [
        "created", "in_progress",
        "output_item.added", "reasoning_summary_part.added", "reasoning_summary_text.delta",
        "reasoning_summary_text.done", "reasoning_summary_part.done", "output_item.done",
        "output_item.added", "output_item.done",
        "output_item.added",
        "content_part.added", "output_text.delta", "output_text.done", "content_part.done",
        "content_part.added", "output_text.delta", "output_text.done", "content_part.done",
        "output_item.done",
        "output_item.added", "function_call_arguments.delta", "function_call_arguments.done", "output_item.done",
        "output_item.added", "function_call_arguments.delta", "function_call_arguments.done", "output_item.done",
        "output_item.added", "content_part.added", "refusal.delta", "refusal.done", "content_part.done",
        "output_item.done", "completed",
    ]  # fmt: skip


def test_stream_and_whole_answer_are_the_same_response() -> None:
    last = told(write(REPLY))[-1]["response"]
    assert RESPONSES.chat is not None
    assert last == json.loads(RESPONSES.chat.write_reply(REPLY, asker()))
    assert last["usage"]["input_tokens"] == 6 and last["usage"]["total_tokens"] == 15


def test_the_sdk_accumulates_the_stream() -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(
            200, headers={"content-type": "text/event-stream"}, content=write(REPLY), request=request
        )

    client = OpenAI(
        api_key="k", base_url="http://x/v1", http_client=httpx2.Client(transport=httpx2.MockTransport(answer))
    )
    deltas = ""
    with client.responses.stream(model="m", input="hi") as stream:
        for event in stream:
            if event.type == "response.output_text.delta":
                deltas += event.delta
        final = stream.get_final_response()
    assert deltas == "Grüße dich" == final.output_text
    assert [item.type for item in final.output] == [
        "reasoning", "reasoning", "message", "function_call", "function_call", "message",
    ]  # fmt: skip
    assert final.output[3].call_id == "a" and final.output[4].arguments == "{}"  # type: ignore[union-attr]
    assert final.usage is not None and final.usage.output_tokens_details.reasoning_tokens == 4
    client.close()


@given(marks)
def test_what_is_written_is_read_again(places: list[int]) -> None:
    reply = read(write(REPLY), places)
    assert reply.blocks == [
        *REPLY.blocks[:5],
        ToolCall(id="b", name="g", arguments="{}"),
        REPLY.blocks[6],
    ]
    assert reply.finish == TOOL_CALLS
    assert reply.usage == REPLY.usage


def test_parallel_tool_calls_may_alternate() -> None:
    events = [
        Start(), BlockStart(0, ToolCall(id="a", name="f", arguments="")),
        BlockStart(1, ToolCall(id="b", name="g", arguments="")),
        ArgumentsDelta(1, '{"y"'), ArgumentsDelta(0, "{}"), ArgumentsDelta(1, ":1}"), BlockStop(0), BlockStop(1),
        Finish(TOOL_CALLS),
    ]  # fmt: skip
    stream = ResponsesWriter(asker()).write(list(events))
    for event in told(stream):
        EVENT.validate_python(event)
    assert read(stream).blocks == [
        ToolCall(id="a", name="f", arguments="{}"),
        ToolCall(id="b", name="g", arguments='{"y":1}'),
    ]


def test_logprobs_are_carried() -> None:
    row = {
        "token": "a",
        "logprob": -0.5,
        "bytes": None,
        "top_logprobs": [{"token": "b", "logprob": -1.0, "bytes": [98]}],
    }
    stream = write(ChatReply(blocks=[Text(text="a")], finish=STOP, logprobs=[row]))
    for event in told(stream):
        EVENT.validate_python(event)
    logprobs = read(stream).logprobs
    assert logprobs is not None and logprobs[0]["token"] == "a" and logprobs[0]["top_logprobs"][0]["token"] == "b"


def test_a_cut_answer_is_incomplete() -> None:
    stream = write(ChatReply(blocks=[Text(text="a")], finish=LENGTH))
    last = told(stream)[-1]
    assert last["type"] == "response.incomplete"
    assert last["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
    assert last["response"]["output"][0]["status"] == "incomplete"
    assert read(stream).finish == LENGTH


def test_a_failure_in_mid_stream_is_response_failed() -> None:
    writer = ResponsesWriter(asker())
    stream = writer.write([Start(), BlockStart(0, Text(text="")), TextDelta(0, "a")])
    stream += writer.fail(Problem(Kind.UPSTREAM_FAILED, "It broke."))
    for event in told(stream):
        EVENT.validate_python(event)
    last = told(stream)[-1]
    assert last["type"] == "response.failed" and last["response"]["status"] == "failed"
    assert last["response"]["error"] == {"code": "server_error", "message": "It broke."}
    reader = ResponsesReader()
    assert reader.feed(stream)[-1] == TextDelta(0, "a")
    assert reader.fault is not None and "It broke." in reader.fault.message


def test_a_failure_before_the_first_event_is_an_error_event() -> None:
    (event,) = told(ResponsesWriter(asker()).fail(Problem(Kind.RATE_LIMITED, "Later.")))
    assert EVENT.validate_python(event).type == "error"
    assert event["code"] == "rate_limit_exceeded"


def test_a_request_over_several_lines_stays_one_line_in_the_stream() -> None:
    fields = split(b'{"input":"x","tools":[\n{"type":"function",\r\n"name":"f","parameters":{"n":1.50}}]}')
    stream = ResponsesWriter(Asker("c", "m", 1, fields)).write(events_of(REPLY))
    assert b'"parameters":{"n":1.50}' in stream and b"\r" not in stream
    assert told(stream)[0]["response"]["tools"][0]["name"] == "f"


# What llama.cpp and others send: no numbers, ends all together, a call known by its call_id.
THOUGHT = {"id": "rs_1", "type": "reasoning", "summary": []}
MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant"}
CALL = {"type": "function_call", "call_id": "fc_1", "name": "f"}
HEY = {"type": "output_text", "text": "Hey"}
LLAMA_EVENTS: list[tuple[str, dict[str, Any]]] = [
    ("response.created", {"response": {"id": "resp_1", "object": "response", "status": "in_progress"}}),
    ("response.output_item.added", {"item": {**THOUGHT, "content": [], "encrypted_content": ""}}),
    ("response.reasoning_text.delta", {"item_id": "rs_1", "delta": "hm"}),
    ("response.output_item.added", {"item": {**MESSAGE, "content": []}}),
    ("response.content_part.added", {"item_id": "msg_1", "part": {"type": "output_text", "text": ""}}),
    ("response.output_text.delta", {"item_id": "msg_1", "delta": "He"}),
    ("response.output_text.delta", {"item_id": "msg_1", "delta": "y"}),
    ("response.output_item.added", {"item": {**CALL, "arguments": ""}}),
    ("response.function_call_arguments.delta", {"item_id": "fc_1", "delta": "{}"}),
    ("response.output_item.done", {"item": {**THOUGHT, "content": [{"type": "reasoning_text", "text": "hm"}]}}),
    ("response.output_text.done", {"item_id": "msg_1", "text": "Hey"}),
    ("response.content_part.done", {"item_id": "msg_1", "part": HEY}),
    ("response.output_item.done", {"item": {**MESSAGE, "content": [HEY]}}),
    ("response.output_item.done", {"item": {**CALL, "arguments": "{}"}}),
    ("response.completed", {"response": {"id": "resp_1", "usage": {"input_tokens": 3, "output_tokens": 4}}}),
]
LLAMA = b"".join(
    b"event: %b\ndata: %b\n\n" % (name.encode(), json.dumps({"type": name, **more}).encode())
    for name, more in LLAMA_EVENTS
)


@given(marks)
def test_a_stream_without_numbers_is_read(places: list[int]) -> None:
    reply = read(LLAMA, places)
    assert reply.blocks == [Thinking(text="hm"), Text(text="Hey"), ToolCall(id="fc_1", name="f", arguments="{}")]
    assert reply.usage == Usage(input=3, output=4)


def test_blocks_are_alone_and_stopped() -> None:
    reader = ResponsesReader()
    still: set[int] = set()
    for event in [*reader.feed(LLAMA), *reader.end()]:
        if isinstance(event, BlockStart):
            assert not still
            still.add(event.index)
        elif isinstance(event, BlockStop):
            still.remove(event.index)
    assert not still


@pytest.mark.parametrize("kept", [["response.output_item.done", "response.completed"], ["response.completed"]])
def test_an_answer_that_is_told_late_is_told_once(kept: list[str]) -> None:
    events = [
        b"event: x\ndata: %b\n\n" % json.dumps(value).encode() for value in told(write(REPLY)) if value["type"] in kept
    ]
    reply = read(b"".join(events))
    assert [block for block in reply.blocks if not isinstance(block, ToolCall)] == [
        block for block in REPLY.blocks if not isinstance(block, ToolCall)
    ]
    assert len(reply.blocks) == len(REPLY.blocks)


def test_half_a_surrogate_pair_does_not_break_the_stream() -> None:
    stream = LLAMA.replace(b'"delta": "He"', b'"delta": "H\\ud83d"')
    reply = read(stream)
    assert reply.blocks[1] == Text(text="H\ufffdy")
    assert ResponsesTap(False).feed(stream) == stream


def test_every_cut_is_an_error() -> None:
    stream = write(REPLY)
    whole = stream.rindex(b"event: ")
    for length in range(0, whole, 37):
        reader = ResponsesReader()
        reader.feed(stream[:length])
        with pytest.raises(Problem, match="ended before"):
            reader.end()
        tap = ResponsesTap(False)
        tap.feed(stream[:length])
        with pytest.raises(Problem):
            tap.end()


@given(marks)
def test_the_tap_passes_bytes_unchanged(places: list[int]) -> None:
    stream = write(REPLY)
    tap = ResponsesTap(True)
    assert b"".join([tap.feed(chunk) for chunk in cut(stream, places)]) + tap.end() == stream
    assert tap.complete and tap.fault is None and tap.usage == REPLY.usage and tap.deltas == 6


def test_the_tap_holds_a_failure_back_and_tells_it() -> None:
    writer = ResponsesWriter(asker())
    good = writer.write([Start(), BlockStart(0, Text(text="")), TextDelta(0, "a")])
    bad = writer.fail(Problem(Kind.UPSTREAM_FAILED, "secret"))
    tap = ResponsesTap(True)
    assert tap.feed(good + bad) == good
    assert tap.fault is not None and "secret" in tap.fault.message and not tap.complete
    (event,) = told(tap.fail(Problem(Kind.UPSTREAM_FAILED, "Told.")))
    assert EVENT.validate_python(event).type == "response.failed"
    assert event["response"]["error"]["message"] == "Told."
    assert event["sequence_number"] == told(good)[-1]["sequence_number"] + 1


def test_the_tap_fails_with_an_error_event_before_anything_was_told() -> None:
    (event,) = told(ResponsesTap(True).fail(Problem(Kind.UPSTREAM_FAILED, "Cut.")))
    assert EVENT.validate_python(event).type == "error"


@pytest.mark.parametrize(
    "event",
    [
        b'data: {"error":{"message":"bad","code":"x_y"}}\n\n',
        b'event: error\ndata: {"type":"error","message":"bad","code":"x_y","sequence_number":1}\n\n',
        b'event: response.failed\ndata: {"type":"response.failed","response":{"error":{"code":"x_y","message":"bad"}}}\n\n',
    ],
)
def test_errors_in_the_stream_are_faults(event: bytes) -> None:
    reader, tap = ResponsesReader(), ResponsesTap(False)
    assert reader.feed(event) == [] and tap.feed(event) == b""
    for fault in (reader.fault, tap.fault):
        assert (
            fault is not None and fault.kind is Kind.UPSTREAM_FAILED and "bad" in fault.message and fault.code == "x_y"
        )


TYPES = sorted(
    {event["type"] for event in told(write(REPLY))} | {"response.failed", "error", "response.reasoning_text.delta"}
)
garbage = st.lists(
    st.tuples(
        st.sampled_from(TYPES),
        object_of(
            "delta", "item_id", "output_index", "content_index", "summary_index", "logprobs", "text", "item", "response",
            "arguments", "error", "timings", "refusal", "sequence_number",
        ),
    ).map(lambda pair: b'data: {"type":"%b",%b\n\n' % (pair[0].encode(), pair[1][1:] if len(pair[1]) > 2 else b'"x":1}'))
    | json_bytes.map(lambda value: b"data: %b\n\n" % value),
    max_size=8,
)  # fmt: skip


@settings(max_examples=400)
@given(garbage, marks)
def test_nothing_but_problems_comes_of_garbage(events: list[bytes], places: list[int]) -> None:
    stream = b"".join(events)
    for whole in (stream, stream + LLAMA, LLAMA[: len(LLAMA) // 2] + stream):
        outcomes = []
        for chunks in ([whole], cut(whole, places)):
            reader, tap = ResponsesReader(), ResponsesTap(False)
            found = [event for chunk in chunks for event in reader.feed(chunk)]
            passed = b"".join([tap.feed(chunk) for chunk in chunks if tap.fault is None])
            assert whole.startswith(passed)
            try:
                found += reader.end() if reader.fault is None else []
            except Problem as problem:
                assert problem.kind is Kind.UPSTREAM_FAILED
            ResponsesWriter(asker()).write(found)
            told(tap.fail(Problem(Kind.UPSTREAM_FAILED, "x")))
            outcomes.append(found)
        assert outcomes[0] == outcomes[1]
