"""Errors in Ollama's shape: `{"error": "..."}` (api.md), as a body and as the last line of a stream."""

import re
from typing import Any

from modelyard.core import raw
from modelyard.core.errors import Problem
from modelyard.dialects.dialect import ToldError
from modelyard.dialects.faults import reported
from modelyard.dialects.ollama.words import quoted


def write_error(problem: Problem, call_id: str) -> bytes:
    """The body of an error answer."""
    return b'{"error":%b}' % quoted(problem.message)


def write_stream_error(problem: Problem) -> bytes:
    """The line that ends a stream which has begun; no line with `done` follows it."""
    return write_error(problem, "") + b"\n"


def read_error(body: bytes) -> ToldError | None:
    """What an error body tells, None when it is not one. Also takes `{"error": {"message": ...}}`.

    Ollama hands its runner's error on as JSON within the text; what that says is unwrapped.
    """
    message = _message(_error_of(body))
    if message is None:
        return None
    if message.startswith("{"):
        inner = _message(_error_of(message.encode("utf-8", "replace")))
        message = inner if inner is not None else message
    return ToldError(message=message, callers=_CALLERS.search(message) is not None)


# What Ollama answers with status 500 although another host would say the same.
_CALLERS = re.compile(r'^option "[^"]*" must be |^invalid format: ')


def told_instead(error: raw.Raw) -> Problem:
    """An error that came where an answer, or more of it, should be. `error` is the field's raw value."""
    return reported(read_error(b'{"error":%b}' % bytes(error)))


def _error_of(body: bytes) -> Any:
    try:
        value = raw.value_of(raw.Raw(body))
    except raw.NotJson:
        return None
    return value.get("error") if isinstance(value, dict) else None


def _message(error: Any) -> str | None:
    message = error.get("message") if isinstance(error, dict) else error
    return message if isinstance(message, str) and message else None


# Ollama refuses to think with a model that cannot, where its own Anthropic endpoint goes on without.
_CANNOT_THINK = re.compile(r"does not support thinking\W*$|^think value .* is not supported")


def spare(message: str) -> str | None:
    """See `dialects.dialect.Dialect.spare`."""
    return "reasoning_effort" if _CANNOT_THINK.search(message) else None
