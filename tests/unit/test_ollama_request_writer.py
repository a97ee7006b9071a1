"""Requests for an Ollama target, written from the hub's vocabulary."""

import base64
import json
from typing import Any

import pytest

from modelyard.canonical.chat import (
    ChatRequest,
    Controls,
    Media,
    OutputFormat,
    Reasoning,
    Redacted,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from modelyard.core import raw
from modelyard.dialects.dialect import Recipient
from modelyard.dialects.ollama.request_writer import write_chat, write_generate
from tests.unit.make import target

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(20)).decode()
JPEG = base64.b64encode(b"\xff\xd8\xff\xe0" + bytes(20)).decode()
GIF = base64.b64encode(b"GIF89a" + bytes(20)).decode()
WEBP = base64.b64encode(b"RIFF\x00\x00\x00\x00WEBPVP8 " + bytes(20)).decode()

TO = Recipient(target(upstream="llama3:8b"), None)
USER = [Turn(role="user", blocks=[Text(text="hi")])]


def written(request: ChatRequest) -> tuple[dict[str, Any], list[str]]:
    body, losses = write_chat(request, TO)
    return json.loads(body), losses


def of(turns: list[Turn] | None = None, **more: Any) -> ChatRequest:
    more.setdefault("controls", Controls())
    return ChatRequest(turns=turns or USER, **more)


def test_parameters_stand_where_ollama_expects_them():
    params = {
        "temperature": 0.5, "top_p": 0.9, "top_k": 5, "min_p": 0.1, "max_tokens": 7, "stop": ["größe", "\n"], "seed": 3,
        "logit_bias": {"1": 2.0}, "frequency_penalty": 0.1, "presence_penalty": 0.2, "repeat_penalty": 1.1,
        "repeat_last_n": 4, "tfs_z": 1.0, "typical_p": 0.5, "mirostat": 1, "mirostat_eta": 0.1, "mirostat_tau": 5.0,
        "num_ctx": 9, "num_batch": 1, "num_keep": 2, "num_gpu": 1, "main_gpu": 0, "num_thread": 8, "use_mmap": True,
        "use_mlock": True, "keep_alive": "-1", "logprobs": True, "top_logprobs": 2, "truncate": False,
    }  # fmt: skip
    body, losses = written(of(controls=Controls(params=params, extras={"draft_num_predict": 2, "num_ctx": 1})))
    assert losses == ["logit_bias"], "sent, as specified, but Ollama leaves it out of account"
    root = ("keep_alive", "logprobs", "top_logprobs", "truncate")
    options = {name: value for name, value in params.items() if name not in (*root, "max_tokens")}
    assert body["options"] == {**options, "num_predict": 7, "draft_num_predict": 2}
    assert {name: body[name] for name in root} == {
        "keep_alive": -1, "logprobs": True, "top_logprobs": 2, "truncate": False,
    }  # fmt: skip
    assert body["model"] == "llama3:8b"
    assert body["stream"] is False


def test_what_ollama_cannot_say_is_a_loss():
    params = {
        "n": 2, "user": "u", "service_tier": "flex", "verbosity": "low", "metadata": {"a": "b"}, "store": True,
        "prompt_cache_key": "k", "suffix": "s",
    }  # fmt: skip
    assert written(of(controls=Controls(params=params)))[1] == list(params)
    unsaid = {"n": 1, "service_tier": "auto", "store": False, "metadata": {}, "logprobs": False, "suffix": ""}
    body, losses = written(of(controls=Controls(params=unsaid)))
    assert losses == []
    assert set(body) == {"model", "messages", "stream"}


@pytest.mark.parametrize(
    ("reasoning", "think"),
    [
        (Reasoning(), True), (Reasoning(enabled=False), False), (Reasoning(effort="none"), False),
        (Reasoning(effort="minimal"), "low"), (Reasoning(effort="medium"), "medium"), (Reasoning(effort="xhigh"), "high"),
        (Reasoning(effort="max"), "high"), (Reasoning(budget=1024), True), (Reasoning(budget=8193), True),
    ],
)  # fmt: skip
def test_reasoning_becomes_think(reasoning: Reasoning, think: Any):
    body, losses = written(of(controls=Controls(reasoning=reasoning)))
    assert (body["think"], losses) == (think, [])


def test_an_output_format_becomes_format():
    assert written(of(controls=Controls(output=OutputFormat())))[0]["format"] == "json"
    schema = OutputFormat(schema=raw.Raw(b'{"type":"object"}'), name="n", strict=True)
    body, losses = written(of(controls=Controls(output=schema)))
    assert (body["format"], losses) == ({"type": "object"}, [])


def test_a_rich_conversation_is_written():
    request = of(
        [
            Turn(role="user", name="ann", blocks=[
                Text(text=" Look: ", cache="5m"), Media(kind="image", data=PNG, detail="high"), Text(text="well? "),
                Media(kind="image", url="https://h/a.png"), Media(kind="document", text="a plain text"),
                Media(kind="document", media_type="text/csv", data=base64.b64encode(b"a,b").decode()),
                Media(kind="document", media_type="application/pdf", data="JVBERi0="), Media(kind="audio", data="AAAA"),
            ]),
            Turn(role="assistant", blocks=[
                Thinking(text="I see.", signature="s", origin="anthropic"), Redacted(data="x"), Text(text="Wait."),
                ToolCall(id="c1", name="f", arguments='{"a": 1}'), ToolCall(id="c2", name="g", arguments=""),
            ]),
            Turn(role="user", blocks=[
                ToolResult(call_id="c2", is_error=True, content=[Text(text="no")]),
                ToolResult(call_id="c1", content=[Text(text="yes"), Media(kind="image", data=JPEG)]),
                Text(text="Go on."),
            ]),
            Turn(role="assistant", blocks=[Refusal(text="I will not.")]),
            Turn(role="system", blocks=[Text(text="Later.")]),
        ],
        system=[Text(text="One."), Text(text="Two.", cache="1h")],
    )  # fmt: skip
    body, losses = written(request)
    assert body["messages"] == [
        {"role": "system", "content": "One.\nTwo."},
        {"role": "user", "content": "Look: well? a plain texta,b", "images": [PNG]},
        {
            "role": "assistant", "content": "Wait.", "thinking": "I see.", "tool_calls": [
                {"id": "c1", "function": {"index": 0, "name": "f", "arguments": {"a": 1}}},
                {"id": "c2", "function": {"index": 1, "name": "g", "arguments": {}}},
            ],
        },
        {"role": "tool", "content": "no", "tool_name": "g", "tool_call_id": "c2"},
        {"role": "tool", "content": "yes", "images": [JPEG], "tool_name": "f", "tool_call_id": "c1"},
        {"role": "user", "content": "Go on."},
        {"role": "assistant", "content": "I will not."},
        {"role": "system", "content": "Later."},
    ]  # fmt: skip
    assert losses == [
        "cache_control", "messages.name", "messages.image.detail", "messages.image", "messages.document",
        "messages.audio", "messages.thinking", "messages.is_error",
    ]  # fmt: skip


def test_tools_and_the_choice_among_them():
    tools = [
        Tool(name="f"),
        Tool(name="g", description="d", schema=raw.Raw(b'{"type":"object"}'), strict=True, cache="5m"),
    ]
    body, losses = written(of(tools=tools, tool_choice=ToolChoice(mode="auto"), parallel_tools=True))
    assert body["tools"] == [
        {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}},
        {"type": "function", "function": {"name": "g", "description": "d", "parameters": {"type": "object"}}},
    ]
    assert losses == ["tools.strict", "cache_control"]
    body, losses = written(of(tools=tools[:1], tool_choice=ToolChoice(mode="none"), parallel_tools=False))
    assert ("tools" in body, losses) == (False, [])
    for choice in (ToolChoice(mode="required"), ToolChoice(mode="tool", name="f")):
        assert written(of(tools=tools[:1], tool_choice=choice, parallel_tools=False))[1] == [
            "tool_choice", "parallel_tool_calls",
        ]  # fmt: skip


def test_a_prompt_is_written_for_generate():
    request = of(
        [Turn(role="user", blocks=[Text(text="def f("), Media(kind="image", data=PNG)])],
        system=[Text(text="S")],
        controls=Controls(params={"suffix": "return", "max_tokens": 4}),
        completion=True,
        stream=True,
    )
    body, losses = write_generate(request, TO)
    assert json.loads(body) == {
        "model": "llama3:8b", "prompt": "def f(", "stream": True, "system": "S", "images": [PNG], "suffix": "return",
        "options": {"num_predict": 4},
    }  # fmt: skip
    assert losses == []


@pytest.mark.parametrize("arguments", ["{broken", "[1]", '"text"', "null", "\ud800", '{"a":1e999}', "[" * 3000])
def test_arguments_that_are_no_object_are_kept_as_text(arguments: str):
    calls = [ToolCall(id="c", name="f", arguments=arguments)]
    body, _ = written(of([*USER, Turn(role="assistant", blocks=[*calls])]))
    (call,) = body["messages"][1]["tool_calls"]
    assert call["function"]["arguments"] == {"_unparsed": arguments.replace("\ud800", "\ufffd")}


def test_half_a_surrogate_pair_breaks_nothing():
    body, _ = written(
        of([Turn(role="user", blocks=[Text(text="a\ud83d")])], controls=Controls(params={"stop": ["\ude00"]}))
    )
    assert body["messages"] == [{"role": "user", "content": "a\ufffd"}]
    assert body["options"] == {"stop": ["\ufffd"]}
