# ruff: noqa: PT017 - either outcome is right
import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.canonical.snapshot import Preset
from modelyard.canonical.usage import MOST_TOKENS, Usage
from modelyard.core import raw
from modelyard.core.errors import Kind, Problem
from modelyard.dialects.dialect import OTHER
from modelyard.dialects.flavours import FLAVOURS
from modelyard.dialects.openai.media import MEDIA, PlainTap, read_usage
from tests.unit.make import cut, json_bytes, marks, object_of, target

BY_NAME = {operation.name: operation for operation in MEDIA}
GOOD = {
    "speech": b'{"input":"hi"}',
    "transcriptions": b"{}",
    "translations": b"{}",
    "images": b'{"prompt":"a cat"}',
    "image_edits": b'{"prompt":"a cat"}',
    "moderations": b'{"input":["a"]}',
    "rerank": b'{"query":"a","documents":["b"]}',
}
names = st.sampled_from(sorted(BY_NAME))


def fields_of(body: bytes | dict[str, Any]) -> raw.Fields:
    return raw.split(body if isinstance(body, bytes) else json.dumps(body).encode())


def test_every_path_is_served_by_some_flavour() -> None:
    served = {name: path for flavour in FLAVOURS.values() for name, path in flavour.accent.paths.items()}
    for operation in MEDIA:
        assert (operation.family, operation.dialect, operation.chat, operation.embeddings) == (
            OTHER,
            "openai",
            None,
            None,
        )
        assert operation.path.startswith("/v1/")
        assert operation.id in served


@pytest.mark.parametrize("name", sorted(GOOD))
def test_the_head(name: str) -> None:
    fields = fields_of(GOOD[name])
    assert BY_NAME[name].read_head(fields) == (None, False, None)
    assert BY_NAME[name].read_head({**fields, "model": raw.Raw(b'"m"'), "stream": raw.Raw(b"true")}) == (
        "m",
        True,
        None,
    )
    for field in fields:
        for wrong in (None, b"5", b"null", b"{}", b"[]", b"[ ]"):
            bad = {one: value for one, value in fields.items() if one != field}
            if wrong is not None:
                bad[field] = raw.Raw(wrong)
            with pytest.raises(Problem) as caught:
                BY_NAME[name].read_head(bad)
            assert (caught.value.kind, caught.value.param) == (Kind.INVALID_REQUEST, field)


@given(names, object_of("model", "stream", "input", "prompt", "query", "documents"))
def test_fuzz_the_head(name: str, body: bytes) -> None:
    try:
        fields = raw.split(body)
    except raw.NotJson:
        return
    try:
        BY_NAME[name].read_head(fields)
    except Problem as problem:
        assert problem.kind is Kind.INVALID_REQUEST
        assert problem.param is not None


@pytest.mark.parametrize(
    ("name", "params", "laid", "losses"),
    [
        ("speech", {"voice": "alloy", "temperature": 1}, {"voice": "alloy"}, ["temperature", "system"]),
        ("speech", {"response_format": {"type": "json_object"}}, {}, ["response_format", "system"]),
        ("speech", {"response_format": "wav"}, {"response_format": "wav"}, ["system"]),
        ("images", {"n": 2, "size": "1x1", "seed": 1}, {"n": 2, "size": "1x1"}, ["seed", "system"]),
        ("rerank", {"top_n": 3}, {"top_n": 3}, ["system"]),
        ("moderations", {"n": 2}, {}, ["n", "system"]),
        ("transcriptions", {"language": "de"}, {}, ["language", "system"]),
        ("image_edits", {"n": 2}, {}, ["n", "system"]),
    ],
)
def test_a_preset_lays_what_the_operation_knows(name: str, params: Any, laid: Any, losses: list[str]) -> None:
    fields = fields_of(GOOD[name])
    assert BY_NAME[name].passing.overlay(fields, Preset(params=params), "be kind") == losses
    assert {one: raw.value_of(value) for one, value in fields.items()} == {**json.loads(GOOD[name]), **laid}


def test_the_request_wins_unless_the_preset_locks() -> None:
    overlay = BY_NAME["speech"].passing.overlay
    fields = fields_of({"input": "a", "voice": "mine"})
    assert overlay(fields, Preset(params={"voice": "theirs"}), None) == []
    assert raw.value_of(fields["voice"]) == "mine"
    overlay(fields, Preset(params={"voice": "theirs"}, locked=frozenset({"voice"})), None)
    assert raw.value_of(fields["voice"]) == "theirs"


@pytest.mark.parametrize("name", sorted(GOOD))
def test_only_the_model_is_set_and_no_usage_is_asked_for(name: str) -> None:
    fields = {**fields_of(GOOD[name]), "stream": raw.Raw(b"true"), "x": raw.Raw(b"[1.0 ]")}
    sent = BY_NAME[name].passing.address(fields, target(upstream="up"), True)
    assert raw.split(sent) == {**fields, "model": raw.Raw(b'"up"')}
    assert BY_NAME[name].passing.asked_for_usage(fields)


@pytest.mark.parametrize(
    ("wire", "usage"),
    [
        ({"usage": {"input_tokens": 50, "output_tokens": 4000, "total_tokens": 4050,
                    "input_tokens_details": {"text_tokens": 10, "image_tokens": 40}}}, Usage(input=50, output=4000)),
        ({"text": "a", "usage": {"type": "tokens", "input_tokens": 14, "output_tokens": 5,
                                 "input_token_details": {"text_tokens": 4, "audio_tokens": 10}}},
         Usage(input=4, audio_input=10, output=5)),
        ({"text": "a", "usage": {"type": "duration", "seconds": 9}}, None),
        ({"results": [], "usage": {"total_tokens": 7}}, Usage(input=7)),
        ({"results": [], "usage": {"prompt_tokens": 7, "total_tokens": 7}}, Usage(input=7)),
        ({"results": [], "meta": {"tokens": {"input_tokens": 9, "output_tokens": 1}}}, Usage(input=9, output=1)),
        ({"results": [], "meta": {"billed_units": {"search_units": 1}}}, None),
        ({"data": [], "usage": None}, None),
        ({"usage": {"input_tokens": -5, "output_tokens": 10**30}}, Usage(output=MOST_TOKENS)),
        ({"usage": {"input_tokens": 3, "input_tokens_details": {"cached_tokens": 2, "audio_tokens": 9}}},
         Usage(cached_input=2, audio_input=1)),
        ({"usage": {"input_tokens": True}}, None),
        ({"error": None, "usage": {"total_tokens": 1.0}}, Usage(input=1)),
        ([], None),
    ],
)  # fmt: skip
def test_usage_where_it_is_told(wire: Any, usage: Usage | None) -> None:
    assert read_usage(json.dumps(wire).encode()) == usage


@pytest.mark.parametrize(
    "body", [b"", b"ID3\x04\x00\xff", b"1\n00:00:00,000 --> 00:00:01,000\nhi", b"{", b'{"a":"\xff"}', b"<p>"]
)
def test_what_is_not_json_passes(body: bytes) -> None:
    assert read_usage(body) is None


def test_an_error_in_place_of_an_answer() -> None:
    with pytest.raises(Problem, match="out of memory") as caught:
        read_usage(b'{"error":{"message":"out of memory"}}')
    assert caught.value.kind is Kind.UPSTREAM_FAILED


@given(
    st.binary(max_size=40)
    | json_bytes
    | object_of("usage", "meta", "error")
    | object_of("input_tokens", "total_tokens", "input_token_details", "output_tokens").map(
        lambda usage: b'{"usage":' + usage + b"}"
    )
)
def test_fuzz_usage(body: bytes) -> None:
    try:
        read_usage(body)
    except Problem as problem:
        assert problem.kind is Kind.UPSTREAM_FAILED


DONE = b'event: image_generation.completed\ndata: {"b64_json":"%b","usage":{"input_tokens":5,"output_tokens":6}}\n\n'


@given(st.binary(max_size=30) | st.sampled_from([b"data: {}\n\n", b"data: nope", b'data: {"usage":{'] * 2), marks)
def test_any_bytes_pass_however_they_are_cut(body: bytes, places: list[int]) -> None:
    tap = PlainTap(True)
    assert b"".join([tap.feed(chunk) for chunk in cut(body, places)]) + tap.end() == body
    assert tap.complete
    assert (tap.fault, tap.deltas) == (None, 0)


@given(marks, st.integers(0, 9000))
def test_the_usage_of_an_event_stream_is_read(places: list[int], size: int) -> None:
    body = b'data: {"usage":{"total_tokens":1}}\n\n' + DONE % (b"A" * size) + b"data: [DONE]\n\n"
    tap = PlainTap(False)
    for chunk in cut(body, places):
        tap.feed(chunk)
    tap.end()
    assert tap.usage == Usage(input=5, output=6)


def test_sound_that_looks_like_usage_is_sound() -> None:
    tap = PlainTap(False)
    tap.feed(b'\xff\xfb"usage":{"input_tokens":5}')
    tap.end()
    assert tap.usage is None


@pytest.mark.parametrize(
    ("begun", "told"), [(b"", False), (b"\xff\xfb\x90", False), (b"data: {}\n\n", True), (b": hi", True)]
)
def test_the_end_of_a_stream_that_breaks(begun: bytes, told: bool) -> None:
    tap = PlainTap(False)
    tap.feed(begun)
    event = tap.fail(Problem(Kind.UPSTREAM_FAILED, "cut off"))
    assert (b"cut off" in event) is told
    assert not tap.complete


@pytest.mark.parametrize(
    "told",
    [
        b'data: {"error":{"message":"no: KEY"}}\n\n',
        b'event: error\ndata: {"message":"no: KEY"}\n\n',
        b'data: {"type":"response.failed","response":{"error":{"message":"no: KEY"}}}\n\n',
        b'\r\ndata: {"\\u0065rror":"no: KEY"}',
    ],
)
@given(places=marks)
def test_errors_in_a_stream_of_events_do_not_pass(told: bytes, places: list[int]) -> None:
    tap = PlainTap(False)
    passed = b""
    with suppress(Problem):
        for chunk in cut(told, places):
            passed += tap.feed(chunk)
        passed += tap.end()
        assert tap.fault is not None
    assert b"KEY" not in passed


@pytest.mark.parametrize(
    "told", [b'{"error":"KEY"}\n', b'{"a":1}\n{"error":"KEY"}', b'{\n  "error": {\n"message": "KEY"}}\n']
)
def test_lines_that_are_errors_do_not_pass(told: bytes) -> None:
    tap = PlainTap(False)
    assert b"error" not in tap.feed(told)
    if tap.fault is None:
        with pytest.raises(Problem):
            tap.end()


@given(st.binary(max_size=20).filter(lambda body: b"error" not in body), marks)
def test_lines_pass_as_they_are(body: bytes, places: list[int]) -> None:
    tap = PlainTap(False)
    body = b'{"error":null}\n\n' + body
    assert b"".join([tap.feed(chunk) for chunk in cut(body, places)]) + tap.end() == body
