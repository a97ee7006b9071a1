"""The engine for tests is a real one: the official client of OpenAI talks with it."""

from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from tests.engine import ALIAS, make_model
from tests.servers import run_engine


@pytest.fixture(scope="module")
def client() -> Iterator[openai.OpenAI]:
    with run_engine() as engine, openai.OpenAI(base_url=engine.base_url, api_key="none", max_retries=0) as client:
        yield client


def test_the_model_is_small_and_always_the_same(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    one, two = make_model(tmp_path / "one"), make_model(tmp_path / "two")
    assert one.read_bytes() == two.read_bytes()
    assert one.stat().st_size < 500_000


def test_models(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == [ALIAS]


def test_chat(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model=ALIAS, messages=[{"role": "user", "content": "Grüße"}], max_tokens=12, temperature=0
    )
    text = answer.choices[0].message.content
    assert text is not None
    assert len(text) == 12
    assert text.replace(" ", "").isalpha()
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 12
    # One token per byte: the template's "user: ...\nassistant: " and the beginning of the sequence.
    assert answer.usage.prompt_tokens == 1 + len("user: Grüße\nassistant: ".encode())


def test_chat_stream(client: openai.OpenAI) -> None:
    with client.chat.completions.create(
        model=ALIAS,
        messages=[{"role": "user", "content": "hello"}],
        max_tokens=20,
        stream=True,
        stream_options={"include_usage": True},
    ) as stream:
        chunks = list(stream)
    pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
    assert len(pieces) == 20
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "length"
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 20


def test_chat_stream_without_usage(client: openai.OpenAI) -> None:
    with client.chat.completions.create(
        model=ALIAS, messages=[{"role": "user", "content": "hello"}], max_tokens=2, stream=True
    ) as stream:
        assert all(chunk.usage is None and chunk.choices for chunk in stream)


def test_completions(client: openai.OpenAI) -> None:
    answer = client.completions.create(model=ALIAS, prompt="once", max_tokens=5)
    assert len(answer.choices[0].text) == 5
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 5


def test_embeddings_by_the_same_server(client: openai.OpenAI) -> None:
    answer = client.embeddings.create(model=ALIAS, input=["one", "two"])
    assert [len(item.embedding) for item in answer.data] == [64, 64]
    assert answer.data[0].embedding != answer.data[1].embedding
    assert answer.usage.prompt_tokens == 8
