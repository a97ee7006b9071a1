"""The seam on pyreqwest (Rust's reqwest, in a thread of its own), tuned as far as its options go.

What it keeps to only in part, enough for a benchmark: an answer that does not stream is held whole before `read` can
refuse its size; `accept` and `user-agent` of its own are added when a request has none; a request that met a connection
the server was just closing is not sent again; cancelling before the head leaves the connection open (pyreqwest 0.15.1
lets the request run on); some malformed answers and heads of any size are taken.
"""

# mypy: disable-error-code="import-not-found"

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from pyreqwest.client import Client as Session
from pyreqwest.client import ClientBuilder
from pyreqwest.exceptions import PyreqwestError
from pyreqwest.http import HeaderMap, Url
from pyreqwest.request import StreamRequest
from pyreqwest.response import Response

from modelyard.canonical.endpoint import Endpoint, Tls
from modelyard.core.errors import Kind, Problem
from modelyard.upstream.client import connect_timed_out, timed_out, too_large, unreachable
from modelyard.upstream.http1 import MAX_HEADS, MAX_IDLE, check_headers, request_target
from modelyard.upstream.http1_connection import IDLE_SECONDS

Headers = Sequence[tuple[str, str]]


class PyreqwestAnswer:
    """Implements `upstream.client.Answer`. With a request it streams; without, its body is there already."""

    def __init__(self, response: Response, endpoint: Endpoint, deadline: float, request: StreamRequest | None) -> None:
        self._response = response
        self._endpoint = endpoint
        self._deadline = deadline
        self._request = request
        self._stream = request is not None
        self.status: int = response.status

    def header(self, name: str) -> str | None:
        value: str | None = self._response.get_header(name)
        return value

    async def chunks(self) -> AsyncIterator[bytes]:
        if not self._stream:
            whole = await self._whole()
            if whole:
                yield whole
            return
        timeouts = self._endpoint.timeouts
        reader = self._response.body_reader
        begun = False
        try:
            while True:
                # pyreqwest's own read timeout would bound the wait for the head as well: `idle` is less than that.
                async with asyncio.timeout(timeouts.idle) if begun else asyncio.timeout_at(self._deadline):
                    chunk = await reader.read_chunk()
                if chunk is None:
                    return
                begun = True
                yield chunk.to_bytes()
        except (PyreqwestError, TimeoutError) as error:
            raise _problem(self._endpoint, error, stream=True, begun=begun, headed=True) from error
        finally:
            self.abort()

    async def read(self, limit: int) -> bytes:
        if not self._stream:
            whole = await self._whole()
            if len(whole) > limit:
                raise too_large(self._endpoint.origin, limit)
            return whole
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
        request, self._request = self._request, None
        if request is not None:
            leaving = request.__aexit__(None, None, None)
            try:
                leaving.send(None)  # It waits for nothing: one step is all of it.
            except StopIteration:
                pass

    async def _whole(self) -> bytes:
        content: bytes = (await self._response.bytes()).to_bytes()
        return content


class PyreqwestClient:
    """Implements `upstream.client.Client`. One per event loop."""

    def __init__(self) -> None:
        self._sessions: dict[tuple[Tls, float], Session] = {}
        # By id of the endpoint, which is held so that its id stays its own: hashing all of it costs too much per call.
        self._prepared: dict[tuple[int, str, str, Headers], tuple[Endpoint, Session, Url, HeaderMap]] = {}
        self._closed = False

    async def send(
        self, endpoint: Endpoint, method: str, path: str, headers: Headers, body: bytes, *, stream: bool
    ) -> PyreqwestAnswer:
        if self._closed:
            raise Problem(Kind.UNAVAILABLE, "the gateway is shutting down")
        key = (id(endpoint), method, path, headers if type(headers) is tuple else tuple(headers))
        prepared = self._prepared.get(key) or self._prepare(key, endpoint)
        builder = prepared[1].request(method, prepared[2]).headers(prepared[3]).body_bytes(body)
        first_byte = endpoint.timeouts.first_byte
        deadline = asyncio.get_running_loop().time() + first_byte
        try:
            if not stream:
                # Read to its end in Rust: one hop between the threads instead of two or more.
                response = await builder.timeout(timedelta(seconds=first_byte)).build().send()
                return PyreqwestAnswer(response, endpoint, deadline, None)
            # Without the limit of 0 it would hold back the head until its buffer is full.
            request = builder.streamed_read_buffer_limit(0).build_streamed()
            async with asyncio.timeout_at(deadline):
                response = await request.__aenter__()
            return PyreqwestAnswer(response, endpoint, deadline, request)
        except (PyreqwestError, TimeoutError) as error:
            raise _problem(endpoint, error, stream=stream, begun=False, headed=False) from error

    async def close(self) -> None:
        """Close all connections. Safe to call twice."""
        self._closed = True
        sessions, self._sessions = self._sessions, {}
        self._prepared.clear()
        for session in sessions.values():
            await session.close()

    def _prepare(
        self, key: tuple[int, str, str, Headers], endpoint: Endpoint
    ) -> tuple[Endpoint, Session, Url, HeaderMap]:
        _, method, path, headers = key
        every = [*endpoint.headers, *headers]
        check_headers(every)
        url = Url(endpoint.origin + request_target(method, endpoint.path + path))
        if len(self._prepared) >= MAX_HEADS:
            del self._prepared[next(iter(self._prepared))]
        prepared = self._prepared[key] = (endpoint, self._session(endpoint), url, HeaderMap(every))
        return prepared

    def _session(self, endpoint: Endpoint) -> Session:
        key = (endpoint.tls, endpoint.timeouts.connect)
        session = self._sessions.get(key)
        if session is None:
            try:
                session = self._sessions[key] = _new_session(*key)
            except (OSError, PyreqwestError) as error:  # A file of the TLS setting.
                raise unreachable(endpoint.origin, error) from error
        return session


def _new_session(tls: Tls, connect: float) -> Session:
    # One thread, pyreqwest's default: the gateway has one core here, and more threads would only take turns on it.
    builder = (
        ClientBuilder()
        .http1_only()
        .http1_lower_case_headers()
        .follow_redirects(enable=False)
        .referer(enable=False)
        .gzip(enable=False)
        .brotli(enable=False)
        .zstd(enable=False)
        .deflate(enable=False)
        .no_proxy()
        .connect_timeout(timedelta(seconds=connect))
        .pool_idle_timeout(timedelta(seconds=IDLE_SECONDS))
        .pool_max_idle_per_host(MAX_IDLE)
    )
    if not tls.verify:
        builder = builder.danger_accept_invalid_certs(enable=True)
    if tls.ca_file is not None:
        builder = builder.add_root_certificate_pem(Path(tls.ca_file).read_bytes())
    if tls.client_cert is not None:
        builder = builder.identity_pem(Path(tls.client_cert).read_bytes())
    return builder.build()


def _problem(endpoint: Endpoint, error: Exception, *, stream: bool, begun: bool, headed: bool) -> Problem:
    details: Any = getattr(error, "details", None) or {}
    causes = [cause["message"] for cause in details.get("causes") or ()]
    # Told by the causes: ConnectTimeoutError and ConnectError are also what trouble before the head is reported as.
    connecting = any("(Connect)" in cause for cause in causes)
    if isinstance(error, TimeoutError):
        if connecting:
            return connect_timed_out(endpoint.origin, endpoint.timeouts)
        return timed_out(endpoint.origin, endpoint.timeouts, stream=stream, begun=begun)
    if connecting:
        return unreachable(endpoint.origin, OSError(causes[-1]))
    when = "in the middle of" if headed else "before"
    return Problem(Kind.UPSTREAM_FAILED, f"{endpoint.origin} broke the connection, or HTTP, {when} its answer")
