"""Moments as people write them in a query."""

import re
from datetime import UTC, datetime

from modelyard.core.errors import Kind, Problem

SECONDS = re.compile(r"[0-9]{1,12}")


def milliseconds_of(name: str, text: str) -> int:
    """Unix milliseconds of a date such as 2026-11-01, an ISO 8601 time (UTC unless it says otherwise) or Unix seconds.

    Raises Problem MALFORMED that names the parameter.
    """
    if SECONDS.fullmatch(text):
        return int(text) * 1000
    try:
        moment = datetime.fromisoformat(text)
        return round((moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise Problem(
            Kind.MALFORMED, f"{name} must be a date such as 2026-11-01, an ISO 8601 time or Unix seconds.", param=name
        ) from None


def seconds_of(name: str, text: str | None) -> int | None:
    """The same in Unix seconds; None for a parameter that is not there."""
    return None if text is None else round(milliseconds_of(name, text) / 1000)
