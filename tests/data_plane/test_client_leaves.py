"""A caller who goes away: the backend stops at once, and the books know of it once."""

import asyncio
import json
import socket
import time

import openai
import pytest

from tests.data_plane.people import CHAT, chat, new_key, settled, until
from tests.servers import PATIENCE
from tests.yard import ADMIN_KEY


@pytest.fixture
def key(yard, upstream):
    upstream.reset()
    return new_key(yard, limits={"concurrency": 1})


@pytest.fixture(scope="module")
def unending(yard, upstream):
    """Answers that are still under way, however late somebody leaves."""
    yard.connect("endless", upstream.base_url, prefix_id="endless", headers={"x-script-events": "20000"})
    yard.connect("late", upstream.base_url, prefix_id="late", headers={"x-script-delay-ms": "600000"})


async def ask_and_leave(yard, upstream, key, model, stream):
    """Leave when the backend has the call."""
    async with openai.AsyncOpenAI(base_url=yard.base_url, api_key=key["key"], max_retries=0) as sdk:
        call = asyncio.create_task(sdk.chat.completions.create(**chat(model, stream)))
        asked = await asyncio.to_thread(until, lambda: upstream.state()["calls"] or call.done())
        assert asked == {script_of(model): 1}
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call


def script_of(model):
    return model.rpartition(".")[2]


def assert_it_left(yard, upstream, key, model, stream, output=0):
    left = {script_of(model): 1}
    assert until(lambda: upstream.state()["client_left"]) == left, upstream.state()
    (call,) = settled(yard, key["id"], linger=0.4)
    assert call["status"] == "left"
    assert call["model"] == model
    assert call["stream"] == stream
    assert call["estimated"]
    assert call["input"] > 0
    assert call["output"] >= output
    assert call["attempts"] == 1
    with yard.client(key["key"]) as client:  # its place under the limit is free again
        assert client.post(CHAT, json=chat("echo")).status_code == 200


@pytest.mark.usefixtures("unending")
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("model", ["stall-first", "late.slow"])
async def test_before_the_first_byte(yard, upstream, key, model, stream):
    await ask_and_leave(yard, upstream, key, model, stream)
    assert_it_left(yard, upstream, key, model, stream)


@pytest.mark.usefixtures("unending")
@pytest.mark.parametrize("model", ["endless.lorem", "stall"])
def test_in_the_middle_of_a_stream(yard, upstream, key, model):
    with (
        openai.OpenAI(base_url=yard.base_url, api_key=key["key"], max_retries=0) as sdk,
        sdk.chat.completions.create(**chat(model, stream=True)) as stream,
    ):
        for _ in zip(range(3), stream, strict=False):
            pass
    assert_it_left(yard, upstream, key, model, stream=True, output=3)


@pytest.mark.usefixtures("unending")
@pytest.mark.parametrize("model", ["endless.lorem", "stall"])
async def test_in_the_middle_of_a_whole_answer(yard, upstream, key, model):
    await ask_and_leave(yard, upstream, key, model, stream=False)
    assert_it_left(yard, upstream, key, model, stream=False)


def test_a_caller_who_hangs_up_while_sending_costs_nothing(yard, upstream, key):
    with socket.create_connection(("127.0.0.1", int(yard.url.rsplit(":", 1)[1])), timeout=PATIENCE) as connection:
        lines = ["POST /v1/chat/completions HTTP/1.1", "host: 127.0.0.1", f"authorization: Bearer {key['key']}"]
        connection.sendall("\r\n".join([*lines, "content-length: 1000", "", '{"model":']).encode())
    with yard.client(key["key"]) as client:
        assert client.post(CHAT, json=chat("echo")).status_code == 200
    (call,) = settled(yard, key["id"], linger=0.4)
    assert call["status"] == "ok"


def test_a_caller_who_hangs_up_at_once_is_noticed(yard, upstream, key):
    """Before the watch over the client has begun."""
    body = json.dumps(chat("stall-first", stream=True)).encode()
    with socket.create_connection(("127.0.0.1", int(yard.url.rsplit(":", 1)[1])), timeout=PATIENCE) as connection:
        lines = ["POST /v1/chat/completions HTTP/1.1", "host: 127.0.0.1", f"authorization: Bearer {key['key']}"]
        connection.sendall("\r\n".join([*lines, f"content-length: {len(body)}", "", ""]).encode() + body)
    assert until(lambda: upstream.state()["streams_in_progress"] == 0)
    calls = settled(yard, key["id"], linger=0.4)
    assert [call["status"] for call in calls] == ["left"]


def test_one_who_leaves_does_not_disturb_the_others(yard, upstream, key):
    other = new_key(yard)
    with (
        openai.OpenAI(base_url=yard.base_url, api_key=other["key"], max_retries=0) as staying,
        openai.OpenAI(base_url=yard.base_url, api_key=key["key"], max_retries=0) as leaving,
    ):
        stays = staying.chat.completions.create(**chat("lorem", stream=True))
        with leaving.chat.completions.create(**chat("lorem", stream=True)) as leaves:
            next(leaves)
        text = "".join(part.choices[0].delta.content or "" for part in stays)
    assert len(text.split()) == 64
    (call,) = settled(yard, other["id"], linger=0.4)
    assert (call["status"], call["output"]) == ("ok", 64)


def test_leaving_during_the_upload_is_no_fault_of_ours(yard):
    """The rest of the body never comes: nothing to answer, nothing to log."""
    host, port = yard.url.removeprefix("http://").split(":")
    before = yard.output().count("a call failed inside the gateway")
    for _ in range(3):
        with socket.create_connection((host, int(port)), timeout=PATIENCE) as connection:
            head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {ADMIN_KEY}\r\n"
            connection.sendall(head.encode() + b"content-length: 1000\r\n\r\n{")
            time.sleep(0.1)
    assert yard.admin.get("/v1/models").status_code == 200
    assert yard.output().count("a call failed inside the gateway") == before
