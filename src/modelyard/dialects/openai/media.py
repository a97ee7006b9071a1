"""OpenAI's operations on sound, images and rankings, which only pass (API reference: audio, images, moderations).

Rerank is no endpoint of OpenAI's own: the shape is Jina's and Cohere's, as vLLM, LocalAI and llama.cpp serve it.
"""

import json
import re
from typing import Any

from modelyard.canonical.snapshot import Preset, Target
from modelyard.canonical.usage import Usage, count
from modelyard.core import raw
from modelyard.core.errors import Problem
from modelyard.core.ndjson import MAX_LINE_BYTES, LineTooLarge
from modelyard.core.raw import Fields
from modelyard.core.sse import EventSplitter, EventTooLarge
from modelyard.dialects.dialect import OTHER, Head, Operation, Passing
from modelyard.dialects.faults import broken_stream, reported
from modelyard.dialects.in_band import tells_error, told_in_band
from modelyard.dialects.named_events import event_data
from modelyard.dialects.openai.errors import read_error, write_error, write_stream_error
from modelyard.dialects.openai.request import ARRAY, STRING, STRING_OR_ARRAY, address, lay, left_out, require
from modelyard.dialects.reading import read_model, read_stream

TAIL_BYTES = 4096
"""How much of a stream's end is kept: the usage stands at the end of its last event."""

_EVENTS = (b"event:", b"data:", b":", b"id:", b"retry:")
_BEFORE = b"\xef\xbb\xbf\r\n"  # what may come before the first of these: a mark of the encoding, empty lines
_LONGEST = 6
_ERROR_LINE = re.compile(rb'\s*\{?\s*"error"\s*:\s*(?!null\b)')
_USAGE = re.compile(r'"usage"\s*:\s*(?=\{)')
_decoder = json.JSONDecoder()


class _Lines:
    """Cuts a stream into lines. Unlike `core.ndjson` it keeps the empty ones: what passes stays as it is."""

    __slots__ = ("_parts", "_size")

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    @property
    def rest(self) -> bytes:
        return b"".join(self._parts)

    def feed(self, chunk: bytes) -> list[bytes]:
        whole, feed, rest = chunk.rpartition(b"\n")
        lines = []
        if feed:
            lines = [line + b"\n" for line in (self.rest + whole).split(b"\n")]
            self._parts, self._size = [], 0
        self._parts.append(rest)
        self._size += len(rest)
        if self._size > MAX_LINE_BYTES:
            raise LineTooLarge(f"one line is larger than {MAX_LINE_BYTES} bytes")
        return lines


class PlainTap:
    """Lets any bytes pass: sound, or events of kinds that we need not know. See `dialects.dialect.StreamTap`.

    Events, and lines of JSON, pass one by one: their errors are told in our words. Of events it reads the usage; sound
    and plain text tell none.
    """

    __slots__ = ("_opening", "_splitter", "_tail", "complete", "deltas", "fault", "usage")

    def __init__(self, take_usage_out: bool) -> None:
        self._opening: bytes | None = b""  # what is too short to tell the kind of stream; None once that is known
        self._splitter: EventSplitter | _Lines | None = None
        self._tail = b""
        self.usage: Usage | None = None
        self.deltas = 0
        self.fault: Problem | None = None
        self.complete = False

    def feed(self, chunk: bytes) -> bytes:
        """The same bytes; of events and lines those that are whole, up to the first that is an error."""
        self._tail = chunk[-TAIL_BYTES:] if len(chunk) >= TAIL_BYTES else (self._tail + chunk)[-TAIL_BYTES:]
        if self._opening is not None:
            chunk = self._opening + chunk
            stripped = chunk.lstrip(_BEFORE)
            start = stripped[:_LONGEST]
            if not start or any(known.startswith(start) and known != start for known in _EVENTS):
                self._opening = start
                return chunk[: len(chunk) - len(stripped)]
            self._opening = None
            if start.startswith(_EVENTS):
                self._splitter = EventSplitter()
            elif start.lstrip()[:1] == b"{":
                self._splitter = _Lines()
        return chunk if self._splitter is None else self._whole(chunk, self._splitter)

    def _whole(self, chunk: bytes, splitter: EventSplitter | _Lines) -> bytes:
        good = []
        try:
            for event in splitter.feed(chunk):
                self._check(event)
                good.append(event)
        except (EventTooLarge, LineTooLarge) as error:
            self.fault = broken_stream(error)
        except Problem as fault:
            self.fault = fault
        return b"".join(good)

    def _check(self, event: bytes) -> None:
        """Raises Problem for an event or a line that is an error."""
        if isinstance(self._splitter, EventSplitter):
            data = event_data(event)
            failed = tells_error(event, data)
        else:
            data = event
            failed = tells_error(event, data) or _ERROR_LINE.match(event) is not None
        if failed:
            raise reported(read_error(raw.encode(told_in_band(data))), " in mid-stream")

    def end(self) -> bytes:
        """Nothing follows. What has come is complete: these streams have no terminator that all servers send."""
        rest = self._opening or b""
        if self._splitter is not None:
            rest = self._splitter.rest
            self._check(rest + b"\n\n")
        self.complete = True
        if isinstance(self._splitter, EventSplitter):
            self.usage = _last_usage(self._tail.decode("utf-8", "replace"))
        return rest

    def fail(self, problem: Problem) -> bytes:
        """An error event or line, where the stream has such. Nothing can be said in the midst of sound."""
        if isinstance(self._splitter, EventSplitter):
            return write_stream_error(problem)
        return b"" if self._splitter is None else write_error(problem) + b"\n"


def _last_usage(text: str) -> Usage | None:
    usage = None
    for match in _USAGE.finditer(text):
        try:
            usage = usage_of(_decoder.raw_decode(text, match.end())[0]) or usage
        except (ValueError, RecursionError):
            continue
    return usage


def read_usage(body: bytes) -> Usage | None:
    """The usage in a whole answer, None when it tells none or is no JSON. Raises Problem when it holds an error instead."""
    if not body.startswith(b"{"):
        return None
    try:
        fields = raw.split(body)
        if bytes(fields.get("error", b"null")) != b"null":
            raise reported(read_error(body))
        usage = usage_of(raw.value_of(fields["usage"])) if "usage" in fields else None
        if usage is None and "meta" in fields:
            meta = raw.value_of(fields["meta"])
            usage = usage_of(meta.get("tokens")) if isinstance(meta, dict) else None
    except raw.NotJson:
        return None
    return usage


def usage_of(wire: Any) -> Usage | None:
    """The tokens that a `usage` object tells in any of these operations' spellings; None when it tells none.

    Images and transcriptions count input and output tokens, rankings the whole. Seconds of sound are no tokens.
    """
    if not isinstance(wire, dict):
        return None
    told = [_number(wire, *names) for names in _SPELLINGS]
    if all(number is None for number in told):
        return None
    total, output = count(told[2]), count(told[1])
    entry = count(told[0]) if told[0] is not None else max(total - output, 0)
    details = wire.get("input_token_details") or wire.get("input_tokens_details")
    cached = min(count(_number(details, "cached_tokens")), entry)
    heard = min(count(_number(details, "audio_tokens")), entry - cached)
    return Usage(input=entry - cached - heard, cached_input=cached, audio_input=heard, output=output)


_SPELLINGS = (("input_tokens", "prompt_tokens"), ("output_tokens", "completion_tokens"), ("total_tokens",))


def _number(table: Any, *names: str) -> float | None:
    if isinstance(table, dict):
        for name in names:
            value = table.get(name)
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                return value
    return None


def _asks_for_usage(fields: Fields) -> bool:
    """No event is ours to take out again: none was asked for."""
    return True


def _address(fields: Fields, target: Target, ask_for_usage: bool) -> bytes:
    """These operations know no `stream_options`."""
    return address(fields, target, False)


def _operation(
    name: str, path: str, *, required: tuple[tuple[str, str], ...] = (), takes: frozenset[str] = frozenset()
) -> Operation:
    """One operation: the fields that it cannot do without, and those that a preset may set."""

    def read_head(fields: Fields) -> Head:
        for field, expected in required:
            require(fields, field, expected)
        return Head(model=read_model(fields), stream=read_stream(fields), output_bound=None)

    def overlay(fields: Fields, preset: Preset, system: str | None) -> list[str]:
        # A preset made for chat may have a parameter of the same name with another meaning: an object.
        meant = frozenset(known for known in takes if not isinstance(preset.params.get(known), (dict, list)))
        losses = lay(fields, preset, meant)
        return losses if system is None else [*losses, "system"]

    return Operation(
        dialect="openai",
        name=name,
        family=OTHER,
        path=path,
        read_head=read_head,
        passing=Passing(
            overlay=overlay,
            address=_address,
            asked_for_usage=_asks_for_usage,
            read_usage=read_usage,
            tap=PlainTap,
            left_out=left_out,
        ),
    )


MEDIA: tuple[Operation, ...] = (
    _operation(
        "speech",
        "/v1/audio/speech",
        required=(("input", STRING),),
        takes=frozenset({"voice", "instructions", "response_format", "speed", "stream_format"}),
    ),
    # A form passes with nothing changed but its model, so a preset has no place in one.
    _operation("transcriptions", "/v1/audio/transcriptions"),
    _operation("translations", "/v1/audio/translations"),
    _operation(
        "images",
        "/v1/images/generations",
        required=(("prompt", STRING),),
        takes=frozenset(
            {
                "n", "size", "quality", "style", "background", "moderation", "output_format", "output_compression",
                "partial_images", "response_format", "user",
            }
        ),
    ),
    _operation("image_edits", "/v1/images/edits", required=(("prompt", STRING),)),
    _operation("moderations", "/v1/moderations", required=(("input", STRING_OR_ARRAY),)),
    _operation(
        "rerank",
        "/v1/rerank",
        required=(("query", STRING), ("documents", ARRAY)),
        takes=frozenset({"top_n", "return_documents"}),
    ),
)  # fmt: skip
