"""What a backend's refusal becomes for our caller. Its words pass when they are an API error; its secrets never do."""

from collections.abc import Mapping

from modelyard.canonical.snapshot import Target
from modelyard.core.errors import Kind, Problem
from modelyard.core.seal import MASK
from modelyard.dialects.dialect import Dialect
from modelyard.policy.routing import REFUSED_CREDENTIAL
from modelyard.upstream.client import Answer

MAX_ERROR_BYTES = 1024 * 1024
MAX_MESSAGE_LENGTH = 2000

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
    """Read a backend's error answer (status 400 and above) and say it as one of ours."""
    status = answer.status
    name = target.connection.name
    if status in REFUSED_CREDENTIAL:
        answer.abort()
        return Problem(
            Kind.UPSTREAM_FAILED,
            f"The backend `{name}` refused Modelyard's credentials. An administrator must check the connection's key.",
        )
    try:
        body = await answer.read(MAX_ERROR_BYTES)
    except Problem:
        body = b""
    told = dialect.read_error(body)
    if told is None:
        return Problem(
            KINDS.get(status, Kind.UPSTREAM_FAILED),
            f"The backend `{name}` answered with status {status} and no error message that could be read.",
            retry_after=_retry_after(answer),
        )
    kind = KINDS.get(status, Kind.INVALID_REQUEST if status < 500 else Kind.UPSTREAM_FAILED)
    return Problem(
        kind,
        without_secret(told.message, target),
        param=told.param,
        retry_after=_retry_after(answer),
        code=told.code,
    )


def without_secret(text: str, target: Target) -> str:
    """A backend's words, bounded, without our key for it, and with its name in place of its address."""
    if target.secret:
        text = text.replace(target.secret, MASK)
    return text.replace(target.connection.endpoint.origin, f"The backend `{target.connection.name}`")[
        :MAX_MESSAGE_LENGTH
    ]


def _retry_after(answer: Answer) -> float | None:
    value = answer.header("retry-after")
    try:
        return max(0.0, float(value)) if value is not None else None
    except ValueError:
        return None
