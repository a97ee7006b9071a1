"""Errors in Anthropic's shape: `{"type": "error", "error": {type, message}, "request_id"}` (API reference, "Errors")."""

from collections.abc import Mapping
from typing import Any

from modelyard.core import raw
from modelyard.core.errors import Kind, Problem
from modelyard.dialects.dialect import ToldError
from modelyard.dialects.faults import reported
from modelyard.dialects.writing import encoded

TYPES: Mapping[Kind, str] = {
    Kind.INVALID_REQUEST: "invalid_request_error",
    Kind.UNAUTHENTICATED: "authentication_error",
    Kind.FORBIDDEN: "permission_error",
    Kind.OUT_OF_SCOPE: "permission_error",
    Kind.NOT_FOUND: "not_found_error",
    Kind.MODEL_NOT_FOUND: "not_found_error",
    Kind.METHOD_NOT_ALLOWED: "invalid_request_error",
    Kind.CONFLICT: "invalid_request_error",
    Kind.TOO_LARGE: "request_too_large",
    Kind.MALFORMED: "invalid_request_error",
    Kind.RATE_LIMITED: "rate_limit_error",
    Kind.CLIENT_LEFT: "api_error",
    Kind.INTERNAL: "api_error",
    Kind.UPSTREAM_FAILED: "api_error",
    Kind.UPSTREAM_UNREACHABLE: "api_error",
    Kind.UNAVAILABLE: "overloaded_error",
    Kind.LIMITS_UNAVAILABLE: "overloaded_error",
    Kind.UPSTREAM_TIMEOUT: "timeout_error",
}

STATUSES: Mapping[int, int] = {422: 400, 503: 529}
"""The API has 529 for a service that has too much to do, and 400 for every request that cannot be read."""

# What a stream's error event stands for; any other type is a failure of the backend.
KINDS: Mapping[str, Kind] = {"overloaded_error": Kind.UNAVAILABLE, "rate_limit_error": Kind.RATE_LIMITED}

TOO_LONG = "context_length_exceeded"
"""OpenAI's code for a prompt that does not fit, which clients look for; Anthropic's look for the words below."""
_TOO_LONG_WORDS = "prompt is too long"
_TOO_LONG_TYPES = ("exceed_context_size_error", TOO_LONG)


def write_error(problem: Problem, call_id: str) -> bytes:
    """The body of an error answer. Never raises."""
    return encoded({**_told(problem), "request_id": call_id})


def write_stream_error(problem: Problem, call_id: str = "") -> bytes:
    """The event that ends a stream which has begun; no `message_stop` follows it. Never raises."""
    body = write_error(problem, call_id) if call_id else encoded(_told(problem))
    return b"event: error\ndata: " + body + b"\n\n"


def _told(problem: Problem) -> dict[str, Any]:
    message = problem.message
    if problem.code == TOO_LONG and _TOO_LONG_WORDS not in message:
        message = f"{_TOO_LONG_WORDS}: {message}"
    return {"type": "error", "error": {"type": TYPES[problem.kind], "message": message}}


def read_error(body: bytes) -> ToldError | None:
    """What an upstream's error body tells; None when it is not one (a proxy's HTML page, say).

    Beside Anthropic's own shape: `{"error": "..."}`, `{"message": "..."}` and `{"detail": "..."}` of compatible servers.
    """
    try:
        value = raw.value_of(raw.Raw(body))
    except raw.NotJson:
        return None
    return told_in(value)


def told_in(value: Any) -> ToldError | None:
    """The same of a body that has been decoded."""
    if not isinstance(value, dict):
        return None
    error = value.get("error", value)
    fields = error if isinstance(error, dict) else {"message": error}
    message = fields.get("message") or fields.get("detail")
    if not isinstance(message, str):
        return None
    too_long = message.startswith(_TOO_LONG_WORDS) or fields.get("type") in _TOO_LONG_TYPES
    return ToldError(message=message, code=TOO_LONG if too_long else None)


def told_instead(value: Any, when: str = "") -> Problem:
    """The Problem for an error that came where an answer, or more of one, should be. `value` is the decoded object."""
    told = told_in(value)
    error = value.get("error") if isinstance(value, dict) else None
    type_ = error.get("type") if isinstance(error, dict) else None
    kind = KINDS.get(type_, Kind.UPSTREAM_FAILED) if isinstance(type_, str) else Kind.UPSTREAM_FAILED
    return reported(told, when, kind=kind, code=told.code if told else None)
