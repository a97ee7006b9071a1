"""A coding agent's request, as it comes: long system prompts, cache markers, many tools, thinking, results, a picture.

It speaks Anthropic's dialect; the backends are an OpenAI-compatible one and llama.cpp. Everything must arrive there or
be named, and the agent's SDK must understand what comes back.
"""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import pytest

from modelyard.upstream.scripted.answers import THOUGHT
from tests.conformance.asking import OPENAI
from tests.conformance.lab import connect_scripted
from tests.engine import Engine
from tests.servers import Scripted
from tests.yard import Yard, run_yard

RECORDED = json.loads((Path(__file__).parents[1] / "corpus" / "anthropic" / "coding-agent.json").read_text())
BODY: dict[str, Any] = RECORDED["body"]
# What an OpenAI-compatible server cannot be told, and nothing else.
LOSSES = {
    "cache_control",
    "messages.is_error",
    "messages.thinking",  # that nobody may read; the rest of the thoughts arrives
    "context_management",
    "tools.eager_input_streaming",
}
COUNTED = ("model", "messages", "system", "tools", "thinking")


@pytest.fixture(scope="module")
def yard(upstream: Scripted, engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    with run_yard(tmp_path_factory.mktemp("coding") / "data", {"MODELS_CACHE_TTL": "0"}) as running:
        connect_scripted(running, upstream)
        running.connect("llama.cpp", engine.base_url, OPENAI, flavour="llama.cpp", prefix_id="r")
        yield running


@pytest.fixture(scope="module")
def client(yard: Yard) -> Iterator[anthropic.Anthropic]:
    headers = {name: value for name, value in RECORDED["headers"].items() if not name.startswith("anthropic-")}
    with anthropic.Anthropic(
        base_url=yard.url, api_key=yard.make_key(), max_retries=0, default_headers=headers
    ) as opened:
        yield opened


def request(model: str, **changed: Any) -> dict[str, Any]:
    """The recorded request for another model, without `stream`: the SDK says that itself."""
    body = copy.deepcopy({**BODY, "model": model, **changed})
    del body["stream"]
    return body


def ask(client: anthropic.Anthropic, model: str) -> tuple[Any, set[str]]:
    """The streamed answer as the SDK puts it together, and what its headers name as lost."""
    betas = RECORDED["headers"]["anthropic-beta"].split(",")
    with client.beta.messages.stream(**request(model), betas=betas) as stream:
        message = stream.get_final_message()
        told = stream.response.headers.get("x-modelyard-loss", "")
    return message, {name for name in told.split(",") if name}


def sent(upstream: Scripted) -> dict[str, Any]:
    last = upstream.state()["requests"][-1]
    assert last["body_bytes"] == len(last["body"].encode()), "the scripted upstream kept only a part"
    body: dict[str, Any] = json.loads(last["body"])
    return body


def texts(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n\n".join(part["text"] for part in content if part["type"] == "text")


def blocks(kind: str) -> list[dict[str, Any]]:
    """All blocks of this kind in the recorded conversation, in their order."""
    contents = [message["content"] for message in BODY["messages"]]
    return [block for content in contents for block in content if block["type"] == kind]


def test_the_answer_is_understood(client: anthropic.Anthropic) -> None:
    message, losses = ask(client, "o.thinking-tool")
    thought, said, call = message.content
    assert thought.thinking == "".join(THOUGHT)
    assert said.text == "I shall look that up."
    assert (call.name, call.input) == (BODY["tools"][0]["name"], {"city": "Zürich", "days": 3})
    assert message.stop_reason == "tool_use"
    assert message.usage.input_tokens > 1000
    assert losses == LOSSES


def test_its_next_turn_is_understood_too(client: anthropic.Anthropic, upstream: Scripted) -> None:
    message, _ = ask(client, "o.thinking-tool")
    answer = {"role": "assistant", "content": [block.to_dict() for block in message.content]}
    result = {"type": "tool_result", "tool_use_id": message.content[-1].id, "content": "done"}
    turns = [*BODY["messages"], answer, {"role": "user", "content": [result]}]
    told = client.beta.messages.create(**request("o.tool-loop", messages=turns, max_tokens=4000, thinking=None))
    assert told.content[0].text.endswith(" done")
    assert sent(upstream)["messages"][-2]["reasoning_content"] == "".join(THOUGHT)


def test_the_system_prompt_arrives_whole(client: anthropic.Anthropic, upstream: Scripted) -> None:
    ask(client, "o.echo")
    first, *rest = sent(upstream)["messages"]
    assert first["role"] == "system"
    assert texts(first["content"]) == texts(BODY["system"])
    assert all(message["role"] != "system" for message in rest)


def test_the_conversation_arrives_whole(client: anthropic.Anthropic, upstream: Scripted) -> None:
    ask(client, "o.echo")
    messages = sent(upstream)["messages"]
    said = "\n".join(texts(message["content"]) for message in messages if message["content"])
    for block in blocks("text"):
        assert block["text"] in said
    thoughts = [message["reasoning_content"] for message in messages if message.get("reasoning_content")]
    assert thoughts == [block["thinking"] for block in blocks("thinking")]


def test_calls_and_results_arrive_in_pairs(client: anthropic.Anthropic, upstream: Scripted) -> None:
    ask(client, "o.echo")
    messages = sent(upstream)["messages"]
    calls = [call for message in messages for call in message.get("tool_calls") or ()]
    told = [(call["id"], call["function"]["name"], json.loads(call["function"]["arguments"])) for call in calls]
    assert told == [(block["id"], block["name"], block["input"]) for block in blocks("tool_use")]
    results = [(one["tool_call_id"], texts(one["content"])) for one in messages if one["role"] == "tool"]
    assert results == [(block["tool_use_id"], texts(block["content"])) for block in blocks("tool_result")]
    open_calls: set[str] = set()
    for message in messages:
        if message["role"] == "tool":
            open_calls.remove(message["tool_call_id"])
        else:
            assert not open_calls, "a call has no result right behind it"
            open_calls = {call["id"] for call in message.get("tool_calls") or ()}


def test_the_picture_in_a_result_arrives(client: anthropic.Anthropic, upstream: Scripted) -> None:
    ask(client, "o.echo")
    parts = [part for one in sent(upstream)["messages"] if isinstance(one["content"], list) for part in one["content"]]
    (picture,) = [part for part in parts if part["type"] == "image_url"]
    (recorded,) = [
        part["source"]["data"]
        for block in blocks("tool_result")
        if isinstance(block["content"], list)
        for part in block["content"]
        if part["type"] == "image"
    ]
    assert picture["image_url"]["url"] == f"data:image/png;base64,{recorded}"


def test_the_tools_arrive_whole(client: anthropic.Anthropic, upstream: Scripted) -> None:
    ask(client, "o.echo")
    functions = [tool["function"] for tool in sent(upstream)["tools"]]
    told = [(one["name"], one["description"], one["parameters"]) for one in functions]
    assert told == [(tool["name"], tool["description"], tool["input_schema"]) for tool in BODY["tools"]]


def test_what_steers_it_arrives(client: anthropic.Anthropic, upstream: Scripted) -> None:
    ask(client, "o.echo")
    body = sent(upstream)
    assert body["max_tokens"] == BODY["max_tokens"]
    assert body["reasoning_effort"] == "high"
    assert body["user"] == BODY["metadata"]["user_id"]
    assert body["stream"] is True


def test_nothing_of_anthropics_own_headers_leaves(client: anthropic.Anthropic, upstream: Scripted) -> None:
    ask(client, "o.echo")
    headers = upstream.state()["requests"][-1]["headers"]
    assert not [name for name in headers if name.startswith(("anthropic-", "x-stainless", "x-app"))]


def test_the_same_bytes_without_an_sdk(yard: Yard, upstream: Scripted) -> None:
    body = json.dumps({**BODY, "model": "o.echo"}).encode()
    headers = {**RECORDED["headers"], "x-api-key": yard.make_key()}
    answer = httpx2.post(yard.url + RECORDED["path"], headers=headers, content=body, timeout=30)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert set(answer.headers["x-modelyard-loss"].split(",")) == LOSSES
    lines = [line for line in answer.text.splitlines() if line.startswith("event: ")]
    assert (lines[0], lines[-1]) == ("event: message_start", "event: message_stop")


def test_at_anthropic_itself_nothing_is_changed(client: anthropic.Anthropic, upstream: Scripted) -> None:
    """The scripted upstream knows that it did not sign these thoughts: without them, all passes as it is."""
    body = request("a.echo")
    for message in body["messages"]:
        message["content"] = [part for part in message["content"] if "thinking" not in part["type"]]
    betas = RECORDED["headers"]["anthropic-beta"].split(",")
    with client.beta.messages.stream(**body, betas=betas) as stream:
        stream.get_final_message()
        assert "x-modelyard-loss" not in stream.response.headers
    got = sent(upstream)
    assert {name: value for name, value in got.items() if name not in ("model", "stream")} == {
        name: value for name, value in body.items() if name != "model"
    }
    told = upstream.state()["requests"][-1]["headers"]["anthropic-beta"]
    assert set(told.split(",")) >= set(betas)


@pytest.mark.parametrize("model", ["o.echo", "l.echo"])
def test_its_tokens_are_counted(client: anthropic.Anthropic, model: str) -> None:
    body = {name: value for name, value in request(model).items() if name in COUNTED}
    answer = client.messages.with_raw_response.count_tokens(**body)
    size = len(json.dumps(BODY))
    assert size / 10 < answer.parse().input_tokens < size / 2
    assert answer.headers["x-modelyard-estimated"] == "true"


def cut_down(model: str) -> dict[str, Any]:
    """The same conversation with less in it, and without the picture: the tiny model has 4096 tokens, which are bytes."""
    body = request(model, max_tokens=20, thinking={"type": "disabled"}, tools=BODY["tools"][1:3])
    for tool in body["tools"]:
        del tool["input_schema"]["$schema"]

    def shorter(value: Any) -> Any:
        if isinstance(value, list):
            return [shorter(one) for one in value if not isinstance(one, dict) or one.get("type") != "image"]
        if isinstance(value, dict):
            kept = ("id", "tool_use_id", "signature", "data")
            return {name: one if name in kept else shorter(one) for name, one in value.items()}
        return value[:24] if isinstance(value, str) else value

    body["system"], body["messages"] = shorter(body["system"]), shorter(body["messages"])
    del body["context_management"]
    return body


def test_a_real_backend_answers(client: anthropic.Anthropic) -> None:
    with client.messages.stream(**cut_down("r.tiny-llama")) as stream:
        pieces = list(stream.text_stream)
        message = stream.get_final_message()
        losses = set(stream.response.headers["x-modelyard-loss"].split(","))
    assert len("".join(pieces)) == message.usage.output_tokens == 20
    assert message.stop_reason == "max_tokens"
    assert losses == LOSSES - {"context_management", "tools.eager_input_streaming"}


def test_a_real_backend_counts(client: anthropic.Anthropic) -> None:
    body = {name: value for name, value in cut_down("r.tiny-llama").items() if name in COUNTED}
    answer = client.messages.with_raw_response.count_tokens(**body)
    assert "x-modelyard-estimated" not in answer.headers
    assert 100 < answer.parse().input_tokens < 4096


def test_a_real_backend_that_cannot_hold_it_says_so(client: anthropic.Anthropic) -> None:
    body = request("r.tiny-llama", max_tokens=20, thinking={"type": "disabled"}, messages=BODY["messages"][:1])
    with pytest.raises(anthropic.BadRequestError) as error, client.beta.messages.stream(**body) as stream:
        stream.get_final_message()
    assert "context" in str(error.value)
