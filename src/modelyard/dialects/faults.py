"""What is said of a backend that fails in the midst of a call, whatever dialect it speaks."""

from modelyard.core.errors import Kind, Problem
from modelyard.dialects.dialect import ToldError

CUT = "The backend's stream ended before the answer was complete."
NOT_JSON = "The backend's stream is broken: it sent a line that is not JSON."
NAMELESS_CALL = "The backend's answer holds a tool call without a name."


def no_answer(expected: str) -> str:
    """The words for an answer that is none. `expected` is what it should be, with its article."""
    return f"The backend answered with something that is not {expected}. Check the connection's base URL."


def upstream_failed(message: str, code: str | None = None) -> Problem:
    """The backend's fault."""
    return Problem(Kind.UPSTREAM_FAILED, message, code=code)


def broken_stream(reason: object) -> Problem:
    """A stream that cannot be read on. `reason` says why, as a part of a sentence."""
    return upstream_failed(f"The backend's stream is broken: {reason}.")


def reported(
    told: ToldError | None, when: str = "", *, kind: Kind = Kind.UPSTREAM_FAILED, code: str | None = None
) -> Problem:
    """An error that came where an answer, or more of one (`when`), should be, under a status that says all is well."""
    reason = told.message if told is not None else "no reason given"
    return Problem(kind, f"The backend reported an error{when}: {reason}", code=code)
