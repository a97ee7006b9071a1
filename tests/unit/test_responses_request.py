# ruff: noqa: PT017 - either outcome is right
"""Requests and whole answers of the Responses API, and what is kept of an exchange."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.responses import Response
from openai.types.responses.response_create_params import ResponseCreateParamsNonStreaming
from pydantic import TypeAdapter

from modelyard.canonical.chat import (
    LENGTH,
    MAX_PARTS,
    NONE,
    ONE,
    REQUIRED,
    STOP,
    TOOL_CALLS,
    ChatReply,
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
from modelyard.canonical.snapshot import Accent, Preset
from modelyard.canonical.usage import Usage
from modelyard.core.errors import Kind, Problem
from modelyard.core.raw import NotJson, split, split_list
from modelyard.dialects.dialect import Asker, Recipient
from modelyard.dialects.openai.responses import RESPONSES
from modelyard.dialects.openai.responses.answer import read_reply, read_usage, write_reply
from modelyard.dialects.openai.responses.passing import address, overlay
from modelyard.dialects.openai.responses.request import read_head, read_request, write_request
from modelyard.dialects.openai.responses.stored import output_in_event, output_of, turn_items, with_history
from tests.unit.make import json_bytes, object_of, target

PIXEL = "data:image/png;base64,iVBORw0KGgo="


def fields(**values: Any) -> dict[str, msgspec.Raw]:
    return split(json.dumps({"model": "m", "input": "hi", **values}).encode())


def asked(**values: Any) -> ChatRequest:
    return read_request(fields(**values))


def refused(**values: Any) -> Problem:
    with pytest.raises(Problem) as caught:
        asked(**values)
    assert caught.value.kind is Kind.INVALID_REQUEST
    return caught.value


def sent(request: ChatRequest, **accent: Any) -> tuple[dict[str, Any], list[str]]:
    quirks = Accent(dialect="openai", paths={}, translate={}, **accent)
    written = write_request(request, Recipient(target(accent=quirks), None))
    return json.loads(written.body), written.losses


CONVERSATION: list[dict[str, Any]] = [
    {"role": "developer", "content": [{"type": "input_text", "text": "Be kind."}]},
    {"type": "message", "role": "user", "content": [
        {"type": "input_text", "text": "Look:"},
        {"type": "input_image", "image_url": PIXEL, "detail": "low"},
        {"type": "input_image", "image_url": "https://x/y.png", "detail": "auto"},
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="},
        {"type": "input_file", "file_url": "https://x/y.pdf"},
        {"type": "input_file", "file_id": "file-1"},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
    ]},
    {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "sig"},
    {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [
        {"type": "output_text", "text": "I see.", "annotations": []}, {"type": "refusal", "refusal": "No."},
    ]},
    {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": "{}"},
    {"type": "function_call", "call_id": "c2", "name": "g", "arguments": ""},
    {"type": "function_call_output", "call_id": "c1", "output": "42"},
    {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "43"}]},
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Go on."},
]  # fmt: skip


def test_a_conversation_is_read() -> None:
    request = asked(input=CONVERSATION, instructions="First.")
    assert request.system == [Text(text="First."), Text(text="Be kind.")]
    assert request.unread == []
    assert request.turns == [
        Turn(role="user", blocks=[
            Text(text="Look:"),
            Media(kind="image", media_type="image/png", data="iVBORw0KGgo=", detail="low"),
            Media(kind="image", url="https://x/y.png"),
            Media(kind="document", media_type="application/pdf", data="JVBERi0=", name="a.pdf"),
            Media(kind="document", url="https://x/y.pdf"),
            Media(kind="document", file_id="file-1"),
            Media(kind="audio", media_type="audio/mpeg", data="AAAA"),
        ]),
        Turn(role="assistant", blocks=[
            Thinking(text="hm", signature="sig", origin="openai"),
            Text(text="I see."),
            Refusal(text="No."),
            ToolCall(id="c1", name="f", arguments="{}"),
            ToolCall(id="c2", name="g", arguments=""),
        ]),
        Turn(role="user", blocks=[
            ToolResult(call_id="c1", content=[Text(text="42")]),
            ToolResult(call_id="c2", content=[Text(text="43")]),
        ]),
        Turn(role="system", blocks=[Text(text="Be brief.")]),
        Turn(role="user", blocks=[Text(text="Go on.")]),
    ]  # fmt: skip


def test_what_is_read_can_be_written_and_read_again() -> None:
    first = asked(
        input=CONVERSATION,
        instructions="First.",
        tools=[{"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True}],
        tool_choice={"type": "function", "name": "f"},
        parallel_tool_calls=False,
        temperature=0.5,
        top_p=1,
        max_output_tokens=10,
        top_logprobs=2,
        include=["message.output_text.logprobs", "reasoning.encrypted_content"],
        text={"verbosity": "low", "format": {"type": "json_schema", "name": "n", "schema": {"a": 1}, "strict": True}},
        reasoning={"effort": "low", "summary": "auto"},
        user="me",
        metadata={"a": "b"},
        service_tier="flex",
        prompt_cache_key="k",
        truncation="auto",
        stream=True,
        store=False,
    )
    assert first.unread == []
    body, losses = sent(first)
    assert losses == ["messages.audio"]
    # The SDK wants an id of reasoning too; a server would compare it with the one that it gave.
    as_typed = [{"id": "rs_1", **item} for item in body["input"] if item["type"] == "reasoning" or "id" in item]
    as_typed += [item for item in body["input"] if item["type"] != "reasoning"]
    TypeAdapter(ResponseCreateParamsNonStreaming).validate_python({**body, "input": as_typed, "stream": False})
    assert body["model"] == "m" and body["store"] is False and body["stream"] is True
    assert body["include"] == ["message.output_text.logprobs", "reasoning.encrypted_content"]
    second = read_request(split(json.dumps(body).encode()))
    # Audio cannot be said; the leading system messages become one; a refusal becomes words; a call without arguments
    # has an empty object.
    assert isinstance(first.turns[1].blocks[-1], ToolCall)
    first.turns[0].blocks.pop()
    first.turns[1].blocks[2] = Text(text="No.")
    first.turns[1].blocks[-1].arguments = "{}"
    first.system = [Text(text="First.\n\nBe kind.")]
    assert second == first


def test_parameters_are_read_in_every_spelling() -> None:
    params = asked(max_output_tokens=5.0, top_k=3, min_p=0.1, seed=7, stop="x", safety_identifier="me").controls.params
    assert params == {"max_tokens": 5, "top_k": 3, "min_p": 0.1, "seed": 7, "stop": ["x"], "user": "me"}
    assert asked(top_logprobs=2).controls.params == {"top_logprobs": 2, "logprobs": True}
    assert asked(text={"format": {"type": "json_object"}}).controls.output == OutputFormat()
    assert asked(text={"format": {"type": "text"}}, truncation="disabled", store=True).controls == Controls()
    assert asked(reasoning={"effort": "none"}).controls.reasoning == Reasoning(enabled=False, effort="none")


def test_tools_of_the_server_are_losses() -> None:
    request = asked(
        tools=[{"type": "web_search", "filters": {}}, {"type": "mcp", "name": 5}, {"type": "function", "name": "f"}],
        tool_choice={"type": "web_search_preview"},
        input=[{"type": "web_search_call", "id": "ws", "action": 5, "content": 7}, {"role": "user", "content": "x"}],
        prompt={"id": "p"},
        max_tool_calls=3,
        something=1,
        include=["web_search_call.results"],
    )
    assert request.tools == [Tool(name="f")] and request.tool_choice is None
    assert request.unread == [
        "prompt", "max_tool_calls", "something", "include", "input.web_search_call", "tools.web_search", "tools.mcp",
        "tool_choice",
    ]  # fmt: skip


def test_choices_of_tools() -> None:
    tools = [{"type": "function", "name": name} for name in "fg"]
    assert asked(tools=tools, tool_choice="none").tool_choice == ToolChoice(mode=NONE)
    assert asked(tools=tools, tool_choice={"type": "function", "name": "g"}).tool_choice == ToolChoice(
        mode=ONE, name="g"
    )
    allowed = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "g"}]}
    request = asked(tools=tools, tool_choice=allowed)
    assert request.tools == [Tool(name="g")] and request.tool_choice == ToolChoice(mode=REQUIRED)
    assert asked(tool_choice="required").unread == ["tool_choice"]


def test_thoughts_of_other_models_come_back() -> None:
    blocks = [Thinking(text="hm", signature="s", origin="anthropic"), Redacted(data="d"), Text(text="x")]
    answer = json.loads(write_reply(ChatReply(blocks=[*blocks], finish=STOP), Asker("c", "m", 1, fields())))
    turn = asked(input=[{"role": "user", "content": "x"}, *answer["output"]]).turns[1]
    assert turn.blocks == blocks
    body, losses = sent(asked(input=answer["output"]), reasoning="")
    assert losses == ["messages.thinking"] and [item["type"] for item in body["input"]] == ["message"]
    body, losses = sent(asked(input=answer["output"]))
    assert body["input"][0]["content"] == [{"type": "reasoning_text", "text": "hm"}]


@pytest.mark.parametrize(
    ("values", "param"),
    [
        ({"input": 5}, "input"),
        ({"input": []}, "input"),
        ({"input": None}, "input"),
        ({"input": ["x"]}, "input[0]"),
        ({"input": [{"role": "user"}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": []}]}, "input[0].content"),
        ({"input": [{"role": "robot", "content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input[0].content[0].text"),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "input[0].content[0].type"),
        ({"input": [{"role": "user", "content": [{"type": "x", "text": 5}]}]}, "input[0].content[0].text"),
        ({"input": [{"type": "function_call", "name": "f"}]}, "input[0].call_id"),
        ({"input": [{"type": "function_call_output", "call_id": "c"}]}, "input[0].output"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0]"),
        ({"input": [{"id": "x"}]}, "input[0]"),
        ({"tools": 5}, "tools"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": [{"type": "function", "name": "f", "parameters": 5}]}, "tools[0].parameters"),
        ({"tool_choice": "x"}, "tool_choice"),
        ({"tool_choice": 5}, "tool_choice"),
        ({"temperature": "hot"}, "temperature"),
        ({"max_output_tokens": 1.5}, "max_output_tokens"),
        ({"max_output_tokens": True}, "max_output_tokens"),
        ({"stream": "yes"}, "stream"),
        ({"model": 5}, "model"),
        ({"text": {"format": {}}}, "text"),
        ({"text": {"format": {"type": "json_schema"}}}, "text.format.schema"),
        ({"reasoning": {"effort": "much"}}, "reasoning.effort"),
        ({"truncation": "x"}, "truncation"),
        ({"include": "x"}, "include"),
        ({"instructions": 5}, "instructions"),
        ({"background": True}, "background"),
        ({"conversation": "c"}, "conversation"),
        ({"previous_response_id": "r"}, "previous_response_id"),
        ({"input": [{"role": "user", "content": "x"}] * (MAX_PARTS + 1)}, "input"),
        ({"tools": [{"type": "function", "name": "x"}] * (MAX_PARTS + 1)}, "tools"),
    ],
)
def test_what_is_wrong_is_told_by_its_place(values: dict[str, Any], param: str) -> None:
    assert refused(**values).param == param


NAMES = (
    "input", "tools", "tool_choice", "text", "reasoning", "include", "truncation", "instructions", "max_output_tokens",
    "metadata", "stream", "model", "parallel_tool_calls", "top_k", "options",
)  # fmt: skip
items = st.lists(
    object_of(
        "type", "role", "content", "id", "call_id", "name", "arguments", "output", "summary", "encrypted_content",
        "image_url", "parameters", "text",
    )
    | st.sampled_from([json.dumps(item).encode() for item in CONVERSATION]),
    max_size=5,
).map(lambda found: b"[" + b",".join(found) + b"]")  # fmt: skip


@settings(max_examples=400)
@given(object_of(*NAMES), items)
def test_nothing_but_problems_comes_of_garbage(body: bytes, input_items: bytes) -> None:
    for name in ("input", "tools"):
        try:
            request = {"input": msgspec.Raw(b'"x"'), **split(body), name: msgspec.Raw(input_items)}
        except NotJson:
            continue
        try:
            read = read_request(request)
            sent(read)
        except Problem as problem:
            assert problem.kind is Kind.INVALID_REQUEST
        for step in (
            read_head,
            lambda fields: address(fields, target(), True),
            lambda fields: overlay(dict(fields), Preset(params={"reasoning_effort": "low"}), "s"),
            lambda fields: with_history(fields, turn_items(fields, [])),
        ):
            try:
                step(request)
            except Problem as problem:
                assert problem.kind is Kind.INVALID_REQUEST


@settings(max_examples=300)
@given(object_of("id", "model", "status", "output", "usage", "error", "incomplete_details", "timings"), items)
def test_nothing_but_problems_comes_of_a_garbage_answer(body: bytes, output: bytes) -> None:
    for answer in (body, body[:-1] + (b"," if len(body) > 2 else b"") + b'"output":' + output + b"}"):
        for step in (read_reply, read_usage):
            try:
                reply = step(answer)
            except Problem as problem:
                assert problem.kind is Kind.UPSTREAM_FAILED
            else:
                if isinstance(reply, ChatReply):
                    write_reply(reply, Asker("c", "m", 1, {}))
        output_of(answer)
        output_in_event(b'data: {"type":"response.completed","response":%b}\n\n' % answer)


@given(json_bytes)
def test_any_bytes_are_an_answer_or_a_problem(body: bytes) -> None:
    for data in (body, body[:-1], b"<html>"):
        try:
            read_usage(data)
            read_reply(data)
        except Problem as problem:
            assert problem.kind is Kind.UPSTREAM_FAILED


def test_an_answer_is_a_response_of_the_sdk() -> None:
    reply = ChatReply(
        blocks=[Thinking(text="hm"), Text(text="a"), ToolCall(id="c", name="f", arguments="")],
        finish=TOOL_CALLS,
        usage=Usage(input=1, output=2),
        logprobs=[{"token": "a", "logprob": -1.0, "bytes": None, "top_logprobs": []}],
    )
    given_fields = fields(
        instructions="Be.", temperature=0.5, metadata={"a": "b"}, previous_response_id="resp_0", user="u",
        tools=[{"type": "function", "name": "f", "parameters": {}, "strict": None}], tool_choice="auto", top_p=None,
        reasoning={"effort": "low"}, text={"verbosity": "low"}, max_output_tokens=9, parallel_tool_calls=False,
    )  # fmt: skip
    body = write_reply(reply, Asker("c1", "name", 1700000000, given_fields))
    response = TypeAdapter(Response).validate_json(body)
    assert response.id == "resp_c1" and response.status == "completed" and response.model == "name"
    assert [item.id for item in response.output] == ["rs_c1_0", "msg_c1_1", "fc_c1_2"]
    assert response.previous_response_id == "resp_0" and response.top_p == 1.0 and response.max_output_tokens == 9
    again = read_reply(body)
    assert again.blocks == [*reply.blocks[:2], ToolCall(id="c", name="f", arguments="{}")]
    assert (again.finish, again.usage, again.id) == (TOOL_CALLS, reply.usage, "resp_c1")
    cut = write_reply(ChatReply(blocks=[Text(text="a")], finish=LENGTH), Asker("c", "m", 1, {}))
    assert TypeAdapter(Response).validate_json(cut).status == "incomplete" and read_reply(cut).finish == LENGTH


@pytest.mark.parametrize(
    "body",
    [b'{"error":{"message":"bad"}}', b'{"status":"failed","error":{"code":"c","message":"bad"},"output":[]}'],
)
def test_an_error_in_place_of_an_answer(body: bytes) -> None:
    for step in (read_reply, read_usage):
        with pytest.raises(Problem, match="bad"):
            step(body)


def test_what_a_target_cannot_say_is_lost_by_name() -> None:
    request = ChatRequest(
        turns=[
            Turn(
                role="user",
                name="n",
                blocks=[ToolResult(call_id="c", content=[], is_error=True), Text(text="x", cache="5m")],
            )
        ],
        tool_choice=ToolChoice(mode=REQUIRED),
        controls=Controls(
            params={"seed": 1, "n": 1, "top_k": 2, "store": False, "logprobs": False},
            output=OutputFormat(schema=msgspec.Raw(b"{}")),
            reasoning=Reasoning(budget=5000),
            extras={"model": "x", "own": 1},
        ),
    )
    body, losses = sent(request, json_schema=False, refuses=frozenset({"reasoning"}), renames={"own": "mine"})
    assert losses == [
        "messages.name", "messages.is_error", "cache_control", "tool_choice", "seed", "top_k", "response_format",
        "reasoning",
    ]  # fmt: skip
    assert body["mine"] == 1 and body["model"] == "m" and "reasoning" not in body
    assert sent(request)[0]["reasoning"] == {"effort": "medium"}


def test_a_preset_is_laid_over_raw_fields() -> None:
    asked_for = fields(temperature=0.1, reasoning={"summary": "auto"}, text={"verbosity": "high"}, instructions="Mine.")
    schema = {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}}
    preset = Preset(
        params={
            "temperature": 1, "max_tokens": 9, "reasoning_effort": "low", "response_format": schema, "verbosity": "low",
            "seed": 5, "own": [1], "strange": 1,
        },
        locked=frozenset({"temperature", "verbosity"}),
        controls=Controls(extras={"own": [1]}),
    )  # fmt: skip
    assert overlay(asked_for, preset, "Yours.") == ["seed", "strange"]
    body = json.loads(address(asked_for, target(upstream="up"), True))
    assert body == {
        "model": "up", "temperature": 1, "max_output_tokens": 9, "own": [1],
        "input": [
            {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "Yours."}]},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]},
        ],
        "reasoning": {"summary": "auto", "effort": "low"}, "instructions": "Mine.",
        "text": {"verbosity": "low", "format": {"type": "json_schema", "name": "n", "schema": {}}},
    }  # fmt: skip


def test_the_accent_of_a_target_is_spoken() -> None:
    accent = Accent(
        dialect="openai", paths={}, translate={}, roles={"developer": "system"}, refuses=frozenset({"user"}),
        renames={"seed": "random_seed"},
    )  # fmt: skip
    body = address(fields(input=CONVERSATION, user="u", seed=1), target(accent=accent), True)
    assert json.loads(body)["input"][0]["role"] == "system"
    assert "user" not in json.loads(body) and json.loads(body)["random_seed"] == 1
    foreign = {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "modelyard:anthropic:x"}
    assert json.loads(address(fields(input=[foreign, CONVERSATION[0]]), target(), True))["input"] == [CONVERSATION[0]]


def test_the_head() -> None:
    assert read_head(fields(stream=True, max_output_tokens=5)) == ("m", True, 5)
    assert read_head(split(b'{"previous_response_id":"r"}')) == (None, False, None)
    with pytest.raises(Problem, match="`input` is missing"):
        read_head(split(b'{"model":"m","previous_response_id":null}'))


def test_an_exchange_is_kept_and_gone_on_from() -> None:
    answer = write_reply(
        ChatReply(
            blocks=[
                Thinking(text="lost"), Thinking(text="kept", signature="s", origin="openai"), Text(text="4"),
                ToolCall(id="t", name="f", arguments="{}"),
            ],
            finish=TOOL_CALLS,
        ),
        Asker("c1", "m", 1, {}),
    )  # fmt: skip
    told = output_of(answer)
    assert told is not None and told[0] == "resp_c1"
    event = b'event: response.completed\ndata: {"type":"response.completed","response":%b}\n\n' % answer
    assert output_in_event(event) == told
    assert output_in_event(b'data: {"type":"response.output_text.delta","delta":"response.completed"}\n\n') is None
    kept = turn_items(fields(input="2+2?"), told[1])
    following = fields(
        previous_response_id="resp_c1", input=[{"type": "function_call_output", "call_id": "t", "output": "5"}]
    )
    complete = with_history(following, kept)
    assert "previous_response_id" not in complete
    items = [json.loads(bytes(item)) for item in split_list(complete["input"])]
    assert [item["type"] for item in items] == [
        "message",
        "reasoning",
        "message",
        "function_call",
        "function_call_output",
    ]
    assert [item.get("id") for item in items] == [None, None, "msg_my_msg_c1_2", None, None]
    request = read_request(complete)
    assert [turn.role for turn in request.turns] == ["user", "assistant", "user"]
    # The whole conversation is kept once more, its ids as they are.
    assert json.loads(turn_items(complete, [])) == items


def test_calls_of_the_servers_own_tools_keep_their_ids() -> None:
    call = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search"}}
    kept = turn_items(fields(input=[call, {"id": "x"}, {"type": "item_reference", "id": "y"}]), [])
    assert json.loads(kept) == [call]


def test_the_operation() -> None:
    assert (RESPONSES.id, RESPONSES.path, RESPONSES.ping) == ("openai.responses", "/v1/responses", b": keep-alive\n\n")
    assert RESPONSES.passing.asked_for_usage({})
