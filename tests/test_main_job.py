"""The main job on real parts: an official SDK, our server, llama.cpp."""

import time

import openai
import pytest

from tests.engine import Engine
from tests.yard import run_yard


@pytest.fixture(scope="module")
def served(engine: Engine, tmp_path_factory):
    environment = {"OPENAI_API_BASE_URL": engine.base_url, "DEFAULT_MODEL": "tiny-llama"}
    with run_yard(tmp_path_factory.mktemp("main-job") / "data", environment) as yard:
        yield yard


@pytest.fixture(scope="module")
def sdk(served):
    with openai.OpenAI(base_url=served.base_url, api_key=served.make_key(), max_retries=0) as client:
        yield client


def test_a_real_model_answers(sdk):
    answer = sdk.chat.completions.create(
        model="tiny-llama", messages=[{"role": "user", "content": "hello"}], max_tokens=8
    )
    assert answer.choices[0].message.content
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 8


def test_a_real_model_streams(sdk):
    stream = sdk.chat.completions.create(
        model="tiny-llama", messages=[{"role": "user", "content": "hello"}], max_tokens=8, stream=True
    )
    chunks = list(stream)
    assert sum(bool(chunk.choices and chunk.choices[0].delta.content) for chunk in chunks) == 8
    assert chunks[-1].choices[0].finish_reason == "length"
    assert all(chunk.choices for chunk in chunks), "the usage chunk that we asked for is taken out again"


def test_usage_comes_when_it_is_asked_for(sdk):
    stream = sdk.chat.completions.create(
        model="tiny-llama",
        messages=[{"role": "user", "content": "hello"}],
        max_tokens=8,
        stream=True,
        stream_options={"include_usage": True},
    )
    last = list(stream)[-1]
    assert last.usage is not None
    assert last.usage.completion_tokens == 8


def test_text_completions_and_embeddings(sdk):
    answer = sdk.completions.create(model="tiny-llama", prompt="hello", max_tokens=4)
    assert answer.choices[0].text
    vectors = sdk.embeddings.create(model="tiny-llama", input=["one", "two"])
    assert len(vectors.data) == 2


def test_models_are_listed(sdk):
    assert [model.id for model in sdk.models.list()] == ["tiny-llama"]
    assert sdk.models.retrieve("tiny-llama").id == "tiny-llama"


def test_it_is_in_the_books(served):
    made = served.admin.post("/api/v1/keys", json={"name": "books"}).json()
    with openai.OpenAI(base_url=served.base_url, api_key=made["key"], max_retries=0) as client:
        client.chat.completions.create(
            model="tiny-llama", messages=[{"role": "user", "content": "hello"}], max_tokens=8
        )
    deadline = time.monotonic() + 60
    while made["id"] not in served.usage("key"):  # the ledger is written a moment after the call
        assert time.monotonic() < deadline
        time.sleep(0.05)
    entry = served.usage("key")[made["id"]]
    assert (entry["calls"], entry["output_tokens"], entry["errors"]) == (1, 8, 0)
    assert entry["input_tokens"] > 0
