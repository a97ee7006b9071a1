"""A stand-in for a model server: fixed answers, fast enough never to be what is measured.

A raw protocol on uvloop and httptools. It speaks OpenAI's dialect, Anthropic's and Ollama's, each at its own path.
Every frame carries its number (`~0017~`), so that a client can see which one is missing however the gateway rewrote
the JSON around it.
"""

import argparse
import asyncio
import json
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import parse_qs

import httptools
import uvloop

from bench import answers

DEFAULT_FRAMES = 64
MAXIMUM_FRAMES = 10_000
SECONDS_PER_FRAME = 0.02
MANY_MODELS = 5_000
# A server is never told to listen for more than 1,000 streams; they may all connect at once.
BACKLOG = 2_048

# Parsing the JSON is spared when the bytes cannot ask for a stream: most requests by far. A text cannot look like these.
_STREAM_IS_TRUE = re.compile(rb'"stream"\s*:\s*true')
_STREAM_IS_FALSE = re.compile(rb'"stream"\s*:\s*false')


def _response(body: bytes, status: str = "200 OK") -> bytes:
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _chunked(events: tuple[bytes, ...]) -> bytes:
    """Each event as one HTTP chunk."""
    return b"".join(f"{len(event):x}\r\n".encode() + event + b"\r\n" for event in events)


@dataclass(frozen=True)
class Spoken:
    """A dialect's answers as HTTP. Everything that does not depend on the request is encoded once."""

    dialect: answers.Dialect
    whole: bytes
    whole_with_tool: bytes
    head: bytes
    frames: list[bytes]
    # Ollama streams unless it is told not to.
    streams_unasked: bool = False

    def asks_for_stream(self, body: bytes) -> bool:
        if self.streams_unasked:
            return _STREAM_IS_FALSE.search(body) is None
        return _STREAM_IS_TRUE.search(body) is not None

    def end(self, frames: int, with_usage: bool) -> bytes:
        return _chunked(self.dialect.closing(frames, with_usage)) + b"0\r\n\r\n"


def _spoken(dialect: answers.Dialect, *, streams_unasked: bool = False) -> Spoken:
    head = f"HTTP/1.1 200 OK\r\ncontent-type: {dialect.stream_type}\r\ntransfer-encoding: chunked\r\n\r\n".encode()
    return Spoken(
        dialect,
        _response(dialect.whole),
        _response(dialect.whole_with_tool),
        head + _chunked(dialect.opening),
        [_chunked((dialect.frame(f" ~{number:04d}~"),)) for number in range(MAXIMUM_FRAMES)],
        streams_unasked,
    )


NOT_FOUND = _response(b'{"error":{"message":"no such path"}}', "404 Not Found")
# By the end of the path.
SPOKEN = {
    b"/chat/completions": _spoken(answers.OPENAI),
    b"/v1/messages": _spoken(answers.ANTHROPIC),
    b"/api/chat": _spoken(answers.OLLAMA, streams_unasked=True),
}
LISTS: dict[bytes, Callable[[int], bytes]] = {b"/models": answers.models, b"/api/tags": answers.tags}


def _frames_wanted(request: dict[str, Any]) -> int:
    """The bound of the output, by whichever name the dialect has for it."""
    options = request.get("options") or {}
    told = request.get("max_tokens") or request.get("max_completion_tokens") or options.get("num_predict")
    return min(int(told or DEFAULT_FRAMES), MAXIMUM_FRAMES)


class Upstream(asyncio.Protocol):
    """One connection; requests are answered one after the other (no client here pipelines)."""

    def __init__(self, loop: asyncio.AbstractEventLoop, lists: dict[tuple[bytes, int], bytes], models: int) -> None:
        self._loop = loop
        self._lists = lists
        self._default_models = models
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._url = b""
        self._body = b""
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's does not inherit from it

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            if self._transport is not None:
                self._transport.abort()

    # What the parser calls.

    def on_message_begin(self) -> None:
        self._url = b""
        self._body = b""

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        path, _, query = self._url.partition(b"?")
        for ending, spoken in SPOKEN.items():
            if path.endswith(ending):
                self._complete(spoken)
                return
        for ending in LISTS:
            if path.endswith(ending):
                self._write(self._model_list(ending, query.decode()))
                return
        self._write(_response(b"{}") if path.endswith(b"/health") else NOT_FOUND)

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def _model_list(self, path: bytes, query: str) -> bytes:
        many = parse_qs(query, keep_blank_values=True).get("many")
        count = self._default_models if many is None else int(many[0] or MANY_MODELS)
        if (path, count) not in self._lists:
            self._lists[path, count] = _response(LISTS[path](count))
        return self._lists[path, count]

    def _complete(self, spoken: Spoken) -> None:
        if not spoken.asks_for_stream(self._body):
            self._write(spoken.whole_with_tool if b'"tools"' in self._body else spoken.whole)
            return
        request = json.loads(self._body)
        frames = _frames_wanted(request)
        with_usage = bool((request.get("stream_options") or {}).get("include_usage"))
        self._write(spoken.head)
        self._send_frame(spoken, 0, frames, with_usage, self._loop.time())

    def _send_frame(self, spoken: Spoken, number: int, frames: int, with_usage: bool, started: float) -> None:
        if self._transport is None:
            return
        if number < frames:
            self._transport.write(spoken.frames[number])
            # Due times are absolute, so that a late frame does not push back all that follow.
            due = started + (number + 1) * SECONDS_PER_FRAME
            self._timer = self._loop.call_at(due, self._send_frame, spoken, number + 1, frames, with_usage, started)
            return
        self._timer = None
        self._transport.write(spoken.end(frames, with_usage))


async def _serve(port: int, models: int) -> None:
    loop = asyncio.get_running_loop()
    lists: dict[tuple[bytes, int], bytes] = {}
    server = await loop.create_server(
        lambda: Upstream(loop, lists, models), "127.0.0.1", port, backlog=BACKLOG, family=socket.AF_INET
    )
    async with server:
        await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--models", type=int, default=1, help="how many models its lists have")
    arguments = parser.parse_args()
    uvloop.run(_serve(arguments.port, arguments.models))


if __name__ == "__main__":
    main()
