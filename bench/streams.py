"""How many streams at once a gateway carries without stalling one or losing a frame.

Run as a process of its own (`python -m bench.streams`, its job as JSON on standard input), so that it can be
pinned to a core and nothing else runs in its event loop.
"""

import asyncio
import gc
import json
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import cast
from urllib.parse import urlsplit

import httptools
import uvloop

from bench import bodies
from bench.processes import LOAD_CORE, Failed, clean_environment, pinned
from bench.upstream import SECONDS_PER_FRAME

FRAMES = 320
START_SPREAD_SECONDS = 1.0
LARGEST_GAP_SECONDS = 10 * SECONDS_PER_FRAME
LARGEST_FIRST_FRAME_SECONDS = 0.5
# What a rung may take beyond its ideal length before it is cut off.
SLACK_SECONDS = 6.0
_FRAME = re.compile(rb"~(\d{4})~")
# Longer than any cut-off piece of a frame's number or of [DONE].
_TAIL = 8


@dataclass(frozen=True)
class Rung:
    """One number of concurrent streams, and how they fared. Times in milliseconds."""

    streams: int
    first_p50: float
    first_p99: float
    gap: float
    broken: int
    detail: str

    @property
    def reason(self) -> str | None:
        """Why this many are too many, or nothing when all went well."""
        if self.broken:
            return f"{self.broken} incomplete ({self.detail})"
        if self.gap > LARGEST_GAP_SECONDS * 1000:
            return f"gap of {self.gap:.0f} ms"
        if self.first_p99 > LARGEST_FIRST_FRAME_SECONDS * 1000:
            return f"first frame p99 {self.first_p99:.0f} ms"
        return None


class Stream(asyncio.Protocol):
    """One request, read to its end. Frames are told by their number, however they arrive cut or joined."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._tail = b""
        self._expected = 0
        self._done = False
        self._previous = 0.0
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.started = time.perf_counter()
        self.first: float | None = None
        self.gap = 0.0
        self.problem: str | None = "not answered"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's does not inherit from it
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as problem:
            self._end(f"not HTTP: {problem}")

    def connection_lost(self, exc: Exception | None) -> None:
        self._end("connection lost")

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # What the parser calls.

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status != 200:
            self._end(f"status {status}")

    def on_body(self, body: bytes) -> None:
        now = time.perf_counter()
        data = self._tail + body
        end = 0
        for match in _FRAME.finditer(data):
            if int(match[1]) != self._expected:
                self._end(f"frame {int(match[1])} instead of {self._expected}")
                return
            self._expected += 1
            end = match.end()
        if end:
            if self.first is None:
                self.first = now - self.started
            else:
                self.gap = max(self.gap, now - self._previous)
            self._previous = now
        self._done = self._done or b"[DONE]" in data
        self._tail = data[max(end, len(data) - _TAIL) :]

    def on_message_complete(self) -> None:
        if self._expected != FRAMES:
            self._end(f"ended after frame {self._expected - 1}")
        else:
            self._end(None if self._done else "no [DONE]")

    def _end(self, problem: str | None) -> None:
        if not self.ended.done():
            self.problem = problem
            self.ended.set_result(None)
            self.abort()


async def _drive(url: str, headers: Mapping[str, str], count: int) -> Rung:
    parts = urlsplit(url)
    host, port = parts.hostname or "127.0.0.1", parts.port or 80
    body = bodies.plain(stream=True, max_tokens=FRAMES)
    lines = [f"POST {parts.path} HTTP/1.1", f"host: {parts.netloc}", f"content-length: {len(body)}"]
    lines += ["content-type: application/json", *(f"{name}: {value}" for name, value in headers.items())]
    request = "\r\n".join(lines).encode() + b"\r\n\r\n" + body
    loop = asyncio.get_running_loop()
    streams: list[Stream] = []

    async def one(delay: float) -> None:
        await asyncio.sleep(delay)
        stream = Stream(request)
        streams.append(stream)
        try:
            await loop.create_connection(lambda: stream, host, port)
        except OSError as problem:
            stream.problem = f"not connected: {type(problem).__name__}"
            return
        await stream.ended

    ideal = START_SPREAD_SECONDS + FRAMES * SECONDS_PER_FRAME
    tasks = [loop.create_task(one(START_SPREAD_SECONDS * number / count)) for number in range(count)]
    _, late = await asyncio.wait(tasks, timeout=ideal + SLACK_SECONDS)
    for stream in streams:
        if not stream.ended.done():
            stream.problem = "cut off: too late"
            stream.abort()
    for task in late:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

    firsts = sorted(stream.first for stream in streams if stream.first is not None)
    problems = [stream.problem for stream in streams if stream.problem is not None]
    return Rung(
        streams=count,
        first_p50=1000 * firsts[len(firsts) // 2] if firsts else 0.0,
        first_p99=1000 * firsts[min(len(firsts) - 1, int(len(firsts) * 0.99))] if firsts else 0.0,
        gap=1000 * max(stream.gap for stream in streams),
        broken=len(problems) + count - len(streams),
        detail=max(set(problems), key=problems.count) if problems else "",
    )


def run(url: str, headers: Mapping[str, str], count: int) -> Rung:
    """Drive so many streams from a process of its own, on the load generator's core."""
    job = json.dumps({"url": url, "headers": dict(headers), "count": count})
    limit = START_SPREAD_SECONDS + FRAMES * SECONDS_PER_FRAME + SLACK_SECONDS + 30
    command = pinned(LOAD_CORE, [sys.executable, "-m", "bench.streams"])
    try:
        done = subprocess.run(
            command, input=job, capture_output=True, text=True, timeout=limit, check=False, env=clean_environment({})
        )
    except subprocess.TimeoutExpired as problem:
        raise Failed("the stream driver did not end in time") from problem
    if done.returncode != 0:
        raise Failed(f"the stream driver failed: {done.stderr.strip()[-200:]}")
    return Rung(**json.loads(done.stdout))


def main() -> None:
    job = json.loads(sys.stdin.read())
    # A collection over thousands of live objects would show as a gap of the gateway's.
    gc.disable()
    print(json.dumps(asdict(uvloop.run(_drive(job["url"], job["headers"], job["count"])))))


if __name__ == "__main__":
    main()
