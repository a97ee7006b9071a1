"""Several places for one model: the next is tried before the first byte, never after it."""

import json

import pytest

from tests.data_plane.canned import ANSWER, error, head, paced, run_canned, streamed, whole
from tests.data_plane.people import ANN, BEN, CHAT, assert_openai_error, chat, make_model, new_key, people_file, settled
from tests.servers import free_port, run_scripted
from tests.yard import run_yard

DELTA = b'data: {"choices":[{"index":0,"delta":{"content":"%b"},"finish_reason":null}]}\n\n'
FINISH = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"


def gone(connection):
    """Close without a word."""


STATUSES = (400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 504, 529)
FIRST = {
    **{f"status-{status}": error("no", status) for status in STATUSES},
    "gone": gone,
    "not-http": b"nonsense\r\n\r\n",
    "html-503": whole(b"<html>", 503, content_type="text/html"),
    "cut-after-head": head(),
    "cut-mid-stream": paced(DELTA % b"first", end=b""),
    "error-mid-stream": paced(DELTA % b"first", b'data: {"error":{"message":"boom"}}\n\n'),
    "cut-mid-json": b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\nconnection: close\r\n\r\n" + ANSWER,
}  # fmt: skip


STREAM = streamed(DELTA % b"second", FINISH, DONE)


@pytest.fixture(scope="module")
def first():
    with run_canned(dict(FIRST)) as running:
        yield running


@pytest.fixture(scope="module")
def other():
    streaming = {"cut-after-head", "cut-mid-stream", "error-mid-stream"}
    with run_canned({name: STREAM if name in streaming else whole(ANSWER) for name in FIRST}) as running:
        yield running


@pytest.fixture(scope="module")
def yard(first, other, tmp_path_factory):
    with run_yard(tmp_path_factory.mktemp("targets") / "data") as running:
        running.connect("first", first.base_url, priority=10, api_keys=["sk-of-the-first"])
        running.connect("other", other.base_url, priority=5, api_keys=["sk-of-the-other"])
        yield running


@pytest.fixture
def key(yard):
    return new_key(yard)


@pytest.fixture
def client(yard, key):
    with yard.client(key["key"]) as opened:
        yield opened


RETRIED = ["status-401", "status-403", "status-408", "status-409", "status-429", "status-500", "status-502", "status-503",
           "status-504", "status-529", "gone", "not-http", "html-503"]  # fmt: skip


@pytest.mark.parametrize("model", RETRIED)
def test_the_next_target_is_tried_before_the_first_byte(yard, client, key, model):
    answer = client.post(CHAT, json=chat(model))
    assert answer.content == ANSWER
    assert answer.headers["x-modelyard-connection"] == "other"
    assert answer.headers["x-modelyard-attempts"] == "2"
    (call,) = settled(yard, key["id"])
    assert (call["status"], call["attempts"], call["http_status"]) == ("ok", 2, 200)
    assert yard.usage("connection")


@pytest.mark.parametrize("status", [400, 413, 422])
def test_what_is_the_callers_fault_is_not_tried_again(client, first, other, status):
    before = len(other.requests)
    assert_openai_error(client.post(CHAT, json=chat(f"status-{status}")), status)
    assert len(other.requests) == before


@pytest.mark.parametrize("model", ["cut-mid-stream", "error-mid-stream"])
def test_never_after_the_first_byte(client, other, model):
    before = len(other.requests)
    answer = client.post(CHAT, json=chat(model, stream=True))
    assert b"first" in answer.content
    assert b"second" not in answer.content
    assert b"[DONE]" not in answer.content
    assert b'"error"' in answer.content
    assert len(other.requests) == before


def test_a_stream_that_breaks_before_its_first_chunk_is_tried_elsewhere(client):
    """The first chunk from upstream is the commit point (gateway.pipeline)."""
    answer = client.post(CHAT, json=chat("cut-after-head", stream=True))
    assert answer.status_code == 200
    assert b"second" in answer.content


def test_each_target_gets_its_own_key_and_the_same_body(client, first, other):
    client.post(CHAT, json=chat("status-500"))
    assert first.last.headers["authorization"] == "Bearer sk-of-the-first"
    assert other.last.headers["authorization"] == "Bearer sk-of-the-other"
    assert first.last.body == other.last.body


def test_priority_decides_and_a_dead_backend_is_passed_over(tmp_path):
    with run_scripted() as high, run_scripted() as low, run_yard(tmp_path / "data") as yard:
        yard.connect("high", high.base_url, priority=1)
        yard.connect("low", low.base_url)
        with yard.client(new_key(yard)["key"]) as client:
            for _ in range(10):
                assert client.post(CHAT, json=chat("echo")).headers["x-modelyard-connection"] == "high"
            assert low.state()["calls"] == {}
            dead = yard.connect("dead", f"http://127.0.0.1:{free_port()}/v1", priority=100, model_ids=["echo", "lost"])
            answer = client.post(CHAT, json=chat("echo"))
            assert answer.status_code == 200
            assert answer.headers["x-modelyard-connection"] == "high"
            assert answer.headers["x-modelyard-attempts"] == "2"
            assert_openai_error(client.post(CHAT, json=chat("lost")), 502)
            assert yard.admin.delete(f"/api/v1/connections/{dead['id']}").status_code == 200
            answer = client.post(CHAT, json=chat("error-500"))
            assert_openai_error(answer, 502)
            assert high.state()["calls"]["error-500"] == low.state()["calls"]["error-500"] == 1


def test_two_connections_and_two_keys_share_the_load(tmp_path):
    with (
        run_canned({"m": whole(ANSWER)}) as one,
        run_canned({"m": whole(ANSWER)}) as two,
        run_yard(tmp_path / "data") as yard,
    ):
        yard.connect("one", one.base_url, api_keys=["key-a", "key-b"])
        yard.connect("two", two.base_url)
        with yard.client(new_key(yard)["key"]) as client:
            for _ in range(60):
                assert client.post(CHAT, json=chat("m")).status_code == 200
        assert {seen.headers["authorization"] for seen in one.requests} == {"Bearer key-a", "Bearer key-b"}
        assert two.requests
        assert len(one.requests) + len(two.requests) == 60


def test_a_key_that_the_backend_refuses_gives_way_to_the_next(tmp_path):
    def picky(connection):
        good = backend.last.headers["authorization"] == "Bearer good-key"
        connection.sendall(whole(ANSWER) if good else error("bad key", 401))

    with run_canned({"m": picky}) as backend, run_yard(tmp_path / "data") as yard:
        yard.connect("one", backend.base_url, api_keys=["bad-key", "good-key"])
        with yard.client(new_key(yard)["key"]) as client:
            answers = [client.post(CHAT, json=chat("m")) for _ in range(30)]
        assert {answer.status_code for answer in answers} == {200}
        assert {answer.headers["x-modelyard-attempts"] for answer in answers} == {"1", "2"}


@pytest.fixture(scope="module")
def with_fallback(upstream, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fallback")
    environment = {
        "OPENAI_API_BASE_URL": upstream.base_url,
        "FALLBACK_MODEL": "spare",
        "DEFAULT_MODEL": "spare",
        **people_file(folder / "yard.yaml"),
    }
    with run_yard(folder / "data", environment) as running:
        params = {"system": "You are the spare.", "temperature": 0.125, "locked": ["temperature"]}
        make_model(running, "spare", "echo", params=params, access_control={"read": {"user_ids": [ANN]}})
        for name in ("error-500", "error-400", "cut"):
            make_model(running, f"anns-{name}", name, access_control=None)
        make_model(running, "orphan", "nowhere", access_control=None)
        yield running


def test_the_fallback_model_is_tried_last(with_fallback):
    with with_fallback.client(new_key(with_fallback, ANN)["key"]) as ann:
        for name in ("anns-error-500", "orphan"):
            answer = ann.post(CHAT, json=chat(name, text="to the spare"))
            assert answer.status_code == 200, name
            assert answer.json()["choices"][0]["message"]["content"] == "to the spare"
        assert_openai_error(ann.post(CHAT, json=chat("anns-error-400")), 400)
        assert_openai_error(ann.post(CHAT, json=chat("nope")), 404)


def test_a_model_may_have_fallbacks_of_its_own_and_they_win(with_fallback, upstream):
    config = "/api/v1/configs/models"
    assert with_fallback.admin.get(config).json()["MODEL_FALLBACKS"] == {}
    wanted = {"anns-error-500": ["anns-cut", "spare"], "*": ["nowhere-at-all"]}
    changed = with_fallback.admin.post(config, json={"MODEL_FALLBACKS": wanted})
    assert changed.json()["MODEL_FALLBACKS"] == wanted, changed.text
    try:
        dry = {"x-modelyard-dry-run": "true"}
        told = with_fallback.admin.post(CHAT, json=chat("anns-error-500"), headers=dry).json()
        assert [row["model"] for row in told["candidates"]][-2:] == ["cut", "echo"]
        with with_fallback.client(new_key(with_fallback, ANN)["key"]) as ann:
            assert_openai_error(ann.post(CHAT, json=chat("orphan")), 503)  # the entry for all others names nothing
        for bad in ({"a": "b"}, {"a": [1]}, ["a"], {"a": [str(number) for number in range(11)]}):
            assert with_fallback.admin.post(config, json={"MODEL_FALLBACKS": bad}).status_code == 422, bad
    finally:
        with_fallback.admin.post(config, json={"MODEL_FALLBACKS": None})


def test_the_fallback_model_is_only_for_those_who_may_use_it(with_fallback):
    with with_fallback.client(new_key(with_fallback, BEN)["key"]) as ben:
        assert_openai_error(ben.post(CHAT, json=chat("anns-error-500")), 502)
        assert_openai_error(ben.post(CHAT, json=chat("orphan")), 503)
        assert_openai_error(ben.post(CHAT, json=chat(None)), 404)


def test_a_key_confined_to_other_models_does_not_reach_the_fallback(with_fallback):
    with with_fallback.client(new_key(with_fallback, ANN, models=["anns-error-500"])["key"]) as scoped:
        assert_openai_error(scoped.post(CHAT, json=chat("spare")), 403)
        assert_openai_error(scoped.post(CHAT, json=chat("anns-error-500")), 502)


def test_the_fallback_keeps_what_its_preset_locks(with_fallback, upstream):
    with with_fallback.client(new_key(with_fallback, ANN)["key"]) as ann:
        assert ann.post(CHAT, json=chat("anns-error-500", temperature=1.5)).status_code == 200
    sent = json.loads(upstream.state()["requests"][-1]["body"])
    assert sent["model"] == "echo"
    assert sent["temperature"] == 0.125
    assert sent["messages"][0] == {"role": "system", "content": "You are the spare."}


def test_a_request_without_a_model_gets_the_default(with_fallback):
    with with_fallback.client(new_key(with_fallback, ANN)["key"]) as ann:
        for body in (chat(None), {**chat(None), "model": None}, {**chat(None), "model": ""}):
            answer = ann.post(CHAT, json=body)
            assert answer.status_code == 200
            assert answer.headers["x-modelyard-model"] == "spare"
