"""The least a Python gateway can do: uvicorn + aiohttp, one function. What Modelyard's own work is measured against.

Started as `python -m uvicorn bench.bare:application` with the upstream's address in BENCH_UPSTREAM. Its aiohttp comes
from bench/.peers/clients (`bench.peers.clients`).
"""

# mypy: disable-error-code="import-not-found"

import functools
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from bench import clients

clients.on_path()

import aiohttp  # noqa: E402 -- it is found only now

Message = MutableMapping[str, Any]

_upstream = os.environ.get("BENCH_UPSTREAM", "")


@functools.cache
def session() -> aiohttp.ClientSession:
    """The one session. Defaults, but for the cap of 100 connections: it would queue streams, and measure only that."""
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))


async def application(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    if scope["path"] == "/health":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})
        return

    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)

    headers = {"content-type": "application/json"}
    async with session().request(scope["method"], _upstream + scope["path"], data=body, headers=headers) as answer:
        kind = answer.headers.get("content-type", "application/json").encode()
        if kind.startswith(b"text/event-stream"):
            await send({"type": "http.response.start", "status": answer.status, "headers": [(b"content-type", kind)]})
            async for chunk in answer.content.iter_any():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
            return
        content = await answer.read()
        length = str(len(content)).encode()
        sent = [(b"content-type", kind), (b"content-length", length)]
        await send({"type": "http.response.start", "status": answer.status, "headers": sent})
        await send({"type": "http.response.body", "body": content})


async def _lifespan(receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]) -> None:
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            if session.cache_info().currsize:
                await session().close()
            return
