"""How often may be guessed before guessing is slowed down: counted in the database, by all who share it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from sqlalchemy import Double, literal, select, text, update

from modelyard.control.people import passwords, signing, throttle
from modelyard.control.people.service import create_user
from modelyard.control.people.signing import Visit, sign_in
from modelyard.control.people.throttle import (
    FADE_SECONDS,
    FORGET_SECONDS,
    FREE_ATTEMPTS,
    WAITS,
    account,
    address,
    attempt,
    setting_up,
    signing_up,
    succeeded,
    trim,
)
from modelyard.control.transaction import SYSTEM, Changes, begin_chain, unserved
from modelyard.core.errors import Kind, Problem
from modelyard.core.seal import Seal
from modelyard.db import migrate
from modelyard.db.engine import Database, parse_url, sqlite_url
from modelyard.db.schema import sign_in_attempts
from tests.postgres import Postgres, run_postgres

SEAL = Seal("a secret key of the tests")
WHO = account("somebody@example.com")
WHERE = address("192.0.2.1")
LATER = 60  # seconds that a test waits for what must come


@pytest.fixture(scope="module")
def cluster() -> Iterator[Postgres]:
    with run_postgres() as running:
        yield running


async def opened(url: str, tmp_path: Path) -> AsyncIterator[list[Database]]:
    databases = [Database(parse_url(url) if url else sqlite_url(tmp_path / "modelyard.db")) for _ in range(4)]
    await migrate.upgrade(databases[0], migrate.MAIN, None)
    yield databases
    for database in databases:
        await database.close()


@pytest.fixture(params=["sqlite", "postgres"])
async def workers(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[list[Database]]:
    """One database as several processes open it, each with connections of its own."""
    url = request.getfixturevalue("cluster").new_database() if request.param == "postgres" else ""
    async for databases in opened(url, tmp_path):
        yield databases


@pytest.fixture
async def hosts(cluster: Postgres, tmp_path: Path) -> AsyncIterator[list[Database]]:
    """The same, on PostgreSQL alone: where there are locks of rows, and clocks of several hosts."""
    async for databases in opened(cluster.new_database(), tmp_path):
        yield databases


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time as the database tells it."""
    moment = [1_800_000_000.25]
    monkeypatch.setattr(throttle, "_now", lambda database: literal(moment[0], Double))
    return moment


async def comes_through(database: Database, *subjects: str) -> bool:
    try:
        async with attempt(database, SEAL, *(subjects or (WHO,))):
            return True
    except Problem as problem:
        if problem.kind is not Kind.RATE_LIMITED:
            raise
        return False


async def seconds_left(database: Database, *subjects: str) -> float:
    with pytest.raises(Problem) as refused:
        async with attempt(database, SEAL, *(subjects or (WHO,))):
            pass
    assert refused.value.kind is Kind.RATE_LIMITED
    return refused.value.retry_after or 0.0


async def rows(database: Database) -> dict[bytes, tuple[float, float]]:
    async with database.read() as connection:
        return {row[0]: (row[1], row[2]) for row in await connection.execute(select(sign_in_attempts))}


async def count_of(database: Database, subject: str) -> float | None:
    return (await rows(database)).get(SEAL.digest(f"attempt {subject}"), (None, 0))[0]


async def put(database: Database, subject: str, **values: object) -> None:
    mine = sign_in_attempts.c.subject == SEAL.digest(f"attempt {subject}")
    async with database.write() as connection:
        assert (await connection.execute(update(sign_in_attempts).where(mine).values(**values))).rowcount == 1


# What is counted


async def test_many_at_once_over_all_workers_are_as_many_as_one_after_the_other(
    workers: list[Database], clock: list[float]
) -> None:
    tries = [comes_through(database, WHO, f"10.0.0.{n}") for n in range(10) for database in workers]
    assert sum(await asyncio.gather(*tries)) == FREE_ATTEMPTS


async def test_one_comes_through_when_the_wait_of_many_is_over(workers: list[Database]) -> None:
    """By the database's own clock: who waited for a row must not look at it with the time from before."""
    assert await comes_through(workers[0])
    for _ in range(5):
        await put(workers[0], WHO, count=20.0, last_at=sign_in_attempts.c.last_at - WAITS[-1] - 1)
        tries = [comes_through(database) for _ in range(10) for database in workers]
        assert sum(await asyncio.gather(*tries)) == 1


async def test_each_subject_has_exactly_its_attempts_in_whatever_order_they_are_named(
    workers: list[Database], clock: list[float]
) -> None:
    orders = [("a", "b"), ("b", "a"), ("b", "c"), ("c", "a")] * 3
    tries = [comes_through(database, *order) for order in orders for database in workers]
    async with asyncio.timeout(LATER):
        through = sum(await asyncio.gather(*tries))
    counts = sorted(count for count, _ in (await rows(workers[0])).values())
    assert len(counts) == 3
    assert sum(counts) == 2 * through, "each that came through is counted once for both, and no other"
    assert counts[1:] == [FREE_ATTEMPTS] * 2, "of no two could there be one more"
    assert counts[0] <= FREE_ATTEMPTS


async def test_a_refused_attempt_makes_nobody_wait_longer(workers: list[Database], clock: list[float]) -> None:
    """Neither whom it names nor the address that it comes from."""
    database = workers[0]
    for _ in range(FREE_ATTEMPTS):
        assert await comes_through(database)
    before = await rows(database)
    for number in range(20):
        assert not await comes_through(database, WHO, f"10.0.0.{number}")
    assert await rows(database) == before
    clock[0] += WAITS[0]
    assert await comes_through(database)


async def test_waits_double_up_to_the_longest_and_a_good_attempt_ends_them(
    workers: list[Database], clock: list[float]
) -> None:
    one, other = workers[:2]
    for _ in range(FREE_ATTEMPTS):
        assert await comes_through(one)
    waits = []
    for _ in range(20):
        [left] = {await seconds_left(database) for database in workers}
        waits.append(left)
        clock[0] += left - 0.5
        assert await seconds_left(one) == 0.5
        clock[0] += 0.5
        assert await comes_through(other)
    assert waits[:8] == list(WAITS[:8])
    assert sorted(waits) == waits, "while one waits for long, nearly as much fades as is counted"
    assert set(waits[8:]) == set(WAITS[-2:])
    await succeeded(other, SEAL, WHO, WHERE)
    assert [await comes_through(one) for _ in range(6)] == [True] * 5 + [False]


async def test_one_less_counts_as_time_goes_by(workers: list[Database], clock: list[float]) -> None:
    """So that an address of many people, where somebody slips now and then, never waits."""
    database = workers[0]
    for _ in range(50):
        assert await comes_through(database, WHERE)
        clock[0] += FADE_SECONDS
    assert await count_of(database, WHERE) == 1
    for _ in range(FREE_ATTEMPTS):
        assert await comes_through(database, WHO)
    clock[0] += 2 * FADE_SECONDS
    assert [await comes_through(database, WHO) for _ in range(3)] == [True, True, False]


async def test_who_guesses_on_is_no_faster_than_the_longest_wait(workers: list[Database], clock: list[float]) -> None:
    database, end, guesses = workers[0], clock[0] + 24 * 3600, 0
    while clock[0] < end:
        if await comes_through(database):
            guesses += 1
        else:
            clock[0] += await seconds_left(database)
    assert guesses <= 24 * 3600 / WAITS[-1] + FREE_ATTEMPTS + len(WAITS)


# Who waits for whom


async def test_one_good_sign_in_forgives_no_guesses_at_others(workers: list[Database], clock: list[float]) -> None:
    """Somebody with an account of their own tries others' in between."""
    database, mine, guesses = workers[0], account("mine@example.com"), 0
    for number in range(30):
        if await comes_through(database, mine, WHERE):
            await succeeded(database, SEAL, mine, WHERE)
        guesses += await comes_through(database, account(f"n{number}@example.com"), WHERE)
    assert guesses == FREE_ATTEMPTS
    assert await count_of(database, WHERE) == FREE_ATTEMPTS
    assert await count_of(database, mine) is None


async def test_good_sign_ins_make_nobody_wait(workers: list[Database], clock: list[float]) -> None:
    for number in range(30):
        database = workers[number % 4]
        assert await comes_through(database, account(f"n{number}@example.com"), WHERE)
        await succeeded(database, SEAL, account(f"n{number}@example.com"), WHERE)
    assert await count_of(workers[0], WHERE) == 0
    await succeeded(workers[0], SEAL, WHO, WHERE)
    assert await count_of(workers[0], WHERE) == 0, "not less than none"


async def test_nothing_that_is_typed_counts_against_an_address(workers: list[Database], clock: list[float]) -> None:
    place = "203.0.113.9"
    kinds = (address, signing_up, setting_up)
    typed = [place, *(kind(place) for kind in kinds), *(f"attempt {kind(place)}" for kind in kinds)]
    for email in typed:
        for number in range(FREE_ATTEMPTS + 1):
            await comes_through(workers[0], account(email), address(f"198.51.100.{number}"))
    for kind in kinds:
        assert await count_of(workers[0], kind(place)) is None
        assert await comes_through(workers[0], kind(place))


@pytest.mark.parametrize("kind", [address, signing_up, setting_up])
def test_an_address_of_ipv6_is_its_network(kind) -> None:
    same = {kind(place) for place in ("2001:db8:0:7::1", "2001:DB8::7:ffff:ffff:ffff:ffff", "2001:db8:0:7::%eth0")}
    assert len(same) == 1
    assert kind("2001:db8:0:8::1") not in same
    assert kind("::ffff:192.0.2.1") == kind("192.0.2.1") != kind("192.0.2.2")
    assert kind("::ffff:192.0.2.1") != kind("::1")
    assert len({kind(""), kind("unix"), kind("192.0.2.1:80")}) == 3, "what a proxy made up is taken as it is"


# What bounds it


async def test_nothing_typed_is_stored_and_what_is_forgotten_goes(workers: list[Database], clock: list[float]) -> None:
    database = workers[0]
    for number in range(20):
        assert await comes_through(database, account(f"typed-{number}"), WHERE) is (number < FREE_ATTEMPTS)
    found = await rows(database)
    assert len(found) == FREE_ATTEMPTS + 1
    assert all(len(subject) == 32 and b"typed" not in subject for subject in found)
    clock[0] += FORGET_SECONDS - 1
    assert await comes_through(database, account("later"))
    assert await trim(database) == 0
    clock[0] += 2
    assert await trim(database) == FREE_ATTEMPTS + 1
    assert list(await rows(database)) == [SEAL.digest("attempt account later")]


async def test_there_are_never_many_rows_and_the_newest_stay(
    workers: list[Database], clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "MAX_ROWS", 20)
    monkeypatch.setattr(throttle, "TRIMMED_AT_ONCE", 15)
    database = workers[0]
    for number in range(60):
        clock[0] += 1
        assert await comes_through(database, account(f"n{number}"))
    removed = []
    while not removed or removed[-1]:
        removed.append(await trim(database))
    assert removed == [15, 15, 10, 0]
    assert set(await rows(database)) == {SEAL.digest(f"attempt account n{number}") for number in range(40, 60)}


async def test_no_more_are_tried_at_once_than_there_are_places(
    workers: list[Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is refused has neither written nor read."""
    monkeypatch.setattr(throttle, "_places", asyncio.Semaphore(3))
    database = workers[0]
    async with asyncio.timeout(LATER), AsyncExitStack() as held:
        for number in range(3):
            await held.enter_async_context(attempt(database, SEAL, account(f"n{number}")))
        before = await rows(database)
        with pytest.raises(Problem) as refused:
            async with attempt(database, SEAL, WHO):
                pass
        assert (refused.value.kind, refused.value.retry_after) == (Kind.UNAVAILABLE, throttle.FULL_SECONDS)
        assert await rows(database) == before
    with pytest.raises(ZeroDivisionError):
        async with attempt(database, SEAL, WHO):
            raise ZeroDivisionError
    for _ in range(3):
        assert await comes_through(database, WHO), "every place is free again"


# Clocks


async def test_a_clock_that_is_set_back_locks_nobody_out_and_frees_nobody(
    workers: list[Database], clock: list[float]
) -> None:
    database = workers[0]
    for _ in range(FREE_ATTEMPTS):
        assert await comes_through(database)
    for back in (1.0, 7200.0, 86400.0):
        clock[0] -= back
        tries = [comes_through(worker) for worker in workers for _ in range(5)]
        assert sum(await asyncio.gather(*tries)) == 1
    assert await count_of(database, WHO) == FREE_ATTEMPTS + 3
    assert await seconds_left(database) == WAITS[3]
    assert await comes_through(database, WHERE)
    clock[0] -= FORGET_SECONDS + 1
    assert await trim(database) == 2, "what lies far ahead would be the newest for long"


@pytest.mark.parametrize("ahead", [-86400.0, -6.0, 6.0, 86400.0])
async def test_hosts_whose_clocks_differ_count_together(
    hosts: list[Database], ahead: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = hosts[:2]
    real = throttle.time.time
    for _ in range(FREE_ATTEMPTS):
        assert await comes_through(one)
    await put(one, WHO, count=8.0)
    left = await seconds_left(one)
    monkeypatch.setattr(throttle.time, "time", lambda: real() + ahead)
    assert 0 < await seconds_left(other) <= left <= WAITS[3]
    assert await comes_through(other, WHERE)
    assert await trim(other) == 0


# Locks


async def test_who_guesses_holds_up_nobody_else(hosts: list[Database]) -> None:
    """A row that somebody else's transaction holds is waited for by those alone who name its subject."""
    held, other = hosts[:2]
    assert await comes_through(other)
    async with asyncio.timeout(LATER), held.write() as connection:
        await connection.execute(update(sign_in_attempts).values(count=1.0))
        assert await comes_through(other, WHERE)
        await succeeded(other, SEAL, account("another"), WHERE)
        waiting = asyncio.create_task(comes_through(other))
        await _waits(other)
        assert await comes_through(other, account("another"))
        await connection.rollback()
        assert await waiting


async def test_what_is_removed_waits_for_no_attempt(hosts: list[Database]) -> None:
    held, other = hosts[:2]
    assert await comes_through(other)
    assert await comes_through(other, WHERE)
    old = sign_in_attempts.c.last_at - 2 * FORGET_SECONDS
    await put(other, WHO, last_at=old)
    await put(other, WHERE, last_at=old)
    async with asyncio.timeout(LATER), held.write() as connection:
        mine = sign_in_attempts.c.subject == SEAL.digest(f"attempt {WHO}")
        await connection.execute(update(sign_in_attempts).where(mine).values(count=2.0))
        assert await trim(other) == 1
    assert await count_of(other, WHO) == 2
    assert await trim(other) == 1


async def test_a_good_sign_in_that_waits_for_guesses_holds_up_no_change(
    hosts: list[Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    held, database, other = hosts[:3]
    changes, others = (Changes(one, SEAL.chain_keys[0], unserved) for one in (database, other))
    await begin_chain(changes)
    password = "correct horse battery staple"
    async with changes.begin(SYSTEM) as change:
        made = await create_user(
            change, email="somebody@example.com", name="", role="user", password_hash=await passwords.hashed(password)
        )
    verified = passwords.verified
    async with asyncio.timeout(LATER), held.write() as connection:

        async def guessed_at_meanwhile(password_hash: str | None, given: str) -> bool:
            good = await verified(password_hash, given)
            await connection.execute(update(sign_in_attempts).values(count=2.0))
            return good

        monkeypatch.setattr(signing.passwords, "verified", guessed_at_meanwhile)
        visit = Visit(address="192.0.2.1", user_agent="", seconds=60)
        signing_in = asyncio.create_task(
            sign_in(changes, SEAL, email="somebody@example.com", password=password, visit=visit)
        )
        await _waits(other)
        async with others.begin(SYSTEM) as change:
            await change.audit("settings.updated", "anything")
        await connection.rollback()
        _, user = await signing_in
    assert user.id == made.id
    assert await count_of(database, WHO) is None
    assert await count_of(database, WHERE) == 0


async def _waits(database: Database) -> None:
    """Return when a transaction waits for a lock of another one."""
    while True:
        async with database.read() as connection:
            if (await connection.execute(text("SELECT 1 FROM pg_locks WHERE NOT granted"))).first() is not None:
                return
