# ruff: noqa: PT017 - either outcome is right
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import astuple

from modelyard.canonical.usage import Usage, count
from modelyard.core.errors import Kind, Problem
from modelyard.dialects.openai.answer import OpenAITap, read_usage
from tests.unit.make import cut, json_bytes, marks, object_of

DELTA = b'data: {"choices":[{"index":0,"delta":{"content":"a"}}],"usage":null}'
SPACED = b'data:{ "choices" : [ {"delta":{}, "finish_reason" : null} ] }'
LAST = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}'
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":7}}'
BARE_USAGE = b'data: {"usage":{"prompt_tokens":1,"completion_tokens":2},"id":"x"}'
BOTH = b'data: {"choices":[{"delta":{"content":"b"}}],"usage":{"prompt_tokens":9,"completion_tokens":9}}'
DONE = b"data: [DONE]"
COMMENT = b": keep-alive"
NAMED = b'event: chunk\ndata: {"choices":[{"delta":{}}]}'
OTHER = b'data: {"object":"ping","choices":"none"}'

events = st.lists(st.sampled_from([DELTA, SPACED, USAGE, BARE_USAGE, BOTH, COMMENT, NAMED, OTHER]), max_size=8)
ONLY_USAGE = (USAGE, BARE_USAGE)


def run(tap: OpenAITap, chunks: list[bytes]) -> bytes:
    return b"".join([tap.feed(chunk) for chunk in chunks]) + tap.end()


def told(tap: OpenAITap, chunks: list[bytes]) -> object:
    """What came of a stream: its bytes, or the kind of its problem, and the books either way."""
    try:
        return run(tap, chunks), tap.usage, tap.deltas
    except Problem as problem:
        return problem.kind, problem.message, tap.usage, tap.deltas


@given(events, marks, st.booleans(), st.sampled_from([b"\n\n", b"\r\n\r\n"]))
def test_output_is_input_without_usage_only_events(
    found: list[bytes], places: list[int], take_out: bool, end: bytes
) -> None:
    found = [*found, LAST, USAGE, DONE]
    tap = OpenAITap(take_out)
    output = run(tap, cut(b"".join(event + end for event in found), places))
    assert output == b"".join(event + end for event in found if not (take_out and event in ONLY_USAGE))
    assert tap.usage == Usage(input=5, output=7)
    assert tap.deltas == sum(event in (DELTA, SPACED, BOTH, NAMED, LAST) for event in found)


@given(events, marks, st.lists(st.sampled_from([b"\n\n", b"\r\n\r\n", b"\r\r", b"\n\r\n"]), min_size=11, max_size=11))
def test_any_chunking_gives_the_same(found: list[bytes], places: list[int], ends: list[bytes]) -> None:
    stream = b"".join(event + end for event, end in zip([*found, LAST, DONE], ends, strict=False))
    assert told(OpenAITap(True), cut(stream, places)) == told(OpenAITap(True), [stream])


@given(
    st.integers(0, 10**6), st.integers(0, 10**6), st.none() | st.integers(0, 10**6), st.none() | st.integers(0, 10**6)
)
def test_usage_buckets_are_disjoint_and_sum_up(
    prompt: int, completion: int, cached: int | None, reasoning: int | None
) -> None:
    wire = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }
    usage = read_usage(json.dumps({"id": "x", "usage": wire}).encode())
    assert usage is not None
    assert usage.total == prompt + completion
    assert usage.input + usage.cached_input == prompt
    assert usage.output + usage.reasoning == completion
    assert usage.cached_input == min(cached or 0, prompt)


figures = st.none() | st.sampled_from([0, 1, 5, 2**50, 10**30, -3, 7.0, 2.5])
totals = ["prompt_tokens", "completion_tokens", "total_tokens", "prompt_cache_hit_tokens"]


@given(st.dictionaries(st.sampled_from(totals), figures),
       st.dictionaries(st.sampled_from(["cached_tokens", "cache_write_tokens", "audio_tokens"]), figures),
       st.dictionaries(st.sampled_from(["reasoning_tokens", "audio_tokens"]), figures))  # fmt: skip
def test_no_token_is_counted_twice_whatever_a_backend_claims(wire: Any, inside: Any, outside: Any) -> None:
    wire = {**wire, "prompt_tokens_details": inside, "completion_tokens_details": outside}
    usage = read_usage(json.dumps({"usage": wire}).encode())
    assert usage is not None
    prompt, completion = count(wire.get("prompt_tokens")), count(wire.get("completion_tokens"))
    assert usage.all_input == prompt
    assert completion <= usage.all_output <= max(completion, count(wire.get("total_tokens")))
    assert all(isinstance(bucket, int) and bucket >= 0 for bucket in astuple(usage))


@pytest.mark.parametrize(
    ("wire", "usage"),
    [
        ({"prompt_tokens": 20, "completion_tokens": 9,
          "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 6},
          "completion_tokens_details": {"reasoning_tokens": 2, "audio_tokens": 3}},
         Usage(input=10, cached_input=4, audio_input=6, output=4, reasoning=2, audio_output=3)),
        ({"prompt_tokens": 20, "prompt_tokens_details": {"cache_write_tokens": 8}}, Usage(input=12, cache_write=8)),
        # DeepSeek
        ({"prompt_tokens": 20, "completion_tokens": 1, "prompt_cache_hit_tokens": 15, "prompt_cache_miss_tokens": 5},
         Usage(input=5, cached_input=15, output=1)),
        # xAI: the thoughts are beside the completion
        ({"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 17, "completion_tokens_details": {"reasoning_tokens": 10}},
         Usage(input=3, output=4, reasoning=10)),
        # Gemini: they are in the total only
        ({"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 17}, Usage(input=3, output=4, reasoning=10)),
        # embeddings
        ({"prompt_tokens": 8, "total_tokens": 8}, Usage(input=8)),
        ({"prompt_tokens": 8, "total_tokens": 9}, Usage(input=8)),
    ],
)  # fmt: skip
def test_where_servers_put_their_tokens(wire: Any, usage: Usage) -> None:
    assert read_usage(json.dumps({"usage": wire}).encode()) == usage


def test_the_end_of_a_stream_that_breaks() -> None:
    event = OpenAITap(False).fail(Problem(Kind.UPSTREAM_FAILED, "cut off"))
    assert json.loads(event.removeprefix(b"data: "))["error"]["message"] == "cut off"
    assert event.endswith(b"}\n\n")


HOSTILE = [
    {"prompt_tokens": -5, "completion_tokens": 3},
    {"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": -3}},
    {"completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": -3}},
    {"prompt_tokens": 10**30, "completion_tokens": 1},
]


@pytest.mark.parametrize("wire", HOSTILE)
def test_a_backend_that_lies_cannot_give_negative_or_unstorable_tokens(wire: dict[str, object]) -> None:
    """A negative figure gives a key tokens back; one beyond 64 bits makes PostgreSQL refuse the whole batch for ever."""
    usage = read_usage(json.dumps({"usage": wire}).encode())
    if usage is not None:
        for bucket in (usage.input, usage.cached_input, usage.cache_write, usage.output, usage.reasoning):
            assert 0 <= bucket < 2**63


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b'{"error":{"message":"out of memory","type":"server_error"}}', "out of memory"),
        (b'{"error":"plain"}', "plain"),
        (b'{"error":{"code":5}}', "no reason given"),
        (b'{"choices":[],"error":{"message":"late"}}', "late"),
    ],
)
def test_error_events(data: bytes, says: str) -> None:
    tap = OpenAITap(False)
    assert tap.feed(DELTA + b"\n\n")
    assert tap.feed(DELTA + b"\n\n" + b"data: " + data + b"\n\n" + DELTA + b"\n\n") == DELTA + b"\n\n"
    assert tap.fault is not None
    assert tap.fault.kind is Kind.UPSTREAM_FAILED
    assert says in tap.fault.message


@pytest.mark.parametrize(
    "line", [b"data: {", b"data: nope", b'data: {"choices":[', b"data: {}x", b"data: <html>", b"data: {'a':1}"]
)
def test_broken_lines(line: bytes) -> None:
    tap = OpenAITap(False)
    assert tap.feed(line + b"\n\n") == b""
    assert tap.fault is not None
    assert tap.fault.kind is Kind.UPSTREAM_FAILED
    assert "not JSON" in tap.fault.message


@pytest.mark.parametrize(
    "stream", [b"", b"\n\n", COMMENT + b"\n\n", DELTA + b"\n\n", DELTA + b"\n\n" + USAGE + b"\n\n", DELTA]
)
def test_a_missing_end(stream: bytes) -> None:
    tap = OpenAITap(False)
    tap.feed(stream)
    with pytest.raises(Problem) as caught:
        tap.end()
    assert caught.value.kind is Kind.UPSTREAM_FAILED


@pytest.mark.parametrize("tail", [b"", b"\n", b"\r", b"\r\n"])
@pytest.mark.parametrize("last", [DONE, LAST])
def test_a_last_event_without_its_blank_line(last: bytes, tail: bytes) -> None:
    tap = OpenAITap(False)
    assert tap.feed(DELTA + b"\n\n" + last + tail) == DELTA + b"\n\n"
    assert tap.end() == last + b"\n\n"


def test_a_last_usage_event_without_its_blank_line() -> None:
    tap = OpenAITap(True)
    assert tap.feed(LAST + b"\n\n" + USAGE) == LAST + b"\n\n"
    assert tap.end() == b""
    assert tap.usage == Usage(input=5, output=7)


def test_half_an_event_at_the_end_is_a_fault_also_after_a_finish() -> None:
    tap = OpenAITap(False)
    tap.feed(LAST + b"\n\n" + USAGE[:-4])
    with pytest.raises(Problem):
        tap.end()


@given(st.lists(st.binary(max_size=40), max_size=5))
def test_random_bytes_pass_or_are_a_problem(chunks: list[bytes]) -> None:
    told(OpenAITap(True), chunks)


chunk_bytes = object_of("choices", "usage", "error", "id") | json_bytes
usage_bytes = object_of("prompt_tokens", "completion_tokens", "prompt_tokens_details", "completion_tokens_details")


@given(
    st.lists(chunk_bytes | usage_bytes.map(lambda usage: b'{"choices":[],"usage":' + usage + b"}"), max_size=4),
    st.booleans(),
)
def test_random_json_passes_or_is_a_problem(found: list[bytes], take_out: bool) -> None:
    stream = b"".join(b"data: " + data + b"\n\n" for data in found)
    told(OpenAITap(take_out), [stream, LAST + b"\n\n"])


@given(
    json_bytes
    | object_of("usage", "choices")
    | usage_bytes.map(lambda usage: b'{"usage":' + usage + b"}")
    | st.binary(max_size=20)
)
def test_read_usage_gives_usage_or_a_problem(body: bytes) -> None:
    try:
        read_usage(body)
    except Problem as problem:
        assert problem.kind is Kind.UPSTREAM_FAILED


def test_half_a_surrogate_pair_in_the_text_is_not_our_business() -> None:
    """A backend that escapes and cuts inside an emoji sends `\\ud83d` and `\\ude00` in two events: RFC 8259 lets it."""
    stream = b"".join(b'data: {"choices":[{"delta":{"content":"%b"}}]}\n\n' % half for half in (b"\\ud83d", b"\\ude00"))
    assert run(OpenAITap(False), [stream, LAST + b"\n\n"]) == stream + LAST + b"\n\n"
