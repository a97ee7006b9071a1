"""Telling an absent database from a fault of ours."""

from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError


def is_outage(error: Exception) -> bool:
    """True when the database cannot be reached or used at the moment."""
    return isinstance(error, (OperationalError, InterfaceError, PoolTimeoutError, ConnectionError, OSError))
