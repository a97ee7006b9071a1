"""Bytes out. Sends a reply, flushed per chunk, and watches the client from the first await on."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from modelyard.core.errors import Problem
from modelyard.dialects.dialect import Dialect
from modelyard.gateway.call import CLIENT_LEFT, BrokenOff, Headers, Reply

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

# Most calls are over before this; only a longer one pays for a task that watches its client.
WATCH_AFTER_SECONDS = 0.1

# A stream that was silent for as long gets a ping, where its dialect has one.
PING_SECONDS = 15.0


class ClientWatch:
    """Cancels the request's own task when its client goes away. `left` tells that from any other cancellation."""

    __slots__ = ("_handle", "_receive", "_request", "_task", "left")

    def __init__(self, receive: Receive, request: "asyncio.Task[Any]") -> None:
        self._receive = receive
        self._request = request
        self._task: asyncio.Task[None] | None = None
        self._handle = request.get_loop().call_later(WATCH_AFTER_SECONDS, self._begin)
        self.left = False

    def _begin(self) -> None:
        self._task = self._request.get_loop().create_task(self._wait())

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.left = True
        self._request.cancel(CLIENT_LEFT)

    def stop(self) -> None:
        self._handle.cancel()
        if self._task is not None:
            self._task.cancel()


async def deliver(reply: Reply, send: Send) -> None:
    """Send a reply to its end. A stream is closed however this ends."""
    stream = reply.stream
    if stream is None:
        reply.headers.append((b"content-length", b"%d" % len(reply.body)))
        await send({"type": "http.response.start", "status": reply.status, "headers": reply.headers})
        await send({"type": "http.response.body", "body": reply.body})
        return
    pulse = Pulse(send, reply.ping) if reply.ping else None
    try:
        await send({"type": "http.response.start", "status": reply.status, "headers": reply.headers})
        await send({"type": "http.response.body", "body": reply.body, "more_body": True})
        async for chunk in stream:
            if pulse is not None:
                pulse.moved()
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        if pulse is not None:
            pulse.stop()
        await send({"type": "http.response.body", "body": b""})
    except BrokenOff:
        return  # without the end of the body: the server breaks the connection
    finally:
        if pulse is not None:
            pulse.stop()
        await stream.aclose()


class Pulse:
    """Keeps a silent stream's connection alive: proxies end one on which nothing moves.

    Every chunk of a stream holds whole events, so a ping between two of them harms nobody.
    """

    __slots__ = ("_handle", "_last", "_loop", "_ping", "_send", "_task")

    def __init__(self, send: Send, ping: bytes) -> None:
        self._send = send
        self._ping = ping
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None
        self._last = self._loop.time()
        self._handle = self._loop.call_later(PING_SECONDS, self._beat)

    def moved(self) -> None:
        """Something is about to be sent."""
        self._last = self._loop.time()

    def _beat(self) -> None:
        left = self._last + PING_SECONDS - self._loop.time()
        if left <= 0:
            left = PING_SECONDS
            self._last = self._loop.time()
            if self._task is None or self._task.done():
                self._task = self._loop.create_task(self._send_ping())
        self._handle = self._loop.call_later(left, self._beat)

    async def _send_ping(self) -> None:
        await self._send({"type": "http.response.body", "body": self._ping, "more_body": True})

    def stop(self) -> None:
        self._handle.cancel()
        if self._task is not None:
            self._task.cancel()


def refusal(problem: Problem, dialect: Dialect, call_id: str) -> Reply:
    """An error answer in the caller's dialect."""
    headers: Headers = [(b"content-type", b"application/json"), (b"x-request-id", call_id.encode())]
    if problem.retry_after is not None:
        headers.append((b"retry-after", b"%d" % max(1, -int(-problem.retry_after // 1))))
    status = problem.kind.status
    return Reply(
        status=dialect.statuses.get(status, status), headers=headers, body=dialect.write_error(problem, call_id)
    )
