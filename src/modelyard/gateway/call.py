"""What goes into the pipeline and what comes out of it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from modelyard.core.multipart import Form
from modelyard.core.raw import Fields
from modelyard.dialects.dialect import Dialect, Head, Operation


@dataclass(slots=True, kw_only=True)
class Call:
    """One request as a door hands it to the pipeline. `received` is monotonic seconds, `created` Unix seconds, `size`
    the body's bytes, `digest` that of the credential it carries. `form` is there when the body is a form instead of
    JSON; `forwarded` are headers for a target that speaks the caller's dialect. `strict` refuses every loss.
    """

    id: str
    dialect: Dialect
    operation: Operation
    fields: Fields
    head: Head
    size: int
    digest: bytes | None
    received: float
    created: int
    dry_run: bool = False
    strict: bool = False
    form: Form | None = None
    forwarded: tuple[tuple[str, str], ...] = ()
    asked: Fields | None = None
    """The caller's own fields, where `fields` hold what was recalled for them as well."""


Headers = list[tuple[bytes, bytes]]

# The message of a cancellation whose reason is that nobody waits for the answer any more.
CLIENT_LEFT = "client left"


class BrokenOff(Exception):
    """A stream broke, and its form has no words for that (sound): the connection must break instead of ending."""


JSON_TYPE = (b"content-type", b"application/json")


class ReplyStream(Protocol):
    """What follows the body's first part."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    async def aclose(self) -> None: ...


@dataclass(slots=True, kw_only=True)
class Reply:
    """The answer to a call: a whole body, or a stream that must be closed (`aclose`) however it ends."""

    status: int
    headers: Headers
    body: bytes = b""
    stream: ReplyStream | None = None
    ping: bytes = b""
    """What may be sent while the stream is silent."""
