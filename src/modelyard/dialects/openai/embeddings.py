"""Embeddings of the OpenAI dialect, both ways (API reference, "Embeddings").

A vector stays the JSON array that the backend wrote; only base64 (little-endian float32), which the official clients
ask for, is made of it and read into it.
"""

import base64
import binascii
import math
import struct
from typing import Any

import msgspec

from modelyard.canonical.chat import MAX_PARTS
from modelyard.canonical.embeddings import EmbeddingReply, EmbeddingRequest
from modelyard.canonical.usage import NOTHING, Usage, count
from modelyard.core import raw
from modelyard.core.errors import Kind, Problem
from modelyard.core.raw import Fields, Raw
from modelyard.dialects.dialect import Asker, EmbeddingTranslation, Recipient, Written
from modelyard.dialects.faults import reported, upstream_failed
from modelyard.dialects.openai.errors import read_error
from modelyard.dialects.openai.parameters import DEFAULTS, read_controls
from modelyard.dialects.reading import MALFORMED, NULL, too_many, value_in, wrong

_KNOWN = frozenset({"model", "input", "dimensions", "encoding_format", "stream", "stream_options"})

_FLOAT_BYTES = 4

_input = msgspec.json.Decoder(str | list[str | int | list[int]] | None)
_floats = msgspec.json.Decoder(list[float])


class _Item(msgspec.Struct):
    embedding: Raw = NULL
    index: int | None = None


class _Usage(msgspec.Struct, gc=False):
    prompt_tokens: int | float | None = None
    total_tokens: int | float | None = None


class _Answer(msgspec.Struct):
    data: list[_Item] | None = None
    model: Any = None
    usage: _Usage | None = None
    error: Raw = NULL


_answer = msgspec.json.Decoder(_Answer)


def _read_request(fields: Fields) -> EmbeddingRequest:
    dimensions = value_in(fields.get("dimensions", NULL), "dimensions")
    if dimensions is not None and (not isinstance(dimensions, int) or isinstance(dimensions, bool) or dimensions < 1):
        raise wrong("dimensions", "a whole number above 0")
    if value_in(fields.get("encoding_format", NULL), "encoding_format") not in (None, "float", "base64"):
        raise wrong("encoding_format", "`float` or `base64`")
    inputs = _inputs(fields)
    controls, unread = read_controls(fields, _KNOWN)
    return EmbeddingRequest(inputs=inputs, controls=controls, dimensions=dimensions, unread=unread)


def _inputs(fields: Fields) -> list[str | list[int]]:
    """One text, several, the token ids of one, or those of several: each text or list of ids is one input."""
    try:
        given = _input.decode(fields.get("input", NULL))
    except MALFORMED:
        raise _no_input() from None
    if isinstance(given, str):
        return [given]
    if not given:
        raise _no_input()
    if len(given) > MAX_PARTS and not isinstance(given[0], int):
        raise too_many("input", "texts")
    kind = type(given[0])
    if not all(type(item) is kind for item in given) or any(item == [] for item in given):
        raise _no_input()
    return [given] if kind is int else given


def _no_input() -> Problem:
    return wrong("input", "a string, an array of strings, an array of token ids, or an array of arrays of token ids")


def _write_request(request: EmbeddingRequest, recipient: Recipient) -> Written:
    accent, controls = recipient.target.accent, request.controls
    told: dict[str, Any] = {"dimensions": request.dimensions}
    losses = []
    for name, value in controls.params.items():
        if name == "user":
            told[name] = value
        elif name not in DEFAULTS or value != DEFAULTS[name]:
            losses.append(name)
    for name, value in controls.extras.items():
        # A preset's own parameters; only this one means something here (see `request.EMBEDDING_PARAMETERS`).
        if name == "dimensions" and isinstance(value, int) and not isinstance(value, bool):
            told[name] = request.dimensions or value
        else:
            losses.append(name)
    losses += ["response_format"] if controls.output is not None else []
    losses += ["reasoning_effort"] if controls.reasoning is not None else []
    body: dict[str, Any] = {"model": recipient.target.upstream_model, "input": request.inputs}
    for name, value in told.items():
        if value is None:
            continue
        if name in accent.refuses:
            losses.append(name)
        else:
            body[accent.renames.get(name, name)] = value
    try:
        return Written(raw.encode(body), losses)
    except UnicodeEncodeError:
        raise Problem(Kind.INVALID_REQUEST, "`input` holds text that is not valid Unicode.", param="input") from None


def _read_reply(body: bytes) -> EmbeddingReply:
    try:
        answer = _answer.decode(body)
    except MALFORMED:
        raise _not_an_answer() from None
    if bytes(answer.error) != b"null":
        raise reported(read_error(body))
    items = answer.data
    if items is None:
        raise _not_an_answer()
    indexes = [item.index for item in items]
    if None not in indexes:
        items = sorted(items, key=lambda item: item.index or 0)
    return EmbeddingReply(
        vectors=[_vector(item.embedding) for item in items],
        usage=_usage(answer.usage),
        model=answer.model if isinstance(answer.model, str) else "",
    )


def _usage(wire: _Usage | None) -> Usage | None:
    if wire is None:
        return None
    tokens = wire.prompt_tokens if wire.prompt_tokens is not None else wire.total_tokens
    return None if tokens is None else Usage(input=count(tokens))


def _vector(value: Raw) -> Raw:
    """The JSON array of a vector, which some servers give in base64 whether asked or not."""
    opening = bytes(memoryview(value)[:1])
    if opening == b"[":
        return value
    try:
        data = base64.b64decode(raw.value_of(value), validate=True) if opening == b'"' else b""
        floats = struct.unpack(f"<{len(data) // _FLOAT_BYTES}f", data)
    except (raw.NotJson, binascii.Error, ValueError, struct.error):
        floats = ()
    if not floats or not all(map(math.isfinite, floats)):
        raise _not_an_answer()
    return raw.raw_of(floats)


def _not_an_answer() -> Problem:
    return upstream_failed("The backend answered with something that is not an embedding of OpenAI's API.")


def _write_reply(reply: EmbeddingReply, asker: Asker) -> bytes:
    encoded = bytes(asker.fields.get("encoding_format", NULL)) == b'"base64"'
    tokens = (reply.usage if reply.usage is not None else NOTHING).all_input
    return raw.encode(
        {
            "object": "list",
            "data": [
                {"object": "embedding", "index": index, "embedding": _base64(vector) if encoded else vector}
                for index, vector in enumerate(reply.vectors)
            ],
            "model": asker.model,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }
    )


def _base64(vector: Raw) -> str:
    try:
        floats = _floats.decode(vector)
        data = struct.pack(f"<{len(floats)}f", *floats)
    except (*MALFORMED, struct.error, OverflowError):
        raise upstream_failed("The backend's embedding is not a list of numbers.") from None
    return base64.b64encode(data).decode("ascii")


EMBEDDINGS = EmbeddingTranslation(
    read_request=_read_request, write_request=_write_request, read_reply=_read_reply, write_reply=_write_reply
)
