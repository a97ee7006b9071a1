"""Arena entries at every door: one of several models answers, and the caller and the ledger are told which."""

import json

import openai
import pytest

from tests.data_plane.people import ANN, CHAT, assert_openai_error, chat, make_model, new_key, people_file, settled
from tests.yard import run_yard

ENTRIES = [
    {"id": "blind", "name": "Blind", "meta": {"access_control": None, "model_ids": ["one", "two", "secret"]}},
    {"id": "sealed", "name": "Sealed", "meta": {"access_control": None, "model_ids": ["secret"]}},
    {"id": "private", "name": "Private", "meta": {"model_ids": ["one"]}},
]
MESSAGES = [{"role": "user", "content": "hello there"}]
BEHIND = {"one", "two"}


@pytest.fixture(scope="module")
def yard(upstream, tmp_path_factory):
    folder = tmp_path_factory.mktemp("arena")
    environment = {"OPENAI_API_BASE_URL": upstream.base_url, **people_file(folder / "yard.yaml")}
    with run_yard(folder / "data", environment) as running:
        for name in sorted(BEHIND):
            make_model(running, name, "echo", access_control=None)
        make_model(running, "secret", "echo")
        answer = running.admin.post(
            "/api/v1/evaluations/config",
            json={"ENABLE_EVALUATION_ARENA_MODELS": True, "EVALUATION_ARENA_MODELS": ENTRIES},
        )
        assert answer.status_code == 200, answer.text
        yield running


@pytest.fixture(scope="module")
def ann(yard):
    with yard.client(new_key(yard, ANN)["key"]) as opened:
        yield opened


def test_a_call_is_answered_by_one_of_those_behind_it_that_the_caller_may_use(ann):
    found = set()
    for _ in range(20):
        answer = ann.post(CHAT, json=chat("blind"))
        assert answer.status_code == 200, answer.text
        assert answer.json()["selected_model_id"] == answer.headers["x-modelyard-model"]
        found.add(answer.headers["x-modelyard-model"])
    assert found == BEHIND


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/chat/completions", {}),
        ("/v1/responses", {"messages": None, "input": "hello there"}),
        ("/v1/messages", {"max_tokens": 50}),
        ("/v1/messages/count_tokens", {}),
        ("/api/chat", {"stream": False}),
        ("/api/generate", {"messages": None, "prompt": "hello there", "stream": False}),
    ],
)
def test_every_door_knows_it(ann, path, body):
    fields = {"model": "blind", "messages": MESSAGES, **body}
    answer = ann.post(path, json={name: value for name, value in fields.items() if value is not None})
    assert answer.status_code == 200, answer.text
    if "x-modelyard-model" in answer.headers:
        assert answer.headers["x-modelyard-model"] in BEHIND
    else:
        assert path.endswith("count_tokens")  # answered without a backend


def test_the_first_event_of_a_stream_names_the_choice_and_the_rest_is_as_it_was(ann):
    events = [line for line in ann.post(CHAT, json=chat("blind", stream=True)).text.split("\n\n") if line]
    first = json.loads(events[0].removeprefix("data: "))
    assert first["selected_model_id"] in BEHIND
    assert (first["object"], first["choices"]) == ("chat.completion.chunk", [])
    assert events[-1] == "data: [DONE]"
    plain = [line for line in ann.post(CHAT, json=chat("one", stream=True)).text.split("\n\n") if line]
    assert len(events) == len(plain) + 1
    assert "selected_model_id" not in "".join([*plain, *events[1:]])


def test_the_official_client_reads_such_a_stream(yard):
    key = new_key(yard, ANN)["key"]
    with openai.OpenAI(base_url=yard.base_url, api_key=key) as client:
        with client.chat.completions.stream(model="blind", messages=MESSAGES) as stream:
            said = stream.get_final_completion().choices[0].message.content
        chunks = list(client.chat.completions.create(model="blind", messages=MESSAGES, stream=True))
    assert said == "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert said


def test_the_ledger_has_the_model_that_was_drawn(yard):
    made = new_key(yard, ANN)
    with yard.client(made["key"]) as client:
        drawn = client.post(CHAT, json=chat("blind")).headers["x-modelyard-model"]
    assert [row["model"] for row in settled(yard, made["id"])] == [drawn]


def test_what_can_be_called_is_listed_at_every_door(ann):
    assert {row["id"] for row in ann.get("/v1/models").json()["data"]} == {*BEHIND, "blind", "sealed"}
    assert {row["name"] for row in ann.get("/api/tags").json()["models"]} >= {"blind", "sealed"}
    assert ann.get("/v1/models/blind").json()["owned_by"] == "arena"
    assert ann.get("/v1/models", headers={"anthropic-version": "2023-06-01"}).json()["data"][-1]["id"] == "sealed"
    assert ann.post("/api/show", json={"model": "blind"}).status_code == 200
    assert ann.post("/api/show", json={"model": "private"}).status_code == 404


def test_an_entry_leads_to_nothing_that_is_closed(ann):
    error = assert_openai_error(ann.post(CHAT, json=chat("sealed")), 404, "model_not_found")
    assert "secret" not in error["message"]
    assert_openai_error(ann.post(CHAT, json=chat("private")), 404, "model_not_found")


def test_a_key_confined_to_an_entry_calls_it_and_nothing_behind_it_by_name(yard):
    with yard.client(new_key(yard, ANN, models=["blind"])["key"]) as client:
        assert client.post(CHAT, json=chat("blind")).headers["x-modelyard-model"] in BEHIND
        assert client.post(CHAT, json=chat("one")).status_code == 403
    with yard.client(new_key(yard, ANN, models=["one"])["key"]) as client:
        assert client.post(CHAT, json=chat("blind")).status_code == 403


def test_switched_off_it_is_gone(yard, ann):
    path = "/api/v1/evaluations/config"
    assert yard.admin.post(path, json={"ENABLE_EVALUATION_ARENA_MODELS": False}).status_code == 200
    try:
        assert_openai_error(ann.post(CHAT, json=chat("blind")), 404, "model_not_found")
    finally:
        assert yard.admin.post(path, json={"ENABLE_EVALUATION_ARENA_MODELS": True}).status_code == 200
