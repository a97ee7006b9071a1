"""Errors within a stream of events, in any dialect's form: what passes must not tell them in the backend's own words."""

import re
from typing import Any

import msgspec

from modelyard.core.raw import NotJson, Raw, value_of
from modelyard.dialects.reading import MALFORMED, NULL

_NAMED = re.compile(rb"(?:\A|[\r\n])event: ?(?:error|[\w.]+\.(?:failed|error))[\r\n]")


class _Seen(msgspec.Struct):
    type: Any = None
    error: Raw = NULL


_seen = msgspec.json.Decoder(_Seen)


def tells_error(event: bytes, data: bytes) -> bool:
    """True for an event (`data` is its data) that tells an error: by its name, its type or an `error` in it."""
    # The words, or a letter of them escaped: few events that tell no error hold one.
    if not (b"error" in event or b"failed" in event or b"\\u00" in event):
        return False
    return _NAMED.search(event) is not None or holds_error(data)


def holds_error(data: bytes) -> bool:
    """True for JSON that is an object with an `error`, or with the type of one (`error`, `response.failed`)."""
    try:
        seen = _seen.decode(data)
    except MALFORMED:
        return False
    if bytes(seen.error) not in (b"null", b'""', b"false"):
        return True
    return isinstance(seen.type, str) and (seen.type == "error" or seen.type.endswith((".failed", ".error")))


def told_in_band(data: bytes) -> Any:
    """The object that tells the error, decoded; None when it is none. OpenAI's `response.failed` has it in the response."""
    try:
        value = value_of(Raw(data))
    except NotJson:
        return None
    response = value.get("response") if isinstance(value, dict) and "error" not in value else None
    return response if isinstance(response, dict) else value
