"""What backends send to fill our memory or to take our time, and errors in another dialect's form."""

import json

import pytest

from modelyard.canonical.chat import MAX_PARTS
from modelyard.core.errors import Kind, Problem
from modelyard.core.raw import split
from modelyard.dialects import growth
from modelyard.dialects.anthropic.tap import AnthropicTap
from modelyard.dialects.dialect import Asker
from modelyard.dialects.growth import Growth
from modelyard.dialects.ollama.request_reader import read_chat
from modelyard.dialects.openai.answer import OpenAITap
from modelyard.dialects.openai.request import address_embeddings, read_chat_head, read_embeddings_head
from modelyard.dialects.table import OPERATIONS
from tests.unit.make import target


def sse(data: object) -> bytes:
    return f"data: {json.dumps(data)}\n\n".encode()


def test_growth_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "MOST_TEXT", 100)
    with pytest.raises(Problem, match="more than 100 characters"):
        Growth().piece(101)
    monkeypatch.undo()
    grown = Growth()
    for _ in range(MAX_PARTS):
        grown.block()
    with pytest.raises(Problem) as raised:
        grown.block()
    assert raised.value.kind is Kind.UPSTREAM_FAILED


WORDS = "x" * 60
BEGUN = {"type": "message_start", "message": {}}
STREAMS = {
    "openai.chat": [{"choices": [{"index": 0, "delta": {"content": WORDS}}]}],
    "openai.responses": [{"type": "response.output_text.delta", "item_id": "i", "delta": WORDS}],
    "anthropic.messages": [
        BEGUN,
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *[{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": WORDS}}] * 3,
    ],
    "ollama.chat": [{"message": {"role": "assistant", "content": WORDS}, "done": False}],
}


@pytest.mark.parametrize("speaks", STREAMS)
def test_a_stream_of_too_much_text_is_a_fault(speaks: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "MOST_TEXT", 200)
    chat = OPERATIONS[speaks].chat
    assert chat is not None
    reader = chat.reader()
    for event in STREAMS[speaks] * (1 if speaks == "anthropic.messages" else 3):
        reader.feed(json.dumps(event).encode() + b"\n" if speaks == "ollama.chat" else sse(event))
    assert reader.fault is not None and "characters" in reader.fault.message


FOREIGN = [
    b'data: {"type":"response.failed","response":{"error":{"message":"KEY"}}}\n\n',
    b'event: error\ndata: {"message":"KEY"}\n\n',
    b'data: {"type":"error","message":"KEY"}\n\n',
    b'data: {"error":{"message":"KEY"}}\n\n',
]


@pytest.mark.parametrize("tap", [OpenAITap, AnthropicTap])
@pytest.mark.parametrize("event", FOREIGN)
def test_errors_of_another_dialect_do_not_pass(tap: type[OpenAITap | AnthropicTap], event: bytes) -> None:
    watching = tap(False)
    assert watching.feed(event) == b""
    assert watching.fault is not None and watching.fault.message.endswith("mid-stream: KEY")


def test_words_about_errors_pass() -> None:
    event = sse({"choices": [{"delta": {"content": 'event: error, "error": failed'}}], "error": None})
    tap = OpenAITap(False)
    assert tap.feed(event) == event and tap.fault is None


def test_results_find_their_calls() -> None:
    calls = [{"id": f"c{n}", "function": {"name": name, "arguments": {}}} for n, name in enumerate("abab")]
    results = [
        {"role": "tool", "content": "", "tool_name": "b"}, {"role": "tool", "content": "", "tool_call_id": "c0"},
        {"role": "tool", "content": "", "tool_name": "z"}, {"role": "tool", "content": "", "tool_name": "b"},
        {"role": "tool", "content": "", "tool_name": "b"},
    ]  # fmt: skip
    messages = [{"role": "assistant", "content": "", "tool_calls": calls}, *results]
    request = read_chat(split(json.dumps({"model": "m", "messages": messages}).encode()))
    assert [block.call_id for block in request.turns[1].blocks] == ["c1", "c0", "c2", "c3", "call_4"]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("given", "bound"),
    [
        ({"max_tokens": 1, "num_predict": 7}, 7),
        ({"max_tokens": 1, "options": {"num_predict": 9.0}, "best_of": 3, "n": 2}, 27),
        ({"max_tokens": 1, "options": {"num_predict": -1}}, None),
        ({"max_tokens": 4, "n": 2, "options": None}, 8),
    ],
)
def test_the_output_is_bounded_by_the_largest(given: dict[str, object], bound: int | None) -> None:
    body = split(json.dumps({"model": "m", "messages": [{}], **given}).encode())
    assert read_chat_head(body).output_bound == bound


def test_embeddings_do_not_stream() -> None:
    body = split(b'{"model":"m","input":"x","stream":true,"stream_options":{}}')
    assert read_embeddings_head(body).stream is False
    assert set(json.loads(address_embeddings(body, target(), True))) == {"model", "input"}


@pytest.mark.parametrize("given", [b'{"model":"m","input":[]}', b'{"model":"m"}'])
def test_ollama_embeds_nothing_alone(given: bytes) -> None:
    alone = OPERATIONS["ollama.embed"].alone
    assert alone is not None
    answer = alone(split(given), Asker("c", "m", 1, {}))
    assert answer is not None and json.loads(answer)["embeddings"] == []
    assert alone(split(b'{"model":"m","input":"x"}'), Asker("c", "m", 1, {})) is None
