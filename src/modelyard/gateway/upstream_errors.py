"""What a backend's refusal becomes for our caller. Its words pass when they are an API error; its secrets never do."""

import math
import re
from collections.abc import Mapping
from functools import lru_cache

from modelyard.canonical.snapshot import Target
from modelyard.core.errors import Kind, Problem
from modelyard.core.seal import MASK
from modelyard.dialects.dialect import Dialect
from modelyard.policy.routing import REFUSED_CREDENTIAL
from modelyard.upstream.client import Answer

MAX_ERROR_BYTES = 1024 * 1024
MAX_MESSAGE_LENGTH = 2000
LONGEST_RETRY_SECONDS = 86_400.0

KINDS: Mapping[int, Kind] = {
    402: Kind.UPSTREAM_FAILED,
    404: Kind.MODEL_NOT_FOUND,
    408: Kind.UPSTREAM_TIMEOUT,
    409: Kind.CONFLICT,
    413: Kind.TOO_LARGE,
    422: Kind.MALFORMED,
    429: Kind.RATE_LIMITED,
    503: Kind.UNAVAILABLE,
    504: Kind.UPSTREAM_TIMEOUT,
    529: Kind.UNAVAILABLE,
}


async def problem_of(answer: Answer, target: Target, dialect: Dialect) -> Problem:
    """Read a backend's refusal (any status that is not a success) and say it as one of our problems."""
    status = answer.status
    name = target.connection.name
    if status in REFUSED_CREDENTIAL:
        answer.abort()
        return Problem(
            Kind.UPSTREAM_FAILED,
            f"The backend `{name}` refused Modelyard's credentials. An administrator must check the connection's key.",
        )
    if status < 400:
        answer.abort()
        return Problem(
            Kind.UPSTREAM_FAILED,
            f"The backend `{name}` answered with a redirect (status {status}), which is never followed. "
            "An administrator must check the connection's base URL.",
        )
    kind = KINDS.get(status, Kind.INVALID_REQUEST if status < 500 else Kind.UPSTREAM_FAILED)
    try:
        told = dialect.read_error(await answer.read(MAX_ERROR_BYTES))
    except Problem:
        told = None
    if told is None:
        message = f"The backend `{name}` answered with status {status} and no error message that could be read."
        return Problem(kind, message, retry_after=_retry_after(answer))
    return Problem(
        Kind.INVALID_REQUEST if told.callers else kind,
        cleaned(told.message, target),
        param=None if told.param is None else cleaned(told.param, target),
        retry_after=_retry_after(answer),
        code=None if told.code is None else cleaned(told.code, target),
    )


def cleaned(text: str, target: Target) -> str:
    """A backend's words, bounded: our secrets for it taken out, its name in place of its address."""
    for secret in target.secrets:
        text = text.replace(secret, MASK)
    endpoint = target.connection.endpoint
    address = _address(endpoint.host, endpoint.port)
    return address.sub(lambda match: f"The backend `{target.connection.name}`", text)[:MAX_MESSAGE_LENGTH]


@lru_cache(maxsize=1024)
def _address(host: str, port: int) -> re.Pattern[str]:
    """The host however it is spelled, with or without scheme and port."""
    return re.compile(rf"(?:https?://)?(?<![\w.\-])\[?{re.escape(host)}\]?(?::{port})?(?![\w\-])", re.IGNORECASE)


def _retry_after(answer: Answer) -> float | None:
    value = answer.header("retry-after")
    try:
        seconds = float(value) if value is not None else math.nan
    except ValueError:
        return None
    return min(max(seconds, 0.0), LONGEST_RETRY_SECONDS) if math.isfinite(seconds) else None
