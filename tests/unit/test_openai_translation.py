# ruff: noqa: PT017 - either outcome is right
"""Chat completions to and from the hub: requests."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion

from modelyard.canonical.chat import (
    ChatReply,
    ChatRequest,
    Controls,
    Media,
    Reasoning,
    Redacted,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from modelyard.core import raw
from modelyard.core.errors import Kind, Problem
from modelyard.dialects.dialect import Recipient
from modelyard.dialects.openai.translation import CHAT, COMPLETIONS
from tests.unit.make import target
from tests.unit.openai_make import FIELDS, PLAIN, PNG, USER, asker, like_messages, read, refused, shaped, written


def test_leading_system_messages_stand_apart_from_later_ones() -> None:
    request = read(
        [
            {"role": "system", "content": "a"},
            {"role": "developer", "content": [{"type": "text", "text": "b", "cache_control": {"type": "ephemeral"}}]},
            USER,
            {"role": "system", "content": "c"},
        ]
    )
    assert request.system == [Text(text="a"), Text(text="b", cache="5m")]
    assert [turn.role for turn in request.turns] == ["user", "system"]
    body, losses = written(request, replace(PLAIN, roles={"system": "developer"}))
    assert [(m["role"], m["content"]) for m in body["messages"]] == [
        ("developer", "a\n\nb"),
        ("user", "hi"),
        ("developer", "c"),
    ]
    assert losses == ["cache_control"]


def test_parts_are_read_and_written() -> None:
    parts = [
        {"type": "text", "text": "see"},
        {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://h/a.png"}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERi0=", "filename": "a.pdf"}},
        {"type": "file", "file": {"file_id": "file-1"}},
    ]
    request = read([{"role": "user", "content": parts, "name": "ann"}])
    assert request.turns == [
        Turn(
            role="user",
            name="ann",
            blocks=[
                Text(text="see"),
                Media(kind="image", media_type="image/png", data="iVBORw0KGgo=", detail="low"),
                Media(kind="image", url="https://h/a.png"),
                Media(kind="audio", media_type="audio/mp3", data="AAAA"),
                Media(kind="document", media_type="application/pdf", data="JVBERi0=", name="a.pdf"),
                Media(kind="document", file_id="file-1"),
            ],
        )
    ]
    body, losses = written(request)
    assert body["messages"] == [{"role": "user", "content": parts, "name": "ann"}]
    assert losses == request.unread == []


def test_bare_base64_is_an_image_too() -> None:
    request = read([{"role": "user", "content": [{"type": "image_url", "image_url": "/9j/4AAQ"}]}])
    assert request.turns[0].blocks == [Media(kind="image", media_type="image/jpeg", data="/9j/4AAQ")]


@pytest.mark.parametrize("url", ["file:///etc/passwd", "data:image/png,abc", "", "gopher://h"])
def test_other_addresses_are_refused(url: str) -> None:
    param = refused([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}])
    assert param == "messages[0].content[0].image_url.url"


def test_calls_and_their_results() -> None:
    messages = [
        USER,
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}},
                {"id": "b", "type": "function", "function": {"name": "g", "arguments": ""}},
            ],
        },
        {"role": "tool", "tool_call_id": "a", "content": "1"},
        {"role": "tool", "tool_call_id": "b", "content": [{"type": "text", "text": "2"}]},
        {"role": "user", "content": "go on"},
    ]
    request = read(messages)
    assert request.turns[1].blocks == [
        ToolCall(id="a", name="f", arguments='{"x":1}'),
        ToolCall(id="b", name="g", arguments=""),
    ]
    assert request.turns[2].blocks == [
        ToolResult(call_id="a", content=[Text(text="1")]),
        ToolResult(call_id="b", content=[Text(text="2")]),
    ]
    assert len(request.turns) == 4
    body, losses = written(request)
    messages[1]["tool_calls"][1]["function"]["arguments"] = "{}"  # type: ignore[index]
    messages[3]["content"] = "2"
    assert (body["messages"], losses) == (messages, [])


def test_images_of_a_tool_follow_in_a_user_message() -> None:
    image = Media(kind="image", media_type="image/png", data="AA==")
    results = [
        ToolResult(call_id="a", content=[image, Text(text="seen")], is_error=True),
        ToolResult(call_id="b", content=[]),
    ]
    body, losses = written(
        ChatRequest(turns=[Turn(role="user", blocks=[*results, Text(text="so?")])], controls=Controls())
    )
    assert [(m["role"], m.get("tool_call_id")) for m in body["messages"]] == [
        ("tool", "a"),
        ("tool", "b"),
        ("user", None),
    ]
    assert [part["type"] for part in body["messages"][2]["content"]] == ["image_url", "text"]
    assert losses == ["messages.is_error"]


def test_functions_as_they_were_called_first() -> None:
    request = read(
        [
            USER,
            {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "1"},
        ],
        functions=[{"name": "f", "parameters": {"type": "object"}}],
        function_call={"name": "f"},
    )  # fmt: skip
    assert [tool.name for tool in request.tools] == ["f"]
    assert request.tool_choice == ToolChoice(mode="tool", name="f")
    assert request.turns[2].blocks == [ToolResult(call_id="call_1", name="f", content=[Text(text="1")])]
    reply = ChatReply(blocks=[ToolCall(id="x", name="f", arguments="")], finish="tool_calls")
    answer = ChatCompletion.model_validate_json(CHAT.write_reply(reply, asker(functions=[])))
    assert answer.choices[0].finish_reason == "function_call"
    assert answer.choices[0].message.function_call is not None
    assert answer.choices[0].message.function_call.arguments == "{}"


def test_tools_keep_the_bytes_of_their_schema() -> None:
    function = b'{"name":"f","strict":true,"parameters":{"a": 1.0}}'
    body = (
        b'{"messages":[{"role":"user","content":"x"}],"parallel_tool_calls":false,"tools":[{"function":%b}]}' % function
    )
    request = CHAT.read_request(raw.split(body))
    assert bytes(request.tools[0].schema or b"") == b'{"a": 1.0}'
    sent, losses = CHAT.write_request(request, Recipient(target(accent=PLAIN), None))
    assert b'"parameters":{"a": 1.0},"strict":true' in sent
    assert b'"parallel_tool_calls":false' in sent
    assert losses == []


def test_tools_of_other_kinds_are_losses() -> None:
    request = read(
        tools=[
            {"type": "custom", "custom": {"name": "c"}},
            {"type": "web_search", "domains": 1},
            {"type": "function", "function": {"name": "f"}, "x": 1},
        ],
        tool_choice={"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": []}},
    )  # fmt: skip
    assert [tool.name for tool in request.tools] == ["f"]
    assert request.unread == ["tools.x", "tools.custom", "tools.web_search", "tool_choice"]
    assert request.tool_choice == ToolChoice(mode="required")


def test_thoughts_of_a_conversation() -> None:
    message = {
        "role": "assistant",
        "content": "yes",
        "reasoning_content": "ignored",
        "thinking_blocks": [
            {"type": "thinking", "thinking": "t", "signature": "modelyard:anthropic:s"},
            {"type": "redacted_thinking", "data": "d"},
        ],
    }
    request = read([USER, message])
    assert request.turns[1].blocks == [
        Thinking(text="t", signature="s", origin="anthropic"),
        Redacted(data="d"),
        Text(text="yes"),
    ]
    body, losses = written(request)
    assert body["messages"][1] == {"role": "assistant", "content": "yes", "reasoning_content": "t"}
    assert losses == ["messages.thinking"]
    plain = read([USER, {"role": "assistant", "content": "yes", "reasoning": "t"}])
    assert plain.turns[1].blocks == [Thinking(text="t"), Text(text="yes")]
    assert written(plain)[1] == []
    assert written(plain, replace(PLAIN, reasoning=""))[1] == ["messages.thinking"]


def test_what_is_unknown_is_named_and_the_rest_is_read() -> None:
    request = read(
        [
            {
                "role": "user",
                "content": [{"type": "video_url", "video_url": {"url": "x"}}, {"type": "text", "text": "a", "z": 1}],
            },
            {"role": "assistant", "content": "b", "prefix": True, "annotations": [], "audio": None},
        ],
        web_search_options={}, modalities=["text", "audio"], prediction={"type": "content"}, foo=None, top_k=5,
    )  # fmt: skip
    assert request.unread == [
        "web_search_options",
        "prediction",
        "modalities",
        "messages.content.video_url",
        "messages.content.z",
        "messages.prefix",
        "messages.video_url",
    ]
    assert request.turns[0].blocks == [Text(text="a")]
    assert request.controls.params == {"top_k": 5}


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        ([], "messages"),
        ("x", "messages"),
        ([5], "messages[0]"),
        ([USER, {"content": "x"}], "messages[1]"),
        ([{"role": "king", "content": "x"}], "messages[0].role"),
        ([{"role": "user"}], "messages[0].content"),
        ([{"role": "user", "content": 5}], "messages[0].content"),
        ([{"role": "user", "content": [{"type": "text"}]}], "messages[0].content[0]"),
        ([{"role": "tool", "content": "x"}], "messages[0].tool_call_id"),
        ([{"role": "assistant", "tool_calls": [{"id": "x"}]}], "messages[0].tool_calls[0]"),
        ([{"role": "user", "content": "x", "z": 1}, {"role": 7}], "messages[1].role"),
        ([USER] * 10_001, "messages"),
        ([{"role": "user", "content": [{"type": "text", "text": "a"}] * 10_000}], "messages"),
    ],
)
def test_a_wrong_message_is_placed(messages: Any, param: str) -> None:
    assert refused(messages) == param


@pytest.mark.parametrize("content", [b'"\\ud800"', b'"\xff"', b"[" * 5000 + b"]" * 5000])
def test_unreadable_text_is_refused(content: bytes) -> None:
    with pytest.raises(Problem):
        CHAT.read_request({"messages": raw.Raw(b'[{"role":"user","content":' + content + b"}]")})


def test_a_stream_asks_for_its_usage() -> None:
    body, _ = written(read(stream=True, stream_options={"include_usage": False}))
    assert (body["stream"], body["stream_options"]) == (True, {"include_usage": True})
    assert "stream_options" not in written(read(stream=True), replace(PLAIN, stream_usage=False))[0]


def test_what_a_chat_cannot_say_is_lost() -> None:
    controls = Controls(params={"n": 2, "suffix": "x", "store": False}, extras={"mine": 1, "messages": 2, "model": 3})
    controls.reasoning = Reasoning(effort="low", summary="omitted")
    turns = [
        Turn(role="user", blocks=[Media(kind="audio", url="https://h/a"), Media(kind="document", url="https://h/d")])
    ]
    tools = [Tool(name="f", cache="1h")]
    body, losses = written(ChatRequest(turns=turns, controls=controls, tools=tools))
    assert losses == ["messages.audio", "messages.document", "cache_control", "n", "suffix", "reasoning.summary"]
    assert body["mine"] == 1 and body["model"] == "m" and isinstance(body["messages"], list)


@given(like_messages | shaped, st.dictionaries(st.sampled_from(FIELDS), shaped, max_size=4))
def test_garbage_is_refused_or_can_be_written(messages: Any, fields: dict[str, Any]) -> None:
    for translation in (CHAT, COMPLETIONS):
        try:
            request = translation.read_request(raw.split(json.dumps({"messages": messages, **fields}).encode()))
        except Problem as problem:
            assert problem.kind is Kind.INVALID_REQUEST
        else:
            json.loads(translation.write_request(request, Recipient(target(accent=PLAIN), None)).body)
