"""The seam between the gateway and whichever HTTP client is behind it: send, chunks, abort.

`upstream.http1` implements it; the benchmark puts others behind it to compare (docs/decisions/0003).
A client follows no redirects, keeps no cookies, decompresses nothing and adds no headers beyond `host` and framing.
The functions at the end are the problems that any of them raises, in one wording.
"""

import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from modelyard.canonical.endpoint import Endpoint, Timeouts
from modelyard.core.errors import Kind, Problem


class Answer(Protocol):
    """An upstream's answer whose head has arrived. Header names are lower case."""

    @property
    def status(self) -> int: ...

    def header(self, name: str) -> str | None:
        """The first header of that (lower-case) name."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives, each chunk at once; ends only when the message is complete.

        Raises Problem UPSTREAM_FAILED when the connection breaks before the message is complete, and
        UPSTREAM_TIMEOUT when `first_byte` or `idle` runs out. May be iterated once.
        """
        ...

    async def read(self, limit: int) -> bytes:
        """The whole body, instead of `chunks`: cheaper for an answer that does not stream. May be called once.

        Raises Problem UPSTREAM_FAILED also when the body is larger than `limit` bytes; the call is then aborted.
        Otherwise raises as `chunks` does; a body that was cut is never returned in part.
        """
        ...

    def abort(self) -> None:
        """Stop: close the connection unless the answer has been read to its end. Safe to call at any time, twice too."""
        ...


class Client(Protocol):
    """Sends requests. One for the process; keeps connections alive per endpoint."""

    async def send(
        self,
        endpoint: Endpoint,
        method: str,
        path: str,
        headers: Sequence[tuple[str, str]],
        body: bytes,
        *,
        stream: bool,
    ) -> Answer:
        """Send one request and return when the head of the answer is there.

        `path` is appended to the endpoint's path and may hold a query. `headers` come after the endpoint's own; pass
        the same tuple again and again where possible, its encoding is kept. An answer must be read to its end or
        aborted, else its connection stays busy.
        `stream` says what `first_byte` bounds: the first chunk of the body (true) or the whole answer (false).

        Raises Problem UPSTREAM_UNREACHABLE when no connection could be made (nothing was sent: safe to retry),
        UPSTREAM_TIMEOUT when `connect` or `first_byte` runs out, UPSTREAM_FAILED when the connection broke before
        the head. Cancelling the call closes the connection. ValueError for a header, method or path that would break
        the framing of the request.
        """
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


def unreachable(origin: str, error: BaseException) -> Problem:
    """The problem for a connection that could not be made, in words that help to repair it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        why = f"its TLS certificate was not accepted: {error.verify_message or error}"
    elif isinstance(error, ssl.SSLError):
        why = f"the TLS handshake failed: {error.reason or error}"
    elif isinstance(error, socket.gaierror):
        why = "its host name could not be resolved"
    elif isinstance(error, ConnectionRefusedError):
        why = "the connection was refused; is it running?"
    else:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return Problem(Kind.UPSTREAM_UNREACHABLE, f"{origin} could not be reached: {why}")


def too_large(origin: str, limit: int) -> Problem:
    """The problem for a body larger than its reader allows."""
    return Problem(Kind.UPSTREAM_FAILED, f"{origin} sent an answer larger than {limit} bytes")


def timed_out(origin: str, timeouts: Timeouts, *, stream: bool, begun: bool) -> Problem:
    """The problem for `first_byte`, or for `idle` once a stream has begun."""
    if not stream:
        what = f"did not complete its answer within {timeouts.first_byte:g} s"
    elif not begun:
        what = f"did not begin its answer within {timeouts.first_byte:g} s"
    else:
        what = f"sent nothing for {timeouts.idle:g} s in the middle of its answer"
    return Problem(Kind.UPSTREAM_TIMEOUT, f"{origin} {what}")


def connect_timed_out(origin: str, timeouts: Timeouts) -> Problem:
    """The problem for `connect`: nothing was sent."""
    return Problem(Kind.UPSTREAM_TIMEOUT, f"{origin} could not be connected to within {timeouts.connect:g} s")
