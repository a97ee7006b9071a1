"""Pings into a stream on which nothing moves."""

import asyncio
import selectors
from typing import Any

from modelyard.api.reply import PING_SECONDS, deliver
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


class Leaping(selectors.DefaultSelector):
    """Waits for nothing, and counts how long it would have waited."""

    waited = 0.0

    def select(self, timeout: float | None = None) -> Any:
        self.waited += timeout or 0.0
        return super().select(0)


class ItsOwnTime(asyncio.SelectorEventLoop):
    """An event loop whose time passes only while it waits, and at once: how fast the machine is does not matter."""

    def __init__(self) -> None:
        self.selector = Leaping()
        super().__init__(self.selector)

    def time(self) -> float:
        return self.selector.waited


def sent_by(reply: Reply) -> list[bytes]:
    sent: list[bytes] = []

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            sent.append(message["body"])

    with asyncio.Runner(loop_factory=ItsOwnTime) as runner:
        runner.run(deliver(reply, send))
    return sent


def test_a_silent_stream_is_kept_alive_between_its_events() -> None:
    stream: Any = Paced(PING_SECONDS * 3.5, PING_SECONDS * 1.5)
    sent = sent_by(Reply(status=200, headers=[], body=b"first\n\n", stream=stream, ping=b": ping\n\n"))
    pings = [b": ping\n\n"]
    assert sent == [b"first\n\n", *pings * 3, b"event\n\n", *pings, b"event\n\n", b""], "nothing follows the end"
    assert stream.closed


def test_a_stream_that_moves_gets_no_ping() -> None:
    stream: Any = Paced(*[PING_SECONDS * 0.9] * 20)
    assert b": ping\n\n" not in sent_by(Reply(status=200, headers=[], stream=stream, ping=b": ping\n\n"))


def test_a_dialect_without_pings_gets_none() -> None:
    stream: Any = Paced(PING_SECONDS * 4)
    assert sent_by(Reply(status=200, headers=[], body=b"first", stream=stream)) == [b"first", b"event\n\n", b""]
