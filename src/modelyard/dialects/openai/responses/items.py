"""Items and parts as they stand on the wire, of requests and of answers (API reference, "Responses").

One record reads every kind of item: what a kind does not have stays None.
"""

from typing import Any, Protocol, TypeVar

import msgspec

from modelyard.canonical.chat import Redacted, Thinking, Timings, read_signature, write_signature
from modelyard.canonical.usage import Usage
from modelyard.core import raw
from modelyard.core.errors import Problem
from modelyard.dialects.dialect import ToldError
from modelyard.dialects.faults import reported
from modelyard.dialects.openai.decoding import decode_list
from modelyard.dialects.openai.figures import timings_of
from modelyard.dialects.reading import MALFORMED, NULL, count_in, wrong

Raw = msgspec.Raw


class Audio(msgspec.Struct, gc=False):
    """`input_audio`."""

    data: str
    format: str = "wav"


class Part(msgspec.Struct, gc=False):
    """One part of a message, of a tool's output, or of a summary."""

    type: str = ""
    text: str | None = None
    refusal: str | None = None
    image_url: str | None = None
    file_id: str | None = None
    file_data: str | None = None
    file_url: str | None = None
    filename: str | None = None
    detail: str | None = None
    input_audio: Audio | None = None
    prompt_cache_breakpoint: Raw = NULL
    logprobs: Raw = NULL


class Item(msgspec.Struct):
    """One item of `input` or `output`. Without a type it is a message."""

    type: str | None = None
    role: str | None = None
    content: str | list[Part] | None = None
    id: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    output: str | list[Part] | None = None
    summary: list[Part] | None = None
    encrypted_content: str | None = None
    phase: str | None = None


class _Typed(Protocol):
    type: Any


class _Type(msgspec.Struct, gc=False):
    type: str | None = None


OWN = "openai"
"""The origin of the signatures that servers of this API can read."""

_T = TypeVar("_T", bound=_Typed)

_type = msgspec.json.Decoder(_Type)

KINDS = frozenset({None, "message", "function_call", "function_call_output", "reasoning", "item_reference"})
"""Types of items that are read. The others belong to tools that a server runs itself."""


def decode_each(record: type[_T], known: frozenset[str | None], value: Raw, field: str) -> list[_T]:
    """A list of records that tell their type. Those of unknown types may look as they like: only the type is read.

    Raises INVALID_REQUEST with the place of what is wrong.
    """
    try:
        items = raw.split_list(value)
    except raw.NotJson:
        raise wrong(field, "an array of objects") from None
    read = []
    for index, item in enumerate(items):
        try:
            kind = _type.decode(item).type
        except MALFORMED:
            kind = None
        if kind in known:
            read.append(decode_list(msgspec.json.Decoder(record), item, f"{field}[{index}]", {}, []))
        else:
            read.append(msgspec.convert({"type": kind}, record))
    return read


# Anthropic's redacted thinking has no words and no signature, only bytes; it travels where a signature does.
_REDACTED = "redacted"


def thought_of(item: Item) -> Thinking | Redacted | None:
    """The block that a reasoning item is; None when there is nothing in it."""
    signature, origin = read_signature(item.encrypted_content or None, OWN)
    if origin == _REDACTED and signature is not None:
        return Redacted(data=signature)
    text = "\n\n".join([part.text or "" for part in item.summary or []])
    if not text and isinstance(item.content, list):
        text = "".join([part.text or "" for part in item.content])
    if not text and signature is None:
        return None
    return Thinking(text=text, signature=signature, origin=origin)


def encrypted_of(block: Thinking | Redacted) -> str | None:
    """The `encrypted_content` of the reasoning item that a block becomes for a caller."""
    if isinstance(block, Redacted):
        return write_signature(block.data, _REDACTED, OWN)
    return write_signature(block.signature, block.origin, OWN)


def usage_of(value: Raw) -> Usage | None:
    """What `usage` tells, None when it is none. Cached and written tokens are counted within the input there."""
    try:
        wire = raw.value_of(value)
    except raw.NotJson:
        return None
    if not isinstance(wire, dict):
        return None
    prompt, output = count_in(wire, "input_tokens"), count_in(wire, "output_tokens")
    inside, outside = wire.get("input_tokens_details"), wire.get("output_tokens_details")
    cached = written = reasoning = 0
    if isinstance(inside, dict):
        cached = min(count_in(inside, "cached_tokens"), prompt)
        written = min(count_in(inside, "cache_write_tokens"), prompt - cached)
    if isinstance(outside, dict):
        reasoning = min(count_in(outside, "reasoning_tokens"), output)
    return Usage(
        input=prompt - cached - written,
        cached_input=cached,
        cache_write=written,
        output=output - reasoning,
        reasoning=reasoning,
    )


def timings_in(value: Raw) -> Timings | None:
    """llama.cpp's `timings`, None when they are none."""
    try:
        return timings_of(raw.value_of(value))
    except raw.NotJson:
        return None


def write_usage(usage: Usage) -> dict[str, Any]:
    """`usage` of an answer."""
    return {
        "input_tokens": usage.all_input,
        "input_tokens_details": {
            "cached_tokens": usage.cached_input,
            "cache_write_tokens": usage.cache_write + usage.cache_write_1h,
        },
        "output_tokens": usage.all_output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.total,
    }


class _Told(msgspec.Struct, gc=False):
    code: str | int | None = None
    message: str | None = None


_told = msgspec.json.Decoder(_Told)
MOST_CODE = 64


def told_by(error: Raw, where: str) -> Problem:
    """The Problem for an error object {code, message} that came where an answer should be."""
    try:
        told = _told.decode(error)
    except MALFORMED:
        told = _Told()
    code = told.code if isinstance(told.code, str) and told.code.isascii() and len(told.code) <= MOST_CODE else None
    code = code if code and code.replace("_", "").replace("-", "").isalnum() else None
    return reported(ToldError(message=told.message) if told.message else None, where, code=code)
