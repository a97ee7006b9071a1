"""A stand-in for a model server: fixed answers, fast enough never to be what is measured.

A raw protocol on uvloop and httptools. Every frame carries its number (`~0017~`), so that a client can see
which one is missing however the gateway rewrote the JSON around it.
"""

import argparse
import asyncio
import json
import socket
from typing import Any, cast
from urllib.parse import parse_qs

import httptools
import uvloop

MODEL = "bench-model"
DEFAULT_FRAMES = 64
MAXIMUM_FRAMES = 10_000
SECONDS_PER_FRAME = 0.02
MANY_MODELS = 5_000
CREATED = 1_760_000_000
# A server is never told to listen for more than 1,000 streams; they may all connect at once.
BACKLOG = 2_048


def _compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _response(body: bytes, status: str = "200 OK") -> bytes:
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _completion() -> bytes:
    """About 1 KB of answer, with usage, as an OpenAI-compatible server would give it."""
    text = "The quick brown fox jumps over the lazy dog. " * 15
    usage = {"prompt_tokens": 180, "completion_tokens": 150, "total_tokens": 330}
    return _compact(
        {
            "id": "chatcmpl-bench",
            "object": "chat.completion",
            "created": CREATED,
            "model": MODEL,
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
            "usage": usage,
        }
    )


def _models(count: int) -> bytes:
    names = [MODEL] + [f"bench-model-{number:05d}" for number in range(1, count)]
    data = [{"id": name, "object": "model", "created": CREATED, "owned_by": "bench"} for name in names]
    return _compact({"object": "list", "data": data})


def _event(payload: bytes) -> bytes:
    """One server-sent event as one HTTP chunk."""
    event = b"data: " + payload + b"\n\n"
    return f"{len(event):x}\r\n".encode() + event + b"\r\n"


def _delta(delta: dict[str, str], finish: str | None = None, **more: Any) -> bytes:
    choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
    head = {"id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": CREATED, "model": MODEL}
    return _event(_compact({**head, "choices": choices, **more}))


def _usage_event(frames: int) -> bytes:
    usage = {"prompt_tokens": 180, "completion_tokens": frames, "total_tokens": 180 + frames}
    head = {"id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": CREATED, "model": MODEL}
    return _event(_compact({**head, "choices": [], "usage": usage}))


# Everything that does not depend on the request is encoded once.
COMPLETION = _response(_completion())
NOT_FOUND = _response(b'{"error":{"message":"no such path"}}', "404 Not Found")
STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
ROLE = _delta({"role": "assistant", "content": ""})
FRAMES = [_delta({"content": f" ~{number:04d}~"}) for number in range(MAXIMUM_FRAMES)]
FINISH = _delta({}, "stop")
END = _event(b"[DONE]") + b"0\r\n\r\n"


class Upstream(asyncio.Protocol):
    """One connection; requests are answered one after the other (no client here pipelines)."""

    def __init__(self, loop: asyncio.AbstractEventLoop, models: dict[int, bytes], default_models: int) -> None:
        self._loop = loop
        self._models = models
        self._default_models = default_models
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
        if path.endswith(b"/chat/completions"):
            self._complete()
        elif path.endswith(b"/models"):
            self._write(self._model_list(query.decode()))
        elif path.endswith(b"/health"):
            self._write(_response(b"{}"))
        else:
            self._write(NOT_FOUND)

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def _model_list(self, query: str) -> bytes:
        many = parse_qs(query, keep_blank_values=True).get("many")
        count = self._default_models if many is None else int(many[0] or MANY_MODELS)
        if count not in self._models:
            self._models[count] = _response(_models(count))
        return self._models[count]

    def _complete(self) -> None:
        # Parsing the JSON is spared when it cannot ask for a stream: most requests by far.
        request = json.loads(self._body) if b'"stream"' in self._body else {}
        if request.get("stream") is not True:
            self._write(COMPLETION)
            return
        frames = min(int(request.get("max_tokens") or DEFAULT_FRAMES), MAXIMUM_FRAMES)
        with_usage = bool((request.get("stream_options") or {}).get("include_usage"))
        self._write(STREAM_HEAD + ROLE)
        self._send_frame(0, frames, with_usage, self._loop.time())

    def _send_frame(self, number: int, frames: int, with_usage: bool, started: float) -> None:
        if self._transport is None:
            return
        if number < frames:
            self._transport.write(FRAMES[number])
            # Due times are absolute, so that a late frame does not push back all that follow.
            due = started + (number + 1) * SECONDS_PER_FRAME
            self._timer = self._loop.call_at(due, self._send_frame, number + 1, frames, with_usage, started)
            return
        self._timer = None
        self._transport.write(FINISH + (_usage_event(frames) if with_usage else b"") + END)


async def _serve(port: int, models: int) -> None:
    loop = asyncio.get_running_loop()
    lists: dict[int, bytes] = {models: _response(_models(models))}
    server = await loop.create_server(
        lambda: Upstream(loop, lists, models), "127.0.0.1", port, backlog=BACKLOG, family=socket.AF_INET
    )
    async with server:
        await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--models", type=int, default=1, help="how many models GET .../models lists")
    arguments = parser.parse_args()
    uvloop.run(_serve(arguments.port, arguments.models))


if __name__ == "__main__":
    main()
