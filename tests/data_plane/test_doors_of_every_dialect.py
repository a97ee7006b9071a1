"""Every door of every dialect: the same checks behind each, and errors in the caller's own words."""

import json
from contextlib import contextmanager

import anthropic
import ollama
import pytest

from modelyard.dialects.table import DIALECTS
from tests.data_plane.people import ANN, make_model, new_key, people_file
from tests.yard import run_yard

DOORS = [(operation.path, dialect.name) for dialect in DIALECTS.values() for operation in dialect.operations]
ALIASES = [
    "/api/chat/completions", "/api/v1/chat/completions", "/openai/chat/completions", "/openai/v1/chat/completions",
    "/ollama/v1/chat/completions",
]  # fmt: skip
MESSAGES = [{"role": "user", "content": "hello there"}]


@pytest.fixture(scope="module")
def yard(upstream, tmp_path_factory):
    folder = tmp_path_factory.mktemp("doors")
    environment = {
        "OPENAI_API_BASE_URL": upstream.base_url,
        "MODELYARD_MAX_BODY_BYTES": "200000",
        **people_file(folder / "yard.yaml"),
    }
    with run_yard(folder / "data", environment) as running:
        make_model(running, "for-ann", "echo", access_control={"read": {"user_ids": [ANN]}}, params={"system": "Hi."})
        make_model(running, "for-nobody", "echo")
        yield running


@pytest.fixture(scope="module")
def key(yard):
    return new_key(yard)["key"]


@pytest.fixture(scope="module")
def anns_key(yard):
    return new_key(yard, ANN)["key"]


@pytest.fixture(scope="module")
def client(yard, key):
    with yard.client(key) as opened:
        yield opened


@contextmanager
def ollama_client(yard, key):
    """Its own client, which cannot be closed by itself."""
    client = ollama.Client(host=yard.url, headers={"authorization": f"Bearer {key}"})
    try:
        yield client
    finally:
        client._client.close()


def told_in(dialect: str, answer) -> str:
    """The message of an error, which must stand in the dialect's own shape."""
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"]
    body = answer.json()
    if dialect == "openai":
        assert set(body) == {"error"}
        assert set(body["error"]) == {"message", "type", "param", "code"}
        return body["error"]["message"]
    if dialect == "anthropic":
        assert body["type"] == "error"
        assert set(body["error"]) >= {"type", "message"}
        assert body["request_id"] == answer.headers["x-request-id"]
        return body["error"]["message"]
    assert set(body) == {"error"}
    assert isinstance(body["error"], str)
    return body["error"]


@pytest.mark.parametrize(("path", "dialect"), DOORS)
def test_no_key_and_wrong_keys_are_refused_in_the_dialects_words(yard, path, dialect):
    for key in (None, "sk-my-unknown"):
        with yard.client(key) as stranger:
            answer = stranger.post(path, json={"model": "echo", "messages": MESSAGES})
            assert answer.status_code == 401
            assert "key" in told_in(dialect, answer)


BROKEN = [
    b"", b"{", b"[]", b"null", b"nonsense", b'{"model":', b'{"model":1}', b"\xff\xfe",
    b'{"model":"echo","stream":"yes","messages":[{"role":"user","content":"x"}]}',
    b'{"model":"echo","input":' + b"[" * 3000 + b"]" * 3000 + b"}",
    b'{"model":"echo","messages":' + b"[" * 3000 + b"]" * 3000 + b"}",
]  # fmt: skip


@pytest.mark.parametrize(("path", "dialect"), DOORS)
@pytest.mark.parametrize("body", BROKEN, ids=range(len(BROKEN)))
def test_garbage_is_told_in_the_dialects_words(client, path, dialect, body):
    if path == "/api/embed" and b'"messages"' in body:
        body = b'{"model":"echo","input":{}}'  # it has no messages, and nothing to embed is no mistake at Ollama
    answer = client.post(path, content=body, headers={"content-type": "application/json"})
    assert 400 <= answer.status_code < 500, answer.text
    assert told_in(dialect, answer)


@pytest.mark.parametrize(("path", "dialect"), DOORS)
def test_unknown_and_forbidden_models_are_not_told_apart(yard, client, anns_key, path, dialect):
    form = {"messages": MESSAGES, "input": "x", "prompt": "x", "query": "x", "documents": ["x"]}
    seen = []
    with yard.client(anns_key) as ann:
        for name in ("for-nobody", "no-such-model"):
            answer = ann.post(path, json={"model": name, **form})
            seen.append((answer.status_code, told_in(dialect, answer).replace(name, "NAME")))
    assert seen[0] == seen[1]
    assert seen[0][0] == 404


@pytest.mark.parametrize(("path", "dialect"), DOORS)
def test_other_methods_are_refused(client, path, dialect):
    answer = client.put(path, json={})
    assert answer.status_code == 405
    told_in(dialect, answer)


@pytest.mark.parametrize(("path", "dialect"), DOORS)
def test_a_body_that_is_too_large(client, path, dialect):
    answer = client.post(path, json={"model": "echo", "messages": MESSAGES, "pad": "x" * 250_000})
    assert answer.status_code == 413
    told_in(dialect, answer)


@pytest.mark.parametrize("path", ALIASES)
def test_the_names_by_which_the_ecosystem_knows_them(client, path):
    answer = client.post(path, json={"model": "echo", "messages": MESSAGES})
    assert answer.status_code == 200, answer.text
    assert answer.json()["choices"][0]["message"]["content"] == "hello there"


def test_lists_in_three_forms_show_the_same_models_and_only_those_one_may_use(yard, key, anns_key):
    for shown, hidden, secret in (({"for-ann"}, {"for-nobody", "echo"}, anns_key), ({"for-ann", "echo"}, set(), key)):
        with yard.client(secret) as client:
            openais = {row["id"] for row in client.get("/v1/models").json()["data"]}
            assert {row["id"] for row in client.get("/openai/models").json()["data"]} == openais
            assert {row["id"] for row in client.get("/ollama/v1/models").json()["data"]} == openais
        with ollama_client(yard, secret) as three:
            ollamas = {row.model for row in three.list().models}
        with anthropic.Anthropic(base_url=yard.url, api_key=secret) as two:
            anthropics = {row.id for row in two.models.list(limit=1000)}
        assert openais == ollamas == anthropics
        assert shown <= openais
        assert not hidden & openais


def test_ollamas_other_questions(yard, anns_key):
    with ollama_client(yard, anns_key) as three:
        shown = three.show("for-ann")
        assert "completion" in (shown.capabilities or [])
        assert "Hi." not in json.dumps(shown.model_dump(mode="json")), "a preset's prompt is its writers' business"
        with pytest.raises(ollama.ResponseError) as caught:
            three.show("for-nobody")
        assert caught.value.status_code == 404
        assert three.ps().models == []
    with yard.client(None) as stranger:
        assert stranger.get("/api/version").json()["version"]
        assert stranger.get("/ollama/").json() == {"status": True}
        assert stranger.get("/api/tags").status_code == 401


def test_a_model_read_by_its_id_in_both_forms(client):
    assert client.get("/v1/models/echo").json()["object"] == "model"
    told = client.get("/v1/models/echo", headers={"anthropic-version": "2023-06-01"}).json()
    assert (told["type"], told["id"]) == ("model", "echo")
    missing = client.get("/v1/models/nope", headers={"anthropic-version": "2023-06-01"})
    assert missing.status_code == 404
    told_in("anthropic", missing)


def test_a_key_for_one_dialect_opens_no_door_of_another(yard):
    environment_key = new_key(yard)["key"]
    with yard.client(environment_key) as client:
        body = {"model": "echo", "messages": MESSAGES, "max_tokens": 9}
        for path in ("/v1/chat/completions", "/v1/messages", "/api/chat"):
            assert client.post(path, json=body).status_code == 200, path


def test_a_loss_is_named_and_refused_when_asked_to(client):
    body = {
        "model": "echo",
        "messages": MESSAGES,
        "max_tokens": 9,
        "mcp_servers": [{"type": "url", "url": "x", "name": "y"}],
    }
    answer = client.post("/v1/messages", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-modelyard-loss"] == "mcp_servers"
    refused = client.post("/v1/messages", json=body, headers={"x-modelyard-strict": "true"})
    assert refused.status_code == 400
    assert "mcp_servers" in told_in("anthropic", refused)


def test_a_strict_preset_refuses_for_all_its_callers(yard, client):
    make_model(yard, "strict", "echo", params={"strict": True})
    body = {"model": "strict", "messages": MESSAGES, "max_tokens": 9}
    assert client.post("/v1/messages", json=body).status_code == 200
    refused = client.post("/v1/messages", json={**body, "container": "x"})
    assert refused.status_code == 400
    assert "container" in told_in("anthropic", refused)


def test_a_dry_run_shows_the_translated_body_and_its_losses(client):
    body = {"model": "echo", "messages": MESSAGES, "max_tokens": 9, "container": "x"}
    told = client.post("/v1/messages", json=body, headers={"x-modelyard-dry-run": "true"}).json()
    assert told["loss"] == ["container"]
    assert told["body"]["messages"] == MESSAGES
    assert told["body"]["max_tokens"] == 9
