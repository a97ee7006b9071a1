"""Identifiers. Time-ordered, so that a table's newest rows sit together; unique over processes without a lock."""

import itertools
import os
import time
import uuid

_process = os.urandom(6).hex()
_count = itertools.count()


def call_id() -> str:
    """A time-ordered id for one call: 48 bit milliseconds, a 16 bit counter and 48 bit drawn per process, as hex."""
    return f"{time.time_ns() // 1_000_000:012x}{next(_count) & 0xFFFF:04x}{_process}"


def row_id() -> str:
    """A random id for a database row (UUID version 4)."""
    return str(uuid.uuid4())
