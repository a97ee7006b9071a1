"""A scripted upstream: speaks the OpenAI API and misbehaves on request. For the demo mode, for work on the console and
for tests of faults.

    python -m modelyard.upstream.scripted --port 9100

The model chooses the behaviour: see SCRIPTS in scripted_scripts.py. The parameters `delay_ms` and `events` are part of
the model's name (`lorem?delay_ms=5&events=400`) or come in the headers `x-script-delay-ms` and `x-script-events`; a
gateway does not forward the latter. `GET /__script__/state` tells what was seen and `POST /__script__/reset` forgets it.

It remembers what it was sent, credentials included, and tells it to anyone: it is not for real users. It needs uvicorn.
"""

import argparse
import asyncio
import socket
import sys
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from modelyard.upstream.scripted_scripts import (
    BROKEN_DATA,
    ERROR_DATA,
    SCRIPTS,
    Act,
    Call,
    Pace,
    Reply,
    Script,
    error_body,
    events,
    whole,
)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

ENDPOINTS = {"/v1/chat/completions": "chat", "/v1/completions": "text", "/v1/embeddings": "embeddings"}
AFTER_EVENTS = frozenset({Act.CUT, Act.STALL, Act.BROKEN_LINE, Act.ERROR_EVENT})
MOST_EVENTS = 1_000_000
MOST_DELAY_MS = 3_600_000


class _Refused(Exception):
    """The request is wrong; the reply says how."""

    def __init__(self, status: int, message: str, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.reply = Reply(status, error_body(message, "invalid_request_error", param, code))


class _Cut(Exception):
    """The script closes the connection here."""


class ScriptedUpstream:
    """The ASGI app. `remember` is how many of the last requests it keeps, each with up to `remember_bytes` of its body."""

    def __init__(self, *, remember: int = 100, remember_bytes: int = 64 * 1024) -> None:
        self._remember_bytes = remember_bytes
        self._served = 0
        self._streams_in_progress = 0
        self._calls: Counter[str] = Counter()
        self._client_left: Counter[str] = Counter()
        self._last_left: deque[dict[str, Any]] = deque(maxlen=1000)
        self._requests: deque[dict[str, Any]] = deque(maxlen=remember)

    def state(self) -> dict[str, Any]:
        """What `GET /__script__/state` tells."""
        return {
            "calls": dict(self._calls),
            "streams_in_progress": self._streams_in_progress,
            "client_left": dict(self._client_left),
            "last_left": list(self._last_left),
            "requests": list(self._requests),
        }

    def reset(self) -> None:
        """Forget all but the streams in progress."""
        for seen in (self._calls, self._client_left, self._last_left, self._requests):
            seen.clear()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return  # uvicorn's lifespan, which is optional
        body = await _body(receive)
        if body is None:
            return
        method, path = scope["method"], scope["path"]
        try:
            if (method, path) == ("GET", "/v1/models"):
                models = [{"id": name, "object": "model", "created": 0, "owned_by": "scripted"} for name in SCRIPTS]
                await _reply(send, Reply(200, msgspec.json.encode({"object": "list", "data": models})))
            elif (method, path) == ("GET", "/__script__/state"):
                await _reply(send, Reply(200, msgspec.json.encode(self.state())))
            elif (method, path) == ("POST", "/__script__/reset"):
                self.reset()
                await _reply(send, Reply(200, b"{}"))
            elif method == "POST" and path in ENDPOINTS:
                headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
                name, script, call = self._read(ENDPOINTS[path], headers, body)
                self._note(name, path, headers, body)
                await self._run(name, script, call, receive, send)
            else:
                raise _Refused(404, f"Unknown request URL: {method} {path}.", code="unknown_url")
        except _Refused as refused:
            await _reply(send, refused.reply)

    def _read(self, endpoint: str, headers: dict[str, str], body: bytes) -> tuple[str, Script, Call]:
        try:
            fields = msgspec.json.decode(body)
        except ValueError as error:
            raise _Refused(400, f"The body is not JSON: {error}") from error
        if not isinstance(fields, dict) or not isinstance(fields.get("model"), str):
            raise _Refused(400, "you must provide a model parameter", "model")
        name, _, query = fields["model"].partition("?")
        script = SCRIPTS.get(name)
        if script is None:
            raise _Refused(404, f"The model `{name}` does not exist.", "model", "model_not_found")
        parameters = dict(parse_qsl(query))
        self._served += 1
        authorization = headers.get("authorization", "")
        call = Call(
            endpoint=endpoint,
            body=fields,
            identifier=f"scripted{self._served:06d}",
            created=int(time.time()),
            credential=authorization.removeprefix("Bearer ") or headers.get("x-api-key", ""),
            events=_number("events", parameters, headers, script.events, MOST_EVENTS),
            delay=_number("delay_ms", parameters, headers, script.delay_ms, MOST_DELAY_MS) / 1000,
        )
        return name, script, call

    def _note(self, name: str, path: str, headers: dict[str, str], body: bytes) -> None:
        self._calls[name] += 1
        kept = body[: self._remember_bytes].decode("utf-8", "replace")
        self._requests.append(
            {"model": name, "path": path, "headers": headers, "body": kept, "body_bytes": len(body), "at": time.time()}
        )

    async def _run(self, name: str, script: Script, call: Call, receive: Receive, send: Send) -> None:
        """Play the script until it ends or the client leaves, whichever comes first."""
        play = asyncio.ensure_future(_play(script, call, send))
        left = asyncio.ensure_future(_disconnected(receive))
        self._streams_in_progress += call.stream
        try:
            await asyncio.wait((play, left), return_when=asyncio.FIRST_COMPLETED)
            if not play.done():
                self._client_left[name] += 1
                self._last_left.append({"model": name, "at": time.time()})
            elif isinstance(play.exception(), _Cut):
                await _close_connection(receive, left)
            else:
                play.result()
        except asyncio.CancelledError:
            # The server is shutting down. Going quietly spares the reader a traceback per open stream.
            await _close_connection(receive, left)
        finally:
            self._streams_in_progress -= call.stream
            for task in (play, left):
                task.cancel()
            await asyncio.gather(play, left, return_exceptions=True)


def _number(name: str, parameters: dict[str, str], headers: dict[str, str], default: int, most: int) -> int:
    text = parameters.get(name) or headers.get(f"x-script-{name.replace('_', '-')}")
    if text is None:
        return default
    if not text.isdecimal() or int(text) > most:
        raise _Refused(400, f"{name} must be a whole number up to {most}, and is {text!r}.", "model")
    return int(text)


async def _body(receive: Receive) -> bytes | None:
    """The body of the request; None if the client left before its end."""
    parts = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _close_connection(receive: Receive, left: asyncio.Future[None]) -> None:
    """Close the connection under an answer that is not complete.

    ASGI has no word for it. uvicorn does it for an app that raises or returns early, but logs an error, and before the
    head it answers with status 500. So reach for the transport, which the object behind `receive` has, and return only
    once uvicorn knows that the connection is gone: then it has nothing to complain about.
    """
    transport = getattr(getattr(receive, "__self__", None), "transport", None)
    if transport is None:
        raise RuntimeError("the scripted upstream must be served by uvicorn itself, with no middleware around it")
    transport.close()
    await left


async def _reply(send: Send, reply: Reply) -> None:
    await _head(send, reply.status, reply.content_type, reply.headers, len(reply.body))
    await send({"type": "http.response.body", "body": reply.body})


async def _head(
    send: Send, status: int, content_type: str, headers: tuple[tuple[str, str], ...] = (), length: int | None = None
) -> None:
    fields = [("content-type", content_type), *headers]
    if length is not None:
        fields.append(("content-length", str(length)))
    encoded = [(name.encode(), value.encode()) for name, value in fields]
    await send({"type": "http.response.start", "status": status, "headers": encoded})


async def _forever() -> None:
    await asyncio.get_running_loop().create_future()


async def _play(script: Script, call: Call, send: Send) -> None:
    """Send what the script says. Raises _Cut where it closes the connection."""
    if script.act is Act.CUT_FIRST:
        raise _Cut
    if script.act is Act.STALL_FIRST:
        await _forever()
    if script.pace is Pace.HEAD:
        await asyncio.sleep(call.delay)
    if script.reply is not None:
        await _reply(send, script.reply(call))
    elif call.stream:
        await _play_stream(script, call, send)
    else:
        await _play_whole(script, call, send)


async def _play_stream(script: Script, call: Call, send: Send) -> None:
    content_type = script.content_type or "text/event-stream; charset=utf-8"
    await _head(send, 200, content_type, (("cache-control", "no-cache"),))
    if script.act is not Act.EMPTY:
        async for event in _events(script, call):
            payload = b"data: " + event + 2 * script.newline
            step = script.write or len(payload)
            for start in range(0, len(payload), step):
                await send({"type": "http.response.body", "body": payload[start : start + step], "more_body": True})
                await asyncio.sleep(0)  # a write of its own, and a chance for others
    await send({"type": "http.response.body", "body": b""})


async def _events(script: Script, call: Call) -> AsyncIterator[bytes]:
    """The events of the stream at their pace, with what the script does after n of them."""
    for count, event in enumerate(events(script, call)):
        if count > 0 or script.pace is Pace.BODY:
            await asyncio.sleep(0 if script.pace is Pace.HEAD else call.delay)
        if count == call.events and script.act in AFTER_EVENTS:
            if script.act is Act.CUT:
                raise _Cut
            if script.act is Act.STALL:
                await _forever()
            if script.act is Act.ERROR_EVENT:
                yield ERROR_DATA
                return
            yield BROKEN_DATA
        yield event
    if script.act not in (Act.NO_DONE, Act.TRUNCATED):
        yield b"[DONE]"


async def _play_whole(script: Script, call: Call, send: Send) -> None:
    body, count = whole(script, call)
    if script.act is Act.EMPTY:
        body = b""
    elif script.act is Act.ERROR_EVENT:
        body = ERROR_DATA
    elif script.act is Act.BROKEN_LINE:
        body = body[: len(body) // 2]
    if script.pace is Pace.EVENTS:
        await asyncio.sleep(call.delay * count)
    await _head(send, 200, script.content_type or "application/json", (), len(body))
    if script.act in (Act.CUT, Act.STALL):
        await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        if script.act is Act.CUT:
            raise _Cut
        await _forever()
    step = -(-len(body) // max(call.events, 1)) if script.pace is Pace.BODY else len(body)
    for start in range(0, len(body), max(step, 1)):
        if script.pace is Pace.BODY:
            await asyncio.sleep(call.delay)
        await send({"type": "http.response.body", "body": body[start : start + step], "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def main(arguments: list[str] | None = None) -> None:
    """Serve until SIGTERM or SIGINT. The first line on the standard output has the address; port 0 picks a free one."""
    parser = argparse.ArgumentParser(prog="modelyard.upstream.scripted", description="a scripted OpenAI upstream")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9100)
    options = parser.parse_args(arguments)

    import uvicorn

    # Listening before the line is printed: whoever reads it can connect.
    listener = socket.create_server((options.host, options.port), backlog=2048)
    config = uvicorn.Config(ScriptedUpstream(), log_level="warning", access_log=False, lifespan="off")
    server = uvicorn.Server(config)
    server.force_exit = True  # do not wait for streams: some never end
    sys.stdout.write(f"scripted upstream on http://{options.host}:{listener.getsockname()[1]}/v1\n")
    sys.stdout.flush()
    with suppress(KeyboardInterrupt):
        server.run(sockets=[listener])


if __name__ == "__main__":
    main()
