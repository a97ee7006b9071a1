"""Our HTTP/1.1 client: a pool of connections per origin, and per endpoint the heads of its requests, already encoded.

The connection itself, with the way of an answer, is in `upstream.http1_connection`.
"""

import asyncio
import re
import socket
import ssl
from collections.abc import Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from aiohappyeyeballs import start_connection

from modelyard.canonical.endpoint import DEFAULT_PORTS, Endpoint, Tls
from modelyard.core.errors import Kind, Problem
from modelyard.upstream.client import connect_timed_out, unreachable
from modelyard.upstream.http1_connection import Connection, Exchange, Pool

MAX_IDLE = 256  # Connections kept per origin.
MAX_ROUTES = 1024  # Endpoint objects remembered; a new snapshot brings new ones, so old ones must go.
MAX_HEADS = 128  # Encoded heads remembered per endpoint.
HEAD_START_SECONDS = 0.25  # What one address of a name gets before the next is tried beside it (RFC 8305).
CLOSE_SECONDS = 1.0  # How long close() waits for the event loop to report its connections closed.

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_BREAKS = re.compile(r"[\r\n\0]")
_FRAMING = frozenset({"content-length", "transfer-encoding"})
_VISIBLE = "".join(map(chr, range(0x21, 0x7F)))

Headers = Sequence[tuple[str, str]]


@lru_cache(maxsize=256)
def tls_context(tls: Tls) -> ssl.SSLContext:
    """The context for one TLS setting. Raises OSError when a file of it cannot be used."""
    context = ssl.create_default_context(cafile=tls.ca_file)
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if tls.client_cert is not None:
        context.load_cert_chain(tls.client_cert)
    context.set_alpn_protocols(["http/1.1"])
    return context


def check_headers(headers: Headers) -> None:
    """Raise ValueError for a header that would break, or change, the framing of a request."""
    for name, value in headers:
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"{name!r} is not a name of a header")
        if name.lower() in _FRAMING:
            raise ValueError(f"the header {name} is set by the client itself")
        if _BREAKS.search(value):  # The value may be a secret: it is not shown.
            raise ValueError(f"the value of the header {name} contains a line break or NUL")


def request_target(method: str, path: str) -> str:
    """The path with everything but visible ASCII percent-encoded. Raises ValueError where that would hide an attack."""
    if not _TOKEN.fullmatch(method):
        raise ValueError(f"{method!r} is not a method")
    if _BREAKS.search(path):
        raise ValueError("the path contains a line break or NUL")
    if not path.startswith("/"):
        raise ValueError("the path does not start with a slash")
    return quote(path, safe=_VISIBLE)


class Route:
    """What is computed once per endpoint. Holds the endpoint, so that its id stays its own."""

    __slots__ = ("endpoint", "heads", "host", "pool", "timeouts")

    def __init__(self, endpoint: Endpoint, pool: Pool) -> None:
        self.endpoint = endpoint
        self.timeouts = endpoint.timeouts
        self.pool = pool
        host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
        self.host = host if endpoint.port == DEFAULT_PORTS.get(endpoint.scheme) else f"{host}:{endpoint.port}"
        self.heads: dict[tuple[str, str, Headers], bytes] = {}

    def head(self, method: str, path: str, headers: Headers) -> bytes:
        """The encoded head up to the value of content-length, which comes last."""
        key = (method, path, headers if type(headers) is tuple else tuple(headers))
        head = self.heads.get(key)
        if head is None:
            head = self._encode(*key)
            if len(self.heads) >= MAX_HEADS:
                del self.heads[next(iter(self.heads))]
            self.heads[key] = head
        return head

    def _encode(self, method: str, path: str, headers: Headers) -> bytes:
        every = (*self.endpoint.headers, *headers)
        check_headers(every)
        lines = [f"{method} {request_target(method, self.endpoint.path + path)} HTTP/1.1"]
        if not any(name.lower() == "host" for name, _ in every):
            lines.append(f"host: {self.host}")
        lines += [f"{name}: {value}" for name, value in every]
        lines.append("content-length: ")
        return "\r\n".join(lines).encode()


class Http1Client:
    """Implements `upstream.client.Client`. One per event loop."""

    def __init__(self, *, max_idle: int = MAX_IDLE) -> None:
        self._max_idle = max_idle
        self._routes: dict[int, Route] = {}  # By id of the endpoint: hashing a whole endpoint costs too much per call.
        self._pools: dict[tuple[str, str, int, Tls, str | None], Pool] = {}
        self._connections: set[Connection] = set()
        self._closed = False

    async def send(
        self, endpoint: Endpoint, method: str, path: str, headers: Headers, body: bytes, *, stream: bool
    ) -> Exchange:
        route = self._routes.get(id(endpoint)) or self._new_route(endpoint)
        request = b"%b%d\r\n\r\n%b" % (route.head(method, path, headers), len(body), body)
        connection = route.pool.take()
        while True:
            if connection is None:
                connection = await self._connect(endpoint, route.pool)
            exchange = connection.start(request, route.timeouts, head_only=method == "HEAD", stream=stream)
            exchange.waiter = waiter = exchange.loop.create_future()
            try:
                await waiter
            except BaseException:  # Cancelled: the caller is gone.
                exchange.abort()
                raise
            if exchange.status:
                return exchange
            assert exchange.error is not None
            if not exchange.stale:
                raise exchange.error
            # The server closed the idle connection as we sent, and nothing of an answer was seen: so a POST, too, may
            # be sent again. Once: a fresh connection is never stale.
            connection = None

    async def close(self) -> None:
        """Close all connections, those in use too. Safe to call twice."""
        self._closed = True
        deadline = asyncio.get_running_loop().time() + CLOSE_SECONDS
        for connection in tuple(self._connections):
            connection.fail(Problem(Kind.UPSTREAM_FAILED, "The gateway is shutting down."))
        while self._connections and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110 - they have no event
            await asyncio.sleep(0.001)
        self._routes.clear()
        self._pools.clear()

    def _new_route(self, endpoint: Endpoint) -> Route:
        if endpoint.address is not None:  # One-off, and a caller chose it: it must not push out what comes again.
            return Route(endpoint, Pool(endpoint.origin, 0))
        if len(self._routes) >= MAX_ROUTES:
            del self._routes[next(iter(self._routes))]
            in_use = {id(route.pool) for route in self._routes.values()}
            self._pools = {key: pool for key, pool in self._pools.items() if pool.idle or id(pool) in in_use}
        key = (endpoint.scheme, endpoint.host, endpoint.port, endpoint.tls, endpoint.address)
        pool = self._pools.get(key)
        if pool is None:
            pool = self._pools[key] = Pool(endpoint.origin, self._max_idle)
        route = self._routes[id(endpoint)] = Route(endpoint, pool)
        return route

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise Problem(Kind.UNAVAILABLE, "The gateway is shutting down.")

    async def _connect(self, endpoint: Endpoint, pool: Pool) -> Connection:
        self._refuse_when_closed()
        loop = asyncio.get_running_loop()
        try:
            context = tls_context(endpoint.tls) if endpoint.scheme == "https" else None
            async with asyncio.timeout(endpoint.timeouts.connect):
                host = endpoint.address or endpoint.host
                addresses = await loop.getaddrinfo(host, endpoint.port, type=socket.SOCK_STREAM)
                # uvloop tries a name's addresses one after the other: a broken IPv6 would use up the whole wait.
                opened = await start_connection(addresses, happy_eyeballs_delay=HEAD_START_SECONDS, loop=loop)
                connected: tuple[Any, Connection] = await loop.create_connection(
                    lambda: Connection(loop, pool, self._connections),
                    sock=opened,
                    ssl=context,
                    server_hostname=endpoint.host if context is not None else None,
                )
        except TimeoutError:
            raise connect_timed_out(pool.origin, endpoint.timeouts) from None
        except (OSError, UnicodeError) as error:
            raise unreachable(pool.origin, error) from error
        connection = connected[1]
        try:
            self._refuse_when_closed()  # while we were connecting
        except Problem:
            connection.drop()
            raise
        if connection.transport.is_closing():  # Its end was reported before there was an exchange to tell of it.
            why = connection.lost_with or ConnectionResetError("The connection was closed at once.")
            raise unreachable(pool.origin, why)
        return connection
