"""What goes into the pipeline and what comes out of it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from modelyard.core.raw import Fields
from modelyard.dialects.dialect import Dialect, Head


@dataclass(slots=True, kw_only=True)
class Call:
    """One request as a door hands it to the pipeline. `received` is monotonic seconds, `size` the body's bytes,
    `digest` that of the credential it carries."""

    id: str
    dialect: Dialect
    operation: str
    fields: Fields
    head: Head
    size: int
    digest: bytes | None
    received: float
    dry_run: bool = False


Headers = list[tuple[bytes, bytes]]

# The message of a cancellation whose reason is that nobody waits for the answer any more.
CLIENT_LEFT = "client left"

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
