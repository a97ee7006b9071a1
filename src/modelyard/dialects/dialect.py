"""What a dialect is: a frozen record of pure functions. Bytes in, values out; it has never heard of sockets or SQL."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from modelyard.canonical.snapshot import Preset, Target
from modelyard.canonical.usage import Usage
from modelyard.core.errors import Problem
from modelyard.core.raw import Fields


class Head(NamedTuple):
    """The little that the pipeline must know of a request before it runs."""

    model: str | None
    stream: bool
    output_bound: int | None
    """The most output tokens that the caller allows, None when it names no bound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldError:
    """What a backend's error body says. `code` and `param` are its own."""

    message: str
    code: str | None = None
    param: str | None = None


class StreamTap(Protocol):
    """Watches one upstream stream of the caller's own dialect as it passes, event by event.

    `feed` takes a chunk however it was cut and gives the bytes to pass on: whole events, up to the first one that is
    malformed or an in-band error, which it leaves in `fault`. `end` raises Problem when the stream ended without its
    proper end. `complete` is true once that has passed; what breaks afterwards takes nothing from the answer.
    """

    usage: Usage | None
    deltas: int
    fault: Problem | None
    complete: bool

    def feed(self, chunk: bytes) -> bytes: ...

    def end(self) -> bytes: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One wire API. `operations` maps the name of an operation to its path below the API's root."""

    name: str
    operations: Mapping[str, str]
    read_head: Callable[[str, Fields], Head]
    """(operation, fields) -> Head. Raises Problem INVALID_REQUEST for a field of the wrong type."""
    overlay: Callable[[str, Fields, Preset, str | None], list[str]]
    """(operation, fields, preset, filled-in system prompt) -> losses. Sets the preset's part in `fields`."""
    address: Callable[[Fields, Target, bool], bytes]
    """(fields, target, ask for usage) -> the body for that target. Leaves `fields` as they were."""
    asked_for_usage: Callable[[Fields], bool]
    """True when the caller of a stream wants the usage event itself."""
    read_usage: Callable[[bytes], Usage | None]
    """The usage in a whole answer, None when it tells none. Raises Problem when it is not an answer of this dialect."""
    tap: Callable[[bool], StreamTap]
    """(take the usage event out again) -> a tap for one stream."""
    read_error: Callable[[bytes], ToldError | None]
    """What an error body of this dialect tells, None when it is not one."""
    write_error: Callable[[Problem], bytes]
    """An error body."""
    write_stream_error: Callable[[Problem], bytes]
    """An error event, the last thing in a stream that has begun."""
