"""Many at once, and readers who do not read."""

import asyncio
import json
import socket
import time
from pathlib import Path

import httpx2
import openai
import pytest

from tests.data_plane.canned import head, run_canned
from tests.data_plane.people import CHAT, chat, new_key, settled, until
from tests.servers import PATIENCE
from tests.yard import run_yard

CALLS = 200


@pytest.fixture(scope="module")
def yard(upstream, tmp_path_factory):
    with run_yard(tmp_path_factory.mktemp("soak") / "data", {"OPENAI_API_BASE_URL": upstream.base_url}) as running:
        running.connect(
            "fast",
            upstream.base_url,
            prefix_id="fast",
            headers={"x-script-delay-ms": "0", "x-script-events": "1000000"},
        )
        yield running


async def test_two_hundred_mixed_calls_at_once_are_all_answered_right(yard, engine):
    yard.connect("engine", engine.base_url)
    keys = [new_key(yard) for _ in range(4)]
    expected = {}

    async with httpx2.AsyncClient(
        base_url=yard.url,
        timeout=PATIENCE,
        limits=httpx2.Limits(max_connections=CALLS, max_keepalive_connections=CALLS),
    ) as http:
        gate = asyncio.Event()

        async def one(number):
            await gate.wait()
            key = keys[number % 4]
            headers = {"authorization": f"Bearer {key['key']}"}
            text = f"number {number} says hello"
            kind = number % 10
            counted = expected.setdefault(key["id"], [])
            if kind == 0:
                answer = await http.post(CHAT, json=chat("unicode", text=text), headers=headers)
                assert "日本語" in answer.json()["choices"][0]["message"]["content"]
                counted.append("ok")
            elif kind == 1:
                answer = await http.post(CHAT, json=chat("lorem", stream=True), headers=headers)
                assert answer.text.count('"content":"lorem ') == 3
                assert answer.text.endswith("data: [DONE]\n\n")
                counted.append("ok")
            elif kind == 2:
                answer = await http.post(CHAT, json=chat("error-400"), headers=headers)
                assert answer.status_code == 400
                counted.append("error")
            elif kind == 3:
                answer = await http.post(CHAT, json=chat("nope"), headers=headers)
                assert answer.status_code == 404
            elif kind == 4:
                answer = await http.post("/v1/embeddings", json={"model": "echo", "input": text}, headers=headers)
                assert len(answer.json()["data"][0]["embedding"]) == 64
                counted.append("ok")
            elif kind == 5:
                answer = await http.post(CHAT, json=chat("cut", stream=True), headers=headers)
                assert b"[DONE]" not in answer.content
                assert b'"error"' in answer.content
                counted.append("error")
            elif kind == 6:
                answer = await http.post(CHAT, content=b"{", headers=headers)
                assert answer.status_code == 400
            elif kind == 7:
                async with openai.AsyncOpenAI(base_url=yard.base_url, api_key=key["key"], max_retries=0) as sdk:
                    stream = await sdk.chat.completions.create(**chat("echo", stream=True, text=text))
                    assert "".join([part.choices[0].delta.content or "" async for part in stream]) == text
                counted.append("ok")
            elif kind == 8:
                answer = await http.post(CHAT, json=chat("tiny-llama", text=text, max_tokens=4), headers=headers)
                assert answer.json()["usage"]["completion_tokens"] == 4
                counted.append("ok")
            else:
                answer = await http.post(CHAT, json=chat("echo", text=text), headers=headers)
                assert answer.json()["choices"][0]["message"]["content"] == text
                counted.append("ok")

        calls = [asyncio.create_task(one(number)) for number in range(CALLS)]
        gate.set()
        await asyncio.gather(*calls)

    for key in keys:
        rows = settled(yard, key["id"], len(expected[key["id"]]), linger=0.3)
        assert sorted(row["status"] for row in rows) == sorted(expected[key["id"]])
        assert len({row["id"] for row in rows}) == len(rows)
    assert "modelyard_calls_running 0.0" in yard.admin.get("/metrics").text
    assert "Traceback" not in yard.output()


def resident(yard) -> int:
    """Bytes of memory that the server holds."""
    for line in Path(f"/proc/{yard.process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError


def ask(yard, key, model):
    """A request on a socket of its own, whose answer nobody reads."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    connection.settimeout(PATIENCE)
    connection.connect(("127.0.0.1", int(yard.url.rsplit(":", 1)[1])))
    body = json.dumps(chat(model, stream=True)).encode()
    lines = ["POST /v1/chat/completions HTTP/1.1", "host: 127.0.0.1", f"authorization: Bearer {key}"]
    connection.sendall("\r\n".join([*lines, f"content-length: {len(body)}", "", ""]).encode() + body)
    return connection


def test_a_reader_who_does_not_read_costs_no_memory(yard, upstream):
    key = new_key(yard)
    with yard.client(key["key"]) as client:
        client.post(CHAT, json=chat("echo"))
    before = resident(yard)
    sockets = [ask(yard, key["key"], "fast.lorem") for _ in range(5)]
    deadline = time.monotonic() + 4
    most = before
    while time.monotonic() < deadline:
        most = max(most, resident(yard))
        time.sleep(0.1)
    assert most - before < 30_000_000, f"grew by {(most - before) / 1e6:.0f} MB"
    with yard.client(key["key"]) as client:
        assert client.post(CHAT, json=chat("echo")).status_code == 200, "the others are served meanwhile"
    for connection in sockets:
        connection.close()
    assert until(lambda: upstream.state()["streams_in_progress"] == 0)
    rows = settled(yard, key["id"], 7)
    assert sorted(row["status"] for row in rows) == ["left"] * 5 + ["ok"] * 2


def test_a_huge_event_passes_and_its_memory_is_given_back(yard):
    key = new_key(yard)["key"]
    with openai.OpenAI(base_url=yard.base_url, api_key=key, max_retries=0) as sdk:
        longest = max(
            len(part.choices[0].delta.content or "")
            for part in sdk.chat.completions.create(**chat("huge", stream=True))
        )
        assert longest == 20_000_000
        assert len(sdk.chat.completions.create(**chat("huge")).choices[0].message.content) == 20_000_000
    before = resident(yard)
    with yard.client(key) as client:
        for _ in range(3):
            assert client.post(CHAT, json=chat("huge", stream=True)).status_code == 200
    assert resident(yard) - before < 100_000_000


def test_an_event_without_an_end_is_cut_off(tmp_path):
    def endless(connection):
        connection.sendall(head() + b'400000b\r\ndata: {"x":')
        for _ in range(20):
            connection.sendall(b"a" * 4_194_304 + b"\r\n400000\r\n")

    with (
        run_canned({"endless": endless}) as backend,
        run_yard(tmp_path / "data", {"OPENAI_API_BASE_URL": backend.base_url}) as yard,
    ):
        with yard.client(new_key(yard)["key"]) as client:
            answer = client.post(CHAT, json=chat("endless", stream=True))
        assert answer.status_code == 502
        assert resident(yard) < 500_000_000
