"""Text that JSON can hold: half a surrogate pair, which a token's border may leave, is nothing that UTF-8 can say."""

import json
import math
from collections.abc import Mapping
from typing import Any

from modelyard.core import raw

UNPARSED = "_unparsed"
"""Where a tool's arguments must be an object: what a model wrote instead of one stands under this name, as text."""


def whole(text: str) -> str:
    """Text with every half of a surrogate pair replaced by U+FFFD."""
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
        return raw.encode(_whole_within(value))


def _whole_within(value: Any) -> Any:
    if isinstance(value, str):
        return whole(value)
    if isinstance(value, Mapping):
        return {_whole_within(key): _whole_within(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_whole_within(inner) for inner in value]
    return value


def lenient(data: bytes) -> Any:
    """The value of a backend's JSON that msgspec refuses, null for what is no number. Raises ValueError if it is none."""
    try:
        return json.loads(data, parse_constant=lambda _: None, parse_float=_finite)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _finite(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None


def mended(data: bytes) -> bytes:
    """The same as JSON that msgspec takes, without halves of surrogate pairs. Raises ValueError if it is no JSON."""
    value = lenient(data)
    try:
        return whole(json.dumps(value, ensure_ascii=False)).encode()
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
