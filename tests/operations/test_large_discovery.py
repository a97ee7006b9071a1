"""`GET /api/models` of a catalogue of 10,000 models, asked by many people with different rights: bounded, and still right."""

from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bench import large_catalogue
from bench.large_catalogue import Large
from modelyard.api import catalogue, lists
from modelyard.api.lists import Lists
from tests.operations.large import authorised, served

BOUND = 64 * 1024 * 1024
PEOPLE = 160


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Lists]:
    """What the app answers `GET /api/models` from, once it is there."""
    found: list[Lists] = []

    class Seen(Lists):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            found.append(self)

    monkeypatch.setattr(catalogue, "Lists", Seen)
    return found


def of(person: dict[str, Any], large: Large) -> set[str]:
    """The models that a person sees, found the plain way."""
    named = {("user", "*"), ("user", person["id"]), *(("group", name) for name in large.group_ids[person["id"]])}
    granted = {
        grant["resource_id"] for grant in large.grants if (grant["principal_type"], grant["principal_id"]) in named
    }
    return {
        row["id"]
        for row in large.models
        if row["is_active"]
        and row["base_model_id"] is not None  # no backend offers a base model here
        and (row["user_id"] == person["id"] or row["id"] in granted)
    }


async def test_lists_for_many_people_stay_within_their_bound_and_are_right(tmp_path: Path, made: list[Lists]) -> None:
    large = large_catalogue.made()
    async with served(tmp_path, large) as url, aiohttp.ClientSession(url) as session:
        [kept] = made

        async def key_of(person: dict[str, Any]) -> str:
            body = {"name": "k", "user_id": person["id"]}
            async with session.post("/api/v1/keys", json=body, headers=authorised()) as answer:
                assert answer.status == 200, await answer.text()
                return str((await answer.json())["key"])

        async def listed(key: str) -> tuple[int, list[str]]:
            async with session.get("/api/models", headers=authorised(key)) as answer:
                assert answer.status == 200
                body = await answer.read()
                told = await answer.json()
            assert kept.size <= BOUND
            return len(body), [entry["id"] for entry in told["data"]]

        people = [(person, await key_of(person)) for person in large.users[:PEOPLE]]
        told = 0
        for person, key in people:
            size, names = await listed(key)
            told += size
            assert len(names) == len(set(names)) and set(names) == of(person, large)
        assert told > BOUND, "all of them together could not be kept"
        assert kept.size > lists.LIST_BYTES, "and much of it was"

        # A model goes: from the lists that are still kept as from those that have to be made again.
        gone = min(of(people[0][0], large) & of(people[-1][0], large))
        body = {"ids": [gone], "action": "disable"}
        async with session.post("/api/v1/models/bulk", json=body, headers=authorised()) as answer:
            assert answer.status == 200
        for person, key in (people[0], people[1], people[-2], people[-1]):
            _, names = await listed(key)
            assert set(names) == of(person, large) - {gone}
