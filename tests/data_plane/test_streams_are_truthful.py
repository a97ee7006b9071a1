"""A fault is never a clean end: a status before the first byte, an error event after it, no `[DONE]` behind that."""

import json

import openai
import pytest

from tests.data_plane.canned import ANSWER, head, paced, run_canned, streamed, whole
from tests.data_plane.people import CHAT, assert_openai_error, chat, new_key, settled
from tests.yard import run_yard

DELTA = b'data: {"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":null}]}\n\n'
FINISH = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"


@pytest.fixture(scope="module")
def backend():
    scripts = {
        "half-event": paced(DELTA, b'data: {"choices":[{"index":0,'),
        "only-comments": paced(b": wait\n\n", b": wait\n\n"),
        "error-after-comment": paced(b": wait\n\n", b'data: {"error":{"message":"boom"}}\n\n', DONE),
        "error-at-once": paced(b'data: {"error":{"message":"boom","code":"engine_failed"}}\n\n', DONE),
        "error-then-done": paced(DELTA, b'data: {"error":{"message":"boom"}}\n\n', DONE),
        "fault-in-one-read": streamed(DELTA + DELTA + b'data: {"error":{"message":"boom"}}\n\n'),
        "fault-in-second-read": paced(DELTA, DELTA + DELTA + b'data: {"error":{"message":"boom"}}\n\n'),
        "cut-after-done": paced(DELTA, FINISH + DONE, end=b""),
        "error-and-done-in-one": paced(DELTA + b'data: {"error":{"message":"boom"}}\n\n' + FINISH + DONE),
        "error-as-string": paced(DELTA, b'data: {"error":"boom"}\n\n', DONE),
        "named-error-event": paced(DELTA, b'event: error\ndata: {"error":{"message":"boom"}}\n\n'),
        "cut-after-head": head(),
        "cut-in-chunk": paced(DELTA, end=b"40\r\ndata: {"),
        "bad-framing": paced(DELTA, end=b"zz\r\nwhat\r\n"),
        "short-body": b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 999\r\n\r\n" + ANSWER,
        "json-error-200": whole(b'{"error":{"message":"boom","type":"server_error","code":"engine_failed"}}'),
        "string-error-200": whole(b'{"error":"boom"}'),
        "error-null": whole(ANSWER[:-1] + b',"error":null}'),
        "json-array": whole(b"[1,2]"),
        "not-http": b"SSH-2.0-OpenSSH_9.6\r\n",
        "no-content": b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n",
        "redirect": b"HTTP/1.1 302 Found\r\nlocation: http://10.9.8.7/\r\ncontent-type: text/html\r\n"
        b"content-length: 0\r\nconnection: close\r\n\r\n",
        "json-redirect": b"HTTP/1.1 307 Temporary Redirect\r\nlocation: http://10.9.8.7/\r\n"
        b"content-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}",
        "retry-inf": whole(b'{"error":{"message":"slow down"}}', 429, "retry-after: inf"),
        "retry-date": whole(b'{"error":{"message":"slow down"}}', 429, "retry-after: Fri, 31 Dec 2027 23:59:59 GMT"),
        "retry-nan": whole(b'{"error":{"message":"slow down"}}', 429, "retry-after: nan"),
        "fastapi-error": whole(b'{"detail":"the prompt is too long"}', 400),
        "vllm-error": whole(b'{"object":"error","message":"the prompt is too long","code":400}', 400),
        "odd-param-error": whole(b'{"error":{"message":"the prompt is too long","param":["messages"],"code":3}}', 400),
    }
    with run_canned(scripts) as running:
        yield running


@pytest.fixture(scope="module")
def yard(upstream, backend, tmp_path_factory):
    environment = {"REQUEST_TIMEOUT": "1", "MODELYARD_IDLE_TIMEOUT": "5"}
    # Only where a backend is silent do those count: the others may take as long as a slow machine takes.
    patient = {"first_byte": 300, "idle": 60}
    with run_yard(tmp_path_factory.mktemp("truth") / "data", environment) as running:
        running.connect("scripted", upstream.base_url, timeouts=patient)
        running.connect("canned", backend.base_url, timeouts=patient)
        running.connect(
            "paced", upstream.base_url, prefix_id="paced", headers={"x-script-delay-ms": "30"}, timeouts=patient
        )
        running.connect("hasty", upstream.base_url, prefix_id="hasty")
        running.connect("idle", upstream.base_url, prefix_id="idle", timeouts={"first_byte": 300})
        yield running


@pytest.fixture
def key(yard):
    return new_key(yard)


@pytest.fixture
def client(yard, key):
    with yard.client(key["key"]) as opened:
        yield opened


def sdk_of(yard, key):
    return openai.OpenAI(base_url=yard.base_url, api_key=key["key"], max_retries=0)


def assert_ledger(yard, key, status):
    (call,) = settled(yard, key["id"])
    assert call["status"] == status
    assert bool(call["error"]) == (status == "error")
    return call


SILENT = ("stall", "stall-first")


def hasty(model):
    """Silent ones where they run into a timeout."""
    return f"hasty.{model}" if model in SILENT else model


BEFORE = {
    "rate-limited": 429,
    "error-400": 400,
    "error-401": 502,
    "error-500": 502,
    "cut-before-headers": 502,
    "stall-first": 504,
    "html": 502,
    "html-502": 502,
    "empty-stream": 502,
}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("model", "status"), BEFORE.items())
def test_a_fault_before_the_first_byte_is_a_status(yard, client, key, model, status, stream):
    answer = client.post(CHAT, json=chat(hasty(model), stream))
    assert_openai_error(answer, status)
    assert b"[DONE]" not in answer.content
    call = assert_ledger(yard, key, "error")
    assert (call["input"], call["output"]) == (0, 0), "a call that produced nothing is not billed"


@pytest.mark.parametrize(
    ("model", "status"), {"cut": 502, "stall": 504, "broken-line": 502, "error-event": 502}.items()
)
def test_a_whole_answer_that_is_broken_is_a_status(yard, client, key, model, status):
    assert_openai_error(client.post(CHAT, json=chat(hasty(model))), status)
    assert_ledger(yard, key, "error")


MIDWAY = ["cut", "stall", "broken-line", "error-event", "truncated"]


@pytest.mark.parametrize("model", MIDWAY)
def test_a_fault_in_mid_stream_is_an_error_event_and_no_done(yard, client, key, model):
    place = "idle" if model in SILENT else "paced"
    answer = client.post(CHAT, json=chat(f"{place}.{model}", stream=True))
    assert answer.status_code == 200
    events = [event for event in answer.text.split("\n\n") if event]
    assert all(event.startswith("data: ") for event in events)
    last = json.loads(events[-1].removeprefix("data: "))
    assert set(last["error"]) == {"message", "type", "param", "code"}
    assert "[DONE]" not in answer.text
    assert len(events) >= 3, "what came before the fault was passed on"
    call = assert_ledger(yard, key, "error")
    assert call["output"] > 0
    assert call["estimated"]


@pytest.mark.parametrize("model", MIDWAY)
def test_an_sdk_raises_for_a_fault_in_mid_stream(yard, key, model):
    with sdk_of(yard, key) as sdk, pytest.raises(openai.APIError):
        for _ in sdk.chat.completions.create(**chat(hasty(model), stream=True)):
            pass


@pytest.mark.parametrize(
    ("model", "error"),
    {
        "rate-limited": openai.RateLimitError,
        "error-400": openai.BadRequestError,
        "error-401": openai.InternalServerError,
        "error-500": openai.InternalServerError,
        "html": openai.InternalServerError,
        "stall-first": openai.InternalServerError,
    }.items(),
)
def test_an_sdk_raises_the_right_error(yard, key, model, error):
    with sdk_of(yard, key) as sdk, pytest.raises(error) as raised:
        sdk.chat.completions.create(**chat(hasty(model)))
    assert raised.value.request_id


def test_a_backends_own_words_and_code_pass(client):
    told = assert_openai_error(client.post(CHAT, json=chat("error-400")), 400, "context_length_exceeded")
    assert "8192 tokens" in told["message"]
    assert told["param"] == "messages"
    answer = client.post(CHAT, json=chat("rate-limited"))
    assert answer.headers["retry-after"] == "7"


@pytest.mark.parametrize("model", ["no-done", "null-usage", "wrong-type", "unicode", "tool-call"])
def test_a_stream_that_is_only_unusual_ends_well(yard, key, model):
    with sdk_of(yard, key) as sdk:
        chunks = list(sdk.chat.completions.create(**chat(model, stream=True)))
    assert chunks[-1].choices[0].finish_reason in ("stop", "tool_calls")
    assert_ledger(yard, key, "ok")


@pytest.mark.parametrize(
    "model",
    ["half-event", "error-then-done", "error-as-string", "named-error-event", "cut-in-chunk",
     "bad-framing", "only-comments", "error-after-comment"],
)  # fmt: skip
def test_other_faults_in_mid_stream(yard, client, key, model):
    answer = client.post(CHAT, json=chat(model, stream=True))
    assert answer.status_code == 200
    assert "[DONE]" not in answer.text
    events = [event for event in answer.text.split("\n\n") if event]
    assert set(json.loads(events[-1].removeprefix("data: "))["error"]) == {"message", "type", "param", "code"}
    assert_ledger(yard, key, "error")


def test_what_came_before_a_fault_is_passed_on_however_the_network_cut_it(client):
    answer = client.post(CHAT, json=chat("fault-in-second-read", stream=True))
    assert answer.status_code == 200
    assert answer.content.count(DELTA) == 3
    assert b"boom" in answer.content


@pytest.mark.parametrize("model", ["fault-in-one-read", "error-and-done-in-one"])
def test_a_call_that_gave_the_caller_nothing_is_not_billed(yard, client, key, model):
    answer = client.post(CHAT, json=chat(model, stream=True))
    assert b"[DONE]" not in answer.content
    call = assert_ledger(yard, key, "error")
    if answer.status_code != 200:
        assert (call["input"], call["output"]) == (0, 0)


def test_a_connection_that_breaks_after_done_breaks_nothing(yard, client, key):
    answer = client.post(CHAT, json=chat("cut-after-done", stream=True))
    assert answer.content == DELTA + FINISH + DONE
    assert_ledger(yard, key, "ok")


@pytest.mark.parametrize(
    "model",
    ["error-at-once", "cut-after-head", "not-http", "no-content", "redirect", "json-redirect", "json-error-200",
     "string-error-200"],
)  # fmt: skip
def test_other_faults_before_the_first_byte_of_a_stream(yard, client, key, model):
    assert_openai_error(client.post(CHAT, json=chat(model, stream=True)), 502)
    assert_ledger(yard, key, "error")


@pytest.mark.parametrize(
    "model",
    ["short-body", "json-error-200", "string-error-200", "json-array", "not-http", "no-content", "redirect",
     "json-redirect"],
)  # fmt: skip
def test_other_faults_of_a_whole_answer(yard, client, key, model):
    assert_openai_error(client.post(CHAT, json=chat(model)), 502)
    assert_ledger(yard, key, "error")


def test_an_error_that_is_null_is_none(yard, client, key):
    assert client.post(CHAT, json=chat("error-null")).status_code == 200
    assert_ledger(yard, key, "ok")


@pytest.mark.parametrize("model", ["retry-inf", "retry-date", "retry-nan"])
def test_an_odd_retry_after_of_a_backend_does_no_harm(client, model):
    assert_openai_error(client.post(CHAT, json=chat(model)), 429)


@pytest.mark.parametrize("model", ["fastapi-error", "vllm-error", "odd-param-error"])
def test_a_backends_reason_reaches_the_caller_in_every_usual_shape(client, model):
    told = assert_openai_error(client.post(CHAT, json=chat(model)), 400)
    assert "the prompt is too long" in told["message"]
