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
from modelyard.core.raw import Fields
from modelyard.dialects.dialect import OTHER, Head, Operation, Passing
from modelyard.dialects.openai.answer import told_instead
from modelyard.dialects.openai.errors import write_stream_error
from modelyard.dialects.openai.request import (
    ARRAY,
    STRING,
    STRING_OR_ARRAY,
    address,
    lay,
    left_out,
    read_model,
    read_stream,
    require,
)

TAIL_BYTES = 4096
"""How much of a stream's end is kept: the usage stands at the end of its last event."""

_EVENTS = (b"event:", b"data:", b":")
_USAGE = re.compile(r'"usage"\s*:\s*(?=\{)')
_decoder = json.JSONDecoder()


class PlainTap:
    """Lets any bytes pass: sound, or events of kinds that we need not know. See `dialects.dialect.StreamTap`.

    Of events it reads the usage; sound and plain text tell none.
    """

    __slots__ = ("_opening", "_tail", "complete", "deltas", "fault", "usage")

    def __init__(self, take_usage_out: bool) -> None:
        self._opening = b""
        self._tail = b""
        self.usage: Usage | None = None
        self.deltas = 0
        self.fault: Problem | None = None
        self.complete = False

    def feed(self, chunk: bytes) -> bytes:
        """The same bytes."""
        if len(self._opening) < len(_EVENTS[0]):
            self._opening = (self._opening + chunk)[: len(_EVENTS[0])]
        self._tail = chunk[-TAIL_BYTES:] if len(chunk) >= TAIL_BYTES else (self._tail + chunk)[-TAIL_BYTES:]
        return chunk

    def end(self) -> bytes:
        """Nothing follows. What has come is complete: these streams have no terminator that all servers send."""
        self.complete = True
        if self._opening.startswith(_EVENTS):
            self.usage = _last_usage(self._tail.decode("utf-8", "replace"))
        return b""

    def fail(self, problem: Problem) -> bytes:
        """An error event, where the stream is one of events. Nothing can be said in the midst of sound."""
        return write_stream_error(problem) if self._opening.startswith(_EVENTS) else b""


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
            raise told_instead(body)
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
