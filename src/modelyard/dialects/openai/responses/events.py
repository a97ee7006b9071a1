"""Events on the wire of a stream of the Responses API: their data, and the errors that come as one."""

import msgspec

from modelyard.core import sse
from modelyard.core.errors import Problem
from modelyard.dialects.openai.decoding import NULL
from modelyard.dialects.openai.parameters import REFUSED
from modelyard.dialects.openai.responses.items import told_by

Raw = msgspec.Raw

_DATA = b"\ndata: "


def data_of(event: bytes) -> bytes:
    """The data of one event. Almost all are one line of `event:` and one of `data:`."""
    at = event.find(b"\n")
    two_lines = event.startswith(_DATA, at) and event.find(b"\n", at + 1, -2) < 0
    if two_lines and event.startswith(b"event:") and b"\r" not in event:
        return event[at + len(_DATA) : -2]
    return sse.data_of(event)


class _Failed(msgspec.Struct, gc=False):
    error: Raw = NULL


class _Failure(msgspec.Struct, gc=False):
    error: Raw = NULL
    response: _Failed | None = None


_failure = msgspec.json.Decoder(_Failure)
_IN_STREAM = " in mid-stream"


def failure_in(data: bytes) -> Problem:
    """The Problem that an event tells: `response.failed`, `error` ({code, message}), or OpenAI's usual {error: ...}."""
    try:
        failure = _failure.decode(data)
    except REFUSED:
        return told_by(Raw(data), _IN_STREAM)
    if failure.response is not None:
        return told_by(failure.response.error, _IN_STREAM)
    return told_by(failure.error if len(failure.error) > len(b"null") else Raw(data), _IN_STREAM)
