"""Acts on many rows let everything else run after each row, as soon as their slice of the event loop is used up."""

import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bench import large_catalogue
from modelyard.control.catalogue import bulk_routes, importing, routes, whole
from modelyard.control.snapshot import pace
from modelyard.control.snapshot.pace import Pace
from tests.operations.large import authorised, served

ROWS = 250


class Counted(Pace):
    """Tells how often it rested. Publishing has a pace of its own, which does not count."""

    __slots__ = ()
    rests = 0

    async def rest(self) -> None:
        Counted.rests += 1
        await super().rest()


@pytest.fixture
async def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[aiohttp.ClientSession]:
    monkeypatch.setattr(pace, "SLICE_SECONDS", 0.0)
    for room in (bulk_routes, importing, routes, whole):
        monkeypatch.setattr(room, "Pace", Counted)
    large = large_catalogue.made(scale=ROWS / large_catalogue.MODELS)
    async with served(tmp_path, large) as url, aiohttp.ClientSession(url, headers=authorised()) as opened:
        yield opened


async def rests_of(session: aiohttp.ClientSession, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """How often the loop was given back for one request, and its answer."""
    before = Counted.rests
    sent = None if body is None else io.BytesIO(json.dumps(body).encode())
    async with session.request(method, f"/api/v1/models{path}", data=sent) as answer:
        assert answer.status == 200, await answer.text()
        told = await answer.json()
    return Counted.rests - before, told


async def test_each_row_of_a_large_act_gives_the_loop_back(session: aiohttp.ClientSession) -> None:
    _, rows = await rests_of(session, "GET", "/export")
    names = [row["id"] for row in rows]
    assert len(names) > 0.9 * ROWS
    rests, told = await rests_of(session, "POST", "/bulk", {"ids": names, "action": "hide"})
    assert {item["status"] for item in told["results"]} == {"updated"} and rests >= len(names)

    rows = [{**row, "name": f"{row['name']} too"} for row in rows]
    rests, told = await rests_of(session, "POST", "/import", {"models": rows})
    assert [(item["place"], item["id"], item["status"], item["detail"]) for item in told["results"]] == [
        (place, name, "updated", None) for place, name in enumerate(names)
    ]
    assert told["status"] is True and rests >= len(names)

    rests, deleted = await rests_of(session, "DELETE", "/delete/all?confirm=true")
    assert deleted["deleted"] == ROWS and rests >= ROWS
    rests, told = await rests_of(session, "POST", "/model/restore", {"batch_id": deleted["batch_id"]})
    assert told["status"] is True and set(names) <= {row["id"] for row in told["items"]}
    assert len(told["items"]) == ROWS and rests >= 2 * ROWS, "once to put it back, once to tell it"

    rests, told = await rests_of(session, "POST", "/sync", {"models": rows})
    assert [row["id"] for row in told] == sorted(names) and rests >= 2 * len(names)
