# ruff: noqa: PT017 - either outcome is right
"""Streams of chat completions to and from the hub's events."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types import Completion
from openai.types.chat import ChatCompletionChunk

from modelyard.canonical.chat import ChatReply, Redacted, Refusal, Text, Thinking, Timings, ToolCall
from modelyard.canonical.events import (
    ArgumentsDelta,
    BlockStart,
    BlockStop,
    Event,
    Finish,
    Start,
    TextDelta,
    events_of,
    reply_of,
)
from modelyard.canonical.usage import Usage
from modelyard.core import raw
from modelyard.core.errors import Kind, Problem
from modelyard.dialects.dialect import Asker
from modelyard.dialects.openai.translation import CHAT, COMPLETIONS
from tests.unit.make import cut, json_bytes, marks, object_of
from tests.unit.openai_make import calls, replies, words

DONE = b"data: [DONE]\n\n"


def asker(*, usage: bool = True, **fields: Any) -> Asker:
    told = {"stream_options": {"include_usage": usage}, **fields}
    return Asker("c1", "our-name", 1_700_000_000, raw.split(json.dumps(told).encode()))


def chunk(delta: Any = None, finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": {} if delta is None else delta, "finish_reason": finish}
    return b"data: " + json.dumps({"id": "x", "model": "theirs", "choices": [choice], **more}).encode() + b"\n\n"


def call(
    index: int | None, call_id: str | None = None, name: str | None = None, arguments: Any = None
) -> dict[str, Any]:
    told = {"index": index, "id": call_id, "function": {"name": name, "arguments": arguments}}
    return {"tool_calls": [{key: value for key, value in told.items() if value is not None}]}


LAST = chunk(finish="stop")


def read(*chunks: bytes) -> list[Event]:
    reader = CHAT.reader()
    events = [event for one in chunks for event in reader.feed(one)]
    assert reader.fault is None, reader.fault.message
    return events + reader.end()


def told(*chunks: bytes) -> Any:
    """What came of a stream: its events, and the problem that ended it if one did."""
    reader = CHAT.reader()
    events = [event for one in chunks for event in reader.feed(one)]
    try:
        return events + reader.end(), None
    except Problem as problem:
        assert problem.kind is Kind.UPSTREAM_FAILED
        return events, problem.message


def lawful(events: list[Event]) -> None:
    """The order that `canonical.events` promises."""
    opened: dict[int, Any] = {}
    assert isinstance(events[0], Start) and isinstance(events[-1], Finish)
    count = 0
    for event in events[1:-1]:
        if isinstance(event, BlockStart):
            assert event.index == count
            count += 1
            assert all(isinstance(block, ToolCall) for block in opened.values())
            assert not opened or isinstance(event.block, ToolCall)
            opened[event.index] = event.block
        elif isinstance(event, BlockStop):
            del opened[event.index]
        else:
            assert event.index in opened  # type: ignore[union-attr] # only deltas are left
    assert not opened


def test_text_with_usage_after_it() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}}
    assert read(chunk({"role": "assistant", "content": ""}), chunk({"content": "a"}), LAST, chunk(usage=usage), DONE) == [
        Start("x", "theirs"),
        BlockStart(0, Text(text="")),
        TextDelta(0, "a"),
        BlockStop(0),
        Finish("stop", None, Usage(input=5, cached_input=4, output=5)),
    ]  # fmt: skip


def test_the_end_comes_with_the_terminator_and_what_is_late_is_ignored() -> None:
    reader = CHAT.reader()
    assert not any(isinstance(event, Finish) for event in reader.feed(chunk({"content": "a"}, "length")))
    assert reader.feed(DONE + b"data: {broken\n\n")[-1] == Finish("length")
    assert (reader.feed(b"data: {broken\n\n"), reader.end(), reader.fault) == ([], [], None)


@pytest.mark.parametrize(
    "deltas",
    [
        [call(0, "a", "f"), call(0, None, None, '{"x"'), call(1, "b", "g", "{}"), call(0, None, None, ":1}")],
        [call(None, "a", "f", '{"x":1}'), call(None, "b", "g", "{}")],
        [call(0, "a", "f", '{"x":1}'), call(0, "b", "g", "{}")],
        [call(0, "a", "f", '{"x"'), call(0, "a", "f", ":1}"), call(1, "b", "g", "{}")],
        [call(0, "a", "f", '{"x"'), call(0, None, "f", ":1}"), call(1, "b", "g", "{}")],
        [call(None, "a", "f", ""), call(None, None, None, '{"x":1}'), call(None, "b", "g", {})],
        [call(0, "a", None, '{"x"'), call(0, None, "f", ":1}"), call(1, "b", "g", "{}")],
        [{"tool_calls": [*call(0, "a", "f", {"x": 1})["tool_calls"], *call(0, "b", "g", {})["tool_calls"]]}],
        [call(0, "a", "f"), {"content": "\n"}, call(0, None, None, '{"x":1}'), call(1, "b", "g", "{}")],
    ],
)
def test_tool_calls_however_they_come(deltas: list[Any]) -> None:
    events = read(*map(chunk, deltas), LAST, DONE)
    lawful(events)
    reply = reply_of(events)
    found = [block for block in reply.blocks if isinstance(block, ToolCall)]
    assert found == [ToolCall(id="a", name="f", arguments='{"x":1}'), ToolCall(id="b", name="g", arguments="{}")]
    assert reply.finish == "tool_calls"


def test_calls_without_ids_that_share_an_index() -> None:
    events = read(
        chunk(call(0, "", "f", '{"x":1}')), chunk(call(0, "", "f", '{"x":2}')), chunk(call(0, "", "g", "{}")), LAST
    )
    assert [block.arguments for block in reply_of(events).blocks] == ['{"x":1}', '{"x":2}', "{}"]  # type: ignore[union-attr]


def test_a_function_call_as_it_was_called_first() -> None:
    deltas = [{"function_call": {"name": "f", "arguments": ""}}, {"function_call": {"arguments": "{}"}}]
    assert reply_of(read(*map(chunk, deltas), chunk(finish="function_call"))).blocks == [
        ToolCall(id="call_x_0", name="f", arguments="{}")
    ]


@pytest.mark.parametrize(
    ("deltas", "block"),
    [
        ([{"reasoning_content": "a"}, {"reasoning_content": "b"}], Thinking(text="ab")),
        ([{"reasoning": "ab", "reasoning_content": "ab"}], Thinking(text="ab")),
        ([{"reasoning": "ab"}], Thinking(text="ab")),
        ([{"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "ab"}]}]}], Thinking(text="ab")),
        (
            [
                {"reasoning_content": "ab", "thinking_blocks": [{"type": "thinking", "thinking": "ab"}]},
                {"thinking_blocks": [{"type": "thinking", "thinking": "", "signature": "modelyard:anthropic:s"}]},
            ],
            Thinking(text="ab", signature="s", origin="anthropic"),
        ),
        ([{"thinking_blocks": [{"type": "redacted_thinking", "data": "d"}]}], Redacted(data="d")),
    ],
)
def test_thoughts_by_whatever_name(deltas: list[Any], block: Any) -> None:
    events = read(*map(chunk, deltas), chunk({"content": [{"type": "text", "text": "c"}]}), LAST)
    lawful(events)
    assert reply_of(events).blocks == [block, Text(text="c")]


def test_liberties_of_real_servers() -> None:
    stream = (
        b': hello\r\n\r\ndata:{"choices":[],"prompt_filter_results":[]}\r\n\r\n'
        b'event: chunk\r\ndata: {"id":1,"choices":[{"delta":{"content":"a"},"index":0},'
        b'{"delta":{"content":"z"},"index":1}]}\r\n\r\n'
        b'data: {"choices":[{"delta":{"content":"b\\ud83d"},"finish_reason":"stop","stop_reason":"###",'
        b'"logprobs":{"content":[5]}}],'
        b'"usage":{"prompt_tokens":3,"completion_tokens":true},"timings":{"prompt_ms":1.5,"predicted_ms":2}}'
    )
    assert read(stream) == [
        Start(),
        BlockStart(0, Text(text="")),
        TextDelta(0, "a"),
        TextDelta(0, "b"),
        TextDelta(0, "\ufffd"),
        BlockStop(0),
        Finish("stop_sequence", "###", Usage(input=3), Timings(total=3_500_000, prompt=1_500_000, output=2_000_000)),
    ]


@pytest.mark.parametrize(
    ("texts", "whole"),
    [
        ([b"a\\ud83d", b"\\ude00b"], "a\U0001f600b"),
        ([b"\\ud83d", b"", b"\\ude00"], "\U0001f600"),
        ([b"\\ud83d", b"b"], "\ufffdb"),
        ([b"\\ud83d", b"\\ud83d"], "\ufffd\ufffd"),
        ([b"\\ude00"], "\ufffd"),
    ],
)
def test_a_character_cut_in_two(texts: list[bytes], whole: str) -> None:
    chunks = [b'data: {"choices":[{"delta":{"content":"%b"}}]}\n\n' % text for text in texts]
    assert reply_of(read(*chunks, LAST)).blocks == [Text(text=whole)]


def test_refusals_and_text_completions() -> None:
    assert reply_of(read(chunk({"refusal": "no"}), LAST)).blocks == [Refusal(text="no")]
    text = b'data: {"choices":[{"text":"a","logprobs":{"tokens":["a"],"token_logprobs":[-1],"top_logprobs":[{"b":-2}]}}]}\n\n'
    reply = reply_of(read(text, b'data: {"choices":[{"text":"","finish_reason":"length"}]}\n\n', DONE))
    top = [{"token": "b", "logprob": -2.0, "bytes": None}]
    assert reply.logprobs == [{"token": "a", "logprob": -1.0, "bytes": None, "top_logprobs": top}]
    assert (reply.blocks, reply.finish) == ([Text(text="a")], "length")


def test_a_server_that_does_not_stream() -> None:
    body = b'{\n "choices": [{"message": {"content": "a"}, "finish_reason": "stop"}]\n}'
    for chunks in ([body], [body + b"\n\n"], [body[:9], body[9:]]):
        assert reply_of(read(*chunks)).blocks == [Text(text="a")]


@pytest.mark.parametrize(
    "stream",
    [
        b"", b": hi\n\n", DONE, b"<html>\n\n", chunk({"content": "a"}), chunk({"content": "a"}) + b'data: {"choices"',
        chunk({"content": "a"}) + b"data: {broken\n\n", chunk({"content": "a"}) + b'data: {"error":{"message":"m"}}\n\n',
        b'data: {"error":"m"}\n\n', b'{"error":{"message":"m"}}', b'data: {"object":"error","message":"m"}\n\n',
        chunk({"content": 5}), chunk(call(0, "a", None, "{}"), "tool_calls") + DONE, chunk(finish="error"),
        LAST + b'data: {"usage":',
    ],
)  # fmt: skip
def test_a_stream_that_breaks_never_ends_well(stream: bytes) -> None:
    events, problem = told(stream)
    assert problem
    assert not any(isinstance(event, Finish) for event in events)


def test_events_before_the_fault_are_given() -> None:
    reader = CHAT.reader()
    assert TextDelta(0, "a") in reader.feed(chunk({"content": "a"}) + b'data: {"error":{"message":"m"}}\n\n' + LAST)
    assert reader.fault is not None and "m" in reader.fault.message
    with pytest.raises(Problem):
        reader.end()


deltas = st.one_of(
    st.builds(lambda text: {"content": text}, words),
    st.builds(lambda text: {"reasoning_content": text}, words),
    st.builds(lambda text: {"refusal": text}, words),
    st.builds(call, st.none() | st.integers(0, 2), st.none() | words, st.none() | words, st.none() | words),
    st.just({"thinking_blocks": [{"type": "redacted_thinking", "data": "d"}, {"signature": "s"}]}),
)


@given(st.lists(deltas, max_size=8), marks, st.sampled_from([b"\n\n", b"\r\n\r\n"]), st.booleans())
def test_any_chunking_gives_the_same(found: list[Any], places: list[int], end: bytes, done: bool) -> None:
    stream = b"".join([*map(chunk, found), LAST, DONE if done else b""]).replace(b"\n\n", end)
    events, problem = told(stream)
    assert told(*cut(stream, places)) == (events, problem)
    if problem is None:
        lawful(events)


@given(st.lists(json_bytes | object_of("choices", "error", "usage", "id", "timings") | st.binary(max_size=20)), marks)
def test_garbage_never_raises_anything_else(found: list[bytes], places: list[int]) -> None:
    stream = chunk({"content": "a"}) + b"".join(b"data: " + data + b"\n\n" for data in found)
    told(*cut(stream, places))
    nested = b"".join(b'data: {"choices":[{"delta":' + data + b',"index":0}]}\n\n' for data in found)
    told(*cut(nested, places))


def accumulated(stream: bytes) -> Any:
    """What the official SDK makes of a stream."""
    state = ChatCompletionStreamState()
    *events, last, rest = stream.split(b"\n\n")
    assert (last, rest) == (b"data: [DONE]", b"")
    for event in events:
        list(state.handle_chunk(ChatCompletionChunk.model_validate_json(event.removeprefix(b"data: "))))
    return state.current_completion_snapshot


@given(replies())
def test_a_stream_comes_back_as_it_was(reply: ChatReply) -> None:
    writer = CHAT.writer(asker())
    stream = b"".join([writer.write([event]) for event in events_of(reply)])
    events = read(stream)
    lawful(events)
    back = reply_of(events)
    for block in back.blocks:
        if isinstance(block, Thinking) and block.signature is None:
            block.origin = ""
    assert back == reply
    message = accumulated(stream).choices[0].message
    assert (message.content or "") == "".join(block.text for block in reply.blocks if isinstance(block, Text))
    assert [one.id for one in message.tool_calls or []] == [b.id for b in reply.blocks if isinstance(b, ToolCall)]


@given(calls, words)
def test_calls_that_alternate(found: list[ToolCall], piece: str) -> None:
    events: list[Event] = [Start()]
    events += [BlockStart(number, ToolCall(id=one.id, name=one.name, arguments="")) for number, one in enumerate(found)]
    events += [ArgumentsDelta(number, piece) for _ in "ab" for number in range(len(found))]
    events += [*(BlockStop(number) for number in range(len(found))), Finish("tool_calls" if found else "stop")]
    stream = CHAT.writer(asker()).write(events)
    assert [block.arguments for block in reply_of(read(stream)).blocks] == [piece * 2 for _ in found]  # type: ignore[union-attr]


def test_usage_is_told_to_who_asked() -> None:
    events = events_of(ChatReply(blocks=[Text(text="a")], finish="stop", usage=Usage(input=3, output=1)))
    asked = CHAT.writer(asker()).write(events).split(b"\n\n")
    assert all(b'"usage":null' in event for event in asked[:-3])
    last = json.loads(asked[-3].removeprefix(b"data: "))
    assert (last["choices"], last["usage"]["total_tokens"]) == ([], 4)
    first = json.loads(asked[0].removeprefix(b"data: "))
    assert first["choices"][0]["delta"]["role"] == "assistant"
    assert (first["id"], first["model"], first["created"]) == ("chatcmpl-c1", "our-name", 1_700_000_000)
    assert b"usage" not in CHAT.writer(asker(usage=False)).write(events)


def test_a_call_without_arguments_is_an_empty_object() -> None:
    reply = ChatReply(blocks=[ToolCall(id="", name="f", arguments="")], finish="tool_calls")
    calls = accumulated(CHAT.writer(asker()).write(events_of(reply))).choices[0].message.tool_calls
    assert (calls[0].id, calls[0].function.arguments) == ("call_c1_0", "{}")
    old = accumulated(CHAT.writer(asker(functions=[])).write(events_of(reply))).choices[0]
    assert old.finish_reason == "function_call"
    assert (old.message.function_call.name, old.message.function_call.arguments) == ("f", "{}")


def test_logprobs_travel() -> None:
    rows = [{"token": "a", "logprob": -0.5, "bytes": None, "top_logprobs": []}]
    events = events_of(ChatReply(blocks=[Text(text="a")], finish="stop", logprobs=rows))
    assert reply_of(read(CHAT.writer(asker()).write(events))).logprobs == rows
    chunks = COMPLETIONS.writer(asker()).write(events).split(b"\n\n")[:-2]
    # The SDK's type has no null where the API sends one until the last chunk; its client does not insist.
    told = [Completion.construct(**json.loads(one.removeprefix(b"data: "))) for one in chunks]
    assert "".join(one.choices[0].text for one in told if one.choices) == "a"
    assert told[1].choices[0].logprobs is not None and told[1].choices[0].logprobs.text_offset == [0]
    assert told[-1].usage is not None and told[-2].choices[0].finish_reason == "stop"
    assert COMPLETIONS.writer(asker()).write(events).endswith(DONE)


def test_a_failure_has_no_done() -> None:
    for translation in (CHAT, COMPLETIONS):
        event = translation.writer(asker()).fail(Problem(Kind.UPSTREAM_FAILED, "m", code="c"))
        assert json.loads(event.removeprefix(b"data: "))["error"]["code"] == "c"
        assert event.endswith(b"\n\n") and b"[DONE]" not in event
