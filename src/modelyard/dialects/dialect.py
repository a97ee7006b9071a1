"""What a dialect is: frozen records of pure functions. Bytes in, values out; it has never heard of sockets or SQL.

A `Dialect` is a wire API, an `Operation` one endpoint of it. A call whose target serves the caller's own operation
passes (`Passing`): its bytes are edited, not rewritten. Any other is translated (`ChatTranslation`,
`EmbeddingTranslation`): read into the hub's vocabulary on one side, written from it on the other.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from modelyard.canonical.chat import ChatReply, ChatRequest
from modelyard.canonical.embeddings import EmbeddingReply, EmbeddingRequest
from modelyard.canonical.events import Event
from modelyard.canonical.snapshot import Preset, Target
from modelyard.canonical.usage import Usage
from modelyard.core.errors import Problem
from modelyard.core.raw import Fields

CHAT = "chat"
EMBEDDINGS = "embeddings"
COUNT = "count"
OTHER = "other"
"""Families: operations of one family can be translated into each other. COUNT and OTHER only pass."""

SSE = b"text/event-stream; charset=utf-8"
NDJSON = b"application/x-ndjson"


class Head(NamedTuple):
    """The little that the pipeline must know of a request before it runs."""

    model: str | None
    stream: bool
    output_bound: int | None
    """The most output tokens that the caller allows, None when it names no bound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldError:
    """What a backend's error body says. `code` and `param` are its own; `callers` is true when the words show that the
    request is at fault, whatever the status says."""

    message: str
    code: str | None = None
    param: str | None = None
    callers: bool = False


class Recipient(NamedTuple):
    """For whom a request is written. `output_limit` is the model's maximum of output tokens where it is known."""

    target: Target
    output_limit: int | None


class Written(NamedTuple):
    """A request in a target's dialect, and the names of what it could not say."""

    body: bytes
    losses: list[str]


class Asker(NamedTuple):
    """For whom an answer is written: our id of the call, the model by the caller's name for it, Unix seconds, and the
    caller's own fields, for what an answer repeats of them."""

    call_id: str
    model: str
    created: int
    fields: Fields


class StreamTap(Protocol):
    """Watches, or translates, one upstream stream as it passes.

    `feed` takes a chunk however it was cut and gives the bytes for the caller: whole events, up to the first one that
    is malformed or an in-band error, which it leaves in `fault`. `end` is called when the upstream's body is complete;
    it gives the last bytes, and raises Problem when the stream ended without its proper end. `complete` is true once
    the proper end has passed; what breaks afterwards takes nothing from the answer. `fail` is the error event that
    ends the stream instead; it never raises.
    """

    usage: Usage | None
    deltas: int
    fault: Problem | None
    complete: bool

    def feed(self, chunk: bytes) -> bytes: ...

    def end(self) -> bytes: ...

    def fail(self, problem: Problem) -> bytes: ...


class EventReader(Protocol):
    """Reads one upstream stream. `feed`, `end`, `fault` as in StreamTap, but with events in place of bytes.

    The Finish event is given as soon as the stream is known to be properly complete, usage included: by `feed` at the
    stream's own terminator, else by `end`. Whatever the chunks' borders, the events are the same.
    """

    fault: Problem | None

    def feed(self, chunk: bytes) -> list[Event]: ...

    def end(self) -> list[Event]: ...


class EventWriter(Protocol):
    """Writes one stream for a caller. `write` may give b"" for events that its dialect does not show."""

    def write(self, events: list[Event]) -> bytes: ...

    def fail(self, problem: Problem) -> bytes: ...


def refused(fields: Fields, target: Target) -> list[str]:
    """The fields that a target's accent refuses."""
    if not target.accent.refuses:
        return []
    return [name for name, value in fields.items() if name in target.accent.refuses and bytes(value) != b"null"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Passing:
    """How calls pass to a target that serves the same operation."""

    overlay: Callable[[Fields, Preset, str | None], list[str]]
    """(fields, preset, filled-in system prompt) -> losses. Sets the preset's part in `fields`."""
    address: Callable[[Fields, Target, bool], bytes]
    """(fields, target, ask for usage) -> the body for that target. Leaves `fields` as they were."""
    asked_for_usage: Callable[[Fields], bool]
    """True when the caller of a stream wants the usage event itself."""
    read_usage: Callable[[bytes], Usage | None]
    """The usage in a whole answer, None when it tells none. Raises Problem when it is not an answer of this dialect."""
    tap: Callable[[bool], StreamTap]
    """(take the usage event out again) -> a tap for one stream."""
    left_out: Callable[[Fields, Target], list[str]] = refused
    """What `address` leaves out for a target that refuses it, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatTranslation:
    """One chat operation to and from the hub's vocabulary.

    Readers raise Problem: INVALID_REQUEST with `param` for a caller's request that is wrong, UPSTREAM_FAILED for an
    answer that is not one or that holds an error.
    """

    read_request: Callable[[Fields], ChatRequest]
    write_request: Callable[[ChatRequest, Recipient], Written]
    read_reply: Callable[[bytes], ChatReply]
    write_reply: Callable[[ChatReply, Asker], bytes]
    reader: Callable[[], EventReader]
    writer: Callable[[Asker], EventWriter]


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingTranslation:
    """One embedding operation to and from the hub's vocabulary."""

    read_request: Callable[[Fields], EmbeddingRequest]
    write_request: Callable[[EmbeddingRequest, Recipient], Written]
    read_reply: Callable[[bytes], EmbeddingReply]
    write_reply: Callable[[EmbeddingReply, Asker], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One endpoint of a dialect. `path` is below the API's root of the dialect ("/v1" or "/api" included)."""

    dialect: str
    name: str
    family: str
    path: str
    read_head: Callable[[Fields], Head]
    """Raises Problem INVALID_REQUEST for a field of the wrong type or a missing one."""
    passing: Passing
    chat: ChatTranslation | None = None
    embeddings: EmbeddingTranslation | None = None
    alone: Callable[[Fields, Asker], bytes | None] | None = None
    """The answer to a call that only a target of the same operation could do anything for, None for any other call:
    Ollama's clients load and unload models by a request without a prompt."""
    stream_type: bytes = SSE
    ping: bytes = b""
    """What may be sent into a stream to keep its connection alive; b"" where the dialect has nothing for it."""

    @property
    def id(self) -> str:
        """`openai.chat`, as flavours name it."""
        return f"{self.dialect}.{self.name}"


def _nothing(message: str) -> str | None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One wire API."""

    name: str
    operations: tuple[Operation, ...]
    read_error: Callable[[bytes], ToldError | None]
    """What an error body of this dialect tells, None when it is not one."""
    write_error: Callable[[Problem, str], bytes]
    """(problem, our id of the call) -> an error body."""
    statuses: Mapping[int, int]
    """HTTP statuses that this dialect spells otherwise (Anthropic's 529)."""
    spare: Callable[[str], str | None] = _nothing
    """What a backend's words say that the model cannot do and that a request may do without: the name of the loss."""
    forwarded: frozenset[bytes] = frozenset()
    """Names of the caller's headers that a target of the same dialect must see."""
