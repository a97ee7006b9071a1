"""Errors that come as an event of a stream of the Responses API."""

import msgspec

from modelyard.core.errors import Problem
from modelyard.dialects.openai.responses.items import told_by
from modelyard.dialects.reading import MALFORMED, NULL

Raw = msgspec.Raw


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
    except MALFORMED:
        return told_by(Raw(data), _IN_STREAM)
    if failure.response is not None:
        return told_by(failure.response.error, _IN_STREAM)
    return told_by(failure.error if len(failure.error) > len(b"null") else Raw(data), _IN_STREAM)
