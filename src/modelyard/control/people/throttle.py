"""Slows down guessing: after a few failures an account, or an address, waits.

What failed is counted in the main database: all workers count together, and a restart forgets nothing. Limits of calls are
shared out among the workers instead (docs/decisions/0006), because a write for each call would cost more than the call. Five
attempts cannot be shared out among eight workers without more than five getting through, and an attempt hashes a password
anyway, beside which a short write is nothing.

Strangers decide what is counted, so there are bounds on all of it: how many are tried at once, how many rows there are, and
how long a row stays. The time is the database's, which is one for all hosts.
"""

import asyncio
import ipaddress
import time
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Double,
    Executable,
    case,
    cast,
    delete,
    extract,
    func,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from modelyard.core.errors import Kind, Problem
from modelyard.core.seal import Seal
from modelyard.db.engine import Database
from modelyard.db.schema import sign_in_attempts

FREE_ATTEMPTS = 5
# Seconds after the fifth attempt, the sixth, ...; each later one waits for the last of them.
WAITS = (2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 300.0)
# One attempt less counts for each of these. An address that many people share never waits for long because of a slip now and
# then; who guesses on is not faster than by the longest wait.
FADE_SECONDS = 300.0
FORGET_SECONDS = 3600.0
# Flooding the table until a count is pushed out takes half as many hashed passwords, which is longer than any wait.
MAX_ROWS = 100_000
TRIM_SECONDS = 60.0
TRIMMED_AT_ONCE = 1000
# Of one process: those before the last one wait for a few seconds at most.
MAX_AT_ONCE = 64
FULL_SECONDS = 5.0

_rows = sign_in_attempts.c
_places = asyncio.Semaphore(MAX_AT_ONCE)


def account(email: str) -> str:
    """The subject of attempts at an account."""
    return f"account {email}"


def address(place: str) -> str:
    """The subject of attempts from an address."""
    return f"address {_network(place)}"


def signing_up(place: str) -> str:
    """The subject of accounts that are made from an address."""
    return f"sign-up {_network(place)}"


def setting_up(place: str) -> str:
    """The subject of setup links that are tried from an address."""
    return f"set-up {_network(place)}"


def _network(place: str) -> str:
    """Whoever has one address of IPv6 has the 2^64 beside it as well."""
    try:
        found = ipaddress.ip_address(place)
    except ValueError:  # a proxy says what it likes
        return place
    if found.version == 4:
        return str(found)
    return str(found.ipv4_mapped or ipaddress.IPv6Address(int(found) >> 64 << 64))


@asynccontextmanager
async def attempt(database: Database, seal: Seal, *subjects: str) -> AsyncIterator[None]:
    """Count one attempt before it is tried in the block, so that many at once count as many.

    Raises Problem RATE_LIMITED while any of the subjects has to wait, UNAVAILABLE while too many are tried at once; neither
    is counted. `succeeded` takes the attempt back.
    """
    if _places.locked():
        raise Problem(
            Kind.UNAVAILABLE, "Too many people are signing in. Try again in a few seconds.", retry_after=FULL_SECONDS
        )
    async with _places:
        await _count(database, _digests(seal, subjects))
        yield


async def succeeded(database: Database, seal: Seal, of_account: str, of_address: str) -> None:
    """It was no guess: nothing counts against the account any more, and this attempt not against the address.

    What was tried at other accounts from there still does. Comes before the change that the attempt opens: whoever holds the
    lock of all changes must not wait for those who guess.
    """
    [cleared], [lowered] = _digests(seal, [of_account]), _digests(seal, [of_address])
    less = case((_rows.count < 1, 0.0), else_=_rows.count - 1)
    steps: dict[bytes, Executable] = {
        cleared: delete(sign_in_attempts).where(_rows.subject == cleared),
        lowered: update(sign_in_attempts).where(_rows.subject == lowered).values(count=less),
    }
    async with database.write() as connection:
        for digest in sorted(steps):  # the order in which attempts lock them
            await connection.execute(steps[digest])


async def run(database: Database) -> None:
    """Remove what is forgotten, for ever."""
    while True:
        if not await trim(database):
            await asyncio.sleep(TRIM_SECONDS)


async def trim(database: Database) -> int:
    """Remove some of what nobody waits for any more, or is beyond MAX_ROWS: the oldest. The number removed."""
    moment = _now(database)
    beyond = select(_rows.last_at).order_by(_rows.last_at.desc()).offset(MAX_ROWS).limit(1)
    async with database.read() as connection:
        last = (await connection.execute(beyond)).scalar()
    # What lies ahead was written before the clock was set back.
    over = or_(_rows.last_at < moment - FORGET_SECONDS, _rows.last_at > moment + FORGET_SECONDS)
    if last is not None:
        over = or_(over, _rows.last_at <= last)
    some = select(_rows.subject).where(over).order_by(_rows.last_at).limit(TRIMMED_AT_ONCE)
    async with database.read() as connection:
        if (await connection.execute(some.limit(1))).first() is None:
            return 0
    # What an attempt holds is not old any more. Waiting for it could be waiting for one who waits for us.
    some = some.with_for_update(skip_locked=True)
    async with database.write() as connection:
        return (await connection.execute(delete(sign_in_attempts).where(_rows.subject.in_(some)))).rowcount


async def _count(database: Database, digests: Sequence[bytes]) -> None:
    async with database.read() as connection:  # most attempts of somebody who guesses end here, without a write
        left = await _seconds_left(database, connection, digests)
    if left > 0:
        raise _refused(left)
    async with database.write() as connection:
        counted = set((await connection.execute(_counted_once_more(database, digests))).scalars())
        if len(counted) < len(digests):  # those at the same time were faster: count none of them
            raise _refused(await _seconds_left(database, connection, set(digests) - counted))


def _counted_once_more(database: Database, digests: Sequence[bytes]) -> Any:
    """One statement that decides and counts. It answers with the subjects that did not have to wait."""
    insert = sqlite.insert if database.is_sqlite else postgresql.insert
    moment = _now(database)
    faded = _rows.count - (moment - _rows.last_at) / FADE_SECONDS
    # Nothing fades while a clock that was set back catches up.
    still = case((faded < 0, 0.0), (faded > _rows.count, _rows.count), else_=faded)
    statement = insert(sign_in_attempts).values(
        [{"subject": digest, "count": 1.0, "last_at": moment} for digest in digests]
    )
    return statement.on_conflict_do_update(
        index_elements=["subject"],
        set_={"count": still + 1, "last_at": moment},
        where=_left(moment) <= 0,
    ).returning(_rows.subject)


async def _seconds_left(database: Database, connection: AsyncConnection, digests: Collection[bytes]) -> float:
    """How long the one that waits longest still has to."""
    query = select(func.max(_left(_now(database)))).where(_rows.subject.in_(digests))
    return (await connection.execute(query)).scalar() or 0.0


def _left(moment: ColumnElement[float]) -> ColumnElement[float]:
    """Seconds until the subject of a row may try again. Below zero it may.

    It does not wait for an attempt that lies ahead, from before the clock was set back: one comes through, and counts.
    """
    steps = [(_rows.count <= FREE_ATTEMPTS - 1 + number, wait) for number, wait in enumerate((0.0, *WAITS[:-1]))]
    return case((_rows.last_at > moment, 0.0), else_=_rows.last_at + case(*steps, else_=WAITS[-1]) - moment)


def _now(database: Database) -> ColumnElement[float]:
    """Unix seconds. On PostgreSQL the moment at which a row is looked at, after its lock was waited for."""
    if database.is_sqlite:  # a file of this host, and the statement follows when nobody else writes
        return literal(time.time(), Double)
    return cast(extract("epoch", func.clock_timestamp()), Double)


def _digests(seal: Seal, subjects: Sequence[str]) -> list[bytes]:
    """What is stored of the subjects: people type passwords where their address belongs.

    In one order for all, so that no two attempts wait for each other.
    """
    return sorted({seal.digest(f"attempt {subject}") for subject in subjects})


def _refused(left: float) -> Problem:
    return Problem(Kind.RATE_LIMITED, "Too many failed attempts. Wait and try again.", retry_after=max(left, 0.0))
