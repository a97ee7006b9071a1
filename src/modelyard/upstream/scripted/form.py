"""What the parts of the scripted upstream say to each other: scripts, wire forms, calls and answers."""

from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import Any

import msgspec

from modelyard.upstream.scripted.asked import Asked

encode = msgspec.json.Encoder().encode


class Act(Enum):
    """What goes wrong, or ends differently.

    Events are those of the wire form. What comes before the first piece of the answer counts as one event: it has one
    in OpenAI's chats and up to four in OpenAI's responses. The same holds between two blocks of an answer.
    """

    NOTHING = "all is well"
    CUT_FIRST = "close the connection before the head"
    STALL_FIRST = "never send a byte"
    CUT = "close the connection after n events, the chunked body not terminated (one JSON: in its middle)"
    STALL = "send nothing more after n events (one JSON: from its middle on) until the client leaves"
    BROKEN_LINE = "after n events a data line that is no JSON, then go on (one JSON: cut off, but complete for HTTP)"
    ERROR_EVENT = "after n events an error as an event, and the end (one JSON: status 200 with an error)"
    FAILED = "the same, but where a form has an answer that failed, that (OpenAI's responses)"
    EMPTY = "status 200 and an empty body"
    NO_DONE = "a reason for the end, but no [DONE], message_stop or response.completed; Ollama: no last line feed"
    TRUNCATED = "a clean end of the body, but no reason for the end and no closing mark"


class Pace(Enum):
    """Where the delay goes."""

    HEAD = "once, before the head"
    EVENTS = "between events; one JSON comes when its last event would"
    BODY = "after the head, before each event; one JSON comes in n pieces"


class Finish(Enum):
    """Why an answer ends. Each form has its own words."""

    STOP = "stop"
    LENGTH = "length"
    TOOLS = "tools"
    STOP_SEQUENCE = "stop sequence"
    REFUSAL = "refusal"
    FILTER = "filter"
    PAUSE = "pause"
    ODD = "odd"  # a word that nobody knows: "gave_up"


class Kind(Enum):
    """What a block of an answer is."""

    TEXT = "text"
    THINKING = "thinking"
    REDACTED = "thinking that only its provider can read"
    TOOL = "a tool call"
    REFUSAL = "refusal"


class Block(msgspec.Struct, frozen=True):
    """A part of an answer, one string per delta: of its text, or of a tool call's arguments. Calls are numbered from 0."""

    kind: Kind
    pieces: list[str]
    name: str = ""
    number: int = 0

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def call_id(self, prefix: str, identifier: str) -> str:
        return f"{prefix}_{identifier}" + (f"_{self.number}" if self.number else "")


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens. The buckets of the input are disjoint; `reasoning` is a part of `output`."""

    input: int
    output: int
    cache_read: int = 0
    cache_write: int = 0  # kept for 5 minutes
    cache_write_1h: int = 0
    reasoning: int = 0

    @property
    def written(self) -> int:
        return self.cache_write + self.cache_write_1h

    @property
    def all_input(self) -> int:
        return self.input + self.cache_read + self.written


class Answer(msgspec.Struct, frozen=True):
    """What a script says. `stop` is the stop sequence that ended it."""

    blocks: list[Block]
    finish: Finish
    usage: Usage
    stop: str | None = None

    @property
    def size(self) -> int:
        return sum([len(block.pieces) for block in self.blocks])

    def of(self, *kinds: Kind) -> list[Block]:
        return [block for block in self.blocks if block.kind in kinds]

    def text(self, *kinds: Kind) -> str:
        return "".join([block.text for block in self.blocks if block.kind in kinds])


class Reply(msgspec.Struct, frozen=True):
    """A whole answer that is the same for a stream and for one JSON."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """An error, in OpenAI's words. Other forms translate the `code`; `about` is a model's name or a credential."""

    status: int
    message: str
    kind: str = "invalid_request_error"
    param: str | None = None
    code: str | None = None
    about: str = ""
    retry_after: int | None = None


FAILED = Fault(
    status=500, message="The engine failed while it was generating.", kind="server_error", code="engine_failed"
)


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """How one model behaves. `events` and `delay_ms` are the defaults of the two parameters."""

    blocks: Callable[["Call"], list[Block]]
    fault: Callable[["Call"], Fault] | None = None  # answers this instead
    reply: Reply | None = None  # or this
    act: Act = Act.NOTHING
    finish: Finish | None = None  # None: what the blocks and the limits say
    usage: Usage | None = None  # None: a word or piece is one token
    events: int = 3
    delay_ms: int = 0
    pace: Pace = Pace.EVENTS
    stops: bool = False  # ends before the first stop sequence of the request
    logprobs: bool = False
    reasoning: str = "reasoning_content"  # OpenAI's chats: the name of the field
    null_usage: bool = False  # OpenAI's chunks have "usage": null even if usage was not asked for
    newline: bytes = b"\n"
    write: int = 0  # bytes per write, 0: an event per write
    content_type: str | None = None  # instead of the right one


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """One operation's wire form. `events` are framed and end before `done`; None: the operation has no streams."""

    name: str
    read: Callable[[dict[str, Any]], Asked]
    whole: Callable[["Call", Answer], Reply]
    error: Callable[[Fault], bytes]
    fault: Callable[["Call"], bytes]  # FAILED, as an event of a stream or as the whole answer
    events: Callable[["Call", Answer], Iterator[bytes]] | None = None
    broken: bytes = b""
    done: bytes = b""
    stream_type: str = "text/event-stream; charset=utf-8"
    streams: bool = False  # if the request does not say
    speaks: bool = True  # it has use for the script's words
    wrong: Callable[[dict[str, Any], Mapping[str, str]], Fault | None] = lambda body, headers: None
    default_model: str = ""


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One request, as far as answers depend on it."""

    form: Form
    script: Script
    body: dict[str, Any]
    asked: Asked
    identifier: str
    created: int  # Unix seconds
    credential: str
    events: int
    delay: float  # seconds
    stream: bool

    @property
    def model(self) -> Any:
        return self.body.get("model") or self.form.default_model


def sse(data: bytes, event: str = "") -> bytes:
    """One server-sent event."""
    return b"event: %b\ndata: %b\n\n" % (event.encode(), data) if event else b"data: %b\n\n" % data
