import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.canonical.snapshot import Preset, Target
from modelyard.core import raw
from modelyard.core.errors import Kind, Problem
from modelyard.dialects.flavours import FLAVOURS, accent_for
from modelyard.dialects.openai.request import address, left_out, overlay_chat
from tests.unit.make import json_bytes, object_of, target

USER = {"role": "user", "content": "hi"}


def at(flavour: str, model: str = "m") -> Target:
    """A target of this flavour, where its own service is."""
    row = FLAVOURS[flavour]
    return replace(target(upstream=model), accent=accent_for(row, model))


def fields_of(**fields: Any) -> raw.Fields:
    return raw.split(json.dumps({"messages": [USER], **fields}).encode())


def sent(to: Target, **fields: Any) -> Any:
    given = fields_of(**fields)
    before = dict(given)
    body = json.loads(address(given, to, False))
    assert given == before
    del body["model"]
    if body.get("messages") == [USER]:
        del body["messages"]
    return body


@pytest.mark.parametrize(
    ("flavour", "model", "fields", "expected"),
    [
        ("openai", "gpt-4o", {"max_tokens": 5, "temperature": 0}, {"max_tokens": 5, "temperature": 0}),
        ("openai", "gpt-4o", {"top_k": 5, "seed": 1, "unheard_of": 1}, {"seed": 1, "unheard_of": 1}),
        ("openai", "o3-mini", {"max_tokens": 5, "temperature": 0}, {"max_completion_tokens": 5}),
        ("openai", "gpt-5", {"max_tokens": 5, "top_p": 0.5}, {"max_completion_tokens": 5}),
        ("openai", "gpt-5.1", {"max_tokens": 5, "top_p": 0.5}, {"max_completion_tokens": 5, "top_p": 0.5}),
        ("openai", "gpt-5-chat-latest", {"max_tokens": 5, "top_p": 0.5}, {"max_completion_tokens": 5, "top_p": 0.5}),
        ("azure", "o4-mini", {"max_tokens": 5, "logprobs": True}, {"max_completion_tokens": 5}),
        ("compatible", "m", {"max_completion_tokens": 5, "top_k": 1, "think": 2}, {"max_tokens": 5, "top_k": 1, "think": 2}),
        ("compatible", "gpt-5", {"max_tokens": 5, "temperature": 0}, {"max_completion_tokens": 5, "temperature": 0}),
        ("mistral", "m", {"seed": 1, "max_completion_tokens": 5}, {"random_seed": 1, "max_tokens": 5}),
        ("mistral", "m", {"seed": 1, "random_seed": 2}, {"random_seed": 2}),
        ("mistral", "m", {"seed": 1, "random_seed": None}, {"random_seed": 1}),
        ("mistral", "m", {"stream": True, "stream_options": {"include_usage": True}}, {"stream": True}),
        ("groq", "m", {"logit_bias": {"1": 1}, "seed": 1}, {"seed": 1}),
        ("gemini", "m", {"frequency_penalty": 1, "seed": 1, "top_p": 1}, {"top_p": 1}),
        ("deepseek", "m", {"max_completion_tokens": 5, "top_k": 1}, {"max_tokens": 5, "top_k": 1}),
        ("xai", "grok-4-0709", {"stop": ["a"], "seed": 1}, {"seed": 1}),
        ("xai", "grok-4-fast-non-reasoning", {"stop": ["a"]}, {"stop": ["a"]}),
        ("openrouter", "openai/gpt-5", {"max_tokens": 5, "top_k": 1}, {"max_tokens": 5, "top_k": 1}),
        ("vllm", "m", {"top_k": 5, "max_completion_tokens": 5}, {"top_k": 5, "max_completion_tokens": 5}),
    ],
)  # fmt: skip
def test_fields_as_a_server_calls_them(flavour: str, model: str, fields: Any, expected: Any) -> None:
    assert sent(at(flavour, model), **fields) == expected


def test_never_both_spellings() -> None:
    for model, own in (("o3", "max_completion_tokens"), ("gpt-5.2", "max_completion_tokens")):
        assert sent(at("openai", model), max_tokens=5, max_completion_tokens=9) == {own: 9}
    assert sent(at("mistral"), max_tokens=5, max_completion_tokens=9) == {"max_tokens": 5}


def test_what_is_left_out_is_told() -> None:
    fields = fields_of(top_k=5, temperature=0.5, seed=1, think=None, stream_options={})
    assert left_out(fields, at("openai", "gpt-4o")) == ["top_k"]
    assert left_out(fields, at("openai", "o3")) == ["top_k", "temperature"]
    assert left_out(fields, at("gemini")) == ["top_k", "seed"]
    assert left_out(fields, at("mistral")) == ["top_k"]
    assert left_out(fields, at("vllm")) == []
    assert left_out(fields_of(temperature=1, top_p=1.0, presence_penalty=0, logprobs=False), at("openai", "o3")) == []


def test_a_presets_parameters_go_as_they_are_to_a_server_that_may_know_them() -> None:
    params = {"top_k": 5, "num_ctx": 9, "mirostat": 1, "keep_alive": "5m", "thinking": {"type": "enabled"}}
    fields = fields_of()
    assert overlay_chat(fields, Preset(params=params), None) == []
    assert {name: raw.value_of(fields[name]) for name in params} == params
    assert json.loads(address(fields, at("compatible"), False)) == {"messages": [USER], "model": "m", **params}
    assert left_out(fields, at("openai", "gpt-4o")) == ["top_k", "num_ctx", "mirostat", "keep_alive"]


def roles(to: Target, *given: str) -> list[str]:
    messages = [{"role": role, "content": f'say "{role}"', "x": 1.0} for role in given]
    body = json.loads(address(fields_of(messages=messages), to, False))
    assert [{**message, "role": role} for message, role in zip(body["messages"], given, strict=True)] == messages
    return [message["role"] for message in body["messages"]]


def test_roles_as_a_server_calls_them() -> None:
    spoken = ("system", "user", "developer", "assistant")
    assert roles(at("openai", "gpt-4o"), *spoken) == list(spoken)
    assert roles(at("compatible"), *spoken) == list(spoken)
    assert roles(at("vllm"), *spoken) == ["system", "user", "system", "assistant"]
    assert roles(at("openai", "o3"), *spoken) == ["developer", "user", "developer", "assistant"]


@pytest.mark.parametrize("flavour", ["vllm", "openai"])
def test_messages_without_such_a_role_keep_their_bytes(flavour: str) -> None:
    written = b'[ {"role":"user" , "content":"\\u0061 system developer", "x":1.0e+5} ]'
    fields = raw.split(b'{"messages":' + written + b"}")
    assert written in address(fields, at(flavour, "o3"), True)
    changed = b'[{ "role":"user","content":"\\u0061"},{"role":"system"},{"role":"developer"}]'
    assert b'{ "role":"user","content":"\\u0061"}' in address(
        raw.split(b'{"messages":' + changed + b"}"), at(flavour, "o3"), True
    )


@given(json_bytes | st.lists(object_of("role", "content"), max_size=3).map(lambda rows: b"[" + b",".join(rows) + b"]"))
def test_fuzz_roles(messages: bytes) -> None:
    marked = b'[{"role":"developer"},' + messages + b"]"
    for body in (messages, marked):
        try:
            fields = raw.split(b'{"messages":' + body + b"}")
        except raw.NotJson:
            continue
        try:
            address(fields, at("vllm"), False)
        except Problem as problem:
            assert problem.kind is Kind.INVALID_REQUEST  # noqa: PT017 - either outcome is right
            assert problem.param == "messages"  # noqa: PT017


names = st.sampled_from(
    ["seed", "random_seed", "max_tokens", "max_completion_tokens", "top_k", "user", "temperature", "x"]
)


@given(
    st.sampled_from(sorted(FLAVOURS)),
    st.sampled_from(["m", "o3", "gpt-5.1"]),
    st.dictionaries(names, st.integers(1, 9)),
)
def test_what_is_sent_and_what_is_lost_is_all_there_was(flavour: str, model: str, fields: dict[str, int]) -> None:
    to = at(flavour, model)
    body = sent(to, **fields)
    lost = left_out(fields_of(**fields), to)
    for name, value in fields.items():
        renamed = to.accent.renames.get(name, name)
        says_nothing = name == "temperature" and value == 1
        assert (name in lost) == (name in to.accent.refuses and not says_nothing)
        assert name in to.accent.refuses or renamed in body
    assert not body.keys() & (to.accent.refuses | to.accent.renames.keys())
    assert not {"max_tokens", "max_completion_tokens"} <= body.keys() or not to.accent.renames
    assert json.loads(address(raw.split(address(fields_of(**fields), to, False)), to, False)).keys() == body.keys() | {
        "model",
        "messages",
    }
