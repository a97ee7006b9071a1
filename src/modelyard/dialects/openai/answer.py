"""OpenAI answers as they pass: usage is read from the bytes, nothing else is touched."""

import msgspec

from modelyard.canonical.usage import Usage
from modelyard.core.errors import Kind, Problem
from modelyard.core.sse import EventSplitter, EventTooLarge, data_of
from modelyard.dialects.openai.errors import read_error

NULL = msgspec.Raw(b"null")


class _PromptDetails(msgspec.Struct, gc=False):
    cached_tokens: int | None = None


class _CompletionDetails(msgspec.Struct, gc=False):
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct, gc=False):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None


class _Choice(msgspec.Struct, gc=False):
    finish_reason: str | None = None


class _Chunk(msgspec.Struct, gc=False):
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    # Not `Raw | None`: msgspec reads a union with Raw as the other member alone.
    error: msgspec.Raw = NULL


class _Answer(msgspec.Struct, gc=False):
    usage: _Usage | None = None


_chunk = msgspec.json.Decoder(_Chunk)
_answer = msgspec.json.Decoder(_Answer)
_anything = msgspec.json.Decoder(msgspec.Raw)
_UNKNOWN = _Chunk()


def _disjoint(wire: _Usage) -> Usage:
    """OpenAI counts cached tokens within the prompt and reasoning tokens within the completion; we keep them apart."""
    prompt, completion = wire.prompt_tokens or 0, wire.completion_tokens or 0
    cached = (wire.prompt_tokens_details.cached_tokens or 0) if wire.prompt_tokens_details else 0
    reasoning = (wire.completion_tokens_details.reasoning_tokens or 0) if wire.completion_tokens_details else 0
    cached, reasoning = min(cached, prompt), min(reasoning, completion)
    return Usage(input=prompt - cached, cached_input=cached, output=completion - reasoning, reasoning=reasoning)


def read_usage(body: bytes) -> Usage | None:
    """Usage of a whole answer; None when it tells none. Raises Problem UPSTREAM_FAILED when it is not JSON."""
    try:
        wire = _answer.decode(body).usage
    except msgspec.ValidationError:
        if not body.lstrip().startswith(b"{"):
            raise _not_an_answer() from None
        return None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise _not_an_answer() from None
    return None if wire is None else _disjoint(wire)


def _not_an_answer() -> Problem:
    return Problem(
        Kind.UPSTREAM_FAILED,
        "The backend answered with something that is not an OpenAI answer. Check the connection's base URL.",
    )


class OpenAITap:
    """Watches one stream of chat or text completion chunks. See `dialects.dialect.StreamTap`."""

    __slots__ = ("_done", "_finished", "_splitter", "_take_usage_out", "deltas", "usage")

    def __init__(self, take_usage_out: bool) -> None:
        self._splitter = EventSplitter()
        self._take_usage_out = take_usage_out
        self._done = False
        self._finished = False
        self.usage: Usage | None = None
        self.deltas = 0

    def feed(self, chunk: bytes) -> bytes:
        """The bytes of `chunk` (and of what was held back before) that may go on: whole events."""
        try:
            events = self._splitter.feed(chunk)
        except EventTooLarge as error:
            raise Problem(Kind.UPSTREAM_FAILED, f"The backend's stream is broken: {error}.") from None
        if len(events) == 1:
            return events[0] if self._goes_on(events[0]) else b""
        return b"".join([event for event in events if self._goes_on(event)])

    def end(self) -> bytes:
        """Called when the upstream's body is complete: the last bytes, or Problem when the stream had no proper end."""
        rest = self._splitter.rest
        last = b""
        if rest.strip():
            # Some servers leave out the last blank line; a whole event is taken as one, half an event is a cut.
            last = rest.rstrip(b"\r\n") + b"\n\n"
            last = last if self._goes_on(last) else b""
        if not (self._done or self._finished):
            raise Problem(Kind.UPSTREAM_FAILED, "The backend's stream ended before the answer was complete.")
        return last

    def _goes_on(self, event: bytes) -> bool:
        """Note what the event tells; False when it is only for our books."""
        data = data_of(event)
        if not data:
            return True
        if data == b"[DONE]":
            self._done = True
            return True
        chunk = self._read(data)
        if bytes(chunk.error) != b"null":
            told = read_error(data)
            reason = told.message if told else "no reason given"
            raise Problem(Kind.UPSTREAM_FAILED, f"The backend reported an error in mid-stream: {reason}")
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
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            raise self._broken() from None
        try:
            _anything.decode(data)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            raise self._broken() from None
        return _UNKNOWN

    def _broken(self) -> Problem:
        return Problem(Kind.UPSTREAM_FAILED, "The backend's stream is broken: it sent a line that is not JSON.")
