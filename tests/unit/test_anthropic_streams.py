"""Streams of Anthropic targets read, and streams for Anthropic callers written: checked with the official SDK."""

import json
from typing import Any

import pytest
from anthropic._streaming import SSEDecoder
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import Message, RawMessageStreamEvent
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from modelyard.canonical.chat import (
    LENGTH,
    PAUSE,
    REFUSED,
    STOP,
    STOP_SEQUENCE,
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
from modelyard.core.raw import split
from modelyard.dialects.anthropic import ANTHROPIC
from modelyard.dialects.anthropic.stream_reader import StreamReader
from modelyard.dialects.anthropic.stream_writer import StreamWriter
from modelyard.dialects.anthropic.tap import AnthropicTap
from modelyard.dialects.dialect import Asker
from tests.unit.make import cut, json_bytes, marks, object_of

MESSAGES = ANTHROPIC.operations[0]
ASKER = Asker("0123", "mine", 1_700_000_000, split(b"{}"))
EVENT: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)

USAGE = Usage(input=5, cached_input=7, cache_write=2, cache_write_1h=3, output=11, reasoning=4)


def accumulated(stream: bytes) -> Message:
    """What the SDK makes of a stream. Each event must be what its types say, and so must the message be."""
    message: Any = None
    buffers: dict[int, bytes] = {}
    for sse in SSEDecoder().iter_bytes(iter([stream])):
        if sse.event == "ping":
            continue
        data = sse.json()
        assert sse.event == data["type"]
        event = EVENT.validate_python(data)
        message = accumulate_event(event=event, current_snapshot=message, json_bufs=buffers)
    return Message.model_validate(message.to_dict())


def said(block: Any) -> tuple[Any, ...]:
    """A block of the hub or of the SDK, in the same words."""
    match block:
        case Text(text=text) | Refusal(text=text):
            return ("text", text)
        case Thinking(text=text, signature=signature, origin=origin):
            foreign = "" if signature is None or origin == "anthropic" else f"modelyard:{origin}:"
            return ("thinking", text, foreign + (signature or ""))
        case Redacted(data=data):
            return ("redacted_thinking", data)
        case ToolCall(id=call_id, name=name, arguments=arguments):
            return ("tool_use", call_id, name, json.loads(arguments or "{}"))
    fields = {"text": ["text"], "thinking": ["thinking", "signature"], "redacted_thinking": ["data"]}
    names = fields.get(block.type, ["id", "name", "input"])
    return (block.type, *(getattr(block, name) for name in names))


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
signatures = st.one_of(st.none(), st.just(("sig", "anthropic")), st.just(("enc", "openai")))
objects = st.dictionaries(texts, texts | st.integers(-9, 9) | st.lists(texts, max_size=2), max_size=3).map(
    lambda value: json.dumps(value, ensure_ascii=False)
)


@st.composite
def streams(draw: st.DrawFn) -> list[Event]:
    """A legal stream of the hub, tool calls open at the same time, their deltas mixed."""
    events: list[Event] = [Start("b-1", "theirs", draw(st.sampled_from([None, Usage(input=3)])))]
    index = 0
    for kind in draw(st.lists(st.sampled_from(["text", "refusal", "thinking", "redacted", "calls"]), max_size=5)):
        if kind == "calls":
            index = _calls(draw, events, index)
            continue
        if kind == "redacted":
            events.append(BlockStart(index, Redacted(data=draw(texts))))
        elif kind == "thinking":
            events.append(BlockStart(index, Thinking(text="")))
            events += [ThinkingDelta(index, text) for text in draw(st.lists(texts, max_size=3))]
            signature = draw(signatures)
            if signature is not None:
                events.append(SignatureDelta(index, *signature))
        else:
            events.append(BlockStart(index, Text(text="") if kind == "text" else Refusal(text="")))
            events += [TextDelta(index, text) for text in draw(st.lists(texts, max_size=3))]
        events.append(BlockStop(index))
        index += 1
    usage = draw(st.sampled_from([None, USAGE, Usage(input=1, output=2)]))
    reason = draw(st.sampled_from([STOP, LENGTH, TOOL_CALLS, REFUSED, PAUSE, STOP_SEQUENCE]))
    events.append(Finish(reason, "END" if reason == STOP_SEQUENCE else None, usage))
    return events


def _calls(draw: st.DrawFn, events: list[Event], index: int) -> int:
    pending: list[list[Event]] = []
    for number in range(index, index + draw(st.integers(1, 3))):
        arguments = draw(objects | st.just(""))
        pieces = cut(arguments.encode(), [])
        at = draw(st.integers(0, len(arguments)))
        pieces_of = [arguments[:at], arguments[at:]] if pieces else []
        call = ToolCall(id=f"call_{number}", name=f"f{number}", arguments="")
        deltas: list[Event] = [ArgumentsDelta(number, piece) for piece in pieces_of]
        pending.append([BlockStart(number, call), *deltas, BlockStop(number)])
    index += len(pending)
    begun: list[list[Event]] = []
    while pending or begun:
        # Blocks begin in their order, whatever else is mixed.
        choices = begun + pending[:1]
        block = choices[draw(st.integers(0, len(choices) - 1))]
        events.append(block.pop(0))
        if pending and block is pending[0]:
            begun.append(pending.pop(0))
        begun = [one for one in begun if one]
    return index


@given(streams(), marks)
def test_the_sdk_accumulates_what_was_streamed(events: list[Event], places: list[int]) -> None:
    writer = StreamWriter(ASKER)
    one_by_one = b"".join(writer.write([event]) for event in events)
    assert StreamWriter(ASKER).write(events) == one_by_one
    message = accumulated(one_by_one)
    reply = reply_of(events)
    assert [said(block) for block in message.content] == [said(block) for block in reply.blocks]
    assert (message.id, message.model, message.role) == ("msg_0123", "mine", "assistant")
    assert message.stop_sequence == reply.stop_sequence
    usage = reply.usage or Usage()
    assert message.usage.input_tokens == usage.input
    assert message.usage.cache_creation_input_tokens == usage.cache_write + usage.cache_write_1h
    assert message.usage.cache_read_input_tokens == usage.cached_input
    assert message.usage.output_tokens == usage.all_output
    # And our own reader hears the same, however the bytes were cut.
    heard = read(*cut(one_by_one, places))
    again = reply_of(heard)
    assert [said(block) for block in again.blocks] == [said(block) for block in reply.blocks]
    assert again.usage == usage
    assert _is_legal(heard)


def _is_legal(events: list[Event]) -> bool:
    opened: set[int] = set()
    for place, event in enumerate(events):
        assert isinstance(event, Start) == (place == 0)
        assert isinstance(event, Finish) == (place == len(events) - 1)
        if isinstance(event, BlockStart):
            opened.add(event.index)
        elif isinstance(event, BlockStop):
            opened.remove(event.index)
        elif not isinstance(event, (Start, Finish)):
            assert event.index in opened
    return not opened


@given(streams())
def test_a_whole_answer_says_the_same_as_its_stream(events: list[Event]) -> None:
    assert MESSAGES.chat is not None
    reply = reply_of(events)
    whole = Message.model_validate(json.loads(MESSAGES.chat.write_reply(reply, ASKER)))
    streamed = accumulated(StreamWriter(ASKER).write(events_of(reply)))
    assert [said(block) for block in whole.content] == [said(block) for block in streamed.content]
    assert (whole.stop_reason, whole.stop_sequence) == (streamed.stop_reason, streamed.stop_sequence)


def test_words_of_a_delta_survive_half_a_surrogate_pair() -> None:
    writer = StreamWriter(ASKER)
    writer.write([Start(), BlockStart(0, Text(text=""))])
    assert "�" in writer.write([TextDelta(0, "a\ud800")]).decode()


def test_a_failure_is_an_event_that_the_sdk_raises() -> None:
    for tap in (StreamWriter(ASKER), AnthropicTap(False)):
        (sse,) = SSEDecoder().iter_bytes(iter([tap.fail(Problem(Kind.UNAVAILABLE, "Too much \ud800"))]))
        assert sse.event == "error"
        assert sse.json()["type"] == "error"
        assert sse.json()["error"]["type"] == "overloaded_error"


# Reading


def sse(kind: str, **fields: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), json.dumps({"type": kind, **fields}).encode())


def begin(**usage: Any) -> bytes:
    message = {"id": "msg_up", "type": "message", "role": "assistant", "model": "theirs", "content": [], "usage": usage}
    return sse("message_start", message=message)


def block(index: int, block: Any, *deltas: Any) -> bytes:
    parts = [sse("content_block_start", index=index, content_block=block)]
    parts += [sse("content_block_delta", index=index, delta=delta) for delta in deltas]
    return b"".join([*parts, sse("content_block_stop", index=index)])


def finish(reason: str | None, **usage: Any) -> bytes:
    delta = {"stop_reason": reason, "stop_sequence": None}
    return sse("message_delta", delta=delta, usage=usage) + sse("message_stop")


TEXT = {"type": "text", "text": ""}
HI = block(0, TEXT, {"type": "text_delta", "text": "Hi"})
GOOD = begin(input_tokens=3, output_tokens=1) + HI + finish("end_turn", output_tokens=2)


def read(*parts: bytes) -> list[Event]:
    reader = StreamReader()
    events: list[Event] = []
    for part in parts:
        events += reader.feed(part)
    assert reader.fault is None, reader.fault.message
    return events + reader.end()


def replied(*parts: bytes) -> ChatReply:
    events = read(*parts)
    assert _is_legal(events)
    return reply_of(events)


def test_everything_that_an_answer_may_hold() -> None:
    reply = replied(
        begin(input_tokens=10, cache_creation_input_tokens=5, cache_read_input_tokens=7,
              cache_creation={"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 3}, output_tokens=1),
        sse("ping"),
        block(0, {"type": "thinking", "thinking": "", "signature": ""}, {"type": "thinking_delta", "thinking": "hm"},
              {"type": "signature_delta", "signature": "sig"}),
        block(1, {"type": "redacted_thinking", "data": "zz"}),
        block(2, {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
              {"type": "input_json_delta", "partial_json": '{"q":1}'}),
        block(3, {"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"type": "x"}]}),
        block(4, TEXT, {"type": "citations_delta", "citation": {"type": "x"}}, {"type": "text_delta", "text": "Hi"}),
        sse("something_new", index=3),
        block(5, {"type": "tool_use", "id": "t", "name": "f", "input": {}}, {"type": "input_json_delta", "partial_json": ""},
              {"type": "input_json_delta", "partial_json": '{"a":'}, {"type": "input_json_delta", "partial_json": "1}"}),
        finish("tool_use", output_tokens=20, output_tokens_details={"thinking_tokens": 6}),
    )  # fmt: skip
    assert reply.blocks == [
        Thinking(text="hm", signature="sig", origin="anthropic"),
        Redacted(data="zz"),
        Text(text="Hi"),
        ToolCall(id="t", name="f", arguments='{"a":1}'),
    ]
    assert reply.finish == TOOL_CALLS
    assert reply.usage == Usage(input=10, cached_input=7, cache_write=2, cache_write_1h=3, output=14, reasoning=6)
    assert (reply.id, reply.model) == ("msg_up", "theirs")


def test_what_stands_in_the_start_of_a_block() -> None:
    reply = replied(
        begin(),
        block(0, {"type": "text", "text": "a"}, {"type": "text_delta", "text": "b"}),
        block(1, {"type": "thinking", "thinking": "c", "signature": "s"}),
        block(2, {"type": "tool_use", "id": "", "name": "f", "input": {"x": 1}}),
        block(3, {"type": "tool_use", "id": "u", "name": "g", "input": {"x": 1}},
              {"type": "input_json_delta", "partial_json": "{}"}),
        finish("end_turn"),
    )  # fmt: skip
    assert reply.blocks == [
        Text(text="ab"),
        Thinking(text="c", signature="s", origin="anthropic"),
        ToolCall(id="toolu_msg_up_2", name="f", arguments='{"x": 1}'),
        ToolCall(id="u", name="g", arguments="{}"),
    ]
    assert reply.finish == TOOL_CALLS


def test_blocks_that_are_never_stopped() -> None:
    start = sse("content_block_start", index=0, content_block=TEXT)
    delta = sse("content_block_delta", index=0, delta={"type": "text_delta", "text": "a"})
    assert replied(begin(), start, delta, start, delta, finish("end_turn")).blocks == [Text(text="a"), Text(text="a")]


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ("end_turn", STOP), ("max_tokens", LENGTH), ("stop_sequence", STOP_SEQUENCE), ("tool_use", STOP),
        ("refusal", REFUSED), ("pause_turn", PAUSE), ("model_context_window_exceeded", LENGTH), ("new", STOP), (None, STOP),
    ],
)  # fmt: skip
def test_why_it_ended(told: str | None, reason: str) -> None:
    assert replied(begin(), HI, finish(told)).finish == reason


def test_a_refusal_without_words_has_those_of_its_reason() -> None:
    details = {"type": "refusal", "category": "bio", "explanation": "I may not."}
    end = sse("message_delta", delta={"stop_reason": "refusal", "stop_details": details}, usage={"output_tokens": 1})
    assert replied(begin(), end, sse("message_stop")).blocks == [Refusal(text="I may not.")]


def test_a_stream_without_its_last_event() -> None:
    whole = begin() + HI + finish("end_turn", output_tokens=2)
    assert replied(whole.removesuffix(sse("message_stop"))).finish == STOP
    assert replied(whole.removesuffix(b"\n\n")).finish == STOP
    for place in (0, 40, len(begin()), len(begin() + HI), len(begin() + HI) + 20):
        reader = StreamReader()
        reader.feed(whole[:place])
        with pytest.raises(Problem) as caught:
            reader.end()
        assert caught.value.kind is Kind.UPSTREAM_FAILED


def test_nothing_after_the_end_is_read() -> None:
    reader = StreamReader()
    events = reader.feed(GOOD + b"data: {broken\n\n" + GOOD)
    assert isinstance(events[-1], Finish)
    assert (reader.feed(GOOD), reader.end(), reader.fault) == ([], [], None)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"type": "overloaded_error", "message": "Overloaded"}, Kind.UNAVAILABLE),
        ({"type": "rate_limit_error", "message": "Slow"}, Kind.RATE_LIMITED),
        ({"type": "api_error", "message": "Oops"}, Kind.UPSTREAM_FAILED),
        ("text", Kind.UPSTREAM_FAILED),
        (None, Kind.UPSTREAM_FAILED),
    ],
)
def test_an_error_in_mid_stream(error: Any, kind: Kind) -> None:
    stream = begin() + HI + sse("error", error=error) + finish("end_turn")
    reader, tap = StreamReader(), AnthropicTap(False)
    assert len(reader.feed(stream)) == 4
    assert tap.feed(stream) == begin() + HI
    for watcher in (reader, tap):
        assert watcher.fault is not None
        assert watcher.fault.kind is kind
    assert not tap.complete


@pytest.mark.parametrize(
    "bad",
    [
        b"data: {half\n\n",
        b"data: [1]\n\n",
        b'data: {"type":3}\n\n',
        sse("content_block_delta", index=7, delta={"type": "text_delta", "text": "x"}),
        sse("content_block_stop", index=7),
        sse("content_block_start", index=1, content_block={"type": "tool_use", "id": "x"}),
        sse("content_block_start", index=1, content_block=None),
        b"data: " + b"[" * 5000 + b"\n\n",
        b'data: {"type":"ping\xff"}\n\n',
    ],
)
def test_what_is_broken_is_a_fault(bad: bytes) -> None:
    reader = StreamReader()
    assert len(reader.feed(begin() + HI + bad + finish("end_turn"))) == 4
    assert reader.fault is not None
    assert reader.fault.kind is Kind.UPSTREAM_FAILED
    with pytest.raises(Problem):
        reader.end()


def test_half_a_surrogate_pair_and_crlf_and_done_are_borne() -> None:
    odd = sse("content_block_delta", index=0, delta={"type": "text_delta", "text": "\ud83d"})
    stop = sse("content_block_stop", index=0)
    stream = begin() + HI.removesuffix(stop) + odd + stop + b"data: [DONE]\n\n" + finish("end_turn")
    assert replied(stream).blocks == [Text(text="Hi�")]
    assert replied(GOOD.replace(b"\n", b"\r\n")).blocks == [Text(text="Hi")]
    assert replied(GOOD.replace(b"event: ", b"id: ")).blocks == [Text(text="Hi")]


@given(marks)
def test_a_tap_passes_every_byte(places: list[int]) -> None:
    tap = AnthropicTap(False)
    stream = begin(input_tokens=3, cache_read_input_tokens=2) + sse("ping") + HI + finish("end_turn", output_tokens=9)
    passed = b"".join(tap.feed(part) for part in cut(stream, places)) + tap.end()
    assert passed == stream
    assert (tap.complete, tap.fault, tap.deltas) == (True, None, 1)
    assert tap.usage == Usage(input=3, cached_input=2, output=9)


def test_a_tap_wants_a_proper_end() -> None:
    whole = begin() + HI + finish("end_turn", output_tokens=2)
    for stream, good in [(whole.removesuffix(sse("message_stop")), True), (begin() + HI, False), (b"", False)]:
        tap = AnthropicTap(False)
        tap.feed(stream)
        if good:
            assert tap.end() == b""
            assert tap.complete
        else:
            with pytest.raises(Problem):
                tap.end()
    tap = AnthropicTap(False)
    tap.feed(whole + b"data: {half")
    assert tap.end() == b""
    tap = AnthropicTap(False)
    assert tap.feed(begin() + b"data: {half\n\n") == begin()
    assert tap.fault is not None


odd_events = st.one_of(
    st.just(GOOD),
    st.sampled_from(GOOD.split(b"\n\n")).map(lambda event: event + b"\n\n"),
    object_of("type", "index", "delta", "usage", "error", "message", "content_block").map(
        lambda data: b"data: " + data + b"\n\n"
    ),
    st.sampled_from(
        ["message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta", "message_stop"]
    ).flatmap(
        lambda kind: object_of("index", "delta", "usage", "error", "message", "content_block").map(
            lambda data: b'data: {"type":"' + kind.encode() + b'"' + (b"," if len(data) > 2 else b"") + data[1:] + b"\n\n"
        )
    ),
    json_bytes.map(lambda data: b"data: " + data + b"\n\n"),
    st.binary(max_size=20),
)  # fmt: skip


@settings(max_examples=300)
@given(st.lists(odd_events, max_size=6), marks)
def test_whatever_comes_ends_well_or_as_a_problem(events: list[bytes], places: list[int]) -> None:
    stream = b"".join(events)
    for make in (StreamReader, lambda: AnthropicTap(False)):
        outcomes = []
        for parts in ([stream], cut(stream, places)):
            watcher: Any = make()
            heard: list[Any] = []
            problem = None
            for part in parts:
                heard += watcher.feed(part)
                if watcher.fault is not None:
                    problem = watcher.fault
                    break
            else:
                try:
                    heard += watcher.end()
                except Problem as raised:
                    problem = raised
            assert problem is None or problem.kind in (Kind.UPSTREAM_FAILED, Kind.UNAVAILABLE, Kind.RATE_LIMITED)
            outcomes.append((heard, problem is None))
        assert outcomes[0] == outcomes[1]
