"""Errors in OpenAI's shape: `{"error": {message, type, param, code}}` (API reference, "Error codes")."""

import re
from collections.abc import Mapping

from modelyard.core import raw
from modelyard.core.errors import Kind, Problem
from modelyard.dialects.dialect import ToldError

TYPES: Mapping[Kind, tuple[str, str]] = {
    Kind.INVALID_REQUEST: ("invalid_request_error", "invalid_request"),
    Kind.UNAUTHENTICATED: ("authentication_error", "invalid_api_key"),
    Kind.FORBIDDEN: ("permission_error", "forbidden"),
    Kind.OUT_OF_SCOPE: ("permission_error", "out_of_scope"),
    Kind.NOT_FOUND: ("not_found_error", "not_found"),
    Kind.MODEL_NOT_FOUND: ("invalid_request_error", "model_not_found"),
    Kind.METHOD_NOT_ALLOWED: ("invalid_request_error", "method_not_allowed"),
    Kind.CONFLICT: ("invalid_request_error", "conflict"),
    Kind.TOO_LARGE: ("invalid_request_error", "request_too_large"),
    Kind.MALFORMED: ("invalid_request_error", "malformed"),
    Kind.RATE_LIMITED: ("rate_limit_error", "rate_limit_exceeded"),
    Kind.CLIENT_LEFT: ("invalid_request_error", "client_left"),
    Kind.INTERNAL: ("server_error", "internal_error"),
    Kind.UPSTREAM_FAILED: ("server_error", "upstream_failed"),
    Kind.UPSTREAM_UNREACHABLE: ("server_error", "upstream_unreachable"),
    Kind.UNAVAILABLE: ("server_error", "unavailable"),
    Kind.LIMITS_UNAVAILABLE: ("server_error", "limits_unavailable"),
    Kind.UPSTREAM_TIMEOUT: ("server_error", "upstream_timeout"),
}


def write_error(problem: Problem) -> bytes:
    """The body of an error answer."""
    type_, code = TYPES[problem.kind]
    return raw.encode(
        {"error": {"message": problem.message, "type": type_, "param": problem.param, "code": problem.code or code}}
    )


def write_stream_error(problem: Problem) -> bytes:
    """The event that ends a stream which has begun; no `[DONE]` follows it."""
    return b"data: " + write_error(problem) + b"\n\n"


# A backend's own code goes on when it looks like one: it is a word, not a place to hide text in.
_CODE = re.compile(r"[\w.\-]{1,64}", re.ASCII)


def read_error(body: bytes) -> ToldError | None:
    """What an upstream's error body tells; None when it is not one (a proxy's HTML page, say).

    Beside OpenAI's own shape: `{"error": "..."}`, `{"detail": "..."}` (FastAPI) and `{"object": "error", "message"}` (vLLM).
    """
    try:
        value = raw.value_of(raw.Raw(body))
    except raw.NotJson:
        return None
    if isinstance(value, list) and len(value) == 1:
        value = value[0]  # Gemini's
    if not isinstance(value, dict):
        return None
    error = value.get("error", value)
    fields = error if isinstance(error, dict) else {"message": error}
    message = fields.get("message") or fields.get("detail")
    if not isinstance(message, str):
        return None
    return ToldError(message=message, code=_word(fields.get("code")), param=_word(fields.get("param")))


def _word(value: object) -> str | None:
    return value if isinstance(value, str) and _CODE.fullmatch(value) else None
