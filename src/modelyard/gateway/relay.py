"""A stream on its way from a backend to a caller: opened until its first events are there, then passed on to its end."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from typing import NamedTuple

from modelyard.canonical.record import CUT, ERROR, LEFT, OK
from modelyard.canonical.snapshot import Target
from modelyard.core import log
from modelyard.core.errors import Kind, Problem
from modelyard.dialects.dialect import StreamTap
from modelyard.gateway.books import OpenBooks
from modelyard.gateway.call import CLIENT_LEFT, BrokenOff
from modelyard.gateway.upstream_errors import cleaned
from modelyard.upstream.client import Answer

_log = log.get(__name__)

# What servers call a stream of events. A page or JSON is read whole instead: it is an error or an answer in one piece.
STREAM_TYPES = ("text/event-stream", "application/x-ndjson", "text/plain", "application/octet-stream")


def streams(answer: Answer) -> bool:
    """True when the body of this answer is a stream of events."""
    content_type = answer.header("content-type")
    return content_type is None or content_type.lower().startswith(STREAM_TYPES)


class OpenStream(NamedTuple):
    """A stream whose first events are there: the commit point has been reached."""

    answer: Answer
    chunks: AsyncIterator[bytes]
    tap: StreamTap
    first: bytes


class Relay:
    """Everything after the first events, for one reader. Must be closed, also when nobody has begun to read it."""

    def __init__(self, stream: OpenStream, target: Target, books: OpenBooks) -> None:
        self._stream = stream
        self._books = books
        self._events = _pass_on(stream, target, books)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._events

    async def aclose(self) -> None:
        """Free the backend and close the books. Has no effect on a stream that has been read to its end."""
        await self._events.aclose()
        # A generator that was never started has nothing to clean up, but this call has.
        self._stream.answer.abort()
        self._books.close(LEFT, self._stream.tap.usage, self._stream.tap.deltas)


async def _pass_on(stream: OpenStream, target: Target, books: OpenBooks) -> AsyncGenerator[bytes, None]:
    """Pass events on as they come. Every fault becomes an error event, never a clean end."""
    tap, status, problem = stream.tap, LEFT, None
    try:
        _check(tap)
        async for chunk in stream.chunks:
            events = tap.feed(chunk)
            if events:
                yield events
                books.progress(tap.deltas)
            _check(tap)
        last = tap.end()
        if last:
            yield last
        status = OK
    except Problem as fault:
        if not tap.complete:  # else the answer was whole, and what broke was the connection it came on
            status, problem = ERROR, fault
            fault.message = cleaned(fault.message, target)
            yield tap.fail(fault) or _break_off()
    except asyncio.CancelledError as cancelled:
        status = how_cancelled(cancelled)
        raise
    except Exception as error:  # noqa: BLE001 - ours: the caller gets a proper end, the log the details
        _log.exception("a stream failed inside the gateway", call=books.record.id, error=type(error).__name__)
        status, problem = ERROR, Problem(Kind.INTERNAL, "Modelyard failed while it passed this stream on.")
        yield tap.fail(problem)
    finally:
        stream.answer.abort()
        if tap.complete and problem is None:
            status = OK  # many clients hang up as soon as they have read the end
        books.close(status, tap.usage, tap.deltas, problem)


def _break_off() -> bytes:
    raise BrokenOff


def how_cancelled(cancelled: asyncio.CancelledError) -> str:
    """Whether the caller went away or the server is ending."""
    return LEFT if CLIENT_LEFT in cancelled.args else CUT


def _check(tap: StreamTap) -> None:
    """Raise what the tap found after the events that it let pass."""
    if tap.fault is not None:
        raise tap.fault


async def open_stream(answer: Answer, tap: StreamTap, first_event: float) -> OpenStream:
    """Wait for the first events, at most `first_event` seconds.

    Raises Problem when the stream fails before them: another target may be tried.
    """
    chunks = answer.chunks()
    began = time.monotonic()
    async for chunk in chunks:
        events = tap.feed(chunk)
        if events:
            return OpenStream(answer, chunks, tap, events)
        _check(tap)
        if time.monotonic() - began > first_event:
            raise Problem(Kind.UPSTREAM_TIMEOUT, f"The backend sent nothing but comments for {first_event:g} s.")
    return OpenStream(answer, chunks, tap, tap.end())
