"""What steers an answer, in all its spellings."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.canonical.chat import (
    OutputFormat,
    Reasoning,
)
from modelyard.dialects.openai.parameters import preset_controls
from tests.unit.openai_make import FIELDS, PLAIN, read, refused, shaped, texts, written


def test_every_spelling_of_the_parameters() -> None:
    request = read(
        max_tokens=7, max_completion_tokens=9, num_predict=3, temperature=1, seed=5.0, stop="x", n=1, user=None,
        safety_identifier="u", logprobs=True, top_logprobs=2, logit_bias={"1": -100}, min_p=0.1, keep_alive="5m",
        options={"num_ctx": 4096, "temperature": 0.2, "numa": True}, format={"type": "object"}, think="high",
    )  # fmt: skip
    assert request.controls.params == {
        "max_tokens": 9, "temperature": 1.0, "seed": 5, "stop": ["x"], "n": 1, "user": "u", "logprobs": True,
        "top_logprobs": 2, "logit_bias": {"1": -100}, "min_p": 0.1, "keep_alive": "5m", "num_ctx": 4096,
    }  # fmt: skip
    assert request.controls.reasoning == Reasoning(effort="high")
    assert request.unread == ["options.numa"]
    body, losses = written(
        request, replace(PLAIN, renames={"max_tokens": "max_completion_tokens"}, refuses=frozenset({"min_p"}))
    )
    assert (body["max_completion_tokens"], body["num_ctx"], body["reasoning_effort"]) == (9, 4096, "high")
    assert body["response_format"]["json_schema"]["schema"] == {"type": "object"}
    assert "max_tokens" not in body and "n" not in body
    assert losses == ["min_p"]
    assert read(max_tokens=-1).controls.params == {}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", True), ("temperature", "1"), ("max_tokens", 1.5), ("stop", [1]), ("logit_bias", []),
        ("seed", "x"), ("stream", "yes"), ("response_format", "json"), ("response_format", {"type": "json_schema"}),
        ("reasoning_effort", "enormous"), ("think", 5), ("options", []), ("tools", {}), ("tool_choice", "maybe"),
        ("metadata", "x"), ("top_k", 1e300 + 0.5 if False else "many"), ("thinking", {"type": 5}),
    ],
)  # fmt: skip
def test_a_wrong_type_is_named(field: str, value: Any) -> None:
    assert (refused(**{field: value}) or "").split(".")[0] == field


@pytest.mark.parametrize(
    ("fields", "reasoning", "effort"),
    [
        ({"reasoning_effort": "none"}, Reasoning(enabled=False, effort="none"), "none"),
        ({"reasoning": {"max_tokens": 5000}}, Reasoning(budget=5000), "medium"),
        ({"reasoning": {"effort": "max", "exclude": False}}, Reasoning(effort="max"), "xhigh"),
        ({"reasoning": {"enabled": False, "effort": "high"}}, Reasoning(enabled=False), "none"),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, Reasoning(budget=1024), "low"),
        ({"thinking": {"type": "disabled"}}, Reasoning(enabled=False), "none"),
        ({"think": True}, Reasoning(), "medium"),
        ({"think": "low", "thinking": {"type": "auto", "budget_tokens": 9}}, Reasoning(effort="low", budget=9), "low"),
    ],
)  # fmt: skip
def test_reasoning(fields: dict[str, Any], reasoning: Reasoning, effort: str) -> None:
    request = read(**fields)
    assert request.controls.reasoning == reasoning
    assert written(request)[0]["reasoning_effort"] == effort


def test_output_formats() -> None:
    schema = {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}, "strict": True}}
    request = read(response_format=schema)
    assert written(request) == ({**written(read())[0], "response_format": schema}, [])
    body, losses = written(request, replace(PLAIN, json_schema=False))
    assert (body["response_format"], losses) == ({"type": "json_object"}, ["response_format"])
    assert read(response_format={"type": "json_object"}).controls.output == OutputFormat()
    assert read(response_format={"type": "text"}).controls.output is None
    assert read(response_format={"type": "grammar"}).unread == ["response_format"]


def test_metadata_goes_with_a_stored_answer_only() -> None:
    assert written(read(metadata={"a": "b"}))[1] == ["metadata"]
    body, losses = written(read(metadata={"a": "b"}, store=True))
    assert (body["metadata"], body["store"], losses) == ({"a": "b"}, True, [])


def test_a_preset_is_never_unread() -> None:
    controls = preset_controls(
        {"temperature": 1, "num_predict": 5, "custom": {"a": 1}, "top_k": "many", "think": False, "n": float("nan"),
         "options": {"num_ctx": 8, "numa": True}, "reasoning_effort": "low", "bad": {1, 2}.__iter__()}
    )  # fmt: skip
    assert controls.params == {"temperature": 1.0, "max_tokens": 5, "num_ctx": 8}
    assert controls.reasoning == Reasoning(effort="low")
    assert controls.extras == {"custom": {"a": 1}, "top_k": "many", "numa": True}


@given(st.dictionaries(texts | st.sampled_from(FIELDS), shaped, max_size=5))
def test_a_preset_of_garbage_compiles(params: dict[str, Any]) -> None:
    preset_controls(params)
