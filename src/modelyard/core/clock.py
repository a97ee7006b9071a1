"""The wall clock, as the database keeps it."""

import time


def now() -> int:
    """Unix seconds."""
    return int(time.time())
