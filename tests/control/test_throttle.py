"""How often may be guessed before guessing is slowed down: counted in the database, by all who share it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from modelyard.control.people import throttle
from modelyard.control.people.throttle import (
    FIRST_WAIT_SECONDS,
    FORGET_SECONDS,
    FREE_ATTEMPTS,
    LONGEST_WAIT_SECONDS,
    attempt,
    succeeded,
)
from modelyard.core.errors import Kind, Problem
from modelyard.core.seal import Seal
from modelyard.db import migrate
from modelyard.db.engine import Database, parse_url, sqlite_url
from modelyard.db.schema import sign_in_attempts
from tests.postgres import Postgres, run_postgres

SEAL = Seal("a secret key of the tests")
WHO = "somebody@example.com"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Postgres]:
    with run_postgres() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgres"])
async def workers(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[list[Database]]:
    """One database as several processes open it, each with connections of its own."""
    if request.param == "sqlite":
        url = sqlite_url(tmp_path / "modelyard.db")
    else:
        url = parse_url(request.getfixturevalue("cluster").new_database())
    opened = [Database(url) for _ in range(4)]
    await migrate.upgrade(opened[0], migrate.MAIN, None)
    yield opened
    for database in opened:
        await database.close()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time as the throttle sees it."""
    moment = [1_800_000_000.25]
    monkeypatch.setattr(throttle.time, "time", lambda: moment[0])
    return moment


async def comes_through(database: Database, *subjects: str) -> bool:
    try:
        await attempt(database, SEAL, *(subjects or (WHO,)))
    except Problem as problem:
        if problem.kind is not Kind.RATE_LIMITED:
            raise
        return False
    return True


async def rows(database: Database) -> list[tuple[bytes, int, float]]:
    async with database.read() as connection:
        return [tuple(row) for row in await connection.execute(select(sign_in_attempts))]


async def test_many_at_once_over_all_workers_are_as_many_as_one_after_the_other(
    workers: list[Database], clock: list[float]
) -> None:
    tries = [comes_through(database, WHO, f"10.0.0.{n}") for n in range(10) for database in workers]
    assert sum(await asyncio.gather(*tries)) == FREE_ATTEMPTS


async def test_what_is_tried_in_another_order_waits_for_nobody(workers: list[Database], clock: list[float]) -> None:
    orders = [("a", "b"), ("b", "a"), ("b", "c"), ("c", "a")] * 5
    tries = [comes_through(database, *order) for order in orders for database in workers]
    async with asyncio.timeout(30):
        assert FREE_ATTEMPTS <= sum(await asyncio.gather(*tries)) <= 2 * FREE_ATTEMPTS


async def test_waits_double_up_to_the_longest_and_a_good_attempt_ends_them(
    workers: list[Database], clock: list[float]
) -> None:
    one, other = workers[:2]
    for _ in range(FREE_ATTEMPTS):
        assert await comes_through(one)
    for number in range(12):
        for database in workers:
            with pytest.raises(Problem) as refused:
                await attempt(database, SEAL, WHO)
            assert refused.value.retry_after == min(FIRST_WAIT_SECONDS * 2**number, LONGEST_WAIT_SECONDS)
        clock[0] += refused.value.retry_after or 0
        assert await comes_through(other)
    async with other.write() as connection:
        await succeeded(connection, SEAL, WHO)
    assert [await comes_through(one) for _ in range(6)] == [True] * 5 + [False]


async def test_a_refused_attempt_makes_nobody_wait_longer(workers: list[Database], clock: list[float]) -> None:
    """Neither whom it names nor the address that it comes from."""
    database = workers[0]
    for _ in range(FREE_ATTEMPTS):
        assert await comes_through(database)
    before = await rows(database)
    for number in range(20):
        assert not await comes_through(database, WHO, f"10.0.0.{number}")
    assert await rows(database) == before
    clock[0] += FIRST_WAIT_SECONDS
    assert await comes_through(database)


async def test_nothing_typed_is_stored_and_old_rows_go(workers: list[Database], clock: list[float]) -> None:
    database = workers[0]
    for number in range(20):
        assert await comes_through(database, f"typed-{number}", "10.0.0.1") is (number < FREE_ATTEMPTS)
    found = await rows(database)
    assert len(found) == FREE_ATTEMPTS + 1
    assert all(len(subject) == 32 and b"typed" not in subject for subject, _, _ in found)
    clock[0] += FORGET_SECONDS + 1
    assert await comes_through(database, "later")
    assert len(await rows(database)) == 1


async def test_a_clock_that_is_set_back_locks_nobody_out(workers: list[Database], clock: list[float]) -> None:
    database = workers[0]
    for _ in range(FREE_ATTEMPTS):
        assert await comes_through(database)
    clock[0] -= 3.0  # the clock of another host
    with pytest.raises(Problem) as refused:
        await attempt(database, SEAL, WHO)
    assert refused.value.retry_after == FIRST_WAIT_SECONDS
    clock[0] -= 7200.0
    assert await comes_through(database)
