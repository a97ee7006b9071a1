"""Each script of the scripted upstream, over a real socket."""

import json
import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import openai
import pytest
import uvicorn

from modelyard.upstream.scripted import ScriptedUpstream
from modelyard.upstream.scripted_scripts import HUGE, SCRIPTS, UNICODE
from tests.servers import Scripted, free_port, run_scripted

HELLO = [{"role": "system", "content": "be kind"}, {"role": "user", "content": "hello  big world"}]


@pytest.fixture(scope="module")
def running() -> Iterator[Scripted]:
    with run_scripted() as upstream:
        yield upstream


@pytest.fixture
def upstream(running: Scripted) -> Scripted:
    running.reset()
    return running


@pytest.fixture
def client(running: Scripted) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=running.base_url, timeout=10) as client:
        yield client


def chat(model: str, **more: object) -> dict[str, Any]:
    return {"model": model, "messages": HELLO, **more}


def stream_text(client: httpx2.Client, model: str, **more: object) -> str:
    answer = client.post("/chat/completions", json=chat(model, stream=True, **more))
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    return answer.content.decode()


def data_of(text: str) -> list[str]:
    events = text.replace("\r\n", "\n").split("\n\n")
    assert events.pop() == ""
    assert all(event.startswith("data: ") and "\n" not in event for event in events)
    return [event.removeprefix("data: ") for event in events]


def content_of(data: list[str]) -> str:
    choices = [choice for event in data if event != "[DONE]" for choice in json.loads(event)["choices"]]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def finish_of(data: list[str]) -> list[str]:
    choices = [choice for event in data if event != "[DONE]" for choice in json.loads(event)["choices"]]
    return [choice["finish_reason"] for choice in choices if choice["finish_reason"]]


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_models_are_the_plain_names(client: httpx2.Client) -> None:
    models = client.get("/models").json()["data"]
    assert [model["id"] for model in models] == list(SCRIPTS)
    assert {model["owned_by"] for model in models} == {"scripted"}


class TestEcho:
    def test_json(self, client: httpx2.Client) -> None:
        answer = client.post("/chat/completions", json=chat("echo")).json()
        assert answer["object"] == "chat.completion"
        assert answer["choices"][0]["message"]["content"] == "hello  big world"
        assert answer["choices"][0]["finish_reason"] == "stop"
        assert answer["usage"] == {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}

    def test_stream_without_usage(self, client: httpx2.Client) -> None:
        data = data_of(stream_text(client, "echo"))
        assert data[-1] == "[DONE]"
        chunks = [json.loads(event) for event in data[:-1]]
        assert [chunk["choices"][0]["delta"] for chunk in chunks] == [
            {"role": "assistant", "content": "", "refusal": None},
            {"content": "hello"},
            {"content": "  big"},
            {"content": " world"},
            {},
        ]
        assert finish_of(data) == ["stop"]
        assert not any("usage" in chunk for chunk in chunks)

    def test_stream_with_usage(self, client: httpx2.Client) -> None:
        data = data_of(stream_text(client, "echo", stream_options={"include_usage": True}))
        *chunks, last = [json.loads(event) for event in data[:-1]]
        assert all(chunk["usage"] is None for chunk in chunks)
        assert last["choices"] == []
        assert last["usage"] == {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}

    def test_parts_and_limit(self, client: httpx2.Client) -> None:
        parts = [{"role": "user", "content": [{"type": "text", "text": "one two"}, {"type": "image_url"}]}]
        answer = client.post("/chat/completions", json={"model": "echo", "messages": parts, "max_tokens": 1}).json()
        assert answer["choices"][0]["message"]["content"] == "one"
        assert answer["choices"][0]["finish_reason"] == "length"

    def test_completions(self, client: httpx2.Client) -> None:
        body = {"model": "echo", "prompt": "once upon", "stream_options": {"include_usage": True}}
        answer = client.post("/completions", json=body).json()
        assert answer["object"] == "text_completion"
        assert answer["choices"][0]["text"] == "once upon"
        data = data_of(client.post("/completions", json={**body, "stream": True}).text)
        chunks = [json.loads(event) for event in data[:-1]]
        assert [chunk["choices"][0]["text"] for chunk in chunks[:-1]] == ["once", " upon", ""]
        assert chunks[-1]["usage"] == answer["usage"] == {"prompt_tokens": 2, "completion_tokens": 2, "total_tokens": 4}

    def test_embeddings(self, client: httpx2.Client) -> None:
        body = {"model": "echo", "input": ["one", "two words"], "dimensions": 16}
        one, two = (client.post("/embeddings", json=body).json() for _ in range(2))
        assert one == two
        assert one["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
        first, second = (item["embedding"] for item in one["data"])
        assert len(first) == len(second) == 16
        assert first != second
        assert sum(number * number for number in first) == pytest.approx(1)

    def test_the_official_client(self, running: Scripted) -> None:
        with openai.OpenAI(base_url=running.base_url, api_key="none", max_retries=0) as client:
            plain = client.embeddings.create(model="echo", input="x", encoding_format="float")
            packed = client.embeddings.create(model="echo", input="x")  # asks for base64
            assert plain.data[0].embedding == pytest.approx(packed.data[0].embedding)
            with client.chat.completions.create(
                model="echo", messages=[{"role": "user", "content": "hi you"}], stream=True
            ) as stream:
                assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "hi you"


class TestParameters:
    def test_lorem_has_64_deltas_at_20_ms(self, client: httpx2.Client) -> None:
        begin = time.monotonic()
        data = data_of(stream_text(client, "lorem"))
        assert time.monotonic() - begin >= 64 * 0.020
        assert len(content_of(data).split()) == 64

    def test_in_the_name(self, client: httpx2.Client, upstream: Scripted) -> None:
        data = data_of(stream_text(client, "lorem?delay_ms=0&events=400"))
        assert len(content_of(data).split()) == 400
        assert json.loads(data[0])["model"] == "lorem?delay_ms=0&events=400"
        assert upstream.state()["calls"] == {"lorem": 1}

    def test_in_headers(self, client: httpx2.Client) -> None:
        headers = {"x-script-delay-ms": "0", "x-script-events": "5"}
        text = client.post("/chat/completions", json=chat("lorem", stream=True), headers=headers).text
        assert len(content_of(data_of(text)).split()) == 5

    @pytest.mark.parametrize("query", ["events=many", "delay_ms=-1", "events=99999999999"])
    def test_wrong(self, client: httpx2.Client, query: str) -> None:
        assert client.post("/chat/completions", json=chat(f"lorem?{query}")).status_code == 400


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/chat/completions", b"{", 400),
        ("/chat/completions", b"[]", 400),
        ("/chat/completions", b'{"model":3}', 400),
        ("/chat/completions", b'{"model":"gpt"}', 404),
        ("/nowhere", b"{}", 404),
    ],
)
def test_wrong_requests(client: httpx2.Client, path: str, body: bytes, status: int) -> None:
    answer = client.post(path, content=body)
    assert answer.status_code == status
    assert answer.json()["error"]["message"]


def test_slow_comes_after_its_delay(client: httpx2.Client) -> None:
    begin = time.monotonic()
    with client.stream("POST", "/chat/completions", json=chat("slow?delay_ms=200", stream=True)) as answer:
        assert time.monotonic() - begin >= 0.2
        assert content_of(data_of(answer.read().decode())) == "hello  big world"


@pytest.mark.parametrize("stream", [True, False])
def test_slow_body_has_its_head_at_once(client: httpx2.Client, stream: bool) -> None:
    begin = time.monotonic()
    body = chat("slow-body?delay_ms=100&events=4", stream=stream)
    with client.stream("POST", "/chat/completions", json=body) as answer:
        assert time.monotonic() - begin < 0.1
        text = answer.read().decode()
    assert time.monotonic() - begin >= 0.4
    assert "lorem" in text


@pytest.mark.parametrize("stream", [True, False])
class TestReplies:
    def post(self, client: httpx2.Client, model: str, stream: bool) -> httpx2.Response:
        headers = {"authorization": "Bearer sk-secret"}
        return client.post("/chat/completions", json=chat(model, stream=stream), headers=headers)

    def test_rate_limited(self, client: httpx2.Client, stream: bool) -> None:
        answer = self.post(client, "rate-limited", stream)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
        assert answer.json()["error"]["code"] == "rate_limit_exceeded"

    def test_error_400(self, client: httpx2.Client, stream: bool) -> None:
        answer = self.post(client, "error-400", stream)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "context_length_exceeded")

    def test_error_401_echoes_the_credential(self, client: httpx2.Client, stream: bool) -> None:
        answer = self.post(client, "error-401", stream)
        assert answer.status_code == 401
        assert "sk-secret" in answer.json()["error"]["message"]

    def test_error_500(self, client: httpx2.Client, stream: bool) -> None:
        answer = self.post(client, "error-500", stream)
        assert (answer.status_code, answer.json()["error"]["type"]) == (500, "server_error")

    @pytest.mark.parametrize(("model", "status"), [("html", 200), ("html-502", 502)])
    def test_html(self, client: httpx2.Client, stream: bool, model: str, status: int) -> None:
        answer = self.post(client, model, stream)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "text/html; charset=utf-8")
        assert answer.text.startswith("<!DOCTYPE html>")

    def test_wrong_type(self, client: httpx2.Client, stream: bool) -> None:
        answer = self.post(client, "wrong-type", stream)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")
        assert content_of(data_of(answer.text)) if stream else answer.json()["choices"]


class TestBrokenConnections:
    @pytest.mark.parametrize("events", [0, 1, 3, 50])
    def test_cut_stream(self, running: Scripted, events: int) -> None:
        answer = raw_post(running, chat(f"cut?events={events}", stream=True))
        head, _, body = answer.partition(b"\r\n\r\n")
        assert b"transfer-encoding: chunked" in head
        assert body.count(b"data: ") == events
        assert not body.endswith(b"0\r\n\r\n")

    def test_cut_json(self, client: httpx2.Client) -> None:
        with pytest.raises(httpx2.RemoteProtocolError):
            client.post("/chat/completions", json=chat("cut"))

    @pytest.mark.parametrize("stream", [True, False])
    def test_cut_before_headers(self, running: Scripted, stream: bool) -> None:
        assert raw_post(running, chat("cut-before-headers", stream=stream)) == b""

    def test_a_cut_is_not_a_client_that_left(self, upstream: Scripted, client: httpx2.Client) -> None:
        with pytest.raises(httpx2.RemoteProtocolError):
            client.post("/chat/completions", json=chat("cut", stream=True))
        state = upstream.state()
        assert (state["client_left"], state["streams_in_progress"]) == ({}, 0)

    def test_stall_until_the_client_leaves(self, upstream: Scripted, client: httpx2.Client) -> None:
        with client.stream("POST", "/chat/completions", json=chat("stall?events=5", stream=True)) as answer:
            pieces, received = answer.iter_text(), ""  # the iterator is kept: without it httpx2 closes the connection
            while received.count("\n\n") < 5:
                received += next(pieces)
            state = upstream.state()
            assert (state["client_left"], state["streams_in_progress"]) == ({}, 1)
        left = time.time()
        eventually(lambda: upstream.state()["streams_in_progress"] == 0)
        state = upstream.state()
        assert state["client_left"] == {"stall": 1}
        assert [entry["model"] for entry in state["last_left"]] == ["stall"]
        assert state["last_left"][0]["at"] == pytest.approx(left, abs=0.5)

    @pytest.mark.parametrize("model", ["stall", "stall-first"])
    @pytest.mark.parametrize("stream", [True, False])
    def test_nothing_more_comes(self, upstream: Scripted, client: httpx2.Client, model: str, stream: bool) -> None:
        with pytest.raises(httpx2.ReadTimeout):
            client.post("/chat/completions", json=chat(model, stream=stream), timeout=0.2)
        eventually(lambda: upstream.state()["client_left"] == {model: 1})

    def test_a_client_that_leaves_in_the_middle(self, upstream: Scripted, client: httpx2.Client) -> None:
        with client.stream("POST", "/chat/completions", json=chat("lorem?events=100000", stream=True)) as answer:
            next(answer.iter_bytes())
        eventually(lambda: upstream.state()["client_left"] == {"lorem": 1})


class TestStrangeStreams:
    def test_broken_line_goes_on(self, client: httpx2.Client) -> None:
        data = data_of(stream_text(client, "broken-line?events=2"))
        with pytest.raises(ValueError, match="Unterminated"):
            json.loads(data[2])
        good = data[:2] + data[3:]
        assert good[-1] == "[DONE]"
        assert finish_of(good) == ["stop"]
        assert len(content_of(good[2:])) > 0

    def test_broken_json(self, client: httpx2.Client) -> None:
        answer = client.post("/chat/completions", json=chat("broken-line"))
        assert answer.status_code == 200
        with pytest.raises(ValueError, match="Unterminated"):
            answer.json()

    def test_error_event(self, client: httpx2.Client) -> None:
        data = data_of(stream_text(client, "error-event"))
        assert len(data) == 4
        assert json.loads(data[3])["error"]["code"] == "engine_failed"
        answer = client.post("/chat/completions", json=chat("error-event"))
        assert (answer.status_code, list(answer.json())) == (200, ["error"])

    def test_empty_stream(self, client: httpx2.Client) -> None:
        assert stream_text(client, "empty-stream") == ""
        assert client.post("/chat/completions", json=chat("empty-stream")).content == b""

    def test_no_done(self, client: httpx2.Client) -> None:
        data = data_of(stream_text(client, "no-done"))
        assert finish_of(data) == ["stop"]
        assert "[DONE]" not in data

    def test_truncated(self, client: httpx2.Client) -> None:
        data = data_of(stream_text(client, "truncated"))
        assert content_of(data) == "hello  big world"
        assert finish_of(data) == []
        assert "[DONE]" not in data
        answer = client.post("/chat/completions", json=chat("truncated")).json()
        assert answer["choices"][0]["finish_reason"] is None

    @pytest.mark.parametrize("stream", [True, False])
    def test_huge(self, client: httpx2.Client, stream: bool) -> None:
        answer = client.post("/chat/completions", json=chat("huge", stream=stream))
        assert len(answer.content) > HUGE
        if stream:
            assert max(len(event) for event in data_of(answer.text)) > HUGE

    def test_null_usage(self, client: httpx2.Client) -> None:
        for asked in (True, False):
            data = data_of(stream_text(client, "null-usage", stream_options={"include_usage": asked}))
            usages = [json.loads(event)["usage"] for event in data[:-1]]
            assert usages[:5] == [None] * 5
            assert usages[5:] == ([{"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}] if asked else [])

    def test_tool_call(self, client: httpx2.Client) -> None:
        tools = [{"type": "function", "function": {"name": "forecast"}}]
        data = data_of(stream_text(client, "tool-call", tools=tools))
        deltas = [json.loads(event)["choices"][0]["delta"] for event in data[:-1]]
        calls = [call for delta in deltas for call in delta.get("tool_calls", [])]
        assert calls[0]["function"] == {"name": "forecast", "arguments": ""}
        assert calls[0]["id"].startswith("call_")
        assert not any("id" in call for call in calls[1:])
        arguments = "".join(call["function"]["arguments"] for call in calls)
        assert json.loads(arguments) == {"city": "Zürich", "days": 3}
        assert finish_of(data) == ["tool_calls"]
        whole = client.post("/chat/completions", json=chat("tool-call")).json()["choices"][0]
        assert whole["message"]["tool_calls"][0]["function"] == {"name": "get_weather", "arguments": arguments}
        assert (whole["message"]["content"], whole["finish_reason"]) == (None, "tool_calls")

    def test_unicode(self, client: httpx2.Client) -> None:
        text = stream_text(client, "unicode")
        assert text.count("\n") == text.count("\r\n") > 0
        assert content_of(data_of(text)) == "".join(UNICODE)
        answer = client.post("/chat/completions", json=chat("unicode")).json()
        assert answer["choices"][0]["message"]["content"] == "".join(UNICODE)


class TestState:
    def test_requests(self, upstream: Scripted, client: httpx2.Client) -> None:
        body = json.dumps(chat("echo"))
        client.post("/chat/completions", content=body, headers={"authorization": "Bearer sk-1", "x-test": "yes"})
        state = upstream.state()
        assert state["calls"] == {"echo": 1}
        [request] = state["requests"]
        assert (request["model"], request["path"]) == ("echo", "/v1/chat/completions")
        assert (request["body"], request["body_bytes"]) == (body, len(body))
        assert (request["headers"]["authorization"], request["headers"]["x-test"]) == ("Bearer sk-1", "yes")
        upstream.reset()
        state = upstream.state()
        assert (state["calls"], state["requests"]) == ({}, [])

    def test_bounds(self, upstream: Scripted, client: httpx2.Client) -> None:
        client.post("/chat/completions", json=chat("echo", padding="x" * 200_000))
        assert len(upstream.state()["requests"][0]["body"]) == 64 * 1024
        for _ in range(110):
            client.post("/chat/completions", json=chat("error-500"))
        state = upstream.state()
        assert len(state["requests"]) == 100
        assert state["calls"] == {"echo": 1, "error-500": 110}


def raw_post(upstream: Scripted, body: dict[str, Any]) -> bytes:
    """All bytes of the answer, until the server closes."""
    port = int(upstream.root.rpartition(":")[2])
    content = json.dumps(body).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(content)}\r\n\r\n".encode()
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(head + content)
        while chunk := connection.recv(65536):
            received += chunk
    return received


def test_in_a_thread_without_a_word_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Closing connections is on purpose: uvicorn has nothing to complain about. With its lifespan switched on, too."""
    app, port = ScriptedUpstream(), free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_config=None, log_level="warning", access_log=False))
    thread = threading.Thread(target=server.run)
    with caplog.at_level(logging.WARNING):
        thread.start()
        eventually(lambda: server.started)
        upstream = Scripted(f"http://127.0.0.1:{port}/v1")
        try:
            for model in ("cut", "cut-before-headers"):
                for stream in (True, False):
                    raw_post(upstream, chat(model, stream=stream))
            with pytest.raises(TimeoutError):
                stall(port)
            eventually(lambda: app.state()["client_left"] == {"stall": 1})
        finally:
            server.should_exit = True
            thread.join(5)
    assert not thread.is_alive()
    assert caplog.records == []


def stall(port: int) -> None:
    content = json.dumps(chat("stall", stream=True)).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(content)}\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", port), timeout=0.3) as connection:
        connection.sendall(head + content)
        while connection.recv(65536):
            pass


def test_ends_at_once_and_quietly_with_streams_open() -> None:
    command = [sys.executable, "-m", "modelyard.upstream.scripted", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        upstream = Scripted(process.stdout.readline().split()[-1])
        with (
            httpx2.Client(base_url=upstream.base_url) as client,
            client.stream("POST", "/chat/completions", json=chat("stall", stream=True)),
        ):
            begin = time.monotonic()
            process.terminate()
            output, _ = process.communicate(timeout=5)
            assert time.monotonic() - begin < 2
    assert output == ""
