"""Each script of the scripted upstream, over a real socket."""

import base64
import json
import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import httpx2
import ollama
import openai
import pytest
import uvicorn

from modelyard.upstream.scripted import HUGE, SCRIPTS, UNICODE, ScriptedUpstream
from tests.servers import PATIENCE, Scripted, run_scripted

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
    with httpx2.Client(base_url=running.base_url, timeout=PATIENCE) as client:
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
    deadline = time.monotonic() + PATIENCE
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
    never = chat("slow-body?delay_ms=3600000", stream=stream)
    with client.stream("POST", "/chat/completions", json=never) as answer:
        assert answer.status_code == 200
    begin = time.monotonic()
    text = client.post("/chat/completions", json=chat("slow-body?delay_ms=100&events=4", stream=stream)).text
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
        eventually(lambda: upstream.state()["streams_in_progress"] == 0)
        assert upstream.state()["client_left"] == {}

    def test_stall_until_the_client_leaves(self, upstream: Scripted, client: httpx2.Client) -> None:
        with client.stream("POST", "/chat/completions", json=chat("stall?events=5", stream=True)) as answer:
            pieces, received = answer.iter_text(), ""  # the iterator is kept: without it httpx2 closes the connection
            while received.count("\n\n") < 5:
                received += next(pieces)
            state = upstream.state()
            assert (state["client_left"], state["streams_in_progress"]) == ({}, 1)
            begin = time.time()
        eventually(lambda: upstream.state()["streams_in_progress"] == 0)
        state = upstream.state()
        assert state["client_left"] == {"stall": 1}
        assert [entry["model"] for entry in state["last_left"]] == ["stall"]
        assert begin <= state["last_left"][0]["at"] <= time.time()

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
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        connection.sendall(head + content)
        while chunk := connection.recv(65536):
            received += chunk
    return received


def test_in_a_thread_without_a_word_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Closing connections is on purpose: uvicorn has nothing to complain about. With its lifespan switched on, too."""
    app = ScriptedUpstream()
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, log_level="warning", access_log=False))
    thread = threading.Thread(target=server.run)
    with caplog.at_level(logging.WARNING):
        thread.start()
        eventually(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
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
            thread.join(PATIENCE)
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
            httpx2.Client(base_url=upstream.base_url, timeout=PATIENCE) as client,
            client.stream("POST", "/chat/completions", json=chat("stall", stream=True)),
        ):
            process.terminate()
            output, _ = process.communicate(timeout=PATIENCE / 2)  # the stream would go on for ever
    assert output == ""


# The other wire forms. The official clients are the judges of what is well formed.

ASK: Any = [{"role": "user", "content": "hello big world"}]
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="  # 70 bytes
VERSION = {"anthropic-version": "2023-06-01"}
SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"$ref": "#/$defs/city"},
        "days": {"type": "integer", "minimum": 3},
        "dry": {"const": False},
    },
    "$defs": {"city": {"enum": ["Bern", "Zug"]}},
}
FITTING = {"city": "Bern", "days": 3, "dry": False}
# Path, and a request that is complete but for the model and `stream`.
CHATS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": ASK},
    "/v1/completions": {"prompt": "hello big world"},
    "/v1/responses": {"input": "hello big world"},
    "/v1/messages": {"messages": ASK, "max_tokens": 1000},
    "/api/chat": {"messages": ASK},
    "/api/generate": {"prompt": "hello big world"},
}
OTHERS: dict[str, dict[str, Any]] = {
    "/v1/embeddings": {"input": "a"},
    "/v1/audio/speech": {"input": "a", "voice": "alloy"},
    "/v1/images/generations": {"prompt": "a"},
    "/v1/moderations": {"input": "a"},
    "/v1/rerank": {"query": "a", "documents": ["a"]},
    "/v1/messages/count_tokens": {"messages": ASK},
    "/api/embed": {"input": "a"},
    "/api/embeddings": {"prompt": "a"},
}


@pytest.fixture
def root(upstream: Scripted) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=upstream.root, timeout=PATIENCE, headers=VERSION) as client:
        yield client


@pytest.fixture(scope="module")
def official(running: Scripted) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=running.base_url, api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def claude(running: Scripted) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=running.root, api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def llama(running: Scripted) -> ollama.Client:
    return ollama.Client(host=running.root)


def post(root: httpx2.Client, path: str, model: str, **more: object) -> httpx2.Response:
    return root.post(path, json={"model": model, **{**CHATS, **OTHERS}[path], **more})


def records(text: str) -> list[str]:
    """The data of each event, or the lines."""
    if text.startswith(("data:", "event:")):
        return [line[6:] for line in text.splitlines() if line.startswith("data: ")]
    return text.splitlines()


def without(value: Any, *names: str) -> Any:
    """The value without fields that are made up for each answer."""
    if isinstance(value, dict):
        return {name: without(one, *names) for name, one in value.items() if name not in names}
    return [without(one, *names) for one in value] if isinstance(value, list) else value


class TestMessages:
    @pytest.mark.parametrize(
        ("model", "kinds", "reason"),
        [
            ("echo", ["text"], "end_turn"),
            ("thinking", ["thinking", "text"], "end_turn"),
            ("redacted", ["thinking", "redacted_thinking", "text"], "end_turn"),
            ("thinking-tool", ["thinking", "text", "tool_use"], "tool_use"),
            ("parallel-tools", ["tool_use", "tool_use"], "tool_use"),
            ("stop-sequence", ["text"], "stop_sequence"),
            ("length", ["text"], "max_tokens"),
            ("refusal", ["text"], "refusal"),
            ("pause", ["text"], "pause_turn"),
            ("cached-usage", ["text"], "end_turn"),
            ("no-done", ["text"], "end_turn"),
        ],
    )
    def test_stream_and_whole_are_the_same(
        self, claude: anthropic.Anthropic, model: str, kinds: list[str], reason: str
    ) -> None:
        ask: Any = {"model": model, "max_tokens": 100, "messages": ASK, "stop_sequences": ["big", "world"]}
        whole = claude.messages.create(**ask)
        with claude.messages.stream(**ask) as stream:
            streamed = stream.get_final_message()
        assert ([block.type for block in whole.content], whole.stop_reason) == (kinds, reason)
        assert whole.stop_sequence == ("big" if model == "stop-sequence" else None)
        assert without(whole.to_dict(), "id") == without(streamed.to_dict(), "id")

    def test_usage_in_all_buckets(self, claude: anthropic.Anthropic) -> None:
        usage = claude.messages.create(model="cached-usage", max_tokens=9, messages=ASK).usage
        assert (usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (100, 40, 25)
        assert usage.cache_creation is not None and usage.output_tokens_details is not None
        assert usage.cache_creation.ephemeral_5m_input_tokens == 20
        assert usage.cache_creation.ephemeral_1h_input_tokens == 5
        assert (usage.output_tokens, usage.output_tokens_details.thinking_tokens) == (30, 12)

    def test_counts_tokens_and_lists_models_in_pages(self, claude: anthropic.Anthropic) -> None:
        assert claude.messages.count_tokens(model="echo", system="be kind", messages=ASK).input_tokens == 5
        assert [model.id for model in claude.models.list(limit=7)] == list(SCRIPTS)

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"max_tokens": None}, "max_tokens: Field required"),
            ({"messages": []}, "at least one message"),
            ({"messages": [{"role": "system", "content": "x"}]}, "messages.0.role"),
            ({"messages": [{"role": "user", "content": [{"type": "text", "text": ""}]}]}, "non-empty"),
            ({"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "x"}]}]}, "unexpected"),
            (
                {"messages": [{"role": "assistant", "content": [{"type": "thinking", "thinking": "a"}]}]},
                "Invalid `signature`",
            ),
            ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "must be greater than"),
        ],
    )
    def test_refuses_what_the_api_refuses(self, root: httpx2.Client, change: dict[str, Any], said: str) -> None:
        answer = post(root, "/v1/messages", "echo", **change)
        told = answer.json()
        assert (answer.status_code, told["type"], told["error"]["type"]) == (400, "error", "invalid_request_error")
        assert said in told["error"]["message"]

    def test_wants_a_version(self, client: httpx2.Client) -> None:
        answer = client.post("/messages", json={"model": "echo", "messages": ASK, "max_tokens": 1})
        assert answer.status_code == 400
        assert answer.json()["error"]["message"] == "anthropic-version: header is required"

    def test_takes_its_own_turns_back(self, claude: anthropic.Anthropic) -> None:
        """Thoughts with their signatures, and a result for the call."""
        for model in ("redacted", "thinking-tool"):
            first = claude.messages.create(model=model, max_tokens=100, messages=ASK)
            calls = [block.id for block in first.content if block.type == "tool_use"]
            results: Any = [{"type": "tool_result", "tool_use_id": call, "content": "sunny"} for call in calls]
            turns: Any = [*ASK, first.to_param(), {"role": "user", "content": results or "and now?"}]
            seen = claude.messages.create(model="see", max_tokens=1000, messages=turns).to_dict()
            told = json.loads(seen["content"][0]["text"])  # type: ignore[index]
            assert told["thinking"][0]["text"] == "Let me think. The user wants an answer."
            assert [one["text"] for one in told["tool_results"]] == ["sunny"] * len(calls)

    @pytest.mark.parametrize(
        ("model", "status", "kind"),
        [
            ("error-400", 400, "invalid_request_error"),
            ("error-401", 401, "authentication_error"),
            ("error-403", 403, "permission_error"),
            ("error-413", 413, "request_too_large"),
            ("rate-limited", 429, "rate_limit_error"),
            ("error-500", 500, "api_error"),
            ("overloaded", 529, "overloaded_error"),
            ("gpt", 404, "not_found_error"),
        ],
    )
    def test_errors(self, claude: anthropic.Anthropic, model: str, status: int, kind: str) -> None:
        with pytest.raises(anthropic.APIStatusError) as caught:
            claude.messages.create(model=model, max_tokens=1, messages=ASK)
        body: Any = caught.value.body
        assert (caught.value.status_code, body["error"]["type"]) == (status, kind)
        with pytest.raises(anthropic.APIStatusError, match="engine failed"):
            list(claude.messages.create(model="error-event", max_tokens=99, messages=ASK, stream=True))


class TestResponses:
    @pytest.mark.parametrize(
        ("model", "kinds", "status"),
        [
            ("echo", ["message"], "completed"),
            ("thinking", ["reasoning", "message"], "completed"),
            ("redacted", ["reasoning", "reasoning", "message"], "completed"),
            ("parallel-tools", ["function_call", "function_call"], "completed"),
            ("refusal", ["message"], "completed"),
            ("logprobs", ["message"], "completed"),
            ("length", ["message"], "incomplete"),
            ("content-filter", ["message"], "incomplete"),
        ],
    )
    def test_stream_and_whole_are_the_same(
        self, official: openai.OpenAI, model: str, kinds: list[str], status: str
    ) -> None:
        whole = official.responses.create(model=model, input="hello big world")
        with official.responses.stream(model=model, input="hello big world") as stream:
            accumulated = len(list(stream))
        events = [
            event.to_dict() for event in official.responses.create(model=model, input="hello big world", stream=True)
        ]
        assert len(events) == accumulated
        last: Any = events[-1]
        assert ([item.type for item in whole.output], whole.status) == (kinds, status)
        assert last["type"] == f"response.{status}"
        made_up = ("id", "call_id", "created_at")
        assert without(whole.to_dict(), *made_up) == without(last["response"], *made_up)
        assert [event["sequence_number"] for event in events] == list(range(len(events)))
        done: Any = [event["item"] for event in events if event["type"] == "response.output_item.done"]
        assert without(done, *made_up) == without(last["response"]["output"], *made_up)

    def test_faults(self, official: openai.OpenAI) -> None:
        for model, last in (("error-event", "error"), ("failed", "response.failed")):
            events = list(official.responses.create(model=model, input="hi", stream=True))
            assert (events[-2].type, events[-1].type) == ("response.output_text.delta", last)
        assert official.responses.create(model="failed", input="hi").status == "failed"

    def test_usage(self, official: openai.OpenAI) -> None:
        usage = official.responses.create(model="cached-usage", input="hi").usage
        assert usage is not None
        assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (165, 30, 195)
        assert usage.input_tokens_details.to_dict() == {"cached_tokens": 40, "cache_write_tokens": 25}
        assert usage.output_tokens_details.reasoning_tokens == 12


class TestOllama:
    def test_chat(self, llama: ollama.Client) -> None:
        whole = llama.chat("thinking", ASK)
        parts = list(llama.chat("thinking", ASK, stream=True))
        assert whole.message.content == "".join(part.message.content or "" for part in parts) == "hello big world"
        assert whole.message.thinking == "".join(part.message.thinking or "" for part in parts)
        assert (whole.done_reason, whole.prompt_eval_count, whole.eval_count) == ("stop", 3, 8)
        assert [part.done for part in parts[-2:]] == [False, True]
        assert (parts[-1].done_reason, parts[-1].eval_count) == ("stop", 8)

    def test_tools_are_whole_and_end_with_stop(self, llama: ollama.Client) -> None:
        for parts in ([llama.chat("parallel-tools", ASK)], list(llama.chat("parallel-tools", ASK, stream=True))):
            calls = [call.function for part in parts for call in part.message.tool_calls or []]
            told = [(call.name, call.arguments["city"]) for call in calls]
            assert told == [("get_weather", "Zürich"), ("get_time", "Paris")]
            assert parts[-1].done_reason == "stop"

    def test_generate_and_options(self, llama: ollama.Client) -> None:
        assert llama.generate("echo", "one two", options={"num_predict": 1}).done_reason == "length"
        parts = list(llama.generate("stop-sequence:latest", "one two", options={"stop": ["two"]}, stream=True))
        assert "".join(part.response or "" for part in parts) == "one "

    def test_streams_by_default(self, root: httpx2.Client) -> None:
        answer = post(root, "/api/chat", "echo")
        assert answer.headers["content-type"] == "application/x-ndjson"
        assert len(answer.text.splitlines()) == 4
        assert post(root, "/api/chat", "echo", stream=False).json()["done"] is True

    def test_models_and_what_is_loaded(self, llama: ollama.Client, root: httpx2.Client) -> None:
        assert [model.model for model in llama.list().models] == [f"{name}:latest" for name in SCRIPTS]
        assert "thinking" in (llama.show("thinking").capabilities or [])
        assert root.get("/api/version").json().keys() == {"version"}
        llama.chat("echo", ASK, options={"num_ctx": 4096})
        assert [(model.model, model.context_length) for model in llama.ps().models] == [("echo:latest", 4096)]
        assert llama.generate("echo", keep_alive=0).done_reason == "unload"
        assert llama.ps().models == []
        assert llama.generate("echo").done_reason == "load"

    def test_embeddings(self, llama: ollama.Client, official: openai.OpenAI) -> None:
        many = llama.embed("echo", ["a", "b c"])
        assert (len(many.embeddings), many.prompt_eval_count) == (2, 3)
        assert llama.embeddings("echo", "a").embedding == pytest.approx(many.embeddings[0])
        assert official.embeddings.create(model="echo", input="a").data[0].embedding == pytest.approx(
            many.embeddings[0]
        )

    @pytest.mark.parametrize(("model", "status"), [("nope", 404), ("error-400", 400), ("rate-limited", 429)])
    def test_errors(self, llama: ollama.Client, model: str, status: int) -> None:
        with pytest.raises(ollama.ResponseError) as caught:
            llama.chat(model, ASK)
        assert caught.value.status_code == status
        with pytest.raises(ollama.ResponseError, match="engine failed"):
            list(llama.chat("error-event", ASK, stream=True))

    @pytest.mark.parametrize(
        "message",
        [
            {"role": "user", "content": [{"type": "text", "text": "a"}]},
            {"role": "user", "content": "a", "images": ["data:image/png;base64,AA=="]},
            {"role": "assistant", "tool_calls": [{"function": {"name": "a", "arguments": "{}"}}]},
        ],
    )
    def test_refuses_the_forms_of_others(self, root: httpx2.Client, message: dict[str, Any]) -> None:
        answer = post(root, "/api/chat", "echo", messages=[message])
        assert (answer.status_code, list(answer.json())) == (400, ["error"])


class TestOpenAIChat:
    def test_parallel_tools_are_interleaved(self, client: httpx2.Client, official: openai.OpenAI) -> None:
        tools = [{"type": "function", "function": {"name": name}} for name in ("one", "two", "three")]
        data = data_of(stream_text(client, "parallel-tools", tools=tools))
        deltas = [json.loads(event)["choices"][0]["delta"] for event in data[:-1]]
        calls = [call for delta in deltas for call in delta.get("tool_calls", [])]
        assert [call["index"] for call in calls] == [0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0]
        assert [call["function"]["name"] for call in calls[:2]] == ["one", "two"]
        with official.chat.completions.stream(model="parallel-tools", messages=ASK) as stream:
            made = stream.get_final_completion().choices[0].message.tool_calls or []
        assert [json.loads(call.function.arguments)["city"] for call in made] == ["Zürich", "Paris"]

    @pytest.mark.parametrize(("model", "name"), [("thinking", "reasoning_content"), ("reasoning", "reasoning")])
    def test_thinking(self, client: httpx2.Client, model: str, name: str) -> None:
        deltas = [json.loads(event)["choices"][0]["delta"] for event in data_of(stream_text(client, model))[:-1]]
        message = client.post("/chat/completions", json=chat(model)).json()["choices"][0]["message"]
        assert message[name] == "".join(delta.get(name, "") for delta in deltas) != ""
        assert message["content"] == "hello  big world"

    def test_usage_logprobs_and_ends(self, official: openai.OpenAI) -> None:
        create = official.chat.completions.create
        usage = create(model="cached-usage", messages=ASK).usage
        assert usage is not None and usage.prompt_tokens_details is not None
        assert (usage.prompt_tokens, usage.prompt_tokens_details.cached_tokens) == (165, 40)
        assert usage.completion_tokens_details is not None and usage.completion_tokens_details.reasoning_tokens == 12
        logprobs = create(model="logprobs", messages=ASK).choices[0].logprobs
        assert logprobs is not None and [one.token for one in logprobs.content or []] == ["hello", " big", " world"]
        refusal = create(model="refusal", messages=ASK).choices[0].message
        assert refusal.content is None and refusal.refusal
        stopped = create(model="stop-sequence", messages=ASK, stop="big").choices[0]
        assert (stopped.message.content, stopped.finish_reason) == ("hello ", "stop")
        for model, reason in (("length", "length"), ("content-filter", "content_filter"), ("pause", "stop")):
            assert create(model=model, messages=ASK).choices[0].finish_reason == reason

    def test_tool_loop_ends(self, client: httpx2.Client) -> None:
        turns = [*ASK, {"role": "tool", "tool_call_id": "x", "content": "sunny"}]
        answer = client.post("/chat/completions", json={"model": "tool-loop", "messages": turns}).json()
        assert answer["choices"][0]["message"]["content"] == "The tools said: sunny"
        assert client.post("/chat/completions", json=chat("tool-loop")).json()["choices"][0]["message"]["tool_calls"]


class TestSmallerOperations:
    def test_audio(self, official: openai.OpenAI) -> None:
        speech = official.audio.speech.create(model="echo", voice="alloy", input="hello you", response_format="wav")
        assert (speech.response.headers["content-type"], len(speech.content)) == ("audio/wav", 2044)
        file = ("a.wav", b"RIFF\r\n--\x00\xff")
        heard = official.audio.transcriptions.create(model="see", file=file).text
        [audio] = json.loads(heard)["audio"]
        assert (audio["name"], audio["bytes"]) == ("a.wav", 10)
        verbose = official.audio.transcriptions.create(model="echo", file=file, response_format="verbose_json")
        assert verbose.segments and verbose.text == verbose.segments[0].text
        with pytest.warns(DeprecationWarning, match="deprecated"):
            assert official.audio.translations.create(model="echo", file=file, prompt="hi").text == "hi"

    def test_pictures_and_moderations(self, official: openai.OpenAI) -> None:
        pictures = official.images.generate(model="echo", prompt="a cat", n=2).data or []
        assert [base64.b64decode(one.b64_json or "")[:4] for one in pictures] == [b"\x89PNG"] * 2
        told = official.moderations.create(input=["to kill", "to kiss"])
        assert [(one.flagged, one.categories.violence) for one in told.results] == [(True, True), (False, False)]

    def test_rerank(self, root: httpx2.Client) -> None:
        ask = {"query": "black cat", "documents": ["a dog", {"text": "a cat"}, "a black cat"], "top_n": 2}
        results = post(root, "/v1/rerank", "echo", **ask, return_documents=True).json()["results"]
        assert [(one["index"], one["relevance_score"]) for one in results] == [(2, 1.0), (1, 0.5)]
        assert results[0]["document"] == {"text": "a black cat"}

    @pytest.mark.parametrize("path", OTHERS)
    def test_faults(self, root: httpx2.Client, running: Scripted, path: str) -> None:
        assert post(root, path, "echo").status_code == 200
        assert post(root, path, "rate-limited").status_code == 429
        assert post(root, path, "empty-stream").content == b""
        assert "engine failed" in post(root, path, "error-event").text
        with pytest.raises(httpx2.RemoteProtocolError):
            post(root, path, "cut")
        assert {request["path"] for request in running.state()["requests"]} == {path}


@pytest.mark.parametrize("path", CHATS)
class TestEveryForm:
    def test_state_tells_the_path(self, root: httpx2.Client, running: Scripted, path: str) -> None:
        post(root, path, "echo")
        state = running.state()
        assert [(request["model"], request["path"]) for request in state["requests"]] == [("echo", path)]
        assert (state["calls"], state["paths"]) == ({"echo": 1}, {f"POST {path}": 1})

    def test_after_three_events_the_first_words_are_there(self, root: httpx2.Client, path: str) -> None:
        for model in ("error-event", "broken-line"):
            text = post(root, path, model, stream=True).text
            broken = records(text)[-1 if model == "error-event" else records(text).index(_broken(text))]
            before = text.partition(broken)[0]
            assert "lorem" in before and "ipsum" in before
        assert "engine failed" in post(root, path, "error-event", stream=False).text
        with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
            post(root, path, "broken-line", stream=False).json()

    def test_cut_and_stall(self, root: httpx2.Client, running: Scripted, path: str) -> None:
        for model in ("cut", "cut-before-headers"):
            for stream in (True, False):
                with pytest.raises(httpx2.RemoteProtocolError):
                    post(root, path, model, stream=stream)
        with pytest.raises(httpx2.ReadTimeout):
            root.post(path, json={"model": "stall", **CHATS[path], "stream": True}, timeout=0.2)
        eventually(lambda: running.state()["client_left"] == {"stall": 1})

    def test_empty_and_truncated(self, root: httpx2.Client, path: str) -> None:
        assert post(root, path, "empty-stream", stream=True).content == b""
        assert post(root, path, "empty-stream", stream=False).content == b""
        text = post(root, path, "truncated", stream=True).text
        assert "world" in text
        assert all(json.loads(line) for line in records(text))
        for end in ("[DONE]", "message_delta", "message_stop", "response.completed", '"done":true', '"stop"'):
            assert end not in text
        whole = post(root, path, "truncated", stream=False).text
        assert not any(end in whole for end in ('"stop"', '"end_turn"', '"completed","background"', '"done":true'))

    def test_no_done(self, root: httpx2.Client, path: str) -> None:
        good, text = (post(root, path, model, stream=True).text for model in ("echo", "no-done"))
        if path.startswith("/api/"):
            assert good.endswith("\n") and text.endswith("}")
        else:
            assert len(records(text)) == len(records(good)) - 1

    def test_texts_and_types(self, root: httpx2.Client, path: str) -> None:
        text = post(root, path, "unicode", stream=True).text
        assert text.count("\n") == text.count("\r\n") > 0
        assert post(root, path, "wrong-type", stream=True).headers["content-type"].startswith("text/plain")
        assert post(root, path, "html-502", stream=True).status_code == 502

    def test_nothing_breaks_on_odd_requests(self, root: httpx2.Client, path: str) -> None:
        odd: list[Any] = [None, 7, "x", [], [[]], [None, 3, {}], {}, {"a": [1]}, [{"role": 3, "content": 5}]]
        for name in ("messages", "prompt", "input", "tools", "system", "stop", "options", "format", "response_format"):
            for value in odd:
                for model in ("echo", "see", "parallel-tools"):
                    assert post(root, path, model, stream=True, **{name: value}).status_code in (200, 400)


def _broken(text: str) -> str:
    return next(line for line in records(text) if line.endswith("never clo"))


SEEN: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {
        "messages": [
            {"role": "system", "content": "be kind"},
            {"role": "assistant", "tool_calls": [{"id": "x", "function": {"name": "one", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "x", "content": "sunny"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "look"},
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
                    {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"}},
                    {"type": "input_audio", "input_audio": {"format": "wav", "data": "AAAA"}},
                ],
            },
        ],
        "tools": [{"type": "function", "function": {"name": "one"}}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}},
    },
    "/v1/responses": {
        "instructions": "be kind",
        "input": [
            {"type": "function_call", "call_id": "x", "name": "one", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "x", "output": "sunny"},
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "look"},
                    {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}"},
                    {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"},
                    {"type": "input_audio", "input_audio": {"format": "wav", "data": "AAAA"}},
                ],
            },
        ],
        "tools": [{"type": "function", "name": "one"}],
        "text": {"format": {"type": "json_schema", "name": "a", "schema": SCHEMA}},
    },
    "/v1/messages": {
        "system": [{"type": "text", "text": "be kind", "cache_control": {"type": "ephemeral"}}],
        "messages": [
            {"role": "user", "content": "go"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "x", "name": "one", "input": {}}]},
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "x", "content": "sunny"},
                    {"type": "text", "text": "look"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
                    {
                        "type": "document",
                        "title": "a.pdf",
                        "source": {"type": "base64", "media_type": "application/pdf", "data": "AAAA"},
                    },
                ],
            },
        ],
        "tools": [{"name": "one", "input_schema": {"type": "object"}}],
        "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}},
    },
    "/api/chat": {
        "messages": [
            {"role": "system", "content": "be kind"},
            {"role": "assistant", "tool_calls": [{"id": "x", "function": {"name": "one", "arguments": {}}}]},
            {"role": "tool", "tool_call_id": "x", "content": "sunny"},
            {"role": "user", "content": "look", "images": [PIXEL]},
        ],
        "tools": [{"type": "function", "function": {"name": "one"}}],
        "format": SCHEMA,
    },
    "/api/generate": {"system": "be kind", "prompt": "look", "images": [PIXEL], "format": SCHEMA},
}


def said(path: str, answer: dict[str, Any]) -> str:
    """The text of a whole answer."""
    match path:
        case "/v1/chat/completions":
            text = answer["choices"][0]["message"]["content"]
        case "/v1/responses":
            text = answer["output"][0]["content"][0]["text"]
        case "/v1/messages":
            text = answer["content"][0]["text"]
        case "/api/chat":
            text = answer["message"]["content"]
        case _:
            text = answer["response"]
    return str(text)


@pytest.mark.parametrize("path", SEEN)
def test_see_and_json(root: httpx2.Client, path: str) -> None:
    told = json.loads(said(path, post(root, path, "see", **SEEN[path], stream=False).json()))
    assert (told["system"], told["said"]) == ("be kind", "look")
    assert told["images"] == [{"media_type": "image/png", "bytes": 70}]
    if not path.startswith("/api/"):
        assert told["documents"] == [{"media_type": "application/pdf", "bytes": 3, "name": "a.pdf"}]
        assert told["audio"] == ([] if path == "/v1/messages" else [{"media_type": "wav", "bytes": 3}])
    if path != "/api/generate":
        assert told["tools"] == ["one"]
        assert told["tool_calls"] == [{"id": "x", "name": "one", "arguments": told["tool_calls"][0]["arguments"]}]
        assert told["tool_results"] == [{"id": "x", "name": "", "text": "sunny", "is_error": False}]
    assert told["cache_marks"] == (path == "/v1/messages")
    assert json.loads(said(path, post(root, path, "json", **SEEN[path], stream=False).json())) == FITTING
