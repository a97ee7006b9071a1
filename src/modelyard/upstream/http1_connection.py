"""One HTTP/1.1 connection to an upstream, the exchange that runs on it, and the pool it rests in between two.

This is the hottest code of the gateway. What keeps it cheap: the parser hands body parts straight to `list.append`,
the parts of one read from the socket become one chunk, one future is made per wait and none when the data is there,
and one timer per connection re-schedules itself instead of being cancelled and set again for every chunk.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from math import inf

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from modelyard.canonical.endpoint import Timeouts
from modelyard.core.errors import Kind, Problem
from modelyard.upstream.client import Unanswered, broken_off, malformed, timed_out, too_large, unreachable

MAX_WAITING = 256 * 1024  # Bytes of a body that wait for their reader before we stop reading from the socket.
MAX_HEAD = 64 * 1024  # Bytes of the head of an answer, interim (1xx) answers included, and of chunk framing in a row.
IDLE_SECONDS = 60.0  # How long an unused connection is kept.
LONGEST_NAP = 30.0  # A timer never sleeps longer, so that the usual switch to a shorter wait needs no new timer.


class Pool:
    """The kept connections of one origin, last in first out: few stay warm, the rest run into their idle limit."""

    __slots__ = ("idle", "max_idle", "origin")

    def __init__(self, origin: str, max_idle: int) -> None:
        self.origin = origin
        self.max_idle = max_idle
        self.idle: dict[Connection, None] = {}  # A dict, to take from the end and to drop any one, both in O(1).

    def take(self) -> "Connection | None":
        while self.idle:
            connection = self.idle.popitem()[0]
            if not connection.transport.is_closing():
                return connection
        return None


class Exchange:
    """One request and its answer. Implements `upstream.client.Answer`, and is itself the iterator of the chunks."""

    __slots__ = (
        "complete",
        "connection",
        "error",
        "limit",
        "loop",
        "origin",
        "queue",
        "raw_headers",
        "stale",
        "status",
        "stream",
        "waiter",
        "waiting",
    )  # fmt: skip

    def __init__(self, connection: "Connection", origin: str, loop: asyncio.AbstractEventLoop, stream: bool) -> None:
        self.connection: Connection | None = connection  # None once the message is complete or has failed.
        self.origin = origin
        self.loop = loop
        self.stream = stream
        self.status = 0  # 0 until the head is there.
        self.raw_headers: list[tuple[bytes, bytes]] = []
        self.queue: list[bytes] = []
        self.waiting = 0  # Bytes in `queue`.
        self.limit: int | None = None  # Set while read() collects the whole body.
        self.complete = False
        self.error: Problem | None = None
        self.stale = False  # The error is the keep-alive race: a reused connection ended before any byte came.
        self.waiter: asyncio.Future[None] | None = None

    @property
    def headers(self) -> list[tuple[str, str]]:
        """All headers, names in lower case."""
        return [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in self.raw_headers]

    def header(self, name: str) -> str | None:
        wanted = name.encode("latin-1")
        for candidate, value in self.raw_headers:
            if candidate.lower() == wanted:
                return value.decode("latin-1")
        return None

    def chunks(self) -> AsyncIterator[bytes]:
        return self

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        queue = self.queue
        while True:
            if queue:
                data = queue[0] if len(queue) == 1 else b"".join(queue)
                queue.clear()
                self.waiting = 0
                if self.connection is not None and self.connection.paused:
                    self.connection.resume()
                return data
            if self.complete:
                raise StopAsyncIteration
            await self.wait()

    async def read(self, limit: int) -> bytes:
        if self.waiting > limit:
            self.abort()
            raise too_large(self.origin, limit)
        if not self.complete:
            self.limit = limit
            if self.connection is not None and self.connection.paused:
                self.connection.resume()
            await self.wait()
            if self.error is not None:
                raise self.error
            if self.waiting > limit:
                raise too_large(self.origin, limit)
        queue = self.queue
        data = queue[0] if len(queue) == 1 else b"".join(queue)
        queue.clear()
        self.waiting = 0
        return data

    def abort(self) -> None:
        if self.connection is not None:
            self.queue.clear()
            self.waiting = 0
            self.connection.fail(Unanswered(Kind.UPSTREAM_FAILED, self.origin, "The call was ended before its answer."))

    async def wait(self) -> None:
        """Wait until there is news. Raises the error if there is one and nothing is left to read before it."""
        if self.error is None:
            self.waiter = self.loop.create_future()
            try:
                await self.waiter
            except BaseException:  # Cancelled: nobody will read the rest.
                self.abort()
                raise
        if self.error is not None and not self.queue:
            raise self.error

    def wake(self) -> None:
        waiter = self.waiter
        if waiter is not None:
            self.waiter = None
            if not waiter.done():
                waiter.set_result(None)


class Connection(asyncio.Protocol):
    """A connection that carries one exchange at a time. It puts itself back into its pool, and drops itself."""

    __slots__ = ("_all", "_arrived", "_begun", "_deadline", "_exchange", "_framing", "_head_only", "_headers", "_keep", "_left",
                 "_loop", "_parser", "_pool", "_reused", "_silent", "_timeouts", "_timer", "_timer_at", "lost_with",
                 "on_body", "transport")  # fmt: skip

    transport: asyncio.Transport

    def __init__(self, loop: asyncio.AbstractEventLoop, pool: Pool, everyone: "set[Connection]") -> None:
        self._loop = loop
        self._pool = pool
        self._all = everyone
        self._exchange: Exchange | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._arrived: list[bytes] = []
        self.on_body = self._arrived.append
        self._parser = HttpResponseParser(self)
        self._reused = False
        self.lost_with: Exception | None = None
        self._deadline = inf
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = inf  # Never later than the deadline; that is the whole rule of the timer.
        self._left: float | None = None  # While paused: what was left of the wait.

    def start(self, request: bytes, timeouts: Timeouts, *, head_only: bool, stream: bool) -> Exchange:
        """Send a request. The connection must be resting or new."""
        exchange = self._exchange = Exchange(self, self._pool.origin, self._loop, stream)
        self._timeouts = timeouts
        self._head_only = head_only
        self._keep = False
        self._silent = True
        self._begun = False
        self._framing = 0
        self._watch(self._loop.time() + timeouts.first_byte)
        self.transport.write(request)
        return exchange

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # uvloop's transports only look like a Transport.
        self._all.add(self)

    def data_received(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is None:  # Nobody asked for anything: what comes next could not be told from an answer.
            self.drop()
            return
        self._silent = False
        had_head = exchange.status
        malformed: Exception | None = None
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            malformed = error
            self._keep = False
        if not had_head or not self._arrived:
            self._framing += len(data)
            if self._framing > MAX_HEAD and self._head_is_too_large(exchange, had_head):
                exchange.status, exchange.complete = had_head, False
                self.fail(self._malformed(f"more than {MAX_HEAD} bytes of headers"))
                return
        if self._arrived:
            self._take_arrived(exchange)
        if exchange.complete:
            self._finish(exchange)
        elif malformed is not None:
            self.fail(self._malformed(str(malformed.__context__ or malformed)))
        if exchange.complete or (exchange.status and exchange.limit is None):
            exchange.wake()

    def eof_received(self) -> None:
        self._ended(None)  # Returning None lets the transport close itself.

    def connection_lost(self, error: Exception | None) -> None:
        self._ended(error)
        if self._timer is not None:
            self._timer.cancel()
        self._all.discard(self)
        self._parser = None  # type: ignore[assignment]  # Breaks the cycle through the parser's callbacks.

    # What the parser calls, inside feed_data(); `on_body` is a list's append.

    def on_message_begin(self) -> None:
        if self._exchange is None or self._exchange.complete:
            raise ValueError("bytes after the end of the answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        exchange = self._exchange
        assert exchange is not None
        status = self._parser.get_status_code()
        if status == 101:
            raise ValueError("a switch of protocols that nobody asked for")
        if status >= 200:  # Else interim (100, 103): the answer comes after it.
            exchange.status = status
            exchange.raw_headers = self._headers
            exchange.complete = self._head_only
            self._keep = self._parser.should_keep_alive()
        self._headers = []

    def on_message_complete(self) -> None:
        exchange = self._exchange
        if exchange is not None and exchange.status:
            exchange.complete = True
            self._headers = []  # Trailers: nobody asked for them.

    # The way of an answer.

    def _take_arrived(self, exchange: Exchange) -> None:
        arrived = self._arrived
        chunk = arrived[0] if len(arrived) == 1 else b"".join(arrived)
        arrived.clear()
        self._framing = 0
        if self._head_only:  # A body where none may be: whatever it is, it is not ours.
            self._keep = False
            return
        exchange.queue.append(chunk)
        exchange.waiting += len(chunk)
        if exchange.complete:
            return
        self._begun = True
        if exchange.stream and self._left is None:
            self._watch(self._loop.time() + self._timeouts.idle)
        if exchange.limit is not None:
            if exchange.waiting > exchange.limit:
                self.fail(too_large(exchange.origin, exchange.limit))
        elif exchange.waiting > MAX_WAITING and self._left is None:
            # The wait for the upstream stands still while we do not read: it is our reader who is slow.
            self._left = self._deadline - self._loop.time()
            self._deadline = inf
            self.transport.pause_reading()

    def _head_is_too_large(self, exchange: Exchange, had_head: int) -> bool:
        """Bound what is no body: heads, and trailers or chunk extensions without an end."""
        if had_head or not exchange.status:
            return True
        # The head ended within this read, and a part of the body may have come with it: measure the head alone.
        return sum(len(name) + len(value) + 4 for name, value in exchange.raw_headers) > MAX_HEAD

    def _finish(self, exchange: Exchange) -> None:
        """The message is complete: the connection is free, though the reader may not have read everything."""
        self._exchange = exchange.connection = None
        if self._head_only:
            self._parser = HttpResponseParser(self)  # The old one waits for the body that the head announced.
        transport, pool = self.transport, self._pool
        if (
            not self._keep
            or len(pool.idle) >= pool.max_idle
            or transport.is_closing()
            or transport.get_write_buffer_size()  # It answered without having read our request.
        ):
            self.drop()
            return
        if self._left is not None:
            self._left = None
            transport.resume_reading()
        self._reused = True
        self._watch(self._loop.time() + IDLE_SECONDS)
        pool.idle[self] = None

    def _ended(self, error: Exception | None) -> None:
        """No more data will come."""
        exchange = self._exchange
        if exchange is None:
            self.lost_with = error
            self.drop()
        elif error is None and exchange.status and self._ends_at_close(exchange):
            exchange.complete = True
            self._keep = False
            self._finish(exchange)
            exchange.wake()
        elif self._silent and not self._reused and isinstance(error, ssl.SSLError):
            # With TLS 1.3 a server refuses our certificate after our side of the handshake is done.
            self.fail(unreachable(exchange.origin, error))
        else:
            exchange.stale = self._silent and self._reused
            self.fail(broken_off(exchange.origin, begun=bool(exchange.status)))

    def _ends_at_close(self, exchange: Exchange) -> bool:
        """Whether the end of the connection is the end of the body: it has no length and is not chunked."""
        coding = exchange.header("transfer-encoding")
        if coding is not None:
            return not coding.lower().rstrip().endswith("chunked")
        return exchange.header("content-length") is None

    def _malformed(self, why: str) -> Problem:
        return malformed(self._pool.origin, why)

    def fail(self, problem: Problem) -> None:
        """End the exchange with a problem, and the connection with it."""
        exchange = self._exchange
        if exchange is not None:
            self._exchange = exchange.connection = None
            exchange.error = problem
            exchange.wake()
        self.drop()

    def drop(self) -> None:
        """Close at once. Safe to call twice."""
        self._pool.idle.pop(self, None)
        self.transport.abort()

    # Back-pressure.

    @property
    def paused(self) -> bool:
        return self._left is not None

    def resume(self) -> None:
        assert self._left is not None
        left, self._left = self._left, None
        self._watch(self._loop.time() + left)
        self.transport.resume_reading()

    # The timer.

    def _watch(self, deadline: float) -> None:
        self._deadline = deadline
        if deadline < self._timer_at:
            self._set_timer(min(deadline, self._loop.time() + LONGEST_NAP))

    def _set_timer(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = self._loop.call_at(at, self._on_timer)

    def _on_timer(self) -> None:
        now = self._loop.time()
        exchange = self._exchange
        if now < self._deadline:
            self._set_timer(min(self._deadline, now + LONGEST_NAP))
        elif exchange is None:
            self.drop()
        else:
            self.fail(timed_out(exchange.origin, self._timeouts, stream=exchange.stream, begun=self._begun))
