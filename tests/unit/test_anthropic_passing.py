"""Anthropic calls that pass: what is read of them, what a preset sets, and that all else keeps its bytes."""

import json
from typing import Any

import pytest
from hypothesis import given

from modelyard.canonical.chat import Controls, OutputFormat, Reasoning
from modelyard.canonical.snapshot import Accent, Preset
from modelyard.core.errors import Kind, Problem
from modelyard.core.raw import Fields, Raw, split
from modelyard.dialects.anthropic import ANTHROPIC
from modelyard.dialects.anthropic.passing import read_head
from modelyard.dialects.flavours import FLAVOURS
from tests.unit.make import object_of, target
from tests.unit.test_anthropic_requests import CORPUS

MESSAGES, COUNT = ANTHROPIC.operations
HELLO = [{"role": "user", "content": "Hello"}]


def fields_of(**fields: Any) -> Fields:
    return split(json.dumps({"model": "m", "messages": HELLO, **fields}).encode())


def addressed(fields: Fields, accent: Accent | None = None) -> Any:
    place = target(upstream="theirs", accent=accent or FLAVOURS["anthropic"].accent)
    return json.loads(MESSAGES.passing.address(fields, place, True))


def laid(
    fields: Fields, controls: Controls | None = None, system: str | None = None, *locked: str
) -> tuple[Any, list[str]]:
    preset = Preset(params={}, controls=controls or Controls(params={}), locked_controls=frozenset(locked))
    losses = MESSAGES.passing.overlay(fields, preset, system)
    return json.loads(
        b"{" + b",".join(json.dumps(name).encode() + b":" + bytes(value) for name, value in fields.items()) + b"}"
    ), losses


def test_the_head() -> None:
    head = read_head(fields_of(stream=True, max_tokens=7))
    assert (head.model, head.stream, head.output_bound) == ("m", True, 7)
    assert read_head(fields_of(model=None, max_tokens=None)) == (None, False, None)
    assert read_head(fields_of(max_tokens=0)).output_bound == 0
    assert COUNT.read_head(fields_of(stream=True, max_tokens="x")) == ("m", False, None)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": []}, "messages"), ({"messages": "x"}, "messages"), ({"messages": None}, "messages"),
        ({"model": 3}, "model"), ({"stream": "x"}, "stream"), ({"max_tokens": "x"}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"), ({"max_tokens": -1}, "max_tokens"), ({"max_tokens": 10**40}, "max_tokens"),
    ],
)  # fmt: skip
def test_a_head_that_is_wrong(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(Problem) as caught:
        read_head(fields_of(**fields))
    assert (caught.value.kind, caught.value.param) == (Kind.INVALID_REQUEST, param)


@given(object_of("model", "messages", "stream", "max_tokens", "system", "thinking", "metadata", "tool_choice", "top_k"))
def test_whatever_comes_it_passes_or_is_refused(body: bytes) -> None:
    try:
        fields = split(body)
    except ValueError:
        return
    reasoning = Reasoning(effort="low")
    controls = Controls(params={"user": "u", "temperature": 0.5}, reasoning=reasoning)
    preset = Preset(params={}, controls=controls, locked_controls=frozenset({"reasoning_effort"}))
    problem = None
    try:
        for operation in (MESSAGES, COUNT):
            operation.read_head(fields)
            operation.passing.overlay(fields, preset, "Be brief.")
            operation.passing.address(fields, target(), True)
    except Problem as raised:
        problem = raised
    assert problem is None or problem.kind is Kind.INVALID_REQUEST


def test_every_other_byte_passes() -> None:
    body = (CORPUS / "coding-agent.json").read_bytes()
    fields = split(bytes(split(body)["body"]))
    before = dict(fields)
    place = target(upstream="theirs", accent=FLAVOURS["anthropic"].accent)
    passed = split(MESSAGES.passing.address(fields, place, True))
    assert fields == before
    assert bytes(passed.pop("model")) == b'"theirs"'
    assert all(bytes(value) == bytes(fields[name]) for name, value in passed.items())
    assert passed.keys() == fields.keys() - {"model"}


def test_what_the_api_requires_is_set() -> None:
    assert addressed(fields_of()) == {"model": "theirs", "messages": HELLO, "max_tokens": 4096}
    assert addressed(fields_of(max_tokens=None))["max_tokens"] == 4096
    assert addressed(fields_of(max_tokens=3))["max_tokens"] == 3
    told = json.loads(COUNT.passing.address(fields_of(), target(upstream="theirs"), False))
    assert told == {"model": "theirs", "messages": HELLO}


def test_an_accent() -> None:
    accent = Accent(dialect="anthropic", paths={}, translate={}, refuses=frozenset({"top_k"}), renames={"a": "b"})
    assert addressed(fields_of(top_k=3, a=1), accent) == {
        "model": "theirs",
        "messages": HELLO,
        "max_tokens": 4096,
        "b": 1,
    }


def test_thoughts_of_other_models_are_taken_out() -> None:
    foreign = {"type": "thinking", "thinking": "a", "signature": "modelyard:openai:x"}
    unsigned = {"type": "thinking", "thinking": "b", "signature": ""}
    own = {"type": "thinking", "thinking": "c", "signature": "sig"}
    said = {"type": "text", "text": 'a "signature":"" b'}
    messages = [
        {"role": "user", "content": 'What is "signature":"" for?'},
        {"role": "assistant", "content": [foreign, unsigned, own, said]},
        {"role": "assistant", "content": [unsigned]},
    ]
    told = addressed(fields_of(messages=messages))["messages"]
    assert told == [
        messages[0],
        {"role": "assistant", "content": [own, said]},
        {"role": "assistant", "content": [{"type": "text", "text": "."}]},
    ]


def test_a_preset_fills_what_is_open() -> None:
    controls = Controls(
        params={"temperature": 0.25, "top_k": 5, "stop": ["A"], "user": "p", "seed": 1, "max_tokens": 50},
        output=OutputFormat(schema=Raw(b'{"type":"object","additionalProperties":false}')),
        extras={"inference_geo": "eu"},
    )
    body, losses = laid(
        fields_of(temperature=0.75, top_k=None, metadata={"user_id": "mine"}, output_config={"effort": "low"}), controls
    )
    assert body == {
        "model": "m", "messages": HELLO, "temperature": 0.75, "top_k": 5, "metadata": {"user_id": "mine"},
        "output_config": {
            "effort": "low",
            "format": {"type": "json_schema", "schema": {"type": "object", "additionalProperties": False}},
        },
        "stop_sequences": ["A"], "max_tokens": 50, "inference_geo": "eu",
    }  # fmt: skip
    assert losses == ["seed"]


def test_what_a_preset_locks_wins() -> None:
    controls = Controls(params={"temperature": 0.25, "stop": ["A"], "user": "p", "max_tokens": 31})
    body, losses = laid(
        fields_of(temperature=0.75, stop_sequences=["B"], metadata={"user_id": "mine"}, max_tokens=55),
        controls, None, "temperature", "stop", "user", "max_tokens",
    )  # fmt: skip
    assert (body["temperature"], body["stop_sequences"], body["metadata"]) == (0.25, ["A"], {"user_id": "p"})
    assert body["max_tokens"] == 31
    assert losses == []


def test_a_system_prompt_goes_in_front() -> None:
    text = {"type": "text", "text": "mine"}
    for given_, expected in [
        (None, "S"), ("", "S"), ("mine", "S\nmine"), ([], [{"type": "text", "text": "S"}]),
        ([text], [{"type": "text", "text": "S"}, text]),
    ]:  # fmt: skip
        assert laid(fields_of(system=given_), system="S")[0]["system"] == expected
        fields = fields_of(system=given_)
        assert COUNT.passing.overlay(fields, Preset(params={}, controls=Controls(params={"top_k": 1})), "S") == []
        assert json.loads(bytes(fields["system"])) == expected
        assert "top_k" not in fields
    with pytest.raises(Problem):
        laid(fields_of(system=3), system="S")


def test_json_without_a_schema_is_asked_for_in_words() -> None:
    body, losses = laid(fields_of(system="mine"), Controls(params={}, output=OutputFormat()), "S")
    assert body["system"].startswith("S\nAnswer with one JSON object")
    assert losses == ["response_format"]


def test_a_presets_thinking() -> None:
    think = Controls(params={}, reasoning=Reasoning(effort="low"))
    body, losses = laid(fields_of(), think)
    assert (body["thinking"], body["max_tokens"]) == ({"type": "enabled", "budget_tokens": 1024}, 5120)
    assert losses == []
    assert laid(fields_of(thinking={"type": "disabled"}), think)[0]["thinking"] == {"type": "disabled"}
    locked = laid(fields_of(thinking={"type": "disabled"}), think, None, "reasoning_effort")
    assert locked[0]["thinking"]["type"] == "enabled"
    off = laid(fields_of(), Controls(params={}, reasoning=Reasoning(enabled=False)))
    assert off[0]["thinking"] == {"type": "disabled"}


def test_a_presets_thinking_gives_way_to_the_request_unless_it_is_locked() -> None:
    think = Controls(params={}, reasoning=Reasoning(effort="low"))
    for fields in ({"temperature": 0.5}, {"tool_choice": {"type": "any"}}, {"max_tokens": 100}):
        body, losses = laid(fields_of(**fields), think)
        assert "thinking" not in body
        assert losses == ["reasoning_effort"]
    begun = [*HELLO, {"role": "assistant", "content": "The"}]
    assert laid(fields_of(messages=begun), think)[1] == ["reasoning_effort"]
    body, losses = laid(fields_of(temperature=0.5, top_k=3), think, None, "reasoning_effort")
    assert body["thinking"]["type"] == "enabled"
    assert losses == ["temperature", "top_k"]
    assert not body.keys() & {"temperature", "top_k"}


def test_a_callers_thinking_keeps_a_presets_temperature_out() -> None:
    fields = fields_of(thinking={"type": "enabled", "budget_tokens": 2048}, max_tokens=4096)
    body, losses = laid(fields, Controls(params={"temperature": 0.25, "top_p": 0.99}), None, "temperature")
    assert "temperature" not in body
    assert body["top_p"] == 0.99
    assert losses == ["temperature"]


def test_a_callers_budget_fits_below_a_locked_bound() -> None:
    def fitted(bound: int) -> tuple[Any, list[str]]:
        fields = fields_of(thinking={"type": "enabled", "budget_tokens": 2048, "display": "omitted"}, max_tokens=4096)
        return laid(fields, Controls(params={"max_tokens": bound}), None, "max_tokens")

    body, losses = fitted(2000)
    assert (body["max_tokens"], losses) == (2000, [])
    assert body["thinking"] == {"type": "enabled", "budget_tokens": 1500, "display": "omitted"}
    assert fitted(3000)[0]["thinking"]["budget_tokens"] == 2048
    body, losses = fitted(31)
    assert "thinking" not in body
    assert losses == ["reasoning_effort"]


def test_without_the_thoughts_of_its_calls_an_answer_cannot_think() -> None:
    unsigned = {"type": "thinking", "thinking": "b", "signature": ""}
    call = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "t"}
    messages = [*HELLO, {"role": "assistant", "content": [unsigned, call]}, {"role": "user", "content": [result]}]
    fields = fields_of(messages=messages, thinking={"type": "enabled", "budget_tokens": 2048})
    assert addressed(fields)["thinking"] == {"type": "disabled"}
