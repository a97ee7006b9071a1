"""Ollama calls that pass: what is read of them, what a preset lays over them, and how their streams are watched."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from modelyard.canonical.chat import Controls, OutputFormat, Reasoning
from modelyard.canonical.snapshot import Preset
from modelyard.canonical.usage import Usage
from modelyard.core import raw
from modelyard.core.errors import Kind, Problem
from modelyard.dialects.dialect import Head, Operation
from modelyard.dialects.ollama import OLLAMA, passing
from modelyard.dialects.ollama.passing import OllamaTap
from tests.unit.make import cut, json_bytes, marks, object_of, target

CORPUS = Path(__file__).parents[1] / "corpus" / "ollama"
CASES = {path.stem: json.loads(path.read_text()) for path in sorted(CORPUS.glob("*.json"))}
STREAMS = {
    name: case["body"].encode()
    for name, case in CASES.items()
    if "ndjson" in (case["content_type"] or "") and name.startswith(("chat-", "generate-"))
}
BY_NAME: dict[str, Operation] = {operation.name: operation for operation in OLLAMA.operations}


def fields(**values: Any) -> raw.Fields:
    return raw.split(json.dumps(values).encode())


def head(operation: str, **values: Any) -> Head:
    return BY_NAME[operation].read_head(fields(**values))


MESSAGES = [{"role": "user", "content": "hi"}]


def test_operations_are_where_ollama_has_them():
    assert [(operation.id, operation.path, operation.family) for operation in OLLAMA.operations] == [
        ("ollama.chat", "/api/chat", "chat"),
        ("ollama.generate", "/api/generate", "chat"),
        ("ollama.embed", "/api/embed", "embeddings"),
        ("ollama.embeddings", "/api/embeddings", "embeddings"),
    ]


def test_a_head_is_read():
    assert head("chat", model="m", messages=MESSAGES) == Head("m", True, None)
    assert head("chat", model="m", messages=MESSAGES, stream=False, options={"num_predict": 7.9}) == Head("m", False, 7)
    assert head("chat", messages=[], options={"num_predict": -1}, stream=None) == Head(None, True, None)
    assert head("generate", model="", prompt="", options=None) == Head(None, True, None)
    assert head("generate", model="m") == Head("m", True, None)
    assert head("embed", model="m", input=["a"]) == Head("m", False, None)
    assert head("embed", model="m") == Head("m", False, None)
    assert head("embeddings", model="m", prompt="a") == Head("m", False, None)


@pytest.mark.parametrize(
    ("operation", "values", "param"),
    [
        ("chat", {"messages": "hi"}, "messages"),
        ("chat", {"messages": {"role": "user"}}, "messages"),
        ("chat", {"messages": MESSAGES, "model": 3}, "model"),
        ("chat", {"messages": MESSAGES, "stream": "no"}, "stream"),
        ("chat", {"messages": MESSAGES, "options": []}, "options"),
        ("chat", {"messages": MESSAGES, "options": {"num_predict": "5"}}, "options.num_predict"),
        ("generate", {"prompt": ["x"]}, "prompt"),
        ("embed", {"input": 3}, "input"),
        ("embeddings", {"prompt": ["x"]}, "prompt"),
    ],
)
def test_a_wrong_head_is_refused(operation: str, values: dict[str, Any], param: str):
    with pytest.raises(Problem) as caught:
        head(operation, **values)
    assert (caught.value.kind, caught.value.param) == (Kind.INVALID_REQUEST, param)


def test_what_only_loads_is_told_apart():
    assert passing.only_loads("chat", fields(messages=[]))
    assert passing.only_loads("chat", fields(prompt="x"))
    assert passing.only_loads("generate", fields(prompt=""))
    assert passing.only_loads("generate", fields(model="m"))
    assert not passing.only_loads("chat", fields(messages=MESSAGES))
    assert not passing.only_loads("generate", fields(prompt="x"))
    assert not passing.only_loads("generate", fields(images=["x"]))
    for zero in (0, 0.0, "0", "0s", "0m0s"):
        assert passing.only_unloads("chat", fields(messages=[], keep_alive=zero))
    for other in (5, -1, "5m", "10s", None, ""):
        assert not passing.only_unloads("chat", fields(messages=[], keep_alive=other))
    assert not passing.only_unloads("generate", fields(prompt="x", keep_alive=0))


PRESET = Preset(
    params={},
    controls=Controls(
        params={"temperature": 0.5, "max_tokens": 9, "keep_alive": "-1", "user": "u"},
        output=OutputFormat(),
        reasoning=Reasoning(effort="low"),
        extras={"draft_num_predict": 2},
    ),
)


def laid(
    operation: str, preset: Preset, prompt: str | None = None, /, **values: Any
) -> tuple[dict[str, Any], list[str]]:
    given = fields(**values)
    losses = BY_NAME[operation].passing.overlay(given, preset, prompt)
    return json.loads(raw.join(given)), losses


def test_a_preset_fills_what_the_caller_left_open():
    body, losses = laid(
        "chat", PRESET, "Be kind.", messages=MESSAGES, think=False, options={"temperature": 1.0, "x": 1}
    )
    assert body == {
        "messages": [{"role": "system", "content": "Be kind."}, *MESSAGES], "think": False, "format": "json",
        "keep_alive": -1, "options": {"temperature": 1.0, "x": 1, "num_predict": 9, "draft_num_predict": 2},
    }  # fmt: skip
    assert losses == ["user"]


def test_a_preset_wins_where_it_is_locked():
    locked = Preset(
        params={},
        controls=PRESET.controls,
        locked_controls=frozenset({"max_tokens", "reasoning_effort", "response_format"}),
    )
    body, _ = laid(
        "chat", locked, messages=MESSAGES, think=False, format={}, options={"temperature": 1, "num_predict": 1}
    )
    assert (body["think"], body["format"]) == ("low", "json")
    assert body["options"] == {"temperature": 1, "num_predict": 9, "draft_num_predict": 2}


def test_a_system_prompt_goes_before_the_callers_own():
    own = [{"role": "System", "content": "Mine.", "extra": 1}, *MESSAGES]
    body, _ = laid("chat", Preset(params={}), "Ours.", messages=own)
    assert body["messages"] == [{"role": "System", "content": "Ours.\nMine.", "extra": 1}, *MESSAGES]
    assert laid("generate", Preset(params={}), "Ours.", prompt="x", system="Mine.")[0]["system"] == "Ours.\nMine."
    assert laid("generate", Preset(params={}), "Ours.", prompt="x")[0]["system"] == "Ours."
    assert laid("generate", Preset(params={}), "Ours.", prompt="x", raw=True) == (
        {"prompt": "x", "raw": True},
        ["system"],
    )
    assert laid("embed", Preset(params={}), "Ours.", input="x") == ({"input": "x"}, ["system"])


def test_a_request_that_only_loads_stays_one():
    assert laid("chat", Preset(params={}), "Ours.", messages=[]) == ({"messages": []}, [])
    assert laid("generate", Preset(params={}), "Ours.", prompt="") == ({"prompt": ""}, [])


def test_a_suffix_is_laid_only_over_a_generation():
    preset = Preset(params={}, controls=Controls(params={"suffix": "end"}))
    assert laid("generate", preset, prompt="x") == ({"prompt": "x", "suffix": "end"}, [])
    assert laid("chat", preset, messages=MESSAGES) == ({"messages": MESSAGES}, ["suffix"])


def test_an_embedding_gets_only_what_loads_the_model():
    preset = Preset(params={}, controls=Controls(params={"num_ctx": 5, "keep_alive": "5m", "temperature": 0.1}))
    body, losses = laid("embed", preset, input="x")
    assert (body, losses) == ({"input": "x", "options": {"num_ctx": 5}, "keep_alive": "5m"}, ["temperature"])


@given(object_of("messages", "prompt", "system", "options", "raw", "think", "format", "keep_alive", "input"))
def test_whatever_the_bytes_an_overlay_fits_or_is_refused(body: bytes):
    try:
        given_fields = raw.split(body)
    except raw.NotJson:
        return
    kinds: set[Kind] = set()
    for operation in OLLAMA.operations:
        try:
            operation.read_head(given_fields)
            ours = dict(given_fields)
            operation.passing.overlay(ours, PRESET, "Ours.")
            passing.only_unloads(operation.name, ours)
            raw.split(operation.passing.address(ours, target(), True))
        except Problem as problem:
            kinds.add(problem.kind)
    assert kinds <= {Kind.INVALID_REQUEST}


def test_only_the_model_is_changed_on_the_way():
    given_fields = raw.split(
        b'{"messages": [ {"role":"user"} ], "model":"x", "options":{"temperature":1.0}, "odd": 1e5}'
    )
    body = passing.address(given_fields, target(upstream="up"), True)
    assert body == b'{"messages":[ {"role":"user"} ],"model":"up","options":{"temperature":1.0},"odd":1e5}'
    assert bytes(given_fields["model"]) == b'"x"'
    assert passing.asked_for_usage(given_fields)


# Answers


def watch(body: bytes, places: list[int]) -> tuple[bytes, OllamaTap, str]:
    tap = OllamaTap(False)
    out = b""
    for chunk in cut(body, places):
        out += tap.feed(chunk)
        if tap.fault is not None:
            return out, tap, tap.fault.message
    try:
        return out + tap.end(), tap, ""
    except Problem as problem:
        return out, tap, problem.message


@pytest.mark.parametrize("name", STREAMS)
def test_a_recorded_stream_passes_unchanged(name: str):
    body = STREAMS[name]
    last = json.loads(body.splitlines()[-1])
    out, tap, failed = watch(body, [])
    if last.get("done"):
        assert (out, failed, tap.complete) == (body, "", True)
        assert tap.usage == Usage(input=last["prompt_eval_count"], output=last["eval_count"])
        assert tap.deltas == len(body.splitlines()) - 1
    else:
        assert last.get("error", "before the answer was complete") in failed
        assert out == (body[: body.rindex(b"{")] if "error" in last else body)
        assert not tap.complete


@given(marks)
def test_borders_change_nothing_for_the_tap(places: list[int]):
    for name in ("chat-stream", "chat-error-in-stream-runner-died", "chat-repetition-aborted-stream"):
        whole, cut_up = watch(STREAMS[name], []), watch(STREAMS[name], places)
        assert (whole[0], whole[2], whole[1].usage, whole[1].deltas) == (
            cut_up[0], cut_up[2], cut_up[1].usage, cut_up[1].deltas,
        )  # fmt: skip


def test_odd_lines_pass_and_broken_ones_do_not():
    odd = b'{"message":3,"done":"\\ud800"}\n{"x":1,"error":null}\r\n'
    out, tap, failed = watch(odd + b'{"done":true,"done_reason":"load"}', [])
    assert (out[: len(odd)], failed, tap.usage) == (odd, "", Usage())
    for bad in (b"<html>\n", b"[]\n", b'{"error":{"message":"it broke"}}\n', b'{"message":\n'):
        out, tap, failed = watch(odd + bad, [])
        assert out == odd
        assert failed
        assert json.loads(tap.fail(Problem(Kind.UPSTREAM_FAILED, failed))) == {"error": failed}
    for cut_short in (b"", b"\n", odd, b'{"done":tr'):
        assert watch(cut_short, [])[2]


def test_what_comes_after_the_end_passes():
    out, tap, failed = watch(b'{"done":true}\n{"error":"late"}\nrest', [])
    assert (out, failed, tap.complete) == (b'{"done":true}\n{"error":"late"}\nrest', "", True)


def test_usage_of_whole_answers():
    assert passing.read_usage(CASES["chat-whole"]["body"].encode()) == Usage(input=21, output=17)
    assert passing.read_usage(CASES["embed-batch"]["body"].encode()) == Usage(input=31)
    assert passing.read_usage(CASES["embeddings"]["body"].encode()) is None
    assert passing.read_usage(CASES["chat-unload"]["body"].encode()) == Usage()
    assert passing.read_usage(CASES["chat-thinking-in-history"]["body"].encode()) is None
    assert passing.read_usage(b'{"message":"\\ud800","eval_count":"x"}') is None
    for bad in (b"", b"<html>", b"[]", b'{"error":"x"}', CASES["chat-repetition-aborted-whole"]["body"].encode()):
        with pytest.raises(Problem) as caught:
            passing.read_usage(bad)
        assert caught.value.kind is Kind.UPSTREAM_FAILED


@given(object_of("message", "done", "error", "eval_count", "done_reason"), json_bytes)
def test_whatever_the_bytes_the_tap_says_so(body: bytes, odd: bytes):
    line = b'{"message":%b,"done":true,"eval_count":%b}\n' % (odd, odd)
    out, _, failed = watch(body + b"\n" + line, [])
    assert failed or out == body + b"\n" + line
    kind = Kind.UPSTREAM_FAILED
    try:
        passing.read_usage(body)
    except Problem as problem:
        kind = problem.kind
    assert kind is Kind.UPSTREAM_FAILED


def test_watching_one_line_is_cheap():
    line = STREAMS["chat-stream"].split(b"\n")[0] + b"\n"
    tap = OllamaTap(False)
    started = time.process_time()
    for _ in range(5000):
        tap.feed(line)
    assert (time.process_time() - started) / 5000 < 20e-6
