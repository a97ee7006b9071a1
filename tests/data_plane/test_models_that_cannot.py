"""A model that cannot think is asked once more without it, as Ollama's own Anthropic endpoint does; the loss is named."""

import json

import pytest

from tests.data_plane.canned import run_canned, whole
from tests.data_plane.people import new_key
from tests.yard import run_yard

ANSWER = {
    "model": "m",
    "created_at": "2026-01-01T00:00:00Z",
    "message": {"role": "assistant", "content": "Hi."},
    "done": True,
    "done_reason": "stop",
    "prompt_eval_count": 3,
    "eval_count": 2,
}
REFUSAL = b'{"error":"\\"m:latest\\" does not support thinking"}'


@pytest.fixture(scope="module")
def backend():
    scripts = {}
    with run_canned(scripts) as running:

        def play(connection):
            asked = running.last.json
            connection.sendall(whole(REFUSAL, 400) if asked.get("think") else whole(json.dumps(ANSWER).encode()))

        scripts["m"] = play
        yield running


@pytest.fixture(scope="module")
def client(backend, tmp_path_factory):
    with run_yard(tmp_path_factory.mktemp("cannot") / "data") as yard:
        yard.connect(
            "box", backend.base_url, kind="ollama", flavour="ollama", model_ids=["m"], limits={"concurrency": 1}
        )
        with yard.client(new_key(yard)["key"]) as opened:
            yield opened


ASK = {"model": "m", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 2000}
THINK = {"thinking": {"type": "enabled", "budget_tokens": 1024}}


def test_the_answer_comes_without_thinking_and_says_so(client, backend):
    before = len(backend.requests)
    answer = client.post("/v1/messages", json={**ASK, **THINK})
    assert answer.status_code == 200, answer.text
    assert answer.json()["content"] == [{"type": "text", "text": "Hi."}]
    assert answer.headers["x-modelyard-loss"] == "reasoning_effort"
    assert answer.headers["x-modelyard-attempts"] == "2"
    assert ["think" in seen.json for seen in backend.requests[before:]] == [True, False]


def test_a_strict_caller_is_refused(client):
    answer = client.post("/v1/messages", json={**ASK, **THINK}, headers={"x-modelyard-strict": "true"})
    assert answer.status_code == 400
    assert "reasoning_effort" in answer.json()["error"]["message"]


def test_without_thinking_it_is_asked_once(client, backend):
    before = len(backend.requests)
    assert client.post("/v1/chat/completions", json=ASK).status_code == 200
    assert len(backend.requests) == before + 1
