"""Requests of Ollama's callers, read into the hub's vocabulary."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.canonical.chat import (
    MAX_PARTS,
    ChatRequest,
    Media,
    OutputFormat,
    Reasoning,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
)
from modelyard.core import raw
from modelyard.core.errors import Kind, Problem
from modelyard.dialects.dialect import Recipient
from modelyard.dialects.ollama.request_reader import read_chat, read_generate
from modelyard.dialects.ollama.request_writer import write_chat, write_generate
from tests.unit.make import json_bytes, object_of, target

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(20)).decode()
JPEG = base64.b64encode(b"\xff\xd8\xff\xe0" + bytes(20)).decode()
GIF = base64.b64encode(b"GIF89a" + bytes(20)).decode()
WEBP = base64.b64encode(b"RIFF\x00\x00\x00\x00WEBPVP8 " + bytes(20)).decode()

TO = Recipient(target(upstream="llama3:8b"), None)
USER = [Turn(role="user", blocks=[Text(text="hi")])]


def fields(**values: Any) -> raw.Fields:
    return raw.split(json.dumps(values).encode())


def chat(*messages: dict[str, Any], **more: Any) -> ChatRequest:
    return read_chat(fields(model="m", messages=list(messages) or [{"role": "user", "content": "hi"}], **more))


def test_a_conversation_with_tools_is_read():
    request = chat(
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is it?", "images": [PNG, JPEG, GIF, WEBP, base64.b64encode(b"?" * 30).decode()]},
        {"role": "assistant", "thinking": "hm", "content": "", "tool_calls": [
            {"function": {"name": "a", "arguments": {"x": 1.0}}},
            {"function": {"index": 1, "name": "b", "arguments": {}}},
        ]},
        {"role": "tool", "tool_name": "b", "content": "of b"},
        {"role": "tool", "tool_name": "a", "content": "of a"},
        {"role": "SYSTEM", "content": "later"},
        tools=[{"type": "function", "function": {"name": "a", "description": "d", "parameters": {"type": "object"}}}],
    )  # fmt: skip
    assert request.system == [Text(text="Be brief.")]
    user, assistant, results, later = request.turns
    assert [getattr(block, "media_type", "") for block in user.blocks[1:]] == [
        "image/png", "image/jpeg", "image/gif", "image/webp", None,
    ]  # fmt: skip
    assert assistant.blocks == [
        Thinking(text="hm"),
        ToolCall(id="call_0", name="a", arguments='{"x": 1.0}'),
        ToolCall(id="call_1", name="b", arguments="{}"),
    ]
    assert results.role == "user"
    assert [(block.call_id, block.name) for block in results.blocks if isinstance(block, ToolResult)] == [
        ("call_1", "b"), ("call_0", "a"),
    ]  # fmt: skip
    assert later == Turn(role="system", blocks=[Text(text="later")])
    assert request.stream
    assert request.tools == [Tool(name="a", description="d", schema=raw.Raw(b'{"type": "object"}'))]
    assert request.unread == []


def test_results_without_a_name_go_to_calls_in_their_order():
    calls = [{"function": {"name": name, "arguments": {}}} for name in ("a", "b")]
    request = chat(
        {"role": "user", "content": "x"},
        {"role": "assistant", "tool_calls": calls},
        {"role": "tool", "content": "1"},
        {"role": "tool", "content": "2"},
        {"role": "assistant", "tool_calls": calls[:1]},
        {"role": "tool", "content": "3"},
        {"role": "tool", "content": "nobody asked"},
    )
    results = [block for turn in request.turns for block in turn.blocks if isinstance(block, ToolResult)]
    assert [(result.call_id, result.name) for result in results] == [
        ("call_0", "a"), ("call_1", "b"), ("call_2", "a"), ("call_3", None),
    ]  # fmt: skip


def test_ids_that_are_given_are_kept_and_arguments_may_be_text():
    request = chat(
        {"role": "assistant", "tool_calls": [{"id": "x1", "function": {"name": "a", "arguments": '{"y":2}'}}]},
        {"role": "tool", "tool_call_id": "x1", "content": "r", "images": [PNG]},
    )
    assert request.turns[0].blocks == [ToolCall(id="x1", name="a", arguments='{"y":2}')]
    (result,) = request.turns[1].blocks
    assert isinstance(result, ToolResult)
    assert (result.call_id, result.name, len(result.content)) == ("x1", "a", 2)


def test_every_option_is_read():
    options = {
        "temperature": 1, "top_p": 0.9, "top_k": 3.9, "min_p": 0.1, "typical_p": 0.7, "tfs_z": 1.0, "num_predict": 5,
        "stop": ["größe"], "seed": 7, "frequency_penalty": 1.0, "presence_penalty": 1.5, "repeat_penalty": 1.2,
        "repeat_last_n": 33, "mirostat": 1, "mirostat_eta": 0.8, "mirostat_tau": 0.9, "num_ctx": 1024, "num_batch": 32,
        "num_keep": 5, "num_gpu": 0, "main_gpu": 0, "num_thread": 1, "use_mmap": True, "use_mlock": False,
        "logit_bias": {"5": 1}, "numa": True, "penalize_newline": None,
    }  # fmt: skip
    request = chat(options=options, keep_alive="10m", truncate=False, logprobs=True, top_logprobs=2)
    expected = {
        name: value for name, value in options.items() if name not in ("numa", "penalize_newline", "num_predict")
    }
    expected |= {
        "max_tokens": 5,
        "top_k": 3,
        "keep_alive": "10m",
        "truncate": False,
        "logprobs": True,
        "top_logprobs": 2,
    }
    assert request.controls.params == expected
    assert isinstance(request.controls.params["temperature"], float)
    assert request.unread == ["options.numa"]


def test_names_of_the_hub_count_at_the_root_and_the_rest_is_told():
    request = chat(temperature=0.5, num_predict=9, user="u", nonsense=1, nothing=None, options={"temperature": 0.2})
    assert request.controls.params == {"temperature": 0.2, "max_tokens": 9, "user": "u"}
    assert request.unread == ["nonsense"]


def test_what_says_nothing_is_no_parameter():
    request = chat(
        options={"num_predict": -1}, logprobs=False, top_logprobs=0, truncate=True, tools=[], format="", shift=True,
        think=None, suffix="",
    )  # fmt: skip
    assert (request.controls.params, request.controls.output, request.unread) == ({}, None, [])


@pytest.mark.parametrize(
    ("think", "expected"),
    [
        (True, Reasoning(enabled=True)), (False, Reasoning(enabled=False)), ("low", Reasoning(effort="low")),
        ("max", Reasoning(effort="max")), (None, None),
    ],
)  # fmt: skip
def test_think_is_read(think: Any, expected: Reasoning | None):
    assert chat(think=think).controls.reasoning == expected


def test_format_is_read():
    assert chat(format="json").controls.output == OutputFormat()
    assert chat(format={"type": "object"}).controls.output == OutputFormat(schema=raw.Raw(b'{"type": "object"}'))


def test_a_generation_is_read():
    request = read_generate(
        fields(
            model="m", prompt="def f(", suffix="return", system="S", images=[PNG], stream=False, context=[1, 2],
            template="", raw=False, steps=4,
        )
    )  # fmt: skip
    assert request.completion
    assert not request.stream
    assert request.system == [Text(text="S")]
    assert request.turns == [
        Turn(role="user", blocks=[Text(text="def f("), Media(kind="image", media_type="image/png", data=PNG)])
    ]
    assert request.controls.params == {"suffix": "return"}
    assert request.unread == ["context", "steps"]


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": "x"}, {"role": "wizard"}]}, "messages[1].role"),
        ({"messages": [{"content": "x"}]}, "messages[0]"),
        ({"messages": []}, "messages"),
        ({"messages": None}, "messages"),
        ({"messages": "Hi"}, "messages"),
        ({"messages": [{"role": "user", "images": ["%%"]}]}, "messages[0].images[0]"),
        ({"messages": [{"role": "user", "images": ["http://h/a.png"]}]}, "messages[0].images[0]"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "a", "arguments": 3}}]}]},
            "messages[0].tool_calls[0].function.arguments",
        ),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [{"function": {"name": "a", "parameters": 3}}]}, "tools[0].function.parameters"),
        ({"tools": {"a": 1}}, "tools"),
        ({"options": 3}, "options"),
        ({"options": {"temperature": "hot"}}, "options.temperature"),
        ({"options": {"num_ctx": True}}, "options.num_ctx"),
        ({"options": {"seed": 2**70}}, "options.seed"),
        ({"options": {"stop": [1]}}, "options.stop"),
        ({"options": {"use_mmap": 1}}, "options.use_mmap"),
        ({"keep_alive": True}, "keep_alive"),
        ({"format": "xml"}, "format"),
        ({"format": 3}, "format"),
        ({"think": "extreme"}, "think"),
        ({"think": 3}, "think"),
        ({"stream": "yes"}, "stream"),
    ],
)
def test_a_wrong_request_is_told_by_its_place(more: dict[str, Any], param: str):
    values = {"model": "m", "messages": [{"role": "user", "content": "x"}], **more}
    with pytest.raises(Problem) as caught:
        read_chat(fields(**values))
    assert caught.value.kind is Kind.INVALID_REQUEST
    assert caught.value.param == param


def test_parts_are_bounded():
    with pytest.raises(Problem, match="at most"):
        chat(*[{"role": "user", "content": "x"}] * (MAX_PARTS + 1))
    with pytest.raises(Problem, match="at most"):
        chat(tools=[{"function": {"name": "a"}}] * MAX_PARTS)


NAMES = (
    "model",
    "messages",
    "prompt",
    "images",
    "system",
    "options",
    "tools",
    "format",
    "think",
    "keep_alive",
    "stop",
    "stream",
)


@given(object_of(*NAMES), json_bytes)
def test_whatever_the_bytes_there_is_a_request_or_a_problem(body: bytes, odd: bytes):
    try:
        request = raw.split(body)
    except raw.NotJson:
        return
    kinds: set[Kind] = set()
    for name in ("messages", "tools", "options"):
        request[name] = raw.Raw(b'[{"role":"user","content":%b,"images":[%b]}]' % (odd, odd))
        for read, write in ((read_chat, write_chat), (read_generate, write_generate)):
            try:
                write(read(request), TO)
            except Problem as problem:
                kinds.add(problem.kind)
    assert kinds <= {Kind.INVALID_REQUEST}


@given(st.lists(st.sampled_from(["user", "assistant", "tool", "system"]), min_size=1, max_size=8))
def test_what_is_written_is_read_back_the_same(roles: list[str]):
    calls = [{"function": {"index": 0, "name": "f", "arguments": {"a": 1}}}]
    messages = [
        {"role": role, "content": f"c{index}", **({"tool_calls": calls} if role == "assistant" else {})}
        for index, role in enumerate(roles)
    ]
    request = chat(*messages)
    body, losses = write_chat(request, TO)
    assert losses == []
    again = read_chat(raw.split(body))
    if request.system:
        request.system = [Text(text="\n".join([text.text for text in request.system]))]
    assert again == request
