"""Limits hold exactly, for one key each, and are given back."""

import threading
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest

from tests.data_plane.canned import ANSWER, chunk, head, run_canned, whole
from tests.data_plane.people import CHAT, assert_openai_error, chat, make_model, new_key, settled, until
from tests.servers import PATIENCE
from tests.yard import run_yard


class Holding:
    """A backend that has its calls wait for `go_on`: model `held` with its answer, `held-stream` with the end of it."""

    def __init__(self):
        self.go_on = threading.Event()

    def held(self, connection):
        self.go_on.wait(PATIENCE)
        connection.sendall(whole(ANSWER))

    def held_stream(self, connection):
        delta = b'data: {"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":%b}]}\n\n'
        connection.sendall(head() + chunk(delta % b"null"))
        self.go_on.wait(PATIENCE)
        connection.sendall(chunk(delta % b'"stop"' + b"data: [DONE]\n\n") + b"0\r\n\r\n")


@pytest.fixture
def holding(yard):
    held = Holding()
    with run_canned({"held": held.held, "held-stream": held.held_stream}) as backend:
        made = yard.connect("holding", backend.base_url)
        held.requests = backend.requests
        yield held
        held.go_on.set()
        assert yard.admin.delete(f"/api/v1/connections/{made['id']}").status_code == 200


@pytest.fixture(scope="module")
def yard(upstream, tmp_path_factory):
    with run_yard(tmp_path_factory.mktemp("limits") / "data", {"OPENAI_API_BASE_URL": upstream.base_url}) as running:
        running.connect("endless", upstream.base_url, prefix_id="endless", headers={"x-script-events": "20000"})
        yield running


def many(yard, key, count, holding=None, **body):
    """The answers to so many calls at once. What `holding` was asked it answers when all the others are decided."""
    with yard.client(key) as client, ThreadPoolExecutor(count) as pool:
        start = threading.Barrier(count)

        def one(_):
            start.wait(PATIENCE)
            return client.post(CHAT, json=chat(**body))

        calls = [pool.submit(one, number) for number in range(count)]
        if holding is not None:
            assert until(lambda: sum(call.done() for call in calls) + len(holding.requests) == count)
            holding.go_on.set()
        return [call.result() for call in calls]


def test_rpm_admits_exactly_so_many(yard):
    key = new_key(yard, limits={"rpm": 7})["key"]
    answers = many(yard, key, 40, model="echo")
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [429] * 33
    for answer in answers:
        if answer.status_code == 429:
            told = assert_openai_error(answer, 429, "rate_limit_exceeded")
            assert told["type"] == "rate_limit_error"
            assert 1 <= int(answer.headers["retry-after"]) <= 60


def test_limits_are_per_key(yard):
    first, second = (new_key(yard, limits={"rpm": 1})["key"] for _ in range(2))
    for key in (first, second):
        assert [answer.status_code for answer in many(yard, key, 1, model="echo")] == [200]
        assert [answer.status_code for answer in many(yard, key, 1, model="echo")] == [429]


def test_a_refused_request_does_not_use_the_limit_up(yard):
    with yard.client(new_key(yard, limits={"rpm": 2})["key"]) as client:
        for _ in range(5):
            assert client.post(CHAT, json=chat("nope")).status_code == 404
            assert client.post(CHAT, json=chat("echo", max_tokens="x")).status_code == 400
            assert client.post(CHAT, json=chat("echo"), headers={"x-modelyard-dry-run": "true"}).status_code == 200
        assert [client.post(CHAT, json=chat("echo")).status_code for _ in range(3)] == [200, 200, 429]
        assert client.get("/v1/models").status_code == 200
        dry = client.post(CHAT, json=chat("echo"), headers={"x-modelyard-dry-run": "true"})
        assert dry.status_code == 200


def test_an_sdk_sees_a_rate_limit(yard):
    key = new_key(yard, limits={"rpm": 1})["key"]
    with openai.OpenAI(base_url=yard.base_url, api_key=key, max_retries=0) as sdk:
        sdk.chat.completions.create(**chat("echo"))
        with pytest.raises(openai.RateLimitError) as raised:
            sdk.chat.completions.create(**chat("echo"))
    assert raised.value.code == "rate_limit_exceeded"


def test_tokens_are_reserved_and_settled_to_the_truth(yard):
    with yard.client(new_key(yard, limits={"tpm": 200})["key"]) as client:
        for _ in range(5):  # each reserves some 130 and uses 4
            assert client.post(CHAT, json=chat("echo", max_tokens=100)).status_code == 200
        answer = client.post(CHAT, json=chat("echo", max_tokens=1000))
        assert_openai_error(answer, 429)
        assert "retry-after" not in answer.headers, "this one never fits"
        assert "max_tokens" in answer.json()["error"]["message"]


def test_tokens_of_calls_at_the_same_time_never_exceed_the_limit(yard, holding):
    key = new_key(yard, limits={"tpm": 1000})["key"]
    answers = many(yard, key, 20, holding, model="held", max_tokens=400)
    admitted = [answer for answer in answers if answer.status_code == 200]
    assert len(admitted) == 2
    for answer in answers:
        if answer.status_code == 429:
            assert 1 <= int(answer.headers["retry-after"]) <= 60


def test_several_choices_reserve_for_each(yard):
    key = new_key(yard, limits={"tpm": 1000})["key"]
    with yard.client(key) as client:
        assert client.post(CHAT, json=chat("echo", max_tokens=400, n=3)).status_code == 429
        assert client.post(CHAT, json=chat("echo", max_tokens=300, n=3)).status_code == 200


def test_a_bound_that_a_preset_sets_is_what_is_reserved(yard):
    make_model(yard, "bounded", "echo", params={"max_tokens": 5000, "locked": ["max_tokens"]})
    with yard.client(new_key(yard, limits={"tpm": 10_000})["key"]) as client:
        answer = client.post(CHAT, json=chat("bounded", max_tokens=1), headers={"x-modelyard-dry-run": "true"})
        assert answer.json()["body"]["max_tokens"] == 5000
        assert answer.json()["limits"]["reserves_tokens"] >= 5000


def test_failed_calls_give_their_tokens_back(yard):
    with yard.client(new_key(yard, limits={"tpm": 500})["key"]) as client:
        for _ in range(5):
            assert client.post(CHAT, json=chat("error-400", max_tokens=300)).status_code == 400
        assert client.post(CHAT, json=chat("echo", max_tokens=300)).status_code == 200


def stream(yard, key, model):
    """A stream that has begun."""
    sdk = openai.OpenAI(base_url=yard.base_url, api_key=key, max_retries=0)
    opened = sdk.chat.completions.create(**chat(model, stream=True))
    next(opened)
    return sdk, opened


def test_concurrency_counts_streams_until_their_end(yard, holding):
    key = new_key(yard, limits={"concurrency": 2})["key"]
    running = [stream(yard, key, "held-stream") for _ in range(2)]
    with yard.client(key) as client:
        answer = client.post(CHAT, json=chat("echo"))
        assert_openai_error(answer, 429)
        assert int(answer.headers["retry-after"]) >= 1
        holding.go_on.set()
        for sdk, opened in running:
            assert [part.choices[0].finish_reason for part in opened] == ["stop"]
            sdk.close()
        assert until(lambda: client.post(CHAT, json=chat("echo")).status_code == 200)


@pytest.mark.parametrize("model", ["stall", "endless.lorem"])
def test_concurrency_is_given_back_when_the_caller_leaves(yard, model):
    key = new_key(yard, limits={"concurrency": 1})["key"]
    sdk, opened = stream(yard, key, model)
    with yard.client(key) as client:
        assert client.post(CHAT, json=chat("echo")).status_code == 429
        opened.close()
        sdk.close()
        assert until(lambda: client.post(CHAT, json=chat("echo")).status_code == 200)


@pytest.mark.parametrize(
    "model",
    ["error-400", "error-500", "cut-before-headers", "cut", "html", "broken-line", "error-event", "rate-limited"],
)
@pytest.mark.parametrize("streamed", [True, False])
def test_concurrency_is_given_back_on_errors(yard, model, streamed):
    with yard.client(new_key(yard, limits={"concurrency": 1})["key"]) as client:
        for _ in range(2):
            client.post(CHAT, json=chat(model, streamed))
        assert client.post(CHAT, json=chat("echo")).status_code == 200


def test_concurrency_admits_exactly_so_many(yard, holding):
    key = new_key(yard, limits={"concurrency": 5})["key"]
    statuses = [answer.status_code for answer in many(yard, key, 30, holding, model="held")]
    assert sorted(statuses) == [200] * 5 + [429] * 25


def test_a_whole_system_can_be_limited(upstream, tmp_path):
    environment = {"OPENAI_API_BASE_URL": upstream.base_url, "MAX_CONCURRENT_REQUESTS": "3"}
    with run_yard(tmp_path / "data", environment) as yard:
        keys = [new_key(yard, limits={"rpm": 5})["key"] for _ in range(4)]
        running = [stream(yard, key, "stall") for key in keys[:3]]
        with yard.client(keys[3]) as client:
            for _ in range(10):
                assert_openai_error(client.post(CHAT, json=chat("echo")), 429)
            for sdk, opened in running:
                opened.close()
                sdk.close()
            assert until(lambda: client.post(CHAT, json=chat("echo")).status_code == 200)
            others = [client.post(CHAT, json=chat("echo")).status_code for _ in range(5)]
            assert others == [200] * 4 + [429], "what the system refused did not count against the key"


def claims(prompt: str) -> bytes:
    usage = b'{"prompt_tokens":%b,"completion_tokens":1}' % prompt.encode()
    return whole(b'{"id":"x","choices":[],"usage":%b}' % usage)


def test_negative_usage_is_no_credit(tmp_path):
    scripts = {"honest": claims("3"), "negative": claims("-1000000")}
    with run_canned(scripts) as backend, run_yard(tmp_path / "data", {"OPENAI_API_BASE_URL": backend.base_url}) as yard:
        key = new_key(yard, limits={"tpm": 10_000})
        with yard.client(key["key"]) as client:
            assert client.post(CHAT, json=chat("negative")).status_code == 200
            assert client.post(CHAT, json=chat("honest", max_tokens=50_000)).status_code == 429
        (call,) = settled(yard, key["id"])
        assert call["input"] >= 0


@pytest.mark.parametrize("number", [2**62, 2**63 - 1, 2**63, 10**30])
def test_a_backend_that_tells_nonsense_about_usage_does_not_stop_the_books(tmp_path, number):
    """One answer with numbers that no database takes must not keep everybody's calls out of the ledger."""
    scripts = {"honest": claims("3"), "nonsense": claims(str(number))}
    with run_canned(scripts) as backend, run_yard(tmp_path / "data", {"OPENAI_API_BASE_URL": backend.base_url}) as yard:
        key = new_key(yard)
        with yard.client(key["key"]) as client:
            for _ in range(2):
                answer = client.post(CHAT, json=chat("nonsense"))
                assert answer.status_code in (200, 502), answer.text
            assert client.post(CHAT, json=chat("honest")).status_code == 200
        calls = settled(yard, key["id"], 3)
        assert [call["model"] for call in calls] == ["nonsense", "nonsense", "honest"], yard.output()[-500:]
        assert all(isinstance(call["input"], int) for call in calls)
        assert yard.admin.get("/api/v1/usage").status_code == 200
