"""Headers: of an answer, and of a request with what the caller's own headers change in it."""

import time
from collections.abc import Sequence
from functools import lru_cache

from modelyard.canonical.snapshot import Model, Target
from modelyard.dialects.dialect import OTHER
from modelyard.gateway.call import JSON_TYPE, Call, Headers
from modelyard.gateway.losses import header_of
from modelyard.upstream.client import Answer

# What sound, pictures and rankings come as; anything else is passed as mere bytes.
PASSED_TYPES = ("audio/", "image/", "video/", "text/plain", "text/event-stream", "text/vtt", "application/x-subrip")

UpstreamHeaders = Sequence[tuple[str, str]]


def told(call: Call, model: Model, target: Target, losses: Sequence[str], *, attempts: int, waited: float) -> Headers:
    """What every answer of a model carries. `waited` is the time spent waiting for backends, in seconds."""
    overhead = (time.monotonic() - call.received - waited) * 1000
    headers = [
        (b"x-request-id", call.id.encode()),
        (b"x-modelyard-model", _header_value(model.id)),
        (b"x-modelyard-connection", _header_value(target.connection.name)),
        (b"x-modelyard-attempts", b"%d" % attempts),
        (b"x-modelyard-overhead-ms", b"%.2f" % overhead),
    ]
    if losses:
        headers.append((b"x-modelyard-loss", header_of(losses)))
    return headers


@lru_cache(maxsize=4096)
def _header_value(text: str) -> bytes:
    """Names are the operator's and may hold anything; a header takes visible ASCII, the rest is percent-encoded."""
    return text.encode("ascii") if text.isascii() and text.isprintable() else _percent(text)


def _percent(text: str) -> bytes:
    return b"".join(bytes([byte]) if 0x20 < byte < 0x7F else b"%%%02X" % byte for byte in text.encode())


def of_whole(call: Call, answer: Answer) -> Headers:
    """What a whole answer carries beside that."""
    if call.operation.family != OTHER:
        return [JSON_TYPE]
    return [
        _content_type(call, answer),
        (b"x-content-type-options", b"nosniff"),
        (b"content-security-policy", b"sandbox"),
    ]


def of_stream(call: Call, answer: Answer) -> Headers:
    """What a stream carries beside that."""
    if call.operation.family == OTHER:
        return of_whole(call, answer)
    return [
        (b"content-type", call.operation.stream_type),
        (b"cache-control", b"no-cache"),
        (b"x-accel-buffering", b"no"),
    ]


def _content_type(call: Call, answer: Answer) -> tuple[bytes, bytes]:
    """The type that something came with which only passes."""
    told = answer.header("content-type") or ""
    if told.lower().startswith("application/json"):
        return JSON_TYPE
    # Nothing that a browser would run on our behalf.
    passes = told.lower().startswith(PASSED_TYPES) and "svg" not in told.lower() and told.isascii()
    return b"content-type", told.encode("ascii") if passes else b"application/octet-stream"


def with_callers(
    headers: tuple[tuple[str, str], ...], call: Call, over: tuple[tuple[str, str], ...]
) -> UpstreamHeaders:
    """The headers of a target with some of them replaced. Those of a form are never the same again."""
    return _merged(headers, over) if call.form is None else list({**dict(headers), **dict(over)}.items())


@lru_cache(maxsize=256)
def _merged(headers: tuple[tuple[str, str], ...], over: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """The headers of a target with some of them replaced. Kept, because the client keeps what it encodes per tuple."""
    return tuple({**dict(headers), **dict(over)}.items())
