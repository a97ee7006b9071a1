"""Bytes out. Sends a reply, flushed per chunk, and watches the client from the first await on."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from modelyard.core.errors import Problem
from modelyard.dialects.dialect import Dialect
from modelyard.gateway.call import CLIENT_LEFT, Headers, Reply

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

# Most calls are over before this; only a longer one pays for a task that watches its client.
WATCH_AFTER_SECONDS = 0.1


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
    if reply.stream is None:
        reply.headers.append((b"content-length", b"%d" % len(reply.body)))
        await send({"type": "http.response.start", "status": reply.status, "headers": reply.headers})
        await send({"type": "http.response.body", "body": reply.body})
        return
    try:
        await send({"type": "http.response.start", "status": reply.status, "headers": reply.headers})
        await send({"type": "http.response.body", "body": reply.body, "more_body": True})
        async for chunk in reply.stream:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        await reply.stream.aclose()


def refusal(problem: Problem, dialect: Dialect, call_id: str) -> Reply:
    """An error answer in the caller's dialect."""
    headers: Headers = [(b"content-type", b"application/json"), (b"x-request-id", call_id.encode())]
    if problem.retry_after is not None:
        headers.append((b"retry-after", b"%d" % max(1, -int(-problem.retry_after // 1))))
    return Reply(status=problem.kind.status, headers=headers, body=dialect.write_error(problem))
