"""Calls that pass to a server of the Responses API: their bytes are edited, not rewritten."""

from typing import Any

import msgspec

from modelyard.canonical.chat import PARAMETERS
from modelyard.canonical.snapshot import Accent, Preset, Target
from modelyard.canonical.usage import Usage
from modelyard.core import raw
from modelyard.core.errors import Problem
from modelyard.core.raw import Fields
from modelyard.core.sse import EventSplitter, EventTooLarge
from modelyard.dialects.faults import CUT, broken_stream, upstream_failed
from modelyard.dialects.named_events import event_data
from modelyard.dialects.openai.errors import TYPES
from modelyard.dialects.openai.responses.events import failure_in
from modelyard.dialects.openai.responses.items import usage_of
from modelyard.dialects.openai.responses.shell import error_of
from modelyard.dialects.openai.responses.stream_reader import BROKEN
from modelyard.dialects.reading import MALFORMED, NULL, note, object_in, wrong
from modelyard.dialects.writing import mended

Raw = msgspec.Raw

# Parameters as presets name them (those of chat completions), and where they are here.
_FIELDS = {
    "max_tokens": "max_output_tokens",
    "max_completion_tokens": "max_output_tokens",
    "max_output_tokens": "max_output_tokens",
    **{
        name: name
        for name in (
            "temperature", "top_p", "top_logprobs", "user", "safety_identifier", "service_tier", "metadata", "store",
            "prompt_cache_key", "prompt_cache_retention", "parallel_tool_calls", "include", "truncation", "tools",
            "tool_choice", "max_tool_calls", "reasoning", "text",
        )
    },
}  # fmt: skip
_INNER = {
    "reasoning_effort": ("reasoning", "effort"),
    "response_format": ("text", "format"),
    "verbosity": ("text", "verbosity"),
}


def overlay(fields: Fields, preset: Preset, system: str | None) -> list[str]:
    """Lay a preset over a request: parameters that the caller left open or the preset locks, and the system prompt."""
    losses: list[str] = []
    for name, value in preset.params.items():
        locked = name in preset.locked
        if name in _FIELDS:
            _set(fields, _FIELDS[name], raw.raw_of(value), locked=locked)
        elif name in _INNER:
            outer, inner = _INNER[name]
            wish = _object(fields, outer)
            _set(wish, inner, raw.raw_of(_format(value) if inner == "format" else value), locked=locked)
            fields[outer] = Raw(raw.join(wish))
        elif name in preset.controls.extras and name not in PARAMETERS:
            _set(fields, name, raw.raw_of(value), locked=locked)
        else:
            note(losses, name)
    if system is not None:
        fields["input"] = _with_system(fields.get("input", NULL), system)
    return losses


def _with_system(value: Raw, system: str) -> Raw:
    """The input after the preset's prompt, which is no part of `instructions`: a server repeats those to the caller."""
    first = raw.raw_of(_message("system", system))
    data = bytes(value)
    try:
        if data[:1] == b'"':
            return raw.join_list([first, raw.raw_of(_message("user", raw.value_of(value)))])
        return raw.join_list([first, *([] if data == b"null" else raw.split_list(value))])
    except (raw.NotJson, UnicodeEncodeError):
        raise wrong("input", "a string or an array of items") from None


def _message(role: str, text: str) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": [{"type": "input_text", "text": text}]}


def _set(fields: Fields, name: str, value: Raw, *, locked: bool) -> None:
    if locked or name not in fields or bytes(fields[name]) == b"null":
        fields[name] = value


def _object(fields: Fields, name: str) -> Fields:
    value = fields.get(name)
    if value is None or bytes(value) == b"null":
        return {}
    return object_in(value, name)


def _format(wish: Any) -> Any:
    """Chat's `response_format` as `text.format`: there the schema stands one level higher."""
    inner = wish.get("json_schema") if isinstance(wish, dict) else None
    return {"type": "json_schema", "name": "answer", **inner} if isinstance(inner, dict) else wish


def address(fields: Fields, target: Target, ask_for_usage: bool) -> bytes:
    """The body for one target: its own name of the model, in its own accent."""
    body = dict(fields)
    body["model"] = target.upstream_model
    accent = target.accent
    value = body.get("input")
    if value is not None and bytes(memoryview(value)[:1]) == b"[":
        data = bytes(value)
        if accent.roles or _FOREIGN in data:
            body["input"] = _accented(value, accent)
    if accent.refuses or accent.renames:
        body = {accent.renames.get(name, name): inner for name, inner in body.items() if name not in accent.refuses}
    return raw.join(body)


# The mark of a signature that only another dialect's models can read (canonical.chat.write_signature). A server of
# this API would refuse the whole call for it; the model has lost those thoughts either way.
_FOREIGN = b'"modelyard:'


class _Peek(msgspec.Struct, gc=False):
    type: str | None = None
    role: str | None = None
    encrypted_content: str | None = None


_peek = msgspec.json.Decoder(_Peek)


def _accented(value: Raw, accent: Accent) -> Raw:
    try:
        return raw.join_list([_spoken(item, accent) for item in raw.split_list(value) if not _is_foreign(item)])
    except raw.NotJson:
        raise wrong("input", "a string or an array of items") from None


def _peeked(item: Raw) -> _Peek:
    try:
        return _peek.decode(item)
    except MALFORMED:
        return _Peek()  # the server's to refuse


def _is_foreign(item: Raw) -> bool:
    peek = _peeked(item)
    return peek.type == "reasoning" and (peek.encrypted_content or "").startswith("modelyard:")


def _spoken(item: Raw, accent: Accent) -> Raw:
    role = accent.roles.get(_peeked(item).role or "")
    return item if role is None else Raw(raw.join({**raw.split(bytes(item)), "role": raw.raw_of(role)}))


class _Seen(msgspec.Struct, gc=False):
    type: str = ""
    sequence_number: int = 0
    response: Raw = NULL
    error: Raw = NULL


class _Used(msgspec.Struct, gc=False):
    usage: Raw = NULL


_seen = msgspec.json.Decoder(_Seen)
_used = msgspec.json.Decoder(_Used)

_BEGINS = frozenset({"response.created", "response.in_progress", "response.queued"})
_ENDS = frozenset({"response.completed", "response.incomplete"})
_FAILS = frozenset({"response.failed", "error"})


class ResponsesTap:
    """Watches one stream as it passes. See `dialects.dialect.StreamTap`.

    A `response.failed` of the backend's is held back: `fail` tells it, in the words of the Problem that the books have.
    """

    __slots__ = ("_number", "_response", "_splitter", "complete", "deltas", "fault", "usage")

    def __init__(self, take_usage_out: bool) -> None:
        self.usage: Usage | None = None
        self.deltas = 0
        self.fault: Problem | None = None
        self.complete = False
        self._splitter = EventSplitter()
        self._number = 0  # of the next event
        self._response: Raw | None = None  # as it was told last

    def feed(self, chunk: bytes) -> bytes:
        """The bytes of `chunk` (and of what was held back before) that may go on: whole events."""
        good = []
        try:
            for event in self._splitter.feed(chunk):
                self._watch(event)
                good.append(event)
        except EventTooLarge as error:
            self.fault = broken_stream(error)
        except Problem as fault:
            self.fault = fault
        return b"".join(good)

    def end(self) -> bytes:
        """Called when the upstream's body is complete: the last bytes, or Problem when the stream had no proper end."""
        rest = self._splitter.rest
        last = b""
        if rest.strip():
            # Some servers leave out the last blank line; a whole event is taken as one, half an event is a cut.
            last = rest.rstrip(b"\r\n") + b"\n\n"
            try:
                self._watch(last)
            except Problem as problem:
                raise upstream_failed(CUT) if problem.message == BROKEN else problem from None
        if not self.complete:
            raise upstream_failed(CUT)
        return last

    def fail(self, problem: Problem) -> bytes:
        """`response.failed` once the response has begun, else an `error` event."""
        try:
            if self._response is not None:
                response = raw.split(bytes(self._response))
                response["status"] = Raw(b'"failed"')
                response["error"] = raw.raw_of(error_of(problem))
                return self._event("response.failed", {"response": response})
        except (raw.NotJson, *MALFORMED):
            pass  # what the backend said of the response is nothing to build on
        code = problem.code or TYPES[problem.kind][1]
        return self._event("error", {"code": code, "message": problem.message, "param": problem.param})

    def _event(self, name: str, more: dict[str, Any]) -> bytes:
        data = raw.encode({"type": name, "sequence_number": self._number, **more})
        return b"event: %b\ndata: %b\n\n" % (name.encode(), data.replace(b"\n", b" ").replace(b"\r", b" "))

    def _watch(self, event: bytes) -> None:
        """Note what an event tells. Raises Problem for one that is no event, or an error."""
        data = event_data(event)
        if not data or data == b"[DONE]" or self.complete:
            return
        seen = self._read(data)
        if seen.type in _FAILS or len(seen.error) > len(b"null"):
            self._keep(seen)
            raise failure_in(data)
        self._number = max(self._number, seen.sequence_number + 1)
        if seen.type.endswith(".delta"):
            self.deltas += 1
        elif seen.type in _BEGINS:
            self._keep(seen)
        elif seen.type in _ENDS:
            try:
                used = _used.decode(seen.response)
            except MALFORMED:
                used = _Used()  # a response of another form: the caller's to read
            self.usage = usage_of(used.usage)
            self.complete = True

    def _keep(self, seen: _Seen) -> None:
        if bytes(memoryview(seen.response)[:1]) == b"{":
            self._response = Raw(bytes(seen.response))

    def _read(self, data: bytes) -> _Seen:
        try:
            return _seen.decode(data)
        except MALFORMED:
            pass
        # Half a surrogate pair, or a field of another type than ours, is the caller's to read.
        try:
            data = mended(data)
        except ValueError:
            raise upstream_failed(BROKEN) from None
        try:
            return _seen.decode(data)
        except MALFORMED:
            return _Seen()


def asked_for_usage(fields: Fields) -> bool:
    """True: nothing is to be taken out of the stream."""
    return True
