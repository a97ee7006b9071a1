"""What all parts of this dialect use: problems, names of losses, and text that JSON can hold."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from modelyard.core import raw
from modelyard.core.errors import Kind, Problem
from modelyard.core.sse import data_of

NAME = "anthropic"
NULL = raw.Raw(b"null")

REFUSED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""All that msgspec says no with."""

MOST_NAMES = 100  # that are told apart; a request with more of them is made to hurt


def note(names: list[str], name: str) -> None:
    """Add a name once."""
    if len(names) < MOST_NAMES and name not in names:
        names.append(name)


def is_null(value: raw.Raw) -> bool:
    """True for a field that is there and says nothing."""
    return bytes(memoryview(value)[:5]) == b"null"


def wrong(param: str, expected: str) -> Problem:
    """A field of the caller's request that is not what it must be."""
    return Problem(Kind.INVALID_REQUEST, f"`{param}` must be {expected}.", param=param)


def value_in(value: raw.Raw, param: str) -> Any:
    """The decoded value of a caller's field. Raises Problem INVALID_REQUEST."""
    try:
        return raw.value_of(value)
    except raw.NotJson as error:
        raise Problem(Kind.INVALID_REQUEST, f"`{param}` cannot be read: {error}.", param=param) from None


_any = msgspec.json.Decoder()


def loose(value: raw.Raw) -> Any:
    """The decoded value of a part of an answer, None for one that cannot be decoded."""
    try:
        return _any.decode(value)
    except REFUSED:
        return None


def upstream_failed(message: str) -> Problem:
    """The backend's fault."""
    return Problem(Kind.UPSTREAM_FAILED, message)


def whole(text: str) -> str:
    """Text with every half of a surrogate pair, which UTF-8 cannot hold, replaced."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def quoted(text: str) -> bytes:
    """A JSON string."""
    try:
        return raw.encode(text)
    except UnicodeEncodeError:
        return raw.encode(whole(text))


def encoded(value: Any) -> bytes:
    """JSON of a value whose texts may hold halves of surrogate pairs: rare, so they need not be quick."""
    try:
        return raw.encode(value)
    except UnicodeEncodeError:
        return raw.encode(_mended(value))


def _mended(value: Any) -> Any:
    if isinstance(value, str):
        return whole(value)
    if isinstance(value, Mapping):
        return {_mended(key): _mended(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_mended(inner) for inner in value]
    return value


def mended_json(data: bytes) -> bytes:
    """JSON that msgspec refuses, without half surrogate pairs (a token's border may leave them) and NaN.

    Raises ValueError or RecursionError when it is not JSON at all.
    """
    value = json.loads(data, parse_constant=lambda _: None)
    return whole(json.dumps(value, ensure_ascii=False)).encode()


def event_data(event: bytes) -> bytes:
    """The data of one server-sent event. Nearly every one has the form `event: <name>` LF `data: <json>` LF LF."""
    if event.startswith(b"event: "):
        start = event.find(b"\n") + 1
        if event.startswith(b"data: ", start) and event.find(b"\n", start, -2) < 0 and b"\r" not in event:
            return event[start + 6 : -2]
    return data_of(event)
