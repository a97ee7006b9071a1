"""OpenAI answers as they pass: usage is read from the bytes, nothing else is touched."""

import json
from collections.abc import Iterator

import msgspec

from modelyard.canonical.usage import Usage, count
from modelyard.core import raw
from modelyard.core.errors import Problem
from modelyard.core.sse import EventSplitter, EventTooLarge, data_of
from modelyard.dialects.faults import CUT, NOT_JSON, broken_stream, no_answer, reported, upstream_failed
from modelyard.dialects.in_band import tells_error, told_in_band
from modelyard.dialects.openai.errors import read_error, write_stream_error
from modelyard.dialects.openai.figures import disjoint
from modelyard.dialects.reading import MALFORMED, NULL


# Numbers are read as floats: a backend that writes 5.0 means 5.
class _PromptDetails(msgspec.Struct, gc=False):
    cached_tokens: float | None = None
    cache_write_tokens: float | None = None
    audio_tokens: float | None = None


class _CompletionDetails(msgspec.Struct, gc=False):
    reasoning_tokens: float | None = None
    audio_tokens: float | None = None


class _Usage(msgspec.Struct, gc=False):
    prompt_tokens: float | None = None
    completion_tokens: float | None = None
    total_tokens: float | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None
    prompt_cache_hit_tokens: float | None = None  # DeepSeek's


class _Choice(msgspec.Struct, gc=False):
    finish_reason: str | None = None


class _Chunk(msgspec.Struct, gc=False):
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    # Not `Raw | None`: msgspec reads a union with Raw as the other member alone.
    error: msgspec.Raw = NULL


class _Answer(msgspec.Struct, gc=False):
    usage: _Usage | None = None
    error: msgspec.Raw = NULL


NOT_AN_ANSWER = no_answer("an OpenAI answer")

_chunk = msgspec.json.Decoder(_Chunk)
_answer = msgspec.json.Decoder(_Answer)
_UNKNOWN = _Chunk()


_NO_PROMPT_DETAILS = _PromptDetails()
_NO_COMPLETION_DETAILS = _CompletionDetails()


def _disjoint(wire: _Usage) -> Usage:
    """OpenAI counts special tokens within the prompt and the completion; we keep them apart."""
    told = wire.prompt_tokens_details or _NO_PROMPT_DETAILS
    made = wire.completion_tokens_details or _NO_COMPLETION_DETAILS
    return disjoint(
        count(wire.prompt_tokens),
        count(wire.completion_tokens),
        count(wire.total_tokens) if wire.completion_tokens is not None else 0,
        cached=max(count(told.cached_tokens), count(wire.prompt_cache_hit_tokens)),
        written=count(told.cache_write_tokens),
        heard=count(told.audio_tokens),
        reasoning=count(made.reasoning_tokens),
        spoken=count(made.audio_tokens),
    )


def read_usage(body: bytes) -> Usage | None:
    """Usage of a whole answer; None when it tells none. Raises Problem UPSTREAM_FAILED when it is not an answer."""
    try:
        answer = _answer.decode(body)
    except MALFORMED:
        # Valid JSON that is not quite as we know it (a field of another type, half a surrogate pair) is the caller's
        # to read; anything else is not an answer at all.
        try:
            value = json.loads(body)
        except (ValueError, RecursionError):
            raise upstream_failed(NOT_AN_ANSWER) from None
        if not isinstance(value, dict):
            raise upstream_failed(NOT_AN_ANSWER) from None
        return None
    if bytes(answer.error) != b"null":
        raise reported(read_error(body))
    return None if answer.usage is None else _disjoint(answer.usage)


class OpenAITap:
    """Watches one stream of chat or text completion chunks. See `dialects.dialect.StreamTap`."""

    __slots__ = ("_finished", "_splitter", "_take_usage_out", "complete", "deltas", "fault", "usage")

    def __init__(self, take_usage_out: bool) -> None:
        self._splitter = EventSplitter()
        self._take_usage_out = take_usage_out
        self.complete = False
        self.fault: Problem | None = None
        self._finished = False
        self.usage: Usage | None = None
        self.deltas = 0

    def feed(self, chunk: bytes) -> bytes:
        """The bytes of `chunk` (and of what was held back before) that may go on: whole events."""
        try:
            events = self._splitter.feed(chunk)
            if len(events) == 1:
                return events[0] if self._goes_on(events[0]) else b""
        except EventTooLarge as error:
            self.fault = broken_stream(error)
            return b""
        except Problem as fault:
            self.fault = fault
            return b""
        return b"".join(self._good(events))

    def _good(self, events: list[bytes]) -> Iterator[bytes]:
        """The events to pass on, up to the first bad one."""
        try:
            for event in events:
                if self._goes_on(event):
                    yield event
        except Problem as fault:
            self.fault = fault

    def end(self) -> bytes:
        """Called when the upstream's body is complete: the last bytes, or Problem when the stream had no proper end."""
        rest = self._splitter.rest
        last = b""
        if rest.strip():
            # Some servers leave out the last blank line; a whole event is taken as one, half an event is a cut.
            last = rest.rstrip(b"\r\n") + b"\n\n"
            last = last if self._goes_on(last) else b""
        if not (self.complete or self._finished):
            raise upstream_failed(CUT)
        self.complete = True
        return last

    def fail(self, problem: Problem) -> bytes:
        """The event that ends the stream instead; no `[DONE]` follows it."""
        return write_stream_error(problem)

    def _goes_on(self, event: bytes) -> bool:
        """Note what the event tells; False when it is only for our books."""
        data = data_of(event)
        if not data:
            return True
        if data == b"[DONE]":
            self.complete = True
            return True
        chunk = self._read(data)
        if bytes(chunk.error) != b"null":
            raise reported(read_error(data), " in mid-stream")
        if tells_error(event, data):
            raise reported(read_error(raw.encode(told_in_band(data))), " in mid-stream")
        if chunk.usage is not None:
            self.usage = _disjoint(chunk.usage)
            if not chunk.choices:
                return not self._take_usage_out
        if chunk.choices:
            self.deltas += 1
            if not self._finished:
                self._finished = any(choice.finish_reason for choice in chunk.choices)
        return True

    def _read(self, data: bytes) -> _Chunk:
        try:
            return _chunk.decode(data)
        except msgspec.ValidationError:
            pass  # valid JSON with a field of another type than ours: not our business
        except MALFORMED:
            pass  # most likely broken; but msgspec also refuses half a surrogate pair, which a token border may leave
        try:
            json.loads(data)
        except (ValueError, RecursionError):
            raise upstream_failed(NOT_JSON) from None
        return _UNKNOWN
