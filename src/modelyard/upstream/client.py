"""The seam between the gateway and whichever HTTP client is behind it: send, chunks, abort.

`upstream.http1` implements it; the benchmark puts others behind it to compare (docs/decisions/0003).
A client follows no redirects, keeps no cookies, decompresses nothing and adds no headers beyond `host` and framing.
The functions at the end are the problems that any of them raises, in one wording.
"""

import os
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


class Unanswered(Problem):
    """A call that brought no answer, or not all of one. `cause` says why in sentences that do not tell the address, for where
    it stands beside them; the message has it in front."""

    __slots__ = ("cause",)

    def __init__(self, kind: Kind, origin: str, cause: str) -> None:
        super().__init__(kind, f"{origin}: {cause}")
        self.cause = cause


def cause_of(problem: Problem) -> str:
    """What went wrong in sentences, without the address where that is known."""
    return problem.cause if isinstance(problem, Unanswered) else problem.message


def sentence(words: str) -> str:
    """Somebody's words with a capital letter and one full stop; those that end otherwise, as a question does, keep it."""
    words = words.strip()
    return words[:1].upper() + words[1:] + ("" if not words or words.endswith((".", "?", "!")) else ".")


def unreachable(origin: str, error: BaseException) -> Problem:
    """The problem for a connection that could not be made, in words that help to repair it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        why = sentence(f"TLS certificate not accepted: {error.verify_message or error}")
    elif isinstance(error, ssl.SSLError):
        why = sentence(f"TLS handshake failed: {error.reason or error}")
    elif isinstance(error, (socket.gaierror, UnicodeError)):
        why = "Host name not found."
    elif isinstance(error, ConnectionRefusedError):
        why = "Connection refused. Is it running?"
    elif isinstance(error, OSError) and error.errno:
        why = sentence(os.strerror(error.errno))  # its own words may repeat the address
    else:
        why = sentence(str(error) or type(error).__name__)
    return Unanswered(Kind.UPSTREAM_UNREACHABLE, origin, why)


def too_large(origin: str, limit: int) -> Problem:
    """The problem for a body larger than its reader allows."""
    return Unanswered(Kind.UPSTREAM_FAILED, origin, f"The answer is larger than {limit} bytes.")


def timed_out(origin: str, timeouts: Timeouts, *, stream: bool, begun: bool) -> Problem:
    """The problem for `first_byte`, or for `idle` once a stream has begun."""
    if not stream:
        why = f"No complete answer within {timeouts.first_byte:g} s."
    elif not begun:
        why = f"No answer within {timeouts.first_byte:g} s."
    else:
        why = f"Nothing for {timeouts.idle:g} s in the middle of the answer."
    return Unanswered(Kind.UPSTREAM_TIMEOUT, origin, why)


def connect_timed_out(origin: str, timeouts: Timeouts) -> Problem:
    """The problem for `connect`: nothing was sent."""
    return Unanswered(Kind.UPSTREAM_TIMEOUT, origin, f"No connection within {timeouts.connect:g} s.")


def broken_off(origin: str, *, begun: bool) -> Problem:
    """The problem for a connection that the backend closed before the end of its answer."""
    when = "in the middle of" if begun else "before"
    return Unanswered(Kind.UPSTREAM_FAILED, origin, f"The connection was closed {when} the answer.")


def malformed(origin: str, why: str) -> Problem:
    """The problem for an answer that is no HTTP."""
    return Unanswered(Kind.UPSTREAM_FAILED, origin, sentence(f"Malformed answer: {why}"))
