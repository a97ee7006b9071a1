"""The one family of errors.

    Problem(kind, message, param=None, retry_after=None, code=None)

A `Kind` says what went wrong and with which HTTP status; each dialect renders a Problem in its own shape
(`dialects/*/errors.py`, `api/management.py`). A message tells the reader what to do and never holds a secret,
an upstream's own text about credentials, or another tenant's data.
"""

from enum import Enum


class Kind(Enum):
    """What went wrong. The value is (name, HTTP status)."""

    INVALID_REQUEST = ("invalid_request", 400)
    UNAUTHENTICATED = ("unauthenticated", 401)
    FORBIDDEN = ("forbidden", 403)
    OUT_OF_SCOPE = ("out_of_scope", 403)
    NOT_FOUND = ("not_found", 404)
    MODEL_NOT_FOUND = ("model_not_found", 404)
    METHOD_NOT_ALLOWED = ("method_not_allowed", 405)
    CONFLICT = ("conflict", 409)
    TOO_LARGE = ("too_large", 413)
    MALFORMED = ("malformed", 422)
    RATE_LIMITED = ("rate_limited", 429)
    CLIENT_LEFT = ("client_left", 499)
    INTERNAL = ("internal", 500)
    UPSTREAM_FAILED = ("upstream_failed", 502)
    UPSTREAM_UNREACHABLE = ("upstream_unreachable", 502)
    UNAVAILABLE = ("unavailable", 503)
    LIMITS_UNAVAILABLE = ("limits_unavailable", 503)
    UPSTREAM_TIMEOUT = ("upstream_timeout", 504)

    @property
    def code(self) -> str:
        """The machine-readable name, as it appears in answers and in the ledger."""
        return self.value[0]

    @property
    def status(self) -> int:
        """The HTTP status of an answer that carries this problem."""
        return self.value[1]


class Problem(Exception):
    """A failure that a caller is told about.

    `param` names the offending field of the request, `retry_after` is in seconds, `code` is a backend's own code for
    it (`context_length_exceeded`, say) where clients know that better than ours.
    """

    __slots__ = ("code", "kind", "message", "param", "retry_after")

    def __init__(
        self,
        kind: Kind,
        message: str,
        *,
        param: str | None = None,
        retry_after: float | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.param = param
        self.retry_after = retry_after
        self.code = code
