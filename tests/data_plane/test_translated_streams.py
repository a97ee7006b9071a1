"""Streams between every two dialects: a fault is never a clean end, and nothing is held, lost or left running."""

import asyncio
import json
import re
import socket
import time
from collections.abc import Callable
from contextlib import asynccontextmanager, suppress
from http.client import HTTPResponse
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest

from tests.data_plane.canned import chunk, head, run_canned, whole
from tests.data_plane.people import ledger, new_key, settled, until
from tests.servers import PATIENCE
from tests.yard import run_yard

EVENTS = re.compile(rb"\r\n\r\n|\n\n")


class Told(NamedTuple):
    """What a caller was told. `ended` is a proper end, `error` the message of an error in the stream's or dialect's form."""

    text: str = ""
    ended: bool = False
    error: str | None = None
    usage: tuple[int, int] | None = None
    pings: int = 0


def sse(body: bytes) -> tuple[list[tuple[str, Any]], int]:
    """The events (name, data) of a stream that is well formed to its last byte, and how many comments."""
    assert not body or body.endswith(b"\n\n"), body[-200:]
    found, comments = [], 0
    for event in body.split(b"\n\n")[:-1]:
        lines = event.decode().split("\n")
        if all(line.startswith(":") for line in lines):
            comments += 1
            continue
        name = lines.pop(0).removeprefix("event: ") if lines[0].startswith("event: ") else ""
        assert len(lines) == 1, event
        assert lines[0].startswith("data: "), event
        data = lines[0].removeprefix("data: ")
        found.append((name, data if data == "[DONE]" else json.loads(data)))
    return found, comments


def openai_message(told: Any) -> str:
    assert set(told) == {"message", "type", "param", "code"}
    assert told["message"]
    return told["message"]


def read_chunks(body: bytes, text_of: Callable[[Any], str | None], kind: str) -> Told:
    events, pings = sse(body)
    text, error, finish, ended, usage = "", None, None, False, None
    for name, data in events:
        assert not name
        assert error is None and not ended, "something follows the end"
        if data == "[DONE]":
            ended = True
        elif "error" in data:
            error = openai_message(data["error"])
        else:
            assert data["object"] == kind
            usage = data.get("usage") or usage
            for choice in data["choices"]:
                assert finish is None, "text follows the reason for the end"
                text += text_of(choice) or ""
                finish = choice["finish_reason"]
    assert ended == (finish is not None) or error
    return Told(text, ended, error, usage and (usage["prompt_tokens"], usage["completion_tokens"]), pings)


def read_responses(body: bytes) -> Told:
    events, pings = sse(body)
    text, error, ended, usage = "", None, False, None
    for number, (name, data) in enumerate(events):
        assert error is None and not ended, "something follows the end"
        assert data["type"] == name
        assert data["sequence_number"] == number
        if name == "response.output_text.delta":
            text += data["delta"]
        elif name == "response.failed":
            error = data["response"]["error"]["message"]
            assert data["response"]["status"] == "failed"
        elif name == "error":
            error = data["message"]
        elif name == "response.completed":
            ended, told = True, data["response"]["usage"]
            usage = (told["input_tokens"], told["output_tokens"])
            assert "".join(part["text"] for item in data["response"]["output"] for part in item["content"]) == text
    return Told(text, ended, error, usage, pings)


def anthropic_usage(told: Any) -> tuple[int, int]:
    parts = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
    return sum(told.get(name) or 0 for name in parts), told["output_tokens"]


def read_messages(body: bytes) -> Told:
    events, comments = sse(body)
    text, error, ended, usage, pings, opened, begun, reason = "", None, False, {}, comments, None, False, None
    for name, data in events:
        assert error is None and not ended, "something follows the end"
        assert data["type"] == name
        match name:
            case "message_start":
                assert not begun
                begun, usage = True, dict(data["message"]["usage"])
            case "ping":
                pings += 1
            case "content_block_start":
                assert begun and opened is None
                opened = data["index"]
            case "content_block_delta":
                assert data["index"] == opened
                text += data["delta"].get("text", "")
            case "content_block_stop":
                assert data["index"] == opened
                opened = None
            case "message_delta":
                assert opened is None
                reason = data["delta"]["stop_reason"]
                usage |= data["usage"]
            case "message_stop":
                assert reason
                ended = True
            case _:
                assert name == "error"
                assert set(data["error"]) >= {"type", "message"}
                error = data["error"]["message"]
    return Told(text, ended, error, anthropic_usage(usage) if reason else None, pings)


def read_lines(body: bytes, text_of: Callable[[Any], str]) -> Told:
    assert not body or body.endswith(b"\n")
    text, error, ended, usage = "", None, False, None
    for line in body.splitlines():
        data = json.loads(line)
        assert error is None and not ended, "something follows the end"
        if "error" in data:
            assert set(data) == {"error"}
            error = data["error"]
        else:
            text += text_of(data)
            ended = data["done"]
            usage = (data["prompt_eval_count"], data["eval_count"]) if ended else None
    return Told(text, ended, error, usage)


def openai_whole(told: Any, text: str) -> Told:
    return Told(text, True, None, (told["usage"]["prompt_tokens"], told["usage"]["completion_tokens"]))


def responses_whole(told: Any) -> Told:
    assert told["status"] == "completed"
    text = "".join(part["text"] for item in told["output"] for part in item["content"])
    return Told(text, True, None, (told["usage"]["input_tokens"], told["usage"]["output_tokens"]))


def messages_whole(told: Any) -> Told:
    text = "".join(block["text"] for block in told["content"])
    return Told(text, bool(told["stop_reason"]), None, anthropic_usage(told["usage"]))


def ollama_whole(told: Any, text: str) -> Told:
    return Told(text, told["done"], None, (told["prompt_eval_count"], told["eval_count"]))


def options(bound: int | None, fields: dict[str, Any], name: str) -> dict[str, Any]:
    return ({} if bound is None else {name: bound}) | fields


def said(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}]}


class Caller(NamedTuple):
    """One way to ask: `ask(text, most output tokens, further sampling fields)` is the body but for model and stream."""

    dialect: str
    operation: str
    path: str
    ask: Callable[[str, int | None, dict[str, Any]], dict[str, Any]]
    read: Callable[[bytes], Told]
    whole: Callable[[Any], Told]

    def body(
        self, model: str, stream: bool, text: str = "hello there", bound: int | None = None, **fields: Any
    ) -> dict[str, Any]:
        return {"model": model, "stream": stream, **self.ask(text, bound, fields)}

    def error(self, answer: Any, status: int) -> str:
        """The message of an error answer, whose status this dialect may spell otherwise."""
        assert answer.status_code == (
            {503: 529, 422: 400}.get(status, status) if self.dialect == "anthropic" else status
        )
        assert answer.headers["content-type"].startswith("application/json")
        told = answer.json()
        if self.dialect == "openai":
            return openai_message(told["error"])
        if self.dialect == "anthropic":
            assert told["type"] == "error"
            return told["error"]["message"]
        assert set(told) == {"error"}
        return told["error"]


USAGE = {"stream_options": {"include_usage": True}}
CALLERS = {
    "chat": Caller(
        "openai", "chat", "/v1/chat/completions",
        lambda text, bound, fields: said(text) | options(bound, fields, "max_tokens") | USAGE,
        lambda body: read_chunks(body, lambda choice: choice["delta"].get("content"), "chat.completion.chunk"),
        lambda told: openai_whole(told, told["choices"][0]["message"]["content"]),
    ),
    "completions": Caller(
        "openai", "completions", "/v1/completions",
        lambda text, bound, fields: {"prompt": text} | options(bound, fields, "max_tokens") | USAGE,
        lambda body: read_chunks(body, lambda choice: choice["text"], "text_completion"),
        lambda told: openai_whole(told, told["choices"][0]["text"]),
    ),
    "responses": Caller(
        "openai", "responses", "/v1/responses",
        lambda text, bound, fields: {"input": text} | options(bound, fields, "max_output_tokens"),
        read_responses, responses_whole,
    ),
    "messages": Caller(
        "anthropic", "messages", "/v1/messages",
        lambda text, bound, fields: said(text) | {"max_tokens": bound or 500_000} | fields,
        read_messages, messages_whole,
    ),
    "ollama": Caller(
        "ollama", "chat", "/api/chat",
        lambda text, bound, fields: said(text) | {"options": options(bound, fields, "num_predict")},
        lambda body: read_lines(body, lambda line: line["message"]["content"]),
        lambda told: ollama_whole(told, told["message"]["content"]),
    ),
    "generate": Caller(
        "ollama", "generate", "/api/generate",
        lambda text, bound, fields: {"prompt": text, "options": options(bound, fields, "num_predict")},
        lambda body: read_lines(body, lambda line: line["response"]),
        lambda told: ollama_whole(told, told["response"]),
    ),
}  # fmt: skip
KINDS = ("openai", "anthropic", "ollama")
PAIRS = list(product(CALLERS, KINDS))
TRANSLATED = [(name, kind) for name, kind in PAIRS if CALLERS[name].dialect != kind or name == "responses"]


def connect_kinds(yard: Any, upstream: Any, suffix: str = "", **fields: Any) -> None:
    """The scripted upstream once in each dialect, its models as `openai.lorem` and so on."""
    for kind in KINDS:
        url = upstream.root if kind == "ollama" else upstream.base_url
        yard.connect(kind + suffix, url, kind, prefix_id=kind + suffix, **fields)


@asynccontextmanager
async def asker(yard: Any, key: str):
    limits = httpx2.Limits(max_connections=400, max_keepalive_connections=400)
    headers = {"authorization": f"Bearer {key}"}
    async with httpx2.AsyncClient(base_url=yard.url, headers=headers, timeout=PATIENCE, limits=limits) as http:
        yield http


def row_of(yard: Any, key: dict[str, Any], answer: Any) -> dict[str, Any]:
    """The one row of this call."""
    call_id = answer.headers["x-request-id"]

    def found() -> list[dict[str, Any]]:
        return [row for row in ledger(yard, key["id"]) if row["id"] == call_id]

    (row,) = until(found)
    return row


# What a backend of each kind says, in pieces: before the first text, one text, the end.
def openai_delta(text: str) -> bytes:
    return b'data: {"choices":[{"index":0,"delta":{"content":%b},"finish_reason":null}]}\n\n' % text.encode()


def anthropic_delta(text: str) -> bytes:
    told = b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":%b}}' % text.encode()
    return b"event: content_block_delta\ndata: " + told + b"\n\n"


def ollama_delta(text: str) -> bytes:
    told = text.encode()  # both operations' field: each reads its own
    return b'{"model":"m","message":{"role":"assistant","content":%b},"response":%b,"done":false}\n' % (told, told)


DELTA = {"openai": openai_delta, "anthropic": anthropic_delta, "ollama": ollama_delta}
BEGIN = {
    "openai": b'data: {"id":"x","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n',
    "anthropic": b'event: message_start\ndata: {"type":"message_start","message":{"id":"x","type":"message","role":"assistant",'
    b'"content":[],"model":"m","usage":{"input_tokens":7,"output_tokens":1}}}\n\nevent: content_block_start\n'
    b'data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}\n\n',
    "ollama": b"",
}
END = {
    "openai": b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
    b'data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3}}\n\ndata: [DONE]\n\n',
    "anthropic": b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\nevent: message_delta\n'
    b'data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":3}}\n\n'
    b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
    "ollama": b'{"model":"m","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop",'
    b'"prompt_eval_count":7,"eval_count":3}\n',
}
WHOLE = {
    "openai": b'{"id":"x","choices":[{"index":0,"message":{"role":"assistant","content":"%b"},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":7,"completion_tokens":3}}',
    "anthropic": b'{"id":"x","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"%b"}],'
    b'"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":7,"output_tokens":3}}',
    "ollama": b'{"model":"m","message":{"role":"assistant","content":"%b"},"done":true,"done_reason":"stop",'
    b'"prompt_eval_count":7,"eval_count":3}',
}
TYPE = {"openai": "text/event-stream", "anthropic": "text/event-stream", "ollama": "application/x-ndjson"}


BEFORE = {
    "rate-limited": 429, "error-400": 400, "error-401": 502, "error-403": 502, "error-404": 404, "error-413": 413,
    "error-500": 502, "overloaded": 503, "cut-before-headers": 502, "stall-first": 504, "html": 502, "html-502": 502,
    "empty-stream": 502,
}  # fmt: skip


ENDLESS = {"x-script-events": "20000"}  # minutes of it: still under way, however late somebody leaves or is killed
# Where a backend is silent, its connection has the timeout for that: the others wait as long as a slow machine takes.
IMPATIENT = {("stall", True): "-idle", ("stall", False): "-first"} | dict.fromkeys(
    product(("stall-first",), (True, False)), "-first"
)


@pytest.fixture(scope="module")
def yard(upstream, tmp_path_factory):
    with run_yard(tmp_path_factory.mktemp("translated") / "data") as running:
        connect_kinds(running, upstream, headers={"x-script-delay-ms": "20"})
        connect_kinds(running, upstream, "-idle", timeouts={"idle": 5})
        connect_kinds(running, upstream, "-first", timeouts={"first_byte": 1})
        connect_kinds(running, upstream, "-endless", headers=ENDLESS)
        connect_kinds(running, upstream, "-late", headers={"x-script-delay-ms": "600000"})
        yield running


@pytest.fixture(scope="module")
def key(yard):
    return new_key(yard)


async def ask_all(yard, key, model, stream=True, pairs=PAIRS, prefix=""):
    """The answers of these pairs, asked at once: (caller, kind, answer)."""
    async with asker(yard, key["key"]) as http:
        bodies = [(CALLERS[name], kind) for name, kind in pairs]
        suffix = IMPATIENT.get((model, stream), "")
        calls = [http.post(c.path, json=c.body(f"{prefix}{kind}{suffix}.{model}", stream)) for c, kind in bodies]
        return [(*pair, answer) for pair, answer in zip(bodies, await asyncio.gather(*calls), strict=True)]


@pytest.mark.parametrize("model", ["cut", "stall", "broken-line", "error-event", "failed", "truncated"])
async def test_a_fault_in_mid_stream_is_an_error_and_never_an_end(yard, key, subtests, model):
    for caller, kind, answer in await ask_all(yard, key, model):
        with subtests.test(caller=caller.path, kind=kind):
            assert answer.status_code == 200, answer.text
            told = caller.read(answer.content)
            assert told.error and not told.ended, answer.text
            assert told.usage is None
            row = row_of(yard, key, answer)
            fault = "upstream_timeout" if model == "stall" else "upstream_failed"
            assert (row["status"], row["error"]) == ("error", fault)
            assert told.text.startswith("hello there" if model == "truncated" else "lorem ipsum "), told
            # Each delta was a word; OpenAI's first one, which passes, has none.
            assert 0 <= row["output"] - len(told.text.split()) <= (kind == caller.dialect == "openai"), row
            assert row["estimated"] == 1, "no backend told these tokens"
            assert row["input"] > 0


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize(("model", "status"), BEFORE.items())
async def test_a_fault_before_the_first_byte_is_a_status(yard, key, subtests, model, status, stream):
    for caller, kind, answer in await ask_all(yard, key, model, stream):
        with subtests.test(caller=caller.path, kind=kind):
            assert caller.error(answer, status)
            assert ("retry-after" in answer.headers) == (model == "rate-limited")
            row = row_of(yard, key, answer)
            assert (row["status"], row["input"], row["output"]) == ("error", 0, 0), row


@pytest.mark.parametrize(
    ("model", "status"), {"cut": 502, "stall": 504, "broken-line": 502, "error-event": 502}.items()
)
async def test_a_whole_answer_that_is_broken_is_a_status(yard, key, subtests, model, status):
    for caller, kind, answer in await ask_all(yard, key, model, stream=False):
        with subtests.test(caller=caller.path, kind=kind):
            assert caller.error(answer, status)
            row = row_of(yard, key, answer)
            assert (row["status"], row["input"], row["output"]) == ("error", 0, 0), row


def paced_bytes(kind, body, step=1, pause=0.0003, content_type=None):
    """Each so many bytes in a packet of their own."""

    def play(connection):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(head(content_type or TYPE[kind]))
        for start in range(0, len(body), step):
            connection.sendall(chunk(body[start : start + step]))
            time.sleep(pause)
        connection.sendall(b"0\r\n\r\n")

    return play


def silent(kind, seconds, later=0.0):
    """Nothing for so long, after the first text or a moment later."""

    def play(connection):
        connection.sendall(head(TYPE[kind]) + chunk(BEGIN[kind] + DELTA[kind]('"a"')))
        if later:
            time.sleep(later)
            connection.sendall(chunk(DELTA[kind]('"-"')))
        time.sleep(seconds)
        connection.sendall(chunk(DELTA[kind]('"b"') + END[kind]) + b"0\r\n\r\n")

    return play


SENT: dict[str, int] = {}
LONG = "lorem ipsum " * 340


def endless(kind, megabytes=64):
    """Far more than anybody's buffers hold; SENT says how much of it went out."""

    def play(connection):
        piece = chunk(DELTA[kind](json.dumps(LONG)) * 16)
        SENT.setdefault(kind, 0)
        connection.sendall(head(TYPE[kind]) + (chunk(BEGIN[kind]) if BEGIN[kind] else b""))
        for _ in range(megabytes * 1_000_000 // len(piece)):
            connection.sendall(piece)
            SENT[kind] += len(piece)

    return play


BIG = 600


def big(kind):
    """Some five megabytes."""
    piece = DELTA[kind](json.dumps(LONG)) * 2
    return head(TYPE[kind]) + chunk(BEGIN[kind] + piece) + chunk(piece) * (BIG - 1) + chunk(END[kind]) + b"0\r\n\r\n"


# Half a pair in one delta and half in the next, a pair in escapes, four joined emoji, letters of 2 to 4 bytes.
ODD = ["G\u00fc", "\U0001f600", "日本語", "👩‍👩‍👧", "\u2028", "\x85", "𝄞", "é"]
TEXT = "".join(ODD)


def odd_stream(kind, escape):
    deltas = b"".join(DELTA[kind](json.dumps(part, ensure_ascii=escape)) for part in ODD)
    return BEGIN[kind] + deltas + END[kind]


def canned_scripts(kind):
    halves = DELTA[kind]('"\\ud83d"') + DELTA[kind]('"\\ude00"')
    stream = odd_stream(kind, escape=False)
    error = b'{"error":{"type":"overloaded_error","message":"boom"}}'
    return {
        "bytes": paced_bytes(kind, stream),
        "escaped": paced_bytes(kind, odd_stream(kind, escape=True)),
        "sevens": paced_bytes(kind, stream, 7),
        "crlf": paced_bytes(kind, stream.replace(b"\n", b"\r\n")),
        "cr": paced_bytes(kind, stream.replace(b"\n", b"\r"), 5) if kind != "ollama" else paced_bytes(kind, stream, 5),
        "one-packet": paced_bytes(kind, stream, 1 << 20),
        "halves": paced_bytes(kind, BEGIN[kind] + halves + END[kind], 11),
        "json": whole(WHOLE[kind] % b"as JSON"),
        "json-error": whole(error),
        "json-nothing": whole(b"{}"),
        "stream": paced_bytes(kind, stream, 1 << 20),
        "silent": silent(kind, 20),
        "silent-later": silent(kind, 20, later=0.5),
        "endless": endless(kind),
        "big": big(kind),
        "late-error": paced_bytes(
            kind, BEGIN[kind] + DELTA[kind]('"x"') + END[kind] + b'data: {"error":"x"}\n\n', 1 << 20
        ),
    }


@pytest.fixture(scope="module")
def canned(yard):
    """A backend of each kind that says the bytes above, at `canned-<kind>.<script>`."""
    with (
        run_canned(canned_scripts("openai")) as openai,
        run_canned(canned_scripts("anthropic")) as anthropic,
        run_canned(canned_scripts("ollama")) as ollama,
    ):
        for kind, running in zip(KINDS, (openai, anthropic, ollama), strict=True):
            name, models = f"canned-{kind}", list(running.scripts)
            url = f"http://127.0.0.1:{running.port}"
            yard.connect(name, url, kind, prefix_id=name, model_ids=models)
            hasty = {"prefix_id": f"hasty-{kind}", "model_ids": ["big"], "timeouts": {"idle": 3}}
            yard.connect(f"hasty-{kind}", url, kind, **hasty)
        yield


async def ask_canned(yard, key, model, stream=True):
    """The same of the canned backends."""
    return await ask_all(yard, key, model, stream, TRANSLATED, "canned-")


@pytest.mark.usefixtures("canned")
@pytest.mark.parametrize("model", ["bytes", "escaped", "sevens", "crlf", "cr", "one-packet"])
async def test_where_the_network_cuts_a_stream_changes_nothing(yard, key, subtests, model):
    for caller, kind, answer in await ask_canned(yard, key, model):
        with subtests.test(caller=caller.path, kind=kind):
            assert answer.status_code == 200, answer.text
            told = caller.read(answer.content)
            assert (told.text, told.ended, told.error) == (TEXT, True, None), answer.text
            assert told.usage == (7, 3)
            row = row_of(yard, key, answer)
            assert (row["status"], row["input"], row["output"], row["estimated"]) == ("ok", 7, 3, 0)


@pytest.mark.usefixtures("canned")
async def test_a_pair_of_surrogates_that_two_deltas_share_is_one_letter(yard, key):
    for caller, kind, answer in await ask_canned(yard, key, "halves"):
        told = caller.read(answer.content)
        if kind == "openai":  # servers of this dialect do it
            assert told.text == "\U0001f600", (caller.path, kind, answer.text)
        assert told.ended or told.error, (caller.path, kind, answer.text)
        assert "\\ud83d" not in answer.text or "\\ude00" in answer.text


@pytest.mark.usefixtures("canned")
async def test_a_whole_answer_to_a_call_for_a_stream_becomes_one(yard, key):
    for caller, kind, answer in await ask_canned(yard, key, "json"):
        told = caller.read(answer.content)
        assert (told.text, told.ended, told.error, told.usage) == ("as JSON", True, None, (7, 3)), (caller.path, kind)
        streams = "application/x-ndjson" if caller.dialect == "ollama" else "text/event-stream"
        assert answer.headers["content-type"].startswith(streams)
        row = row_of(yard, key, answer)
        assert (row["status"], row["input"], row["output"], row["stream"]) == ("ok", 7, 3, 1)


@pytest.mark.usefixtures("canned")
@pytest.mark.parametrize(
    ("model", "stream"), [*product(("json-error", "json-nothing"), (True, False)), ("stream", False)]
)
async def test_what_is_no_answer_is_an_error(yard, key, subtests, model, stream):
    for caller, kind, answer in await ask_canned(yard, key, model, stream):
        with subtests.test(caller=caller.path, kind=kind):
            assert answer.status_code in (502, 503, 529), answer.text
            caller.error(answer, 503 if answer.status_code == 529 else answer.status_code)
            row = row_of(yard, key, answer)
            assert (row["status"], row["input"], row["output"]) == ("error", 0, 0), row


@pytest.mark.usefixtures("canned")
async def test_what_follows_the_end_takes_nothing_from_it(yard, key):
    for caller, kind, answer in await ask_canned(yard, key, "late-error"):
        told = caller.read(answer.content)
        assert (told.text, told.ended, told.error) == ("x", True, None), (caller.path, kind, answer.text)
        assert row_of(yard, key, answer)["status"] == "ok"


@pytest.mark.usefixtures("canned")
async def test_a_silent_stream_is_kept_alive_in_the_callers_words(yard, key, subtests):
    models = ("silent", "silent-later")
    for model, answers in zip(models, await asyncio.gather(*[ask_canned(yard, key, m) for m in models]), strict=True):
        for caller, kind, answer in answers:
            with subtests.test(model=model, caller=caller.path, kind=kind):
                told = caller.read(answer.content)
                assert (told.text.replace("-", ""), told.ended, told.usage) == ("ab", True, (7, 3)), answer.text
                assert told.pings == (0 if caller.dialect == "ollama" else 1), "it was silent for 15 s, and not for 30"


def request_of(yard, key, caller, model, stream):
    """A raw request, for a caller who may not read or may hang up."""
    body = json.dumps(caller.body(model, stream)).encode()
    lines = [f"POST {caller.path} HTTP/1.1", "host: 127.0.0.1", f"authorization: Bearer {key['key']}"]
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    connection.settimeout(PATIENCE)
    connection.connect(("127.0.0.1", int(yard.url.rsplit(":", 1)[1])))
    connection.sendall("\r\n".join([*lines, f"content-length: {len(body)}", "", ""]).encode() + body)
    return connection


@pytest.mark.parametrize(
    ("model", "stream", "suffix"),
    [("stall", True, ""), ("lorem", True, "-endless"), ("stall-first", True, ""), ("stall", False, ""),
     ("slow", False, "-late")],
)  # fmt: skip
def test_a_caller_who_leaves_frees_the_backend(yard, upstream, model, stream, suffix):
    assert until(lambda: upstream.state()["streams_in_progress"] == 0)
    upstream.reset()
    key = new_key(yard, limits={"concurrency": len(PAIRS)})
    sockets = [request_of(yard, key, CALLERS[name], f"{kind}{suffix}.{model}", stream) for name, kind in PAIRS]
    assert until(lambda: upstream.state()["calls"].get(model) == len(PAIRS))
    if stream and model != "stall-first":
        for connection in sockets:
            got = b""
            while b"ipsum" not in got:
                got += connection.recv(65536)
    else:
        time.sleep(0.2)
    for connection in sockets:
        connection.close()
    closed = time.time()
    assert until(lambda: upstream.state()["client_left"].get(model) == len(PAIRS)), upstream.state()["client_left"]
    last = max(one["at"] for one in upstream.state()["last_left"])
    assert last - closed < PATIENCE / 2, "neither the answers' ends nor a timeout come before that"
    rows = settled(yard, key["id"], len(PAIRS), linger=0.3)
    assert sorted((row["dialect"], row["operation"], row["status"]) for row in rows) == sorted(
        (CALLERS[name].dialect, CALLERS[name].operation, "left") for name, _ in PAIRS
    )
    for row in rows:
        assert row["input"] > 0
        assert row["output"] >= (2 if stream and model != "stall-first" else 0), row
        assert row["estimated"] == 1, row
    with yard.client(key["key"]) as client:
        answer = client.post(CALLERS["chat"].path, json=CALLERS["chat"].body("openai.echo", False))
        assert answer.status_code == 200, "their places are free again"


def resident(yard) -> int:
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{yard.process.pid}/status").read_text())
    return int(found[1]) * 1024


@pytest.mark.usefixtures("canned")
def test_a_caller_who_does_not_read_stops_the_backend(yard):
    key = new_key(yard)
    before, most = resident(yard), 0
    SENT.clear()
    sockets = [request_of(yard, key, CALLERS[name], f"canned-{kind}.endless", True) for name, kind in TRANSLATED]
    seen = -1
    begin = time.monotonic()
    while seen != (seen := sum(SENT.values())) or time.monotonic() < begin + 2:
        most = max(most, resident(yard))
        assert time.monotonic() < begin + PATIENCE, "the backends go on and on"
        time.sleep(0.5)
    assert sum(SENT.values()) < 13 * len(TRANSLATED) * 1_000_000, SENT
    assert most - before < 60_000_000, f"grew by {(most - before) / 1e6:.0f} MB"
    for connection in sockets:
        connection.close()
    rows = settled(yard, key["id"], len(TRANSLATED))
    assert [row for row in rows if row["status"] != "left"] == []


@pytest.mark.usefixtures("canned")
def test_a_caller_who_reads_late_gets_all_of_it(yard, key, subtests):
    """That the backend has to wait is no fault of its: its time for the next bytes does not run meanwhile."""
    sockets = [request_of(yard, key, CALLERS[name], f"hasty-{kind}.big", True) for name, kind in TRANSLATED]
    time.sleep(7)  # more than twice that time
    for (name, kind), connection in zip(TRANSLATED, sockets, strict=True):
        with subtests.test(caller=name, kind=kind), connection, HTTPResponse(connection) as answer:
            answer.begin()
            assert answer.status == 200
            told = CALLERS[name].read(answer.read())
            assert (len(told.text), told.ended, told.error) == (len(LONG) * 2 * BIG, True, None)


async def test_three_hundred_streams_at_once(yard):
    pairs, key = (PAIRS * 17)[:300], new_key(yard)
    for caller, kind, answer in await ask_all(yard, key, "lorem", True, pairs):
        told = caller.read(answer.content)
        assert (len(told.text.split()), told.ended, told.error) == (64, True, None), (caller.path, kind, told)
    rows = settled(yard, key["id"], 300)
    assert {(row["status"], row["output"], row["estimated"]) for row in rows} == {("ok", 64, 0)}
    assert "modelyard_calls_running 0.0" in yard.admin.get("/metrics").text
    assert "Traceback" not in yard.output()


async def running_streams(yard, key, suffix=""):
    """A task that reads a stream for each pair; all have begun."""
    begun: list[str] = []

    async def one(http, name, kind):
        body = b""
        caller = CALLERS[name]
        with suppress(httpx2.TransportError):
            async with http.stream("POST", caller.path, json=caller.body(f"{kind}{suffix}.lorem", True)) as answer:
                async for part in answer.aiter_bytes():
                    body += part
                    if len(begun) < len(PAIRS) and b"ipsum" in body and answer.headers["x-request-id"] not in begun:
                        begun.append(answer.headers["x-request-id"])
        return body

    async def all_of():
        async with asker(yard, key["key"]) as http:
            return await asyncio.gather(*[one(http, name, kind) for name, kind in PAIRS])

    task = asyncio.create_task(all_of())
    while len(begun) < len(PAIRS) and not task.done():
        await asyncio.sleep(0.02)
    return task, begun


def progressed(yard) -> set[str]:
    """The calls of which the journal knows how far they were."""
    journal = b""
    for path in (yard.data_dir / "journal").iterdir():
        with suppress(FileNotFoundError):  # it was done with meanwhile
            journal += path.read_bytes()
    return {call_id.decode() for call_id in re.findall(rb'\{"p":\["([^"]+)",[1-9]', journal)}


@pytest.mark.timeout(600)  # three starts of a server
async def test_sigterm_lets_translated_streams_end_and_kill_9_loses_none(upstream, data_dir):
    with run_yard(data_dir) as yard:
        connect_kinds(yard, upstream, headers={"x-script-delay-ms": "30", "x-script-events": "200"})
        connect_kinds(yard, upstream, "-endless", headers=ENDLESS)
        key = new_key(yard)
        task, begun = await running_streams(yard, key)
        yard.process.terminate()
        for (name, kind), body in zip(PAIRS, await task, strict=True):
            told = CALLERS[name].read(body)
            assert (len(told.text.split()), told.ended) == (200, True), (name, kind, told)
        assert await asyncio.to_thread(yard.process.wait, PATIENCE) == 0
    assert {row["id"]: row["status"] for row in ledger(yard, key["id"])} == dict.fromkeys(begun, "ok")
    with run_yard(data_dir) as yard:
        assert until(lambda: len(yard.admin.get("/v1/models").json()["data"]) > 2 * 100)
        task, killed = await running_streams(yard, key, "-endless")
        assert await asyncio.to_thread(until, lambda: set(killed) <= progressed(yard)), "the journal knows of each"
        yard.kill()
        for (name, _), body in zip(PAIRS, await task, strict=True):
            assert b"[DONE]" not in body and b"message_stop" not in body and b'"done":true' not in body, name
    with run_yard(data_dir) as yard:
        rows = {row["id"]: row for row in settled(yard, key["id"], 2 * len(PAIRS), linger=0.5)}
    assert set(rows) == {*begun, *killed}
    for call_id in killed:
        assert (rows[call_id]["status"], rows[call_id]["estimated"]) == ("cut", 1)
        assert rows[call_id]["input"] > 0
        assert rows[call_id]["output"] > 0
