"""Requests written for Anthropic targets: legal ones only, and what they cannot say is named."""

import itertools
import json
import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.canonical.chat import (
    AUTO,
    NONE,
    ONE,
    REQUIRED,
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
from modelyard.canonical.snapshot import Accent
from modelyard.core.errors import Kind, Problem
from modelyard.core.raw import split
from modelyard.dialects.anthropic import ANTHROPIC
from modelyard.dialects.dialect import Recipient
from modelyard.dialects.flavours import FLAVOURS
from modelyard.upstream.scripted.messages_checks import wrong
from tests.unit.make import target

MESSAGES = ANTHROPIC.operations[0]
ACCENT = FLAVOURS["anthropic"].accent
VERSION = {"anthropic-version": "2023-06-01"}
ADAPTIVE = Accent(dialect="anthropic", paths=ACCENT.paths, translate=ACCENT.translate, reasoning="adaptive",
                  refuses=frozenset({"temperature"}))  # fmt: skip


def hello(*turns: Turn, controls: Controls | None = None, **more: Any) -> ChatRequest:
    return ChatRequest(turns=list(turns) or [user("Hello")], controls=controls or Controls(params={}), **more)


def user(*texts: str) -> Turn:
    return Turn(role="user", blocks=[Text(text=text) for text in texts])


def assistant(*blocks: Any) -> Turn:
    return Turn(role="assistant", blocks=list(blocks))


def results(*blocks: Any) -> Turn:
    return Turn(role="user", blocks=list(blocks))


def write(
    request: ChatRequest, limit: int | None = None, accent: Accent = ACCENT, *, legal: bool = True
) -> tuple[Any, list[str]]:
    assert MESSAGES.chat is not None
    written = MESSAGES.chat.write_request(request, Recipient(target(accent=accent), limit))
    body = json.loads(written.body)
    if legal:
        told = wrong(body, VERSION)
        # Made-up signatures are none of this test's business.
        assert told is None or "signature" in told.message or "data" in told.message, told
    return body, written.losses


def steered(limit: int | None = None, **params: Any) -> tuple[Any, list[str]]:
    return write(hello(controls=Controls(params=params)), limit)


def refused(request: ChatRequest) -> Problem:
    with pytest.raises(Problem) as caught:
        write(request)
    assert caught.value.kind is Kind.INVALID_REQUEST
    return caught.value


def test_the_smallest_request() -> None:
    body, losses = write(hello())
    assert body == {"model": "m", "max_tokens": 4096, "messages": [{"role": "user", "content": "Hello"}]}
    assert losses == []


def test_max_tokens_is_the_models_own_limit_where_nobody_says() -> None:
    assert write(hello(), 8192)[0]["max_tokens"] == 8192
    assert steered(8192, max_tokens=5)[0]["max_tokens"] == 5


def test_parameters_that_the_api_has() -> None:
    body, losses = steered(
        temperature=0.5, top_p=0.9, top_k=4, stop=["a"], user="u", service_tier="default", max_tokens=9
    )
    del body["model"], body["messages"]
    assert body == {
        "max_tokens": 9, "temperature": 0.5, "top_p": 0.9, "top_k": 4, "stop_sequences": ["a"],
        "metadata": {"user_id": "u"}, "service_tier": "standard_only",
    }  # fmt: skip
    assert losses == []


def test_parameters_that_it_does_not_have() -> None:
    body, losses = steered(
        seed=1, n=2, logprobs=True, top_logprobs=2, frequency_penalty=0.5, logit_bias={"1": 2}, service_tier="flex",
        min_p=0.1, metadata={"a": "b"}, verbosity="low", store=True, suffix="x",
    )  # fmt: skip
    assert losses == [
        "seed", "n", "logprobs", "top_logprobs", "frequency_penalty", "logit_bias", "service_tier", "min_p", "metadata",
        "verbosity", "store", "suffix",
    ]  # fmt: skip
    assert body.keys() == {"model", "max_tokens", "messages"}


def test_what_holds_anyway_is_no_loss() -> None:
    assert steered(n=1, logprobs=False, store=False, presence_penalty=0.0, metadata={}, stop=[])[1] == []


def test_values_out_of_range_are_fitted() -> None:
    body, losses = steered(temperature=1.5, stop=[" ", "\n", "END"])
    assert (body["temperature"], body["stop_sequences"]) == (1, ["END"])
    assert losses == ["temperature", "stop"]
    assert "stop_sequences" not in steered(stop=["\n\n"])[0]


def test_a_presets_own_parameters_go_to_the_root() -> None:
    controls = Controls(params={"top_k": 3}, extras={"inference_geo": "eu", "model": "other", "top_k": 9})
    body, _ = write(hello(controls=controls))
    assert (body["inference_geo"], body["model"], body["top_k"]) == ("eu", "m", 3)


def test_system_texts() -> None:
    assert write(hello(system=[Text(text="a")]))[0]["system"] == "a"
    both = [Text(text="a"), Text(text=" "), Text(text="b", cache="1h"), Text(text="c", cache="5m")]
    assert write(hello(system=both))[0]["system"] == [
        {"type": "text", "text": "a"},
        {"type": "text", "text": "b", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        {"type": "text", "text": "c", "cache_control": {"type": "ephemeral"}},
    ]
    assert "system" not in write(hello(system=[Text(text="")]))[0]


def test_roles_alternate_and_a_system_turn_is_legal() -> None:
    system = Turn(role="system", blocks=[Text(text="Careful.")])
    body, losses = write(hello(user("a"), user("b"), assistant(Text(text="c")), assistant(Text(text="d")), system))
    assert body["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "c"}, {"type": "text", "text": "d"}]},
        {"role": "user", "content": "<system>\nCareful.\n</system>"},
    ]
    assert losses == []


def test_results_stand_first_also_after_merging() -> None:
    calls = assistant(ToolCall(id="a", name="f", arguments="{}"), ToolCall(id="b", name="f", arguments=""))
    system = Turn(role="system", blocks=[Text(text="S")])
    one = results(ToolResult(call_id="a", content=[Text(text="1")]))
    two = results(ToolResult(call_id="b", content=[], is_error=True, cache="5m"))
    body, losses = write(hello(user("q"), calls, system, one, two, user("and?")))
    assert [block["type"] for block in body["messages"][2]["content"]] == ["tool_result", "tool_result", "text", "text"]
    assert body["messages"][2]["content"][:2] == [
        {"type": "tool_result", "tool_use_id": "a", "content": "1"},
        {"type": "tool_result", "tool_use_id": "b", "is_error": True, "cache_control": {"type": "ephemeral"}},
    ]
    # The API wants tools declared that are called in the conversation.
    assert [tool["name"] for tool in body["tools"]] == ["f"]
    assert body["tool_choice"] == {"type": "none"}
    assert losses == []


def test_empty_texts_are_left_out() -> None:
    body, losses = write(
        hello(user("", "a"), assistant(Text(text=" \n")), Turn(role="user", blocks=[Text(text="", cache="5m")]))
    )
    assert body["messages"] == [{"role": "user", "content": "a"}]
    assert losses == ["cache_control"]


@pytest.mark.parametrize("turns", [[user("")], [user(" ")], [results(Media(kind="audio", data="x"))]])
def test_an_empty_conversation_says_the_least(turns: list[Turn]) -> None:
    assert write(hello(*turns))[0]["messages"] == [{"role": "user", "content": "."}]


def test_an_answer_that_has_begun() -> None:
    body, _ = write(hello(user("q"), assistant(Text(text="The answer is \n"))))
    assert body["messages"][1] == {"role": "assistant", "content": "The answer is"}
    body, _ = write(hello(assistant(Text(text="Once "))))
    assert [message["role"] for message in body["messages"]] == ["user", "assistant"]


def test_ids_are_fitted_alike_for_call_and_result() -> None:
    calls = [ToolCall(id=call_id, name="f", arguments="") for call_id in ("a b", "a.b", "ok_1-X", "")]
    told = [ToolResult(call_id=call.id, content=[]) for call in calls]
    body, _ = write(hello(user("q"), assistant(*calls), results(*told)))
    ids = [block["id"] for block in body["messages"][1]["content"]]
    assert ids == [block["tool_use_id"] for block in body["messages"][2]["content"]]
    assert len(set(ids)) == 4
    assert ids[2] == "ok_1-X"
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]+", call_id) for call_id in ids)


@pytest.mark.parametrize("arguments", ["{", "[1]", '"x"', "null", "\ud800"])
def test_arguments_that_are_no_object_are_refused(arguments: str) -> None:
    problem = refused(hello(user("q"), assistant(ToolCall(id="a", name="f", arguments=arguments))))
    assert problem.param == "messages"
    assert "`f`" in problem.message


def test_names_that_the_api_refuses_are_refused() -> None:
    assert refused(hello(tools=[Tool(name="ok"), Tool(name="a.b")])).param == "tools[1].name"
    assert refused(hello(tools=[Tool(name="x" * 129)])).param == "tools[0].name"


def test_only_thoughts_that_it_signed_go_back() -> None:
    mine, theirs = (
        Thinking(text="a", signature="s", origin="anthropic"),
        Thinking(text="b", signature="s", origin="openai"),
    )
    turns = [user("q"), assistant(mine, theirs, Thinking(text="c"), Redacted(data="d"), Text(text="e")), user("r")]
    body, losses = write(hello(*turns))
    assert body["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "a", "signature": "s"},
        {"type": "redacted_thinking", "data": "d"},
        {"type": "text", "text": "e"},
    ]
    assert losses == ["messages.thinking"]


def test_media() -> None:
    blocks: list[Any] = [
        Media(kind="image", data="/9j/x", detail="auto"),
        Media(kind="image", url="https://a", detail="high", cache="1h"),
        Media(kind="image", file_id="f"),
        Media(kind="document", data="JVBERi0x", name="a.pdf"),
        Media(kind="document", media_type="text/markdown", data="IyBI"),
        Media(kind="document", text="words", name="t"),
        Media(kind="document", url="https://b"),
        Media(kind="document", media_type="application/zip", data="UEs="),
        Media(kind="audio", data="x"),
        Refusal(text="no"),
    ]
    body, losses = write(hello(results(*blocks)))
    assert body["messages"][0]["content"] == [
        {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "/9j/x"}},
        {"type": "image", "source": {"type": "url", "url": "https://a"}, "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        {"type": "image", "source": {"type": "file", "file_id": "f"}},
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0x"}, "title": "a.pdf"},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "# H"}},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}, "title": "t"},
        {"type": "document", "source": {"type": "url", "url": "https://b"}},
        {"type": "text", "text": "no"},
    ]  # fmt: skip
    assert losses == ["messages.image.detail", "messages.document", "messages.audio"]


def test_names_of_speakers_are_lost() -> None:
    assert write(hello(Turn(role="user", blocks=[Text(text="a")], name="Ann")))[1] == ["messages.name"]


def test_tools_and_their_choice() -> None:
    tools = [
        Tool(name="f", description="d", schema=msgspec.Raw(b'{"properties":{}}'), strict=True, cache="5m"),
        Tool(name="g", strict=False),
    ]
    body, losses = write(hello(tools=tools, parallel_tools=False))
    assert body["tools"] == [
        {"name": "f", "description": "d", "input_schema": {"type": "object", "properties": {}}, "strict": True,
         "cache_control": {"type": "ephemeral"}},
        {"name": "g", "input_schema": {"type": "object", "properties": {}}},
    ]  # fmt: skip
    assert body["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
    assert losses == []

    def choice(mode: str, name: str | None = None, **more: Any) -> Any:
        return write(hello(tools=tools, tool_choice=ToolChoice(mode=mode, name=name), **more))[0]["tool_choice"]

    assert choice(AUTO) == {"type": "auto"}
    assert choice(NONE, parallel_tools=False) == {"type": "none"}
    assert choice(REQUIRED, parallel_tools=False) == {"type": "any", "disable_parallel_tool_use": True}
    assert choice(ONE, "g") == {"type": "tool", "name": "g"}
    body, losses = write(hello(tool_choice=ToolChoice(mode=REQUIRED)))
    assert "tool_choice" not in body
    assert losses == ["tool_choice"]


def test_json_by_a_schema_and_without_one() -> None:
    schema = msgspec.Raw(b'{"type":"object","properties":{"a":{"type":"object","additionalProperties":true}}}')
    body, losses = write(hello(controls=Controls(output=OutputFormat(schema=schema, name="x", strict=True))))
    assert body["output_config"]["format"] == {
        "type": "json_schema",
        "schema": {
            "type": "object",
            "properties": {"a": {"type": "object", "additionalProperties": True}},
            "additionalProperties": False,
        },
    }
    assert losses == []
    body, losses = write(hello(system=[Text(text="S")], controls=Controls(output=OutputFormat())))
    assert losses == ["response_format"]
    assert [block["text"][:15] for block in body["system"]] == ["S", "Answer with one"]


def thought(
    reasoning: Reasoning, limit: int | None = None, accent: Accent = ACCENT, **params: Any
) -> tuple[Any, list[str]]:
    return write(hello(controls=Controls(params=params, reasoning=reasoning)), limit, accent)


@pytest.mark.parametrize(
    ("reasoning", "bound", "limit", "budget", "max_tokens"),
    [
        (Reasoning(effort="low"), None, None, 1024, 5120),
        (Reasoning(effort="minimal"), None, None, 1024, 5120),
        (Reasoning(effort="high"), None, 64000, 16384, 64000),
        (Reasoning(effort="max"), None, 32000, 24000, 32000),
        (Reasoning(), None, None, 4096, 8192),
        (Reasoning(budget=16384), 16640, None, 16384, 16640),
        (Reasoning(budget=5), 4000, None, 1024, 4000),
        (Reasoning(effort="medium"), 4096, None, 3072, 4096),
        (Reasoning(effort="medium"), 1100, None, 1024, 1100),
    ],
)
def test_budgets_fit_below_max_tokens(
    reasoning: Reasoning, bound: int | None, limit: int | None, budget: int, max_tokens: int
) -> None:
    body, losses = thought(reasoning, limit, **({} if bound is None else {"max_tokens": bound}))
    assert body["thinking"] == {"type": "enabled", "budget_tokens": budget}
    assert body["max_tokens"] == max_tokens
    assert losses == []


def test_no_room_to_think() -> None:
    body, losses = thought(Reasoning(effort="high"), max_tokens=1024)
    assert "thinking" not in body
    assert body["max_tokens"] == 1024
    assert losses == ["reasoning_effort"]


def test_no_thinking() -> None:
    for reasoning in (Reasoning(enabled=False), Reasoning(effort="none")):
        assert thought(reasoning)[0]["thinking"] == {"type": "disabled"}


def test_how_thoughts_are_shown() -> None:
    assert thought(Reasoning(summary="omitted"))[0]["thinking"]["display"] == "omitted"
    assert thought(Reasoning(summary="detailed"))[0]["thinking"]["display"] == "summarized"
    assert "display" not in thought(Reasoning(summary="auto"))[0]["thinking"]


def test_what_cannot_stand_beside_thinking_gives_way() -> None:
    controls = Controls(params={"temperature": 0.5, "top_k": 3, "top_p": 0.5}, reasoning=Reasoning(effort="low"))
    request = hello(
        controls=controls, tools=[Tool(name="f")], tool_choice=ToolChoice(mode=REQUIRED), parallel_tools=False
    )
    body, losses = write(request)
    assert losses == ["temperature", "top_k", "top_p", "tool_choice"]
    assert body["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
    assert not body.keys() & {"temperature", "top_k", "top_p"}
    assert thought(Reasoning(effort="low"), temperature=1.0, top_p=0.95)[1] == []


def test_a_conversation_that_forbids_thinking() -> None:
    think = Controls(params={}, reasoning=Reasoning(effort="low"))
    call, result = ToolCall(id="a", name="f", arguments=""), results(ToolResult(call_id="a", content=[]))
    signed = Thinking(text="t", signature="s", origin="anthropic")
    for turns, forbidden in [
        ([user("q"), assistant(call), result], True),
        ([user("q"), assistant(Text(text="x"), call), result], True),
        ([user("q"), assistant(signed, call), result], False),
        ([user("q"), assistant(call), result, assistant(Text(text="done")), user("more")], False),
        ([user("q"), assistant(Text(text="The"))], True),
    ]:
        body, losses = write(hello(*turns, controls=think))
        assert ("thinking" not in body) is forbidden
        assert losses == (["reasoning_effort"] if forbidden else [])


def test_models_that_measure_themselves_take_an_effort() -> None:
    body, losses = thought(Reasoning(effort="xhigh"), accent=ADAPTIVE, temperature=1.0)
    assert body["thinking"] == {"type": "adaptive", "display": "summarized"}
    assert body["output_config"] == {"effort": "xhigh"}
    assert losses == ["temperature"]
    assert thought(Reasoning(budget=5000), accent=ADAPTIVE)[0]["output_config"] == {"effort": "medium"}
    assert "output_config" not in thought(Reasoning(), accent=ADAPTIVE)[0]


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
ids = st.sampled_from(["a", "b c", "é"])
blocks = st.one_of(
    st.builds(Text, text=words),
    st.builds(Refusal, text=words),
    st.builds(Thinking, text=words),
    st.builds(ToolCall, id=ids, name=st.just("f"), arguments=st.sampled_from(["", "{}", '{"a":1}'])),
    st.builds(Media, kind=st.sampled_from(["image", "document", "audio"]), data=words),
)
said = st.builds(Text, text=words) | st.builds(Media, kind=st.just("image"), data=words)
result_blocks = st.builds(ToolResult, call_id=ids, content=st.lists(said, max_size=2))
turns = st.builds(
    Turn,
    role=st.sampled_from(["user", "assistant", "system"]),
    blocks=st.lists(blocks | result_blocks, max_size=3),
)


@given(st.lists(turns, max_size=5), st.booleans())
def test_any_conversation_becomes_a_legal_one(said: list[Turn], think: bool) -> None:
    """But for results without calls, and calls without results, which are the caller's."""
    controls = Controls(params={}, reasoning=Reasoning(effort="low") if think else None)
    body, losses = write(ChatRequest(turns=said, controls=controls), legal=False)
    roles = [message["role"] for message in body["messages"]]
    assert roles[0] == "user"
    assert all(one != other for one, other in itertools.pairwise(roles))
    for message in body["messages"]:
        content = message["content"]
        texts = [content] if isinstance(content, str) else [block.get("text", "x") for block in content]
        assert texts
        assert all(text.strip() for text in texts)
        if not isinstance(content, str):
            kinds = [block["type"] == "tool_result" for block in content]
            assert kinds == sorted(kinds, reverse=True)
    last = body["messages"][-1]["content"]
    if roles[-1] == "assistant" and isinstance(last, str):
        assert last == last.rstrip()
    assert len(losses) == len(set(losses))


def test_the_coding_agent_comes_out_as_it_went_in() -> None:
    """Through the hub and back, for a target that cannot fetch, say: nothing but what is named is lost."""
    from tests.unit.test_anthropic_requests import CORPUS

    told = json.loads((CORPUS / "coding-agent.json").read_text(encoding="utf-8"))["body"]
    assert MESSAGES.chat is not None
    request = MESSAGES.chat.read_request(split(json.dumps(told).encode()))
    body, losses = write(request)
    assert losses == []
    expected = {name: value for name, value in told.items() if name not in request.unread and name != "model"}
    expected["tools"] = [
        {key: inner for key, inner in tool.items() if key != "eager_input_streaming"} for tool in told["tools"]
    ]
    expected["messages"] = [_plain(message) for message in told["messages"]]
    del body["model"]
    assert body["messages"] == expected["messages"]
    assert body == expected


def _plain(message: Any) -> Any:
    """What says the same in more words, in fewer."""
    for block in message["content"]:
        if block["type"] == "tool_result":
            if block.get("is_error") is False:
                del block["is_error"]
            if isinstance(block["content"], list) and len(block["content"]) == 1:
                block["content"] = block["content"][0]["text"]
    return message
