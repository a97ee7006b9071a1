"""Pings into a stream on which nothing moves."""

import asyncio
from typing import Any

import pytest

from modelyard.api import reply as replies
from modelyard.api.reply import deliver
from modelyard.gateway.call import Reply


class Paced:
    """A stream whose chunks come after these waits."""

    def __init__(self, *waits: float) -> None:
        self._waits = waits
        self.closed = False

    async def __aiter__(self) -> Any:
        for wait in self._waits:
            await asyncio.sleep(wait)
            yield b"event\n\n"

    async def aclose(self) -> None:
        self.closed = True


async def sent_by(reply: Reply) -> list[bytes]:
    sent: list[bytes] = []

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            sent.append(message["body"])

    await deliver(reply, send)
    return sent


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replies, "PING_SECONDS", 0.05)


@pytest.mark.usefixtures("quick")
async def test_a_silent_stream_is_kept_alive_between_its_events() -> None:
    stream: Any = Paced(0.3, 0)
    sent = await sent_by(Reply(status=200, headers=[], body=b"first\n\n", stream=stream, ping=b": ping\n\n"))
    assert sent[0] == b"first\n\n"
    assert sent.count(b": ping\n\n") >= 2
    assert [part for part in sent if part not in (b": ping\n\n", b"")] == [b"first\n\n", b"event\n\n", b"event\n\n"]
    assert sent[-1] == b"", "nothing follows the end"
    assert stream.closed


@pytest.mark.usefixtures("quick")
async def test_a_stream_that_moves_gets_no_ping() -> None:
    stream: Any = Paced(*[0.01] * 20)
    assert b": ping\n\n" not in await sent_by(Reply(status=200, headers=[], stream=stream, ping=b": ping\n\n"))


@pytest.mark.usefixtures("quick")
async def test_a_dialect_without_pings_gets_none() -> None:
    stream: Any = Paced(0.2)
    assert await sent_by(Reply(status=200, headers=[], body=b"first", stream=stream)) == [b"first", b"event\n\n", b""]
