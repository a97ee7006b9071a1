"""What each version changed, told beside it: the same as comparing whole versions, and nobody waits for it."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import insert

from modelyard.control.snapshot.pace import Pace
from modelyard.control.versions import outline as outlined
from modelyard.control.versions import service
from modelyard.db import migrate
from modelyard.db.engine import Database, sqlite_url
from modelyard.db.schema import versions

NAMES = st.sampled_from(["a", "b", "ä", 'say "hi"', "{", "x.y", "", ', "', '\\\\", "a'])
LEAVES = st.sampled_from(
    [None, True, False, 0, 1, -(2**63), 2**64 - 1, 1.0, 0.0, -0.5, 1e300, "", "1", "null", "ä", ', "', "}"]
)
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4))
STATES = st.dictionaries(NAMES, VALUES, max_size=5)


@pytest.mark.parametrize("piece", [5, 30, outlined._PIECE])
def test_an_outline_holds_the_paths_of_the_difference(monkeypatch: pytest.MonkeyPatch, piece: int) -> None:
    monkeypatch.setattr(outlined, "_PIECE", piece)  # as if the states were so large

    @given(old=STATES, new=STATES)
    @settings(max_examples=100, deadline=None)
    def check(old: dict[str, Any], new: dict[str, Any]) -> None:
        told = runner.run(outlined.outline(json.dumps(old), json.dumps(new), Pace()))
        assert told == list(service.compared(old, new))[: outlined.MAX_TOLD]

    with asyncio.Runner() as runner:
        check()


class Turns:
    """The processor time of the longest turn of the event loop: what others had to wait, however busy the machine is."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._last = time.thread_time()
        self._next = asyncio.get_running_loop().call_later(0.001, self._turn)

    def _turn(self) -> None:
        moment = time.thread_time()
        self.longest, self._last = max(self.longest, moment - self._last), moment
        self._next = asyncio.get_running_loop().call_later(0.001, self._turn)

    def end(self) -> None:
        self._turn()
        self._next.cancel()


@asynccontextmanager
async def kept(file: Path, states: list[dict[str, Any]]) -> AsyncIterator[Database]:
    """A database with these versions of one object, each made from the one before."""
    database = Database(sqlite_url(file))
    try:
        await migrate.upgrade(database, migrate.MAIN, None)
        common = {"entity_type": "model", "entity_id": "m", "user_id": "u", "message": None, "created_at": 1}
        async with database.write() as connection:
            for number, state in enumerate(states, 1):
                row = {"id": str(number), "parent_id": str(number - 1) if number > 1 else None, "position": number}
                await connection.execute(insert(versions).values(**common, **row, content=state))
        yield database
    finally:
        await database.close()


def dense(size: int, last: int) -> dict[str, int]:
    """An object of about so many bytes with as many members as there can be; the last one is told."""
    return {**{f"{number:05x}": 1 for number in range(size // 10)}, "last": last}


async def test_the_largest_versions_of_a_page_do_not_hold_the_event_loop(tmp_path: Path) -> None:
    params, meta = dense(250 * 1024, 0), dense(500 * 1024, 0)
    states = [{"params": params, "meta": {**meta, "last": number}} for number in range(21)]
    async with kept(tmp_path / "yard.db", states) as database, database.read() as connection:
        rows = await service.page(connection, "model", "m", 1)
        turns = Turns()
        told = await service.changed(connection, "model", "m", rows)
        turns.end()
    assert told == {row["id"]: ["meta.last"] for row in rows}
    # Some 8 ms of a free core; decoding a single version would take more than 20, comparing them all some 700.
    assert turns.longest < 0.05, turns.longest
