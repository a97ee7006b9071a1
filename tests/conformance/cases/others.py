"""Embeddings, the counting of tokens, the loading of models."""

from collections.abc import Sequence

import pytest

from tests.conformance.asking import ANTHROPIC, OLLAMA, OPENAI, TIME
from tests.conformance.callers.anthropic_caller import tool_of
from tests.conformance.lab import REAL
from tests.conformance.matrix import Absent, Cases, Cell

CASES = Cases("Embeddings, counting, loading")

NO_EMBEDDINGS = (
    Absent("anthropic>*", "Anthropic's API has no embeddings."),
    Absent("*>anthropic", "Anthropic's API has no embeddings."),
)
ONLY_ANTHROPIC = Absent("openai|ollama>*", "Only Anthropic's API counts tokens.")


def _is_a_vector(vector: Sequence[float]) -> bool:
    return len(vector) == 64 and sum(number * number for number in vector) == pytest.approx(1.0, abs=1e-3)


@CASES.add("One text, and two at once", *NO_EMBEDDINGS, upstream=REAL)
def embeddings(cell: Cell) -> None:
    client, model = cell.caller.client, cell.model("embedder")
    texts = ["the sky is blue", "grass is green"]
    if cell.pair.caller == OPENAI:
        both = client.embeddings.create(model=model, input=texts)  # the SDK asks for base64
        vectors = [row.embedding for row in both.data]
        single = client.embeddings.create(model=model, input=texts[0]).data[0].embedding
        assert [row.index for row in both.data] == [0, 1]
        assert both.usage.prompt_tokens > 0
    else:
        vectors = [list(vector) for vector in client.embed(model=model, input=texts).embeddings]
        (single,) = client.embed(model=model, input=texts[0]).embeddings
    assert len(vectors) == 2
    assert all(_is_a_vector(vector) for vector in (*vectors, single))
    assert vectors[1] != pytest.approx(vectors[0], abs=1e-3)
    # The numbers are the same in whichever dialect and encoding they come.
    other = cell.lab.callers[OPENAI].client.embeddings
    plain = other.create(model=model, input=texts[0], encoding_format="float")
    assert plain.data[0].embedding == pytest.approx(list(single), abs=1e-6)


@CASES.add("Fewer dimensions", *NO_EMBEDDINGS)
def dimensions(cell: Cell) -> None:
    client, model = cell.caller.client, cell.model("echo")
    if cell.pair.caller == OPENAI:
        vector = client.embeddings.create(model=model, input="Hello", dimensions=16).data[0].embedding
    else:
        vector = client.embed(model=model, input="Hello", dimensions=16).embeddings[0]
    assert len(vector) == 16


@CASES.add(
    "Ollama's older embeddings",
    *NO_EMBEDDINGS,
    Absent("openai>*", "This is Ollama's own operation."),
)
def older_embeddings(cell: Cell) -> None:
    answer = cell.caller.client.embeddings(model=cell.model("echo"), prompt="Hello")
    assert len(answer.embedding) == 64


@CASES.add("Tokens counted before a call", ONLY_ANTHROPIC)
def count_tokens(cell: Cell) -> None:
    """Anthropic counts itself; for other backends it is an estimate, and marked as one."""
    messages = [{"role": "user", "content": "one two three four"}]
    asked = {"messages": messages, "system": "Be brief.", "tools": [tool_of(TIME)]}
    count = cell.caller.client.messages.count_tokens(model=cell.model("echo"), **asked)
    estimated = cell.caller.heads[-1].get("x-modelyard-estimated")
    if cell.target == ANTHROPIC:
        assert (count.input_tokens, estimated) == (6, None)
    else:
        assert 10 < count.input_tokens < 200
        assert estimated == "true"


@CASES.add(
    "The same, by a real backend that counts",
    ONLY_ANTHROPIC,
    Absent("anthropic>ollama", "Ollama does not count tokens."),
    upstream=REAL,
)
def count_tokens_real(cell: Cell) -> None:
    messages = [{"role": "user", "content": "one two three four"}]
    client, model = cell.caller.client, cell.model("speak")
    short = client.messages.count_tokens(model=model, messages=messages)
    messages[0]["content"] += "!"
    longer = client.messages.count_tokens(model=model, messages=messages)
    assert longer.input_tokens == short.input_tokens + 1  # one token per byte
    assert "x-modelyard-estimated" not in cell.caller.heads[-1]


@CASES.add(
    "A request without a word, which loads or unloads a model",
    Absent("openai|anthropic>*", "Only Ollama's callers can ask for that."),
)
def load(cell: Cell) -> None:
    """`ollama run` begins with one: a backend that loads nothing must not spoil it."""
    client, model = cell.caller.client, cell.model("echo")
    calls = cell.lab.scripted.state()["calls"].get("echo", 0)
    assert [line.done_reason for line in client.generate(model=model, stream=True)] == ["load"]
    assert client.chat(model=model, messages=[]).done_reason == "load"
    assert client.generate(model=model, keep_alive=0).done_reason == "unload"
    asked = cell.lab.scripted.state()["calls"].get("echo", 0) - calls
    assert asked == (3 if cell.target == OLLAMA else 0)
