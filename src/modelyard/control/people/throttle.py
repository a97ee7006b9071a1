"""Slows down guessing: after a few failures an account, or an address, waits.

What failed is counted in the main database: all workers count together, and a restart forgets nothing. Limits of calls are
shared out among the workers instead (docs/decisions/0006), because a write for each call would cost more than the call. Five
attempts cannot be shared out among eight workers without more than five getting through, and an attempt hashes a password
anyway, beside which a short write is nothing.
"""

import time
from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import delete, insert, or_, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from modelyard.core.errors import Kind, Problem
from modelyard.core.seal import Seal
from modelyard.db.engine import Database
from modelyard.db.schema import sign_in_attempts

FREE_ATTEMPTS = 5
FIRST_WAIT_SECONDS = 2.0
LONGEST_WAIT_SECONDS = 300.0
FORGET_SECONDS = 3600.0
# Between the clocks of several hosts. What lies further ahead was written before a clock was set back: nobody waits for it.
MOST_SKEW_SECONDS = 5.0

# (how many attempts, when the last one was, in Unix seconds)
Count = tuple[int, float]

_rows = sign_in_attempts.c


async def attempt(database: Database, seal: Seal, *subjects: str) -> None:
    """Count one attempt before it is tried, so that many at once count as many.

    Subjects are an account, an address, or what else waits. Raises Problem RATE_LIMITED while any has to wait; that attempt
    is not counted. Waits double from two seconds up to five minutes. `succeeded` takes the attempts back.
    """
    digests = _digests(seal, subjects)
    async with database.read() as connection:  # most attempts of somebody who guesses end here, without a write
        _refuse_who_waits(await _counts(connection, digests), time.time())
    async with database.write() as connection:
        if not database.is_sqlite:  # which has let nobody else write from the beginning
            await connection.execute(text("LOCK TABLE sign_in_attempts IN SHARE ROW EXCLUSIVE MODE"))
        moment = time.time()
        known = await _counts(connection, digests)
        _refuse_who_waits(known, moment)
        over = or_(_rows.last_at < moment - FORGET_SECONDS, _rows.last_at > moment + MOST_SKEW_SECONDS)
        await connection.execute(delete(sign_in_attempts).where(or_(over, _rows.subject.in_(digests))))
        counts = [
            {"subject": digest, "count": _count(known.get(digest), moment) + 1, "last_at": moment} for digest in digests
        ]
        await connection.execute(insert(sign_in_attempts), counts)


async def succeeded(connection: AsyncConnection, seal: Seal, *subjects: str) -> None:
    """The attempt was a good one: none of them has to wait. Stands or falls with what it opened."""
    await connection.execute(delete(sign_in_attempts).where(_rows.subject.in_(_digests(seal, subjects))))


def _digests(seal: Seal, subjects: Sequence[str]) -> list[bytes]:
    """What is stored of the subjects: people type passwords where their address belongs."""
    return [seal.digest(f"attempt {subject}") for subject in dict.fromkeys(subjects)]


async def _counts(connection: AsyncConnection, digests: Collection[bytes]) -> dict[bytes, Count]:
    query = select(_rows.subject, _rows.count, _rows.last_at).where(_rows.subject.in_(digests))
    return {row.subject: (row[1], row.last_at) for row in await connection.execute(query)}


def _count(known: Count | None, moment: float) -> int:
    """How many attempts count now."""
    if known is None or not -MOST_SKEW_SECONDS <= moment - known[1] <= FORGET_SECONDS:
        return 0
    return known[0]


def _refuse_who_waits(known: Mapping[bytes, Count], moment: float) -> None:
    left = max((_seconds_left(found, moment) for found in known.values()), default=0.0)
    if left > 0:
        raise Problem(Kind.RATE_LIMITED, "Too many failed attempts. Wait and try again.", retry_after=left)


def _seconds_left(known: Count, moment: float) -> float:
    count = _count(known, moment)
    if count < FREE_ATTEMPTS:
        return 0.0
    wait: float = min(FIRST_WAIT_SECONDS * 2 ** min(count - FREE_ATTEMPTS, 20), LONGEST_WAIT_SECONDS)
    return min(known[1] + wait - moment, wait)
