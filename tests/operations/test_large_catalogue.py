"""Lists of a catalogue of 10,000 models with 50,000 grants: one statement each, by the right indexes, and exact."""

from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import event

from bench import large_catalogue
from bench.large_catalogue import Large
from modelyard.canonical.records import Declared
from modelyard.canonical.snapshot import Principal, Published
from modelyard.control.catalogue import listing, reading, whole
from modelyard.control.catalogue.listing_query import Wanted
from modelyard.db import migrate
from modelyard.db.engine import Database, parse_url, sqlite_url

WANTED = [
    Wanted(query=query, tag=tag, view=view, order_by=order_by, descending=descending, offset=offset)
    for query, tag, view, order_by, descending, offset in (
        ("", "", "", "created_at", True, 0),
        ("", "", "", "name", False, 1200),
        ("AMBER", "coding", "", "name", False, 0),
        ("größe", "翻译", "", "updated_at", True, 30),
        ("МОДЕЛЬ", "ÜBERSETZUNG", "shared", "created_at", False, 0),
        ("user-7@", "", "", "name", True, 0),
        ("", "team-3", "created", "updated_at", False, 0),
        ("nowhere to be found", "", "", "created_at", True, 0),
        ("e", "", "", "created_at", True, 9_000),
    )
]

OF_A_CALLER = "COVERING INDEX ix_grants_principal_resource (principal_type=? AND principal_id=? AND resource_type=?)"


@pytest.fixture(scope="module")
def large() -> Large:
    return large_catalogue.made()


@pytest.fixture(params=["sqlite", "postgres"])
async def database(large: Large, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    if request.param == "sqlite":
        opened = Database(sqlite_url(tmp_path / "main.db"))
    else:
        opened = Database(parse_url(request.getfixturevalue("postgres").new_database()))
    try:
        await migrate.upgrade(opened, migrate.MAIN, tmp_path / "backups")
        await large_catalogue.write(opened, large)
        yield opened
    finally:
        await opened.close()


def context_of(database: Database, principal: Principal) -> Any:
    control = SimpleNamespace(database=database, declared=Declared(), published=Published())
    return SimpleNamespace(control=control, principal=principal)


def ordinary(large: Large, number: int) -> Principal:
    user = large.users[number]
    return Principal(
        user_id=user["id"], name=user["name"], email=user["email"], role="user", group_ids=large.group_ids[user["id"]]
    )


def expected(large: Large, principal: Principal, wanted: Wanted) -> list[str]:
    """The ids of the whole list, found the plain way."""
    open_to_them = {
        grant["resource_id"]
        for grant in large.grants
        if (grant["principal_type"] == "user" and grant["principal_id"] in ("*", principal.user_id))
        or (grant["principal_type"] == "group" and grant["principal_id"] in principal.group_ids)
    }
    tagged = {tag["model_id"] for tag in large.tags if tag["tag"] == wanted.tag.casefold()}
    owners = {user["id"]: f"{user['name']}\n{user['email']}".casefold() for user in large.users}
    found = [
        row
        for row in large.models
        if row["base_model_id"] is not None
        and (principal.sees_all or row["user_id"] == principal.user_id or row["id"] in open_to_them)
        and (not wanted.tag or row["id"] in tagged)
        and any(wanted.query.casefold() in text for text in (row["search_text"], owners[row["user_id"]]))
        and (not wanted.view or (row["user_id"] == principal.user_id) == (wanted.view == "created"))
    ]
    key = {"name": "sort_name"}.get(wanted.order_by, wanted.order_by)
    found.sort(key=lambda row: row["id"])
    found.sort(key=lambda row: row[key], reverse=wanted.descending)
    return [row["id"] for row in found]


async def test_lists_are_exact_and_one_statement_each(database, large):
    statements: list[tuple[str, Any]] = []
    event.listen(
        database.engine.sync_engine, "before_cursor_execute", lambda *told: statements.append((told[2], told[3]))
    )
    administrator = Principal(user_id="root", name="", email="", role="admin", sees_all=True)
    for principal in (ordinary(large, 7), ordinary(large, 500), administrator):
        assert principal.sees_all or len(principal.group_ids) == 5
        for wanted in WANTED:
            del statements[:]
            page = await listing.page(context_of(database, principal), wanted)
            assert len([sql for sql, _ in statements if not sql.startswith("BEGIN")]) == 1
            ids = expected(large, principal, wanted)
            assert page.total == len(ids), wanted
            assert [item.id for item in page.items] == ids[wanted.offset :][: wanted.limit], wanted
            if database.is_sqlite:
                await _reads_no_table_of_grants(database, *statements[-1])


async def _reads_no_table_of_grants(database: Database, sql: str, parameters: Any) -> None:
    """The caller's grants by principal, from the index alone; those of a page by model; never all that there are."""
    async with database.read() as connection:
        plan = [row[3] for row in (await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", parameters)).all()]
    on_grants = [step for step in plan if " grants " in step]
    assert on_grants
    for step in on_grants:
        assert OF_A_CALLER in step or "(resource_type=? AND resource_id=?)" in step, step


async def test_tags_and_the_whole_catalogue_are_exact(database, large):
    user = ordinary(large, 7)
    mine = set(expected(large, user, Wanted()))
    told = await reading.tags(context_of(database, user))
    assert told == sorted({tag["name"] for tag in large.tags if tag["model_id"] in mine})
    administrator = Principal(user_id="root", name="", email="", role="admin", sees_all=True)
    ids = []
    async for piece in whole.everything(context_of(database, administrator)):
        assert len(piece) < 2 * whole.CHUNK_BYTES, "sent as it is read, not kept"
        ids.append(piece.count(b'"write_access":true'))
    assert sum(ids) == len(large.models)
