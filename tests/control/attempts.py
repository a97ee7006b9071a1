"""Attempts to sign in as the database counts them, and the time that they wait: set, not waited for."""

import sqlite3
import time
from contextlib import closing

from tests.yard import Yard


def forget(yard: Yard) -> None:
    """None was made yet."""
    _change(yard, "DELETE FROM sign_in_attempts")


def slow_down(yard: Yard) -> None:
    """Whoever made one has made many by now, and waits for five minutes."""
    _change(yard, "UPDATE sign_in_attempts SET count = 13, last_at = ?", time.time())


def later(yard: Yard, seconds: float) -> None:
    """So much time has passed."""
    _change(yard, "UPDATE sign_in_attempts SET last_at = last_at - ?", seconds)


def _change(yard: Yard, statement: str, *values: float) -> None:
    with closing(sqlite3.connect(yard.data_dir / "modelyard.db", timeout=60)) as database, database:
        database.execute(statement, values)
