"""The two ways of a call to a target: it passes as it is, or it is translated through the hub's vocabulary.

A lane knows everything about one call at one target but the sending: path and body, what they could not say, and how
the answer becomes one for the caller. It is made when the target's turn comes, and does nothing but compute.
"""

import re
from datetime import datetime
from typing import NamedTuple

import msgspec

from modelyard.canonical.chat import ChatReply, ChatRequest, Media, ToolCall, ToolResult
from modelyard.canonical.embeddings import EmbeddingRequest
from modelyard.canonical.events import DELTAS, ArgumentsDelta, Event, Finish, Start, events_of
from modelyard.canonical.snapshot import Accent, Model, Principal, Target
from modelyard.canonical.usage import Usage
from modelyard.core.errors import Kind, Problem
from modelyard.core.raw import Fields
from modelyard.dialects.dialect import (
    CHAT,
    EMBEDDINGS,
    Asker,
    EventReader,
    EventWriter,
    Operation,
    Recipient,
    StreamTap,
)
from modelyard.dialects.table import DIALECTS, OPERATIONS
from modelyard.gateway.call import Call
from modelyard.policy.presets import fill_in, lay_under

# A medium that is named by its address, in any dialect's spelling: where one may begin, and what then stands before it.
# A key or a value with an escaped letter, which nobody writes without a reason, may be one, too.
_ADDRESS = re.compile(rb"https?:|\\u00[4-7]")
_FIELD = re.compile(rb'(?:url|data|\\u00[4-7][^"]*)"\s*:\s*"\s*$')
_ESCAPED = re.compile(rb'"\s*:\s*"\s*$')
_KEY = re.compile(rb'\\u00[4-7][^"]{0,60}"\s*:\s*"')
_NEAR = 80  # bytes around it
SHORTEST = 16  # bytes; no field that is shorter names one


# All tool calls of one answer together, in characters.
MOST_ARGUMENTS = 32 * 1024 * 1024


class Whole(NamedTuple):
    """A whole answer as the caller gets it, what it consumed, and how many bytes the model said if it did not tell.

    `streams` is true when the body is a whole stream.
    """

    body: bytes
    usage: Usage | None
    said: int
    streams: bool = False


class Asked:
    """What one call asks of one model: the request under the model's preset, in whichever form a target needs."""

    __slots__ = ("_fields", "_losses", "_request", "call", "model", "principal")

    def __init__(self, call: Call, model: Model, principal: Principal) -> None:
        self.call = call
        self.model = model
        self.principal = principal
        self._fields: Fields | None = call.fields if model.preset is None else None
        self._losses: list[str] = []
        self._request: ChatRequest | EmbeddingRequest | None = None

    @property
    def system(self) -> str | None:
        """The preset's system prompt with its variables filled in."""
        preset = self.model.preset
        if preset is None or not preset.system:
            return None
        return fill_in(preset.system, self.principal, datetime.now().astimezone())

    def fields(self) -> tuple[Fields, list[str]]:
        """In the caller's own dialect: (the raw fields, what the preset could not say in it)."""
        if self._fields is None:
            assert self.model.preset is not None
            self._fields = dict(self.call.fields)
            self._losses = self.call.operation.passing.overlay(self._fields, self.model.preset, self.system)
        return self._fields, self._losses

    def request(self) -> ChatRequest | EmbeddingRequest:
        """In the hub's vocabulary. Raises Problem INVALID_REQUEST."""
        if self._request is None:
            operation = self.call.operation
            translation = operation.chat or operation.embeddings
            assert translation is not None
            request = translation.read_request(self.call.fields)
            if self.model.preset is not None:
                lay_under(request, self.model.preset, self.system)
            self._request = request
        return self._request

    def without(self, name: str) -> "Asked | None":
        """The same without what one backend cannot do. None when it is not in there (any more)."""
        request = self._request
        if not isinstance(request, ChatRequest) or request.controls.reasoning is None or name in request.unread:
            return None
        less = Asked(self.call, self.model, self.principal)
        controls = msgspec.structs.replace(request.controls, reasoning=None)
        less._request = msgspec.structs.replace(request, controls=controls, unread=[*request.unread, name])
        return less


class PassingLane:
    """The target serves the caller's own operation: bytes go on as they are, but for the few that must change."""

    def __init__(self, asked: Asked, target: Target) -> None:
        call = asked.call
        fields, losses = asked.fields()
        passing = call.operation.passing
        self._passing = passing
        self._operation = call.operation
        self._fields = fields
        self._asks_for_usage = call.head.stream and target.accent.stream_usage
        self.dialect = call.dialect
        self.path = target.accent.paths[call.operation.id]
        if call.form is not None:
            self.body = call.form.with_model(target.model)
        else:
            self.body = passing.address(fields, target, self._asks_for_usage)
        left_out = passing.left_out(fields, target)
        self.losses = [*losses, *left_out] if left_out else losses

    def tap(self) -> StreamTap:
        """Watches one stream pass."""
        return self._passing.tap(self._asks_for_usage and not self._passing.asked_for_usage(self._fields))

    def whole(self, body: bytes) -> Whole:
        """Raises Problem when it is not an answer."""
        return Whole(body, self._passing.read_usage(body), len(body))

    def streamed(self, body: bytes) -> Whole | None:
        """A whole answer to a call that asked for a stream: it passes as it came."""
        return None


class HubLane:
    """The target speaks otherwise: read in one dialect, written in the other."""

    def __init__(self, asked: Asked, target: Target, operation: Operation) -> None:
        call = asked.call
        request = asked.request()
        recipient = Recipient(target, asked.model.max_tokens)
        if isinstance(request, ChatRequest):
            assert operation.chat is not None
            written = operation.chat.write_request(request, recipient)
        else:
            assert operation.embeddings is not None
            written = operation.embeddings.write_request(request, recipient)
        self._from = operation
        self._to = call.operation
        self._asker = Asker(call.id, asked.model.id, call.created, call.fields)
        self._inputs = len(request.inputs) if isinstance(request, EmbeddingRequest) else 0
        self.dialect = DIALECTS[operation.dialect]
        self.path = target.accent.paths[operation.id]
        self.body = written.body
        self.losses = [*request.unread, *written.losses] if request.unread else written.losses

    def tap(self) -> StreamTap:
        """Translates one stream."""
        assert self._from.chat is not None
        assert self._to.chat is not None
        return Translator(self._from.chat.reader(), self._to.chat.writer(self._asker))

    def whole(self, body: bytes) -> Whole:
        """Raises Problem when it is not an answer."""
        if self._from.chat is not None and self._to.chat is not None:
            reply = self._from.chat.read_reply(body)
            return Whole(self._to.chat.write_reply(reply, self._asker), reply.usage, _said(reply))
        assert self._from.embeddings is not None
        assert self._to.embeddings is not None
        embedded = self._from.embeddings.read_reply(body)
        if len(embedded.vectors) != self._inputs:
            raise Problem(
                Kind.UPSTREAM_FAILED,
                f"The backend answered with {len(embedded.vectors)} embeddings for {self._inputs} inputs.",
            )
        return Whole(self._to.embeddings.write_reply(embedded, self._asker), embedded.usage, 0)

    def streamed(self, body: bytes) -> Whole | None:
        """A whole answer to a call that asked for a stream, as the stream that it could have been."""
        if self._from.chat is None or self._to.chat is None:
            return None
        reply = self._from.chat.read_reply(body)
        events = self._to.chat.writer(self._asker).write(events_of(reply))
        return Whole(events, reply.usage, _said(reply), streams=True)


def _said(reply: ChatReply) -> int:
    """Bytes of everything that a model said."""
    texts = (block.arguments if isinstance(block, ToolCall) else getattr(block, "text", "") for block in reply.blocks)
    return sum(len((text or "").encode("utf-8", "surrogatepass")) for text in texts)


Lane = PassingLane | HubLane


class Translator:
    """A StreamTap that translates: one dialect's reader into another's writer."""

    __slots__ = ("_held", "_reader", "_writer", "complete", "deltas", "fault", "usage")

    def __init__(self, reader: EventReader, writer: EventWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._held = 0
        self.usage: Usage | None = None
        self.deltas = 0
        self.fault: Problem | None = None
        self.complete = False

    def feed(self, chunk: bytes) -> bytes:
        """What the caller gets for these bytes of the backend's."""
        if self.complete:
            return b""
        reader = self._reader
        events = reader.feed(chunk)
        self.fault = reader.fault
        if not events:
            return b""
        try:
            return self._written(events)
        except Problem as problem:
            self.fault = problem
            return b""

    def end(self) -> bytes:
        """The last bytes. Raises Problem when the backend's stream had no proper end."""
        if self.complete:
            return b""
        return self._written(self._reader.end())

    def fail(self, problem: Problem) -> bytes:
        """The error event in the caller's dialect."""
        return self._writer.fail(problem)

    def _written(self, events: list[Event]) -> bytes:
        for event in events:
            if isinstance(event, DELTAS):
                self.deltas += 1
                if isinstance(event, ArgumentsDelta):
                    self._hold(len(event.text))
            elif isinstance(event, Start):
                self.usage = event.usage  # the prompt's part, should the rest never come
            elif isinstance(event, Finish):
                self.complete = True
                self.usage = event.usage
        return self._writer.write(events)

    def _hold(self, size: int) -> None:
        """Some dialects tell a tool's arguments whole: a writer may hold them, but not without end."""
        self._held += size
        if self._held > MOST_ARGUMENTS:
            raise Problem(Kind.UPSTREAM_FAILED, "The backend's stream holds tool calls of more than 32 MiB.")


def reach(operation: Operation, accent: Accent) -> Operation | None:
    """The operation by which a target can answer this one: the same, another of its family, None when it cannot."""
    if operation.id in accent.paths:
        return operation
    if operation.family not in (CHAT, EMBEDDINGS):
        return None
    name = accent.translate.get(operation.id) or accent.translate.get(operation.family)
    return OPERATIONS[name] if name is not None and name in accent.paths else None


def lane_to(asked: Asked, target: Target) -> Lane:
    """How this call goes to that target. Raises Problem INVALID_REQUEST for a request that cannot be read."""
    operation = reach(asked.call.operation, target.accent)
    assert operation is not None  # targets that cannot are no candidates
    if operation is asked.call.operation and not needs_fetching(asked, target):
        return PassingLane(asked, target)
    return HubLane(asked, target, operation)


def needs_fetching(asked: Asked, target: Target) -> bool:
    """True when the request names a medium by its address and the target cannot fetch it."""
    if target.accent.fetches or asked.call.operation.chat is None:
        return False
    values = asked.call.fields.values()
    return any(len(value) > SHORTEST and _names_an_address(bytes(value)) for value in values)


def _names_an_address(value: bytes) -> bool:
    text = value.lower()
    if b"http" not in text and b"\\u00" not in text:
        return False  # nearly every request
    for found in _ADDRESS.finditer(text):
        before = text[max(0, found.start() - _NEAR) : found.start()]
        if _FIELD.search(before) is not None:
            return True
        if found[0].startswith(b"\\u00") and (
            _ESCAPED.search(before) is not None or _KEY.match(text[found.start() : found.start() + _NEAR]) is not None
        ):
            return True
    return False


def remote_media(request: ChatRequest) -> list[Media]:
    """Every medium of a request that is named by its address."""
    found: list[Media] = []
    for turn in request.turns:
        for block in turn.blocks:
            inner = block.content if isinstance(block, ToolResult) else (block,)
            found += [part for part in inner if isinstance(part, Media) and part.url is not None]
    return found
