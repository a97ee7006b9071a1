"""Requests of Anthropic callers: what the hub gets of them, what it names as unread, and what it refuses."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.canonical.chat import (
    MAX_PARTS,
    ONE,
    REQUIRED,
    ChatRequest,
    Media,
    Reasoning,
    Redacted,
    Text,
    Thinking,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from modelyard.core.errors import Kind, Problem
from modelyard.core.raw import encode, split
from modelyard.dialects.anthropic import ANTHROPIC
from modelyard.dialects.dialect import Recipient
from modelyard.dialects.openai.chat_request import write_request as write_openai
from tests.unit.make import json_bytes, object_of, target

MESSAGES = ANTHROPIC.operations[0]
CORPUS = Path(__file__).parents[1] / "corpus" / "anthropic"
HELLO = [{"role": "user", "content": "Hello"}]


def read(body: Any = None, **fields: Any) -> ChatRequest:
    assert MESSAGES.chat is not None
    given = {"model": "m", "max_tokens": 10, "messages": HELLO, **fields} if body is None else body
    return MESSAGES.chat.read_request(split(json.dumps(given).encode()))


def refused(**fields: Any) -> Problem:
    with pytest.raises(Problem) as caught:
        read(**fields)
    assert caught.value.kind is Kind.INVALID_REQUEST
    return caught.value


def user(*content: Any) -> list[Any]:
    return [{"role": "user", "content": list(content)}]


def blocks(*content: Any) -> list[Any]:
    return read(messages=user(*content)).turns[0].blocks


def test_a_plain_request() -> None:
    request = read(system="Be brief.", temperature=1, top_p=0.5, top_k=5.0, stop_sequences=["X"], stream=True)
    assert [(turn.role, turn.blocks) for turn in request.turns] == [("user", [Text(text="Hello")])]
    assert request.system == [Text(text="Be brief.")]
    assert request.stream
    assert request.controls.params == {"max_tokens": 10, "temperature": 1, "top_p": 0.5, "top_k": 5, "stop": ["X"]}
    assert request.unread == []


def test_names_of_the_hub_are_read_at_the_top() -> None:
    request = read(
        seed=7, min_p=0.1, num_ctx=4096, keep_alive="5m", logit_bias={"1": 2}, stop="Y", reasoning_effort="low"
    )
    params = request.controls.params
    assert params == {
        "max_tokens": 10, "seed": 7, "min_p": 0.1, "num_ctx": 4096, "keep_alive": "5m", "logit_bias": {"1": 2}, "stop": ["Y"],
    }  # fmt: skip
    assert request.controls.reasoning == Reasoning(effort="low")
    assert request.unread == []


def test_who_the_user_is_and_what_service() -> None:
    request = read(metadata={"user_id": "u-1", "team": "x"}, service_tier="standard_only")
    assert request.controls.params["user"] == "u-1"
    assert request.controls.params["service_tier"] == "standard_only"
    assert request.unread == ["metadata.team"]


def test_null_is_absent() -> None:
    nothing = dict.fromkeys(["system", "tools", "tool_choice", "thinking", "metadata", "temperature", "stop_sequences",
                             "stream", "container", "cache_control", "output_config", "service_tier"])  # fmt: skip
    request = read(**nothing)
    assert (request.system, request.tools, request.controls.reasoning, request.unread) == ([], [], None, [])


@pytest.mark.parametrize(
    ("thinking", "reasoning", "unread"),
    [
        ({"type": "enabled", "budget_tokens": 2048}, Reasoning(budget=2048), []),
        (
            {"type": "enabled", "budget_tokens": 2048, "display": "omitted"},
            Reasoning(budget=2048, summary="omitted"),
            [],
        ),
        ({"type": "adaptive", "display": "summarized"}, Reasoning(summary="auto"), []),
        ({"type": "disabled", "budget_tokens": 9}, Reasoning(enabled=False), []),
        ({"type": "adaptive", "pace": 3}, Reasoning(), ["thinking.pace"]),
    ],
)
def test_thinking(thinking: Any, reasoning: Reasoning, unread: list[str]) -> None:
    request = read(thinking=thinking)
    assert request.controls.reasoning == reasoning
    assert request.unread == unread


def test_effort_stands_beside_thinking() -> None:
    assert read(output_config={"effort": "xhigh"}).controls.reasoning == Reasoning(effort="xhigh")
    both = read(thinking={"type": "adaptive"}, output_config={"effort": "max"})
    assert both.controls.reasoning == Reasoning(effort="max")
    off = read(thinking={"type": "disabled"}, output_config={"effort": "max"})
    assert off.controls.reasoning == Reasoning(enabled=False)
    assert off.unread == ["output_config.effort"]
    assert read(output_config={"effort": "heroic", "task_budget": 3}).unread == [
        "output_config.effort",
        "output_config.task_budget",
    ]


@pytest.mark.parametrize("field", ["output_config", "output_format"])
def test_a_schema_for_the_answer(field: str) -> None:
    told = {"type": "json_schema", "schema": {"type": "object", "x": 1.0}}
    request = read(**{field: {"format": told} if field == "output_config" else told})
    assert request.controls.output is not None
    assert bytes(request.controls.output.schema or b"") == b'{"type": "object", "x": 1.0}'


def test_system_blocks_keep_their_markers() -> None:
    one = {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}
    two = {"type": "text", "text": "b", "cache_control": {"type": "ephemeral", "ttl": "1h"}, "citations": None}
    assert read(system=[one, two]).system == [Text(text="a", cache="5m"), Text(text="b", cache="1h")]


def test_system_turns_lead_or_stand_where_they_stood() -> None:
    request = read(messages=[{"role": "system", "content": "first"}, *HELLO, {"role": "system", "content": "later"}])
    assert request.system == [Text(text="first")]
    assert [turn.role for turn in request.turns] == ["user", "system"]


def test_a_marker_for_the_whole_request_stands_behind_its_last_block() -> None:
    mark = {"type": "ephemeral"}
    assert read(cache_control=mark).turns[0].blocks == [Text(text="Hello", cache="5m")]
    alone = read(cache_control=mark, messages=[{"role": "system", "content": "S"}])
    assert (alone.turns, alone.system) == ([], [Text(text="S", cache="5m")])


def test_images() -> None:
    told = blocks(
        {"type": "image", "source": {"type": "base64", "media_type": "image/PNG", "data": "iVBO"}},
        {"type": "image", "source": {"type": "url", "url": "https://a/b.png"}},
        {"type": "image", "source": {"type": "file", "file_id": "file_1"}, "cache_control": {"type": "ephemeral"}},
    )
    assert told == [
        Media(kind="image", media_type="image/png", data="iVBO"),
        Media(kind="image", url="https://a/b.png"),
        Media(kind="image", file_id="file_1", cache="5m"),
    ]


def test_documents() -> None:
    picture = {"type": "image", "source": {"type": "url", "url": "https://a"}}
    inner = {"type": "content", "content": [{"type": "text", "text": "a"}, picture, {"type": "text", "text": "b"}]}
    told = blocks(
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"},
            "title": "T",
        },
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}},
        {"type": "document", "source": inner, "citations": {"enabled": False}},
        {"type": "document", "source": {"type": "content", "content": "plain"}},
    )
    assert told == [
        Media(kind="document", media_type="application/pdf", data="JVBE", name="T"),
        Media(kind="document", media_type="text/plain", text="words"),
        Media(kind="document", media_type="text/plain", text="a\n\nb"),
        Media(kind="image", url="https://a"),
        Media(kind="document", media_type="text/plain", text="plain"),
    ]


def test_what_documents_say_besides_is_named() -> None:
    source = {"type": "text", "media_type": "text/plain", "data": "words"}
    request = read(
        messages=user({"type": "document", "source": source, "context": "c", "citations": {"enabled": True}})
    )
    assert request.unread == ["messages.document.context", "messages.document.citations"]


def test_tool_results_stand_first() -> None:
    found = {"type": "search_result", "source": "https://a", "title": "T", "content": [{"type": "text", "text": "x"}]}
    result = {
        "type": "tool_result",
        "tool_use_id": "t1",
        "content": [{"type": "text", "text": "r"}, found],
        "is_error": True,
    }
    told = blocks({"type": "text", "text": "before"}, result, {"type": "tool_result", "tool_use_id": "t2"})
    assert told == [
        ToolResult(call_id="t1", content=[Text(text="r"), Text(text="T\nhttps://a\n\nx")], is_error=True),
        ToolResult(call_id="t2", content=[]),
        Text(text="before"),
    ]


def test_an_answer_that_is_sent_back() -> None:
    content = [
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {"type": "thinking", "thinking": "hm", "signature": "modelyard:openai:enc"},
        {"type": "thinking", "thinking": "hm", "signature": ""},
        {"type": "redacted_thinking", "data": "zzz"},
        {"type": "text", "text": "ok", "citations": None},
        {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1.0}, "caller": {"type": "direct"}},
        {"type": "tool_use", "id": "u", "name": "g"},
    ]
    back = {"id": "msg_1", "type": "message", "role": "assistant", "content": content, "usage": {"x": 1}}
    request = read(messages=[*HELLO, back])
    assert request.turns[1].blocks == [
        Thinking(text="hm", signature="sig", origin="anthropic"),
        Thinking(text="hm", signature="enc", origin="openai"),
        Thinking(text="hm"),
        Redacted(data="zzz"),
        Text(text="ok"),
        ToolCall(id="t", name="f", arguments='{"a": 1.0}'),
        ToolCall(id="u", name="g", arguments="{}"),
    ]
    assert request.unread == []


def test_blocks_of_the_servers_own_are_named_and_left_out() -> None:
    answer = [
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "x"}},
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": {"type": "error", "error_code": "x"}},
        {"type": "text", "text": "found", "citations": [{"type": "web_search_result_location"}], "extra": 1},
    ]
    request = read(messages=[*HELLO, {"role": "assistant", "content": answer}])
    assert request.turns[1].blocks == [Text(text="found")]
    assert request.unread == [
        "messages.server_tool_use",
        "messages.web_search_tool_result",
        "messages.text.extra",
        "messages.text.citations",
    ]


def test_unknown_things_within_a_result_are_left_out() -> None:
    content = [{"type": "tool_reference", "tool_name": "x"}, {"type": "text", "text": "t", "odd": 1}]
    request = read(messages=user({"type": "tool_result", "tool_use_id": "t", "content": content}))
    assert request.turns[0].blocks == [ToolResult(call_id="t", content=[Text(text="t")])]
    assert request.unread == ["messages.tool_reference", "messages.text.odd"]


def test_tools() -> None:
    own = {"name": "f", "description": "d", "input_schema": {"type": "object"}, "strict": True,
           "cache_control": {"type": "ephemeral", "ttl": "1h"}}  # fmt: skip
    served = {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}
    odd = {
        "type": "custom",
        "name": "g",
        "input_schema": {"type": "object"},
        "defer_loading": True,
        "input_examples": [],
    }
    request = read(tools=[own, served, odd])
    assert [(tool.name, tool.strict, tool.cache) for tool in request.tools] == [("f", True, "1h"), ("g", None, None)]
    assert request.unread == ["tools.web_search", "tools.defer_loading"]


def test_tool_choice() -> None:
    tools = [{"name": "f", "input_schema": {"type": "object"}}]
    request = read(tools=tools, tool_choice={"type": "any", "disable_parallel_tool_use": True})
    assert (request.tool_choice, request.parallel_tools) == (ToolChoice(mode=REQUIRED), False)
    assert read(tools=tools, tool_choice={"type": "tool", "name": "f"}).tool_choice == ToolChoice(mode=ONE, name="f")
    served = read(tools=[{"type": "bash_20250124", "name": "bash"}], tool_choice={"type": "tool", "name": "bash"})
    assert served.tool_choice is None
    assert served.unread == ["tools.bash", "tool_choice"]


def test_fields_that_the_hub_has_no_word_for_are_named() -> None:
    request = read(
        context_management={"edits": [{"type": "x"}]}, mcp_servers=[], container=None, inference_geo="eu", speed="standard",
        betas=["a"],
    )  # fmt: skip
    assert request.unread == ["context_management", "inference_geo", "betas"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": "x"}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user"}]}, "messages[0]"),
        ({"messages": [{"role": "user", "content": 3}]}, "messages[0].content"),
        ({"messages": [*HELLO, {"role": "boss", "content": "x"}]}, "messages[1].role"),
        ({"messages": user({"type": "text"})}, "messages[0].content[0]"),
        ({"messages": user({"text": "x"})}, "messages[0].content[0].type"),
        ({"messages": user({"type": "odd"}, {"type": "text", "text": 3})}, "messages[0].content[1].text"),
        ({"messages": user({"type": "image", "source": {"type": "base64"}})}, "messages[0].content[0].source"),
        ({"messages": user({"type": "tool_use", "id": "a", "name": "b", "input": {}})}, "messages[0].content[0]"),
        ({"messages": [{"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "b", "input": "x"}]}]},
         "messages[0].content[0].input"),
        ({"system": 3}, "system"),
        ({"system": [{"type": "image", "source": {"type": "url", "url": "u"}}]}, "system[0]"),
        ({"temperature": True}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"max_tokens": 10**30}, "max_tokens"),
        ({"stop_sequences": [1]}, "stop_sequences"),
        ({"metadata": "x"}, "metadata"),
        ({"metadata": {"user_id": 3}}, "metadata.user_id"),
        ({"thinking": {"type": "deep"}}, "thinking.type"),
        ({"thinking": {"type": "enabled", "budget_tokens": "x"}}, "thinking.budget_tokens"),
        ({"output_config": {"format": {"type": "json_schema"}}}, "output_config.format.schema"),
        ({"tools": {}}, "tools"),
        ({"tools": [{"name": ""}]}, "tools[0].name"),
        ({"tools": [{"name": "f", "input_schema": []}]}, "tools[0].input_schema"),
        ({"tools": [{"input_schema": {}}]}, "tools[0]"),
        ({"tool_choice": "auto"}, "tool_choice"),
        ({"tool_choice": {"type": "some"}}, "tool_choice.type"),
        ({"stream": "yes"}, "stream"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_by_its_place(fields: dict[str, Any], param: str) -> None:
    assert refused(**fields).param == param


def test_parts_are_bounded() -> None:
    assert refused(messages=HELLO * (MAX_PARTS + 1)).param == "messages"
    assert refused(messages=user(*[{"type": "text", "text": "x"}] * MAX_PARTS)).param == "messages"
    tool = {"name": "f", "input_schema": {}}
    assert refused(tools=[tool] * MAX_PARTS).param == "tools"
    assert refused(tools=[{**tool, "odd": 1}] * (MAX_PARTS + 1)).param == "tools"


def test_deep_nesting_is_refused() -> None:
    deep: Any = {"type": "text", "text": "x"}
    for _ in range(100):
        deep = {"type": "document", "source": {"type": "content", "content": [deep]}, "odd": 1}
    assert refused(messages=user(deep)).param.startswith("messages[0]")


def test_the_coding_agent_is_read_whole() -> None:
    told = json.loads((CORPUS / "coding-agent.json").read_text(encoding="utf-8"))
    request = read(told["body"])
    assert request.unread == ["context_management", "tools.eager_input_streaming"]
    assert [turn.role for turn in request.turns] == [
        "user",
        "assistant",
        "user",
        "assistant",
        "user",
        "assistant",
        "user",
    ]
    assert [text.cache for text in request.system] == [None, "1h", "1h", None]
    assert len(request.tools) == len(told["body"]["tools"])
    assert request.controls.reasoning == Reasoning(budget=31999)
    results = [block for turn in request.turns for block in turn.blocks if isinstance(block, ToolResult)]
    assert [result.is_error for result in results] == [False, False, True, False, False, False]
    assert any(isinstance(part, Media) for result in results for part in result.content)
    # What it becomes for a model of another dialect.
    written = write_openai(request, Recipient(target(), None))
    assert set(written.losses) == {"messages.is_error", "messages.thinking", "cache_control"}


NAMES = (
    "messages", "system", "tools", "tool_choice", "thinking", "output_config", "metadata", "max_tokens", "stop_sequences",
    "temperature", "stream", "cache_control", "seed", "logit_bias", "odd",
)  # fmt: skip
odd_blocks = st.one_of(
    json_bytes,
    object_of("type", "text", "source", "content", "input", "id", "name", "signature", "thinking", "cache_control"),
    st.sampled_from(
        ["text", "image", "document", "tool_use", "tool_result", "search_result", "thinking", "odd"]
    ).flatmap(
        lambda kind: object_of("text", "source", "content", "input", "id", "name", "tool_use_id", "title").map(
            lambda inner: b'{"type":"%b"' % kind.encode() + (b"," + inner[1:] if len(inner) > 2 else b"}")
        )
    ),
)
messages = st.lists(
    st.tuples(st.sampled_from([b'"user"', b'"assistant"', b'"system"', b"3"]), st.lists(odd_blocks, max_size=3)).map(
        lambda told: b'{"role":' + told[0] + b',"content":[' + b",".join(told[1]) + b"]}"
    ),
    max_size=3,
).map(lambda items: b"[" + b",".join(items) + b"]")


@settings(max_examples=300)
@given(object_of(*NAMES), messages)
def test_whatever_comes_it_is_read_or_refused(body: bytes, told: bytes) -> None:
    assert MESSAGES.chat is not None
    try:
        fields = split(body)
        fields |= split(b'{"messages":' + told + b"}") if "messages" not in fields else {}
    except ValueError:
        return
    problem = None
    try:
        request = MESSAGES.chat.read_request(fields)
    except Problem as raised:
        problem = raised
    else:
        encode(request)
        assert len(request.unread) == len(set(request.unread))
    assert problem is None or problem.kind is Kind.INVALID_REQUEST
