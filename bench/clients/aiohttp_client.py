"""The seam on aiohttp: slower than our own client, but widely used.

Two promises it cannot keep: bytes that arrive on an idle connection are taken for the next answer on it (why it is not
in the package), and an answer cut within its head counts as one that never began.
"""

# mypy: disable-error-code="import-not-found"

import asyncio
import io
import ssl
from collections.abc import AsyncIterator, Sequence
from types import SimpleNamespace

import aiohttp
from yarl import URL

from modelyard.canonical.endpoint import Endpoint
from modelyard.core.errors import Kind, Problem
from modelyard.upstream.client import connect_timed_out, timed_out, too_large, unreachable
from modelyard.upstream.http1 import check_headers, request_target, tls_context

MAX_HEADER = 64 * 1024  # Bytes of one header; aiohttp bounds their number, not their sum.
KEEP_ALIVE = 60.0
READ_BUFFER = 128 * 1024  # aiohttp stops reading at twice this.
WARNED_SIZE = 1024 * 1024  # aiohttp warns about larger bodies when they are plain bytes.

BROKEN = (aiohttp.ClientError, OSError)


class AiohttpAnswer:
    """Implements `upstream.client.Answer`."""

    def __init__(self, response: aiohttp.ClientResponse, endpoint: Endpoint, deadline: float, *, stream: bool) -> None:
        self._response = response
        self._endpoint = endpoint
        self._deadline = deadline
        self._stream = stream
        self.status = response.status

    @property
    def headers(self) -> list[tuple[str, str]]:
        """All headers, names in lower case."""
        return [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in self._response.raw_headers]

    def header(self, name: str) -> str | None:
        return next((value for candidate, value in self.headers if candidate == name), None)

    async def chunks(self) -> AsyncIterator[bytes]:
        origin, timeouts = self._endpoint.origin, self._endpoint.timeouts
        begun = False
        try:
            while True:
                # Armed only while we wait, so a slow reader of ours does not count against the upstream.
                idle = begun and self._stream
                async with asyncio.timeout(timeouts.idle) if idle else asyncio.timeout_at(self._deadline):
                    chunk = await self._response.content.readany()
                if not chunk:
                    return
                begun = True
                yield chunk
        except TimeoutError:
            raise timed_out(origin, timeouts, stream=self._stream, begun=begun) from None
        except BROKEN as error:
            raise broken(origin, "in the middle of") from error
        finally:
            self.abort()

    async def read(self, limit: int) -> bytes:
        parts = []
        size = 0
        async for chunk in self.chunks():
            parts.append(chunk)
            size += len(chunk)
            if size > limit:
                self.abort()
                raise too_large(self._endpoint.origin, limit)
        return b"".join(parts)

    def abort(self) -> None:
        self._response.close()  # The connection has left the response already if the message is complete.


class AiohttpClient:
    """Implements `upstream.client.Client`. One per event loop."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._fresh: aiohttp.ClientSession | None = None  # Never reuses a connection.
        self._closed = False

    async def send(
        self,
        endpoint: Endpoint,
        method: str,
        path: str,
        headers: Sequence[tuple[str, str]],
        body: bytes,
        *,
        stream: bool,
    ) -> AiohttpAnswer:
        if self._closed:
            raise Problem(Kind.UNAVAILABLE, "the gateway is shutting down")
        if self._session is None or self._fresh is None:
            self._session = new_session(aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE))
            self._fresh = new_session(aiohttp.TCPConnector(limit=0, force_close=True))
        sent = SimpleNamespace(reused=False)
        try:
            return await self._send_on(self._session, sent, endpoint, method, path, headers, body, stream)
        except Problem as problem:
            cause = problem.__cause__
            nothing_came = isinstance(cause, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError)
            if problem.kind is not Kind.UPSTREAM_FAILED or not sent.reused or not nothing_came:
                raise
        # The server closed the idle connection as we sent, and nothing of an answer was seen: safe for a POST, too.
        return await self._send_on(self._fresh, sent, endpoint, method, path, headers, body, stream)

    async def _send_on(
        self,
        session: aiohttp.ClientSession,
        sent: SimpleNamespace,
        endpoint: Endpoint,
        method: str,
        path: str,
        headers: Sequence[tuple[str, str]],
        body: bytes,
        stream: bool,
    ) -> AiohttpAnswer:
        origin, timeouts = endpoint.origin, endpoint.timeouts
        every = [*endpoint.headers, *headers]
        check_headers(every)
        target = request_target(method, endpoint.path + path)
        deadline = asyncio.get_running_loop().time() + timeouts.first_byte
        try:
            async with asyncio.timeout_at(deadline):
                response = await session.request(
                    method,
                    URL(origin + target, encoded=True),
                    headers=every,
                    data=io.BytesIO(body) if len(body) > WARNED_SIZE else body or None,
                    allow_redirects=False,
                    ssl=tls_context(endpoint.tls) if endpoint.scheme == "https" else True,
                    timeout=aiohttp.ClientTimeout(total=None, connect=timeouts.connect),
                    trace_request_ctx=sent,
                )
        except aiohttp.ConnectionTimeoutError:
            raise connect_timed_out(origin, timeouts) from None
        except TimeoutError:
            raise timed_out(origin, timeouts, stream=stream, begun=False) from None
        except aiohttp.ClientConnectorCertificateError as error:
            raise unreachable(origin, error.certificate_error) from error
        except aiohttp.ClientConnectorError as error:
            raise unreachable(origin, error.os_error) from error
        except aiohttp.ClientOSError as error:
            if not sent.reused and isinstance(error.__cause__, ssl.SSLError):
                raise unreachable(origin, error.__cause__) from error
            raise broken(origin, "before") from error
        except aiohttp.ClientError as error:
            raise broken(origin, "before") from error
        except (OSError, UnicodeError) as error:  # A file of the TLS setting, or a host name that cannot be one.
            raise unreachable(origin, error) from error
        if response.status < 200:
            response.close()
            raise Problem(Kind.UPSTREAM_FAILED, f"{origin} sent a malformed answer: a switch of protocols")
        return AiohttpAnswer(response, endpoint, deadline, stream=stream)

    async def close(self) -> None:
        """Close all connections. Safe to call twice."""
        self._closed = True
        for session in (self._session, self._fresh):
            if session is not None:
                await session.close()


def broken(origin: str, when: str) -> Problem:
    return Problem(Kind.UPSTREAM_FAILED, f"{origin} broke the connection, or HTTP, {when} its answer")


def new_session(connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
    async def note_reuse(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
        context.trace_request_ctx.reused = True

    trace = aiohttp.TraceConfig()
    trace.on_connection_reuseconn.append(note_reuse)
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        auto_decompress=False,
        trust_env=False,
        read_bufsize=READ_BUFFER,
        max_line_size=MAX_HEADER,
        max_field_size=MAX_HEADER,
        trace_configs=[trace],
    )
