"""Anthropic's streams as they pass: usage is read from the bytes, nothing else is touched."""

from collections.abc import Iterator
from typing import Any

import msgspec

from modelyard.canonical.usage import Usage
from modelyard.core.errors import Problem
from modelyard.core.raw import Raw
from modelyard.core.sse import EventSplitter, EventTooLarge
from modelyard.dialects.anthropic.errors import told_instead, write_stream_error
from modelyard.dialects.anthropic.figures import merge, usage_of
from modelyard.dialects.anthropic.words import loose
from modelyard.dialects.faults import CUT, NOT_JSON, broken_stream, upstream_failed
from modelyard.dialects.in_band import tells_error, told_in_band
from modelyard.dialects.named_events import event_data
from modelyard.dialects.reading import MALFORMED, NULL, is_null
from modelyard.dialects.writing import mended


class _Event(msgspec.Struct):
    """What must be known of every event that passes."""

    type: str | None = None
    delta: Raw = NULL
    message: Raw = NULL
    usage: Raw = NULL
    error: Raw = NULL


class _Reason(msgspec.Struct, gc=False):
    stop_reason: str | None = None


_event = msgspec.json.Decoder(_Event)
_reason = msgspec.json.Decoder(_Reason)


class AnthropicTap:
    """Watches one stream of events as they pass unchanged. See `dialects.dialect.StreamTap`."""

    __slots__ = ("_reason", "_splitter", "_told", "complete", "deltas", "fault", "usage")

    def __init__(self, take_usage_out: bool) -> None:
        self._splitter = EventSplitter()
        self._told: dict[str, Any] = {}
        self._reason = False
        self.usage: Usage | None = None
        self.deltas = 0
        self.fault: Problem | None = None
        self.complete = False

    def feed(self, chunk: bytes) -> bytes:
        """The whole events that may go on, up to the first bad one."""
        try:
            events = self._splitter.feed(chunk)
        except EventTooLarge as error:
            self.fault = broken_stream(error)
            return b""
        return b"".join(self._good(events))

    def end(self) -> bytes:
        """The last bytes. Raises Problem when the stream had no proper end."""
        last = b""
        if not self.complete:
            rest = self._splitter.rest
            if rest.strip():
                # Some servers leave out the last blank line; a whole event is taken as one, half an event is a cut.
                last = rest.rstrip(b"\r\n") + b"\n\n"
                self._note(last)
            if not self._is_over():
                raise upstream_failed(CUT)
            self.complete = True
        return last

    def fail(self, problem: Problem) -> bytes:
        """The event that ends the stream instead; no `message_stop` follows it."""
        return write_stream_error(problem)

    def _is_over(self) -> bool:
        return self.complete or self._reason

    def _good(self, events: list[bytes]) -> Iterator[bytes]:
        try:
            for event in events:
                if not self.complete:
                    self._note(event)
                    yield event
        except Problem as fault:
            self.fault = fault

    def _note(self, event: bytes) -> None:
        """Note what an event tells. Raises Problem for one that is an error or no JSON."""
        data = event_data(event)
        if not data:
            return
        seen = _seen(data)
        kind = seen.type
        if tells_error(event, data):
            raise told_instead(told_in_band(data), " in mid-stream")
        if kind == "content_block_delta":
            self.deltas += 1
        elif kind == "message_start":
            message = loose(seen.message)
            self._count(message.get("usage") if isinstance(message, dict) else None)
        elif kind == "message_delta":
            self._count(loose(seen.usage))
            self._reason |= _has_reason(seen.delta)
        elif kind == "message_stop":
            self.complete = True
        elif kind == "error" or not is_null(seen.error):
            raise told_instead(loose(Raw(data)), " in mid-stream")

    def _count(self, usage: Any) -> None:
        merge(self._told, usage)
        self.usage = usage_of(self._told)


_NOTHING = _Event()


def _seen(data: bytes) -> _Event:
    """An event decoded; nothing of one that is not as we know it: that is the caller's to read."""
    try:
        return _event.decode(data)
    except MALFORMED:
        pass
    if data.strip() == b"[DONE]":
        return _NOTHING
    try:
        return _event.decode(mended(data))
    except msgspec.ValidationError:
        return _NOTHING
    except (ValueError, *MALFORMED):
        raise upstream_failed(NOT_JSON) from None


def _has_reason(delta: Raw) -> bool:
    try:
        return not is_null(delta) and _reason.decode(delta).stop_reason is not None
    except MALFORMED:
        return False
