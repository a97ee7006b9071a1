"""Publishing patch by patch: what is served is what a server that starts now would serve, and nothing holds the loop."""

import asyncio
import random
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, event, insert, select, text, true, update
from sqlalchemy.exc import DBAPIError

from modelyard.canonical.records import (
    FILE,
    ConnectionRow,
    CredentialRow,
    Declared,
    GrantRow,
    GroupRow,
    ModelRow,
    Offer,
    UserRow,
)
from modelyard.canonical.snapshot import EMPTY, Published, Snapshot
from modelyard.control.connections import queries as connections
from modelyard.control.groups import service as groups
from modelyard.control.settings.table import INITIAL, PERMISSIONS
from modelyard.control.snapshot import pace, publisher
from modelyard.control.snapshot.pace import Pace
from modelyard.control.snapshot.patching import Rules, lay
from modelyard.control.snapshot.picture import Picture
from modelyard.control.snapshot.publisher import Publisher
from modelyard.control.snapshot.queries import read_facts
from modelyard.control.transaction import SYSTEM, Change, Changes
from modelyard.core.clock import now
from modelyard.core.seal import Seal
from modelyard.db import schema as tables
from modelyard.db.engine import Database, parse_url, sqlite_url
from tests.postgres import run_postgres

MANY_VERSIONS = publisher.KEPT_PUBLICATIONS + publisher.CUT_PUBLICATIONS
SEAL = Seal("a-secret-key-of-the-tests-0123456789abcdef")
LATER = 4_000_000_000
DECLARED = Declared(
    users=[UserRow(id="file-u", email="file@x", name="F", group_ids=frozenset({"file-g"}), source=FILE)],
    groups=[GroupRow(id="file-g", name="F", permissions={"workspace.models": True}, source=FILE)],
    credentials=[CredentialRow(id="file-k", user_id="file-u", digest=b"file", source=FILE)],
    connections=[ConnectionRow(id="file-c", name="f", kind="openai", flavour="openai", base_url="http://f/v1", source=FILE)],
    models=[
        ModelRow(id="p4", user_id="file-u", name="P4", base_model_id="a", source=FILE),
        ModelRow(id="e", user_id=None, name="E", source=FILE),
        ModelRow(id="p3", user_id=None, name="P3", base_model_id="b", source=FILE),
    ],
    grants=[GrantRow(resource_type="model", resource_id="e", principal_type="user", principal_id="*", permission="read")],
)  # fmt: skip
RULES = Rules(declared=DECLARED, initial_settings=INITIAL, preset_wins=False, bypass_admin=False)


class Watched(Published):
    """Keeps every snapshot that was ever in force."""

    def __init__(self) -> None:
        self.all: list[Snapshot] = []

    @property
    def snapshot(self) -> Snapshot:
        return self.all[-1] if self.all else EMPTY

    @snapshot.setter
    def snapshot(self, snapshot: Snapshot) -> None:
        self.all.append(snapshot)


class World:
    """A database and the publisher of one process."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.published = Watched()
        self.publisher, self.changes = self.process(self.published)
        self.offers: dict[str, Offer] = {}

    def process(self, published: Published) -> tuple[Publisher, Changes]:
        made = Publisher(
            self.database, SEAL, DECLARED, published,
            default_model=None, fallback_model=None, open_catalogue=False, preset_wins=False, bypass_admin=False,
            initial_settings=INITIAL, connections_changed=lambda: None,
        )  # fmt: skip
        return made, Changes(self.database, SEAL.chain_keys[0], made.refresh)

    @property
    def snapshot(self) -> Snapshot:
        return self.published.snapshot

    async def offer(self, connection_id: str, *names: str) -> None:
        self.offers = {**self.offers, connection_id: Offer(models=[{"id": name} for name in names])}
        await self.publisher.offer(self.offers)

    async def put_models(self, *rows: dict[str, Any]) -> None:
        async with self.changes.begin(SYSTEM) as change:
            for row in rows:
                await upsert(change, tables.models, model(**row))
                change.publish("model", row["id"])

    async def anew(self) -> Picture:
        """What a process that starts now compiles."""
        facts = await read_facts(self.database, SEAL, now(), None, Pace())
        assert facts is not None
        return await lay(Picture(), facts, self.offers, RULES, Pace())

    async def check(self) -> None:
        fresh, served = await self.anew(), self.snapshot
        assert served.version == fresh.version
        assert served.settings == fresh.settings
        assert served.credentials == fresh.by_digest
        assert list(served.models.items()) == list(fresh.models.items()), "in the same order, too"
        assert list(served.connections.items()) == [
            (key, one.connection) for key, one in fresh.offered.connections.items()
        ]
        assert self.publisher.base_models == fresh.offered.models
        assert self.publisher.rows_of_models == fresh.rows
        assert self.publisher.user_ids == fresh.users.keys()
        assert self.publisher.connections == fresh.connections


def model(**fields: Any) -> dict[str, Any]:
    given = {"user_id": "u0", "name": "N", "base_model_id": None, "params": {}, "meta": {}, "is_active": True}
    return {**given, "created_at": 1, "updated_at": 1, **fields}


async def upsert(change: Change, table: Any, row: dict[str, Any]) -> None:
    await change.connection.execute(delete(table).where(table.c.id == row["id"]))
    await change.connection.execute(insert(table).values(**row))


@pytest.fixture(scope="module")
def empty_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with every table; tests copy it."""
    path = tmp_path_factory.mktemp("empty") / "yard.db"

    async def make() -> None:
        database = Database(sqlite_url(path))
        await prepare(database)
        await database.close()

    asyncio.run(make())
    return path


async def prepare(database: Database) -> None:
    async with database.engine.begin() as connection:
        await connection.run_sync(tables.metadata.create_all)
        await connection.execute(insert(tables.publication).values(id=1, version=1))
        await connection.execute(insert(tables.audit_head).values(id=1, position=0))


@asynccontextmanager
async def opened(empty_file: Path, folder: Path) -> AsyncIterator[World]:
    shutil.copy(empty_file, folder / "yard.db")
    database = Database(sqlite_url(folder / "yard.db"))
    try:
        world = World(database)
        await world.publisher.refresh()
        yield world
    finally:
        await database.close()


@pytest.fixture
async def world(empty_file: Path, tmp_path: Path) -> AsyncIterator[World]:
    async with opened(empty_file, tmp_path) as made:
        yield made


# --- any change, in any order ---------------------------------------------------------------------------------------

BASES = ("a", "a:latest", "b", "e", "n.a")
ROWS = (*BASES, "p0", "p1", "p2", "p3", "p4")
USERS = ("u0", "u1", "u2", "file-u")
GROUPS = ("g0", "g1", "g2")


class Anybody:
    """Makes random changes as routes make them: some rows, and what was touched."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.dice = random.Random(seed)
        self.made = 0

    async def settle(self) -> None:
        """A beginning where most changes make a difference."""
        await self.world.offer("file-c", *BASES[:4])
        async with self.world.changes.begin(SYSTEM) as change:
            for _ in range(6):
                await self.user(change)
                await self.group(change)
                await self.row(change)
            for _ in range(4):
                await self.member(change)

    async def act(self) -> None:
        if self.dice.random() < 0.1:
            await self.world.offer(
                self.dice.choice(("file-c", "c0", "c1")), *self.dice.sample(BASES, self.dice.randrange(6))
            )
            return
        async with self.world.changes.begin(SYSTEM) as change:
            for _ in range(self.dice.choice((1, 1, 1, 3))):
                await self.dice.choice(
                    (self.user, self.group, self.group, self.member, self.member, self.key, self.session, self.row,
                     self.row, self.row, self.connection, self.setting)
                )(change)  # fmt: skip

    async def user(self, change: Change) -> None:
        user_id = self.dice.choice(USERS[:3])
        users = tables.users
        if self.dice.random() < 0.15:
            await self.ungrant(change, "user", user_id)
            await change.connection.execute(delete(users).where(users.c.id == user_id))
        else:
            role = self.dice.choice(("admin", "user", "user", "pending"))
            changed = await change.connection.execute(update(users).where(users.c.id == user_id).values(role=role))
            if changed.rowcount == 0:
                row = {"id": user_id, "email": user_id, "name": user_id, "role": role, "created_at": 1, "updated_at": 1}
                await change.connection.execute(insert(users).values(**row))
        change.publish("user", user_id)

    async def group(self, change: Change) -> None:
        group_id = self.dice.choice(GROUPS)
        groups = tables.groups
        if self.dice.random() < 0.15:
            await self.ungrant(change, "group", group_id)
            await change.connection.execute(delete(groups).where(groups.c.id == group_id))
        else:
            known = (await change.connection.execute(select(groups.c.id))).scalars().all()
            values = {
                "parent_id": self.dice.choice((None, *known)),
                "permissions": {self.dice.choice(("workspace.models", "features.api_keys")): True},
            }
            changed = await change.connection.execute(update(groups).where(groups.c.id == group_id).values(**values))
            if changed.rowcount == 0:
                row = {"id": group_id, "name": group_id, "created_at": 1, "updated_at": 1, **values}
                await change.connection.execute(insert(groups).values(**row))
        change.publish("group", group_id)

    async def ungrant(self, change: Change, principal_type: str, principal_id: str) -> None:
        grants = tables.grants
        of_them = (grants.c.principal_type == principal_type) & (grants.c.principal_id == principal_id)
        await change.connection.execute(delete(grants).where(of_them))
        change.publish(f"{principal_type}_grants", principal_id)

    async def member(self, change: Change) -> None:
        pairs = select(tables.groups.c.id, tables.users.c.id).join_from(tables.groups, tables.users, true())
        found = (await change.connection.execute(pairs.order_by(tables.groups.c.id, tables.users.c.id))).all()
        if found:
            group_id, user_id = self.dice.choice(found)
            joined = tables.memberships
            one = (joined.c.group_id == group_id) & (joined.c.user_id == user_id)
            if (await change.connection.execute(delete(joined).where(one))).rowcount == 0:
                await change.connection.execute(insert(joined).values(group_id=group_id, user_id=user_id, created_at=1))
            change.publish(*self.dice.choice((("group", group_id), ("user", user_id))))

    async def key(self, change: Change) -> None:
        key_id = self.dice.choice(("k0", "k1", "k2"))
        row = {
            "id": key_id, "user_id": self.dice.choice(USERS), "name": "k", "hint": "h", "digest": key_id.encode(),
            "models": self.dice.choice((None, ["a"])), "rpm": self.dice.choice((None, 5)), "created_at": 1,
            "revoked_at": self.dice.choice((None, None, 3)), "expires_at": self.dice.choice((None, 5, LATER)),
        }  # fmt: skip
        await upsert(change, tables.api_keys, row)
        change.publish("key", key_id)

    async def session(self, change: Change) -> None:
        session_id = self.dice.choice(("s0", "s1"))
        users = (await change.connection.execute(select(tables.users.c.id).order_by(tables.users.c.id))).scalars().all()
        await change.connection.execute(delete(tables.sessions).where(tables.sessions.c.id == session_id))
        if users and self.dice.random() < 0.7:
            row = {"id": session_id, "user_id": self.dice.choice(users), "digest": session_id.encode()}
            await change.connection.execute(
                insert(tables.sessions).values(**row, created_at=1, expires_at=self.dice.choice((5, LATER, LATER)))
            )
        change.publish("session", session_id)

    async def row(self, change: Change) -> None:
        model_id = self.dice.choice(ROWS)
        await change.connection.execute(delete(tables.grants).where(tables.grants.c.resource_id == model_id))
        await change.connection.execute(delete(tables.models).where(tables.models.c.id == model_id))
        if self.dice.random() < 0.75:
            is_preset = self.dice.random() < (0.1 if model_id in BASES else 0.95)
            row = model(
                id=model_id,
                user_id=self.dice.choice(USERS),
                base_model_id=self.dice.choice((*BASES, "p0")) if is_preset else None,
                params=self.dice.choice(({}, {"temperature": 0.5}, {"system": "s"})),
                meta=self.dice.choice(({}, {"max_tokens": 7, "profile_image_url": "data:x"})),
                is_active=self.dice.random() < 0.8,
                created_at=self.dice.randrange(4),
            )
            await change.connection.execute(insert(tables.models).values(**row))
            readers = [("user", one) for one in (*USERS, "*")] + [("group", one) for one in (*GROUPS, "file-g")]
            for principal_type, principal_id in self.dice.sample(readers, self.dice.randrange(4)):
                self.made += 1
                await change.connection.execute(
                    insert(tables.grants).values(
                        id=f"x{self.made}", resource_type="model", resource_id=model_id, created_at=1,
                        principal_type=principal_type, principal_id=principal_id,
                        permission=self.dice.choice(("read", "write")) if principal_id != "*" else "read",
                    )
                )  # fmt: skip
        change.publish("model", model_id)

    async def connection(self, change: Change) -> None:
        connection_id = self.dice.choice(("c0", "c1"))
        await connections.remove(change.connection, connection_id)
        if self.dice.random() < 0.8:
            row = ConnectionRow(
                id=connection_id,
                name=connection_id,
                kind="openai",
                flavour="openai",
                base_url="http://c/v1",
                api_keys=self.dice.choice(((), ("k1", "k2"))),
                enable=self.dice.random() < 0.8,
                prefix_id=self.dice.choice((None, "n")),
                model_ids=self.dice.choice(((), ("a", "b"))),
                created_at=self.dice.randrange(3),
            )
            await connections.add(change.connection, row, SEAL)
        change.publish("connection", connection_id)

    async def setting(self, change: Change) -> None:
        stored = tables.stored_settings
        name = self.dice.choice((PERMISSIONS, "models.default"))
        values: list[Any] = [{"workspace.models": True}, {"chat.edit": False}] if name == PERMISSIONS else [["a"], []]
        await change.connection.execute(delete(stored).where(stored.c.name == name))
        if self.dice.random() < 0.7:
            await change.connection.execute(
                insert(stored).values(name=name, value=self.dice.choice(values), updated_at=1)
            )
        change.publish("settings", name)


@settings(max_examples=16, deadline=None, derandomize=True, database=None)
@given(seed=st.integers(0, 10**9))
def test_what_patches_made_is_what_a_new_process_compiles(
    empty_file: Path, tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    async def run() -> None:
        async with opened(empty_file, tmp_path_factory.mktemp("patched")) as world:
            anybody = Anybody(world, seed)
            await anybody.settle()
            for _ in range(25):
                await anybody.act()
                await world.check()

    asyncio.run(run())


@pytest.fixture(scope="module")
def postgres_url() -> Iterator[str]:
    with run_postgres() as running:
        yield running.new_database()


async def test_patches_are_true_on_postgresql_too(postgres_url: str) -> None:
    database = Database(parse_url(postgres_url))
    try:
        await prepare(database)
        world = World(database)
        await world.publisher.refresh()
        anybody = Anybody(world, 1)
        for _ in range(100):
            await anybody.act()
            await world.check()
    finally:
        await database.close()


# --- what a patch costs ---------------------------------------------------------------------------------------------


async def test_a_patch_of_one_model_reads_one_model_whatever_the_size_of_the_catalogue(world: World) -> None:
    said: list[str] = []
    event.listen(
        world.database.engine.sync_engine,
        "before_cursor_execute",
        lambda *arguments: said.append(arguments[2]),
    )
    counts = []
    for size in (3, 600):
        await world.put_models(*({"id": f"p{at}", "base_model_id": "a"} for at in range(size)))
        known = world.publisher._picture
        async with world.changes.begin(SYSTEM) as change:
            await change.connection.execute(update(tables.models).where(tables.models.c.id == "p1").values(name="new"))
            change.publish("model", "p1")
            said.clear()
        counts.append(len(said))
        facts = await read_facts(world.database, SEAL, now(), known, Pace())
        assert facts is not None
        assert (facts.models.keys(), facts.users, facts.credentials, facts.whole) == ({"p1"}, {}, {}, False)
        assert world.snapshot.models["p1"].name == "new"
    assert counts[0] == counts[1]


async def grant(change: Change, principal_type: str, principal_id: str, *model_ids: str) -> None:
    rows = [
        {
            "id": f"{principal_type} {principal_id} {model_id}", "resource_type": "model", "resource_id": model_id,
            "principal_type": principal_type, "principal_id": principal_id, "permission": "read", "created_at": 1,
        }
        for model_id in model_ids
    ]  # fmt: skip
    await change.connection.execute(insert(tables.grants), rows)


async def put_group(change: Change, group_id: str) -> None:
    row = {"id": group_id, "name": group_id, "created_at": 1, "updated_at": 1}
    await change.connection.execute(insert(tables.groups).values(**row))
    change.publish("group", group_id)


async def test_what_a_deleted_group_was_granted_goes_without_reading_a_model(world: World) -> None:
    names = [f"m{at}" for at in range(300)]
    await world.offer("file-c", "a")
    async with world.changes.begin(SYSTEM) as change:
        await put_group(change, "g0")
        await grant(change, "group", "g0", "a", *names)
        await grant(change, "user", "*", "m1")
        await grant(change, "user", "u1", "m2")
    await world.put_models({"id": "a"}, *({"id": name, "base_model_id": "a"} for name in names))
    assert all("g0" in world.snapshot.models[name].readers.group_ids for name in ("a", *names))
    known = world.publisher._picture
    async with world.changes.begin(SYSTEM) as change:
        await groups.remove(change, "g0")
    facts = await read_facts(world.database, SEAL, now(), known, Pace())
    assert facts is not None
    assert (facts.models, facts.grants, facts.whole) == ({}, {}, False)
    assert not any(one.readers.group_ids for one in world.snapshot.models.values())
    told = [world.snapshot.models[name].info or {} for name in ("m0", "m1", "m2")]
    assert [info["access_control"] for info in told] == [
        {}, None, {"read": {"group_ids": [], "user_ids": ["u1"]}, "write": {"group_ids": [], "user_ids": []}},
    ]  # fmt: skip
    await world.check()


async def test_who_comes_back_under_the_same_id_has_nothing_of_what_was_granted_before(world: World) -> None:
    """A process that sees the going and the coming at once must not take it for a group that never went."""
    await world.offer("file-c", "a")
    async with world.changes.begin(SYSTEM) as change:
        await put_group(change, "g0")
        await grant(change, "group", "g0", "p0", "p1")
    await world.put_models(*({"id": name, "base_model_id": "a"} for name in ("p0", "p1", "p2")))
    other = Published()
    second, _ = world.process(other)
    await second.offer(world.offers)
    await second.refresh()
    async with world.changes.begin(SYSTEM) as change:
        await groups.remove(change, "g0")
    async with world.changes.begin(SYSTEM) as change:
        await put_group(change, "g0")
        await grant(change, "group", "g0", "p1", "p2")
        change.publish("model", "p1")
        change.publish("model", "p2")
    await second.refresh()
    assert [sorted(other.snapshot.models[name].readers.group_ids) for name in ("p0", "p1", "p2")] == [
        [], ["g0"], ["g0"],
    ]  # fmt: skip
    await world.check()


async def test_compiling_everything_gives_the_loop_back_after_each_slice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.put_models(*({"id": f"p{at}", "base_model_id": "a"} for at in range(300)))
    monkeypatch.setattr(pace, "SLICE_SECONDS", 0.0)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(others())
    await world.anew()
    read_and_compiled, turns = turns, 0
    await world.offer("file-c", *(f"n{at}" for at in range(300)))
    beside.cancel()
    assert read_and_compiled > 600, "a turn for each row read and each model compiled, when a slice is no time at all"
    assert turns > 600
    await world.check()


async def test_nothing_that_was_published_is_changed_later(world: World) -> None:
    await world.offer("file-c", "a", "b")
    await world.put_models({"id": "a"}, {"id": "p0", "base_model_id": "a"})
    before = world.snapshot
    models, credentials = dict(before.models), dict(before.credentials)
    anybody = Anybody(world, 7)
    for _ in range(40):
        await anybody.act()
    assert list(before.models.items()) == list(models.items())
    assert before.credentials == credentials


async def test_a_model_that_did_not_change_stays_the_same_object_even_when_everything_is_read_again(
    world: World,
) -> None:
    await world.offer("file-c", "a", "b")
    await world.put_models({"id": "a"}, *({"id": f"p{at}", "base_model_id": "a"} for at in range(3)))
    before = world.snapshot
    async with world.database.write() as connection:
        await connection.execute(delete(tables.publication_log))
        await connection.execute(update(tables.publication).values(version=50))
    await world.publisher.refresh()
    assert world.snapshot.version == 50
    assert all(one is before.models[name] for name, one in world.snapshot.models.items())


# --- changes at the same time, faults, other processes --------------------------------------------------------------


async def test_a_base_model_that_is_switched_off_takes_what_stands_on_it_along(world: World) -> None:
    """Also where nobody offers it by this name any more, so that no model but those presets is another than before."""
    await world.offer("file-c", "n:latest")
    await world.put_models({"id": "n"}, {"id": "n:latest"}, {"id": "p0", "base_model_id": "n"})
    assert world.snapshot.models["p0"].base is world.snapshot.models["n:latest"]
    await world.put_models({"id": "n", "is_active": False})
    assert world.snapshot.models["p0"].base is None
    await world.check()
    await world.put_models({"id": "n"})
    assert world.snapshot.models["p0"].base is world.snapshot.models["n:latest"]
    await world.check()


async def test_changes_at_the_same_time_are_all_served_and_versions_never_go_back(world: World) -> None:
    async def put(name: str) -> None:
        await world.put_models({"id": name, "base_model_id": "a"})
        assert name in world.snapshot.models, "a change is served when it is over"

    names = [f"p{at}" for at in range(5, 30)]
    await asyncio.gather(*map(put, names), *(world.offer("file-c", f"b{at}") for at in range(10)))
    assert set(names) <= world.snapshot.models.keys()
    assert list(world.publisher.base_models) == ["b9"]
    versions = [snapshot.version for snapshot in world.published.all]
    assert versions == sorted(versions)
    await world.check()


async def test_a_refresh_that_fails_says_so_and_the_next_one_makes_good(world: World) -> None:
    before = world.snapshot
    async with world.database.write() as connection:
        await connection.execute(text("ALTER TABLE grants RENAME TO away"))
    with pytest.raises(DBAPIError):
        await world.put_models({"id": "p0", "base_model_id": "a"})
    assert world.snapshot is before
    async with world.database.write() as connection:
        await connection.execute(text("ALTER TABLE away RENAME TO grants"))
    await world.put_models({"id": "p1", "base_model_id": "a"})
    assert {"p0", "p1"} <= world.snapshot.models.keys()
    await world.check()


async def test_a_refresh_that_is_cancelled_half_way_leaves_nothing_half_done(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "SLICE_SECONDS", 0.0)
    for turns in (1, 30, 150, 400):
        rows = ({"id": f"p{at}", "base_model_id": "a", "name": f"N{turns}"} for at in range(100))
        task = asyncio.create_task(world.put_models(*rows))
        version = world.snapshot.version
        while (await version_of(world.database)) == version and not task.done():
            await asyncio.sleep(0)
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await world.publisher.refresh()
        await world.check()


async def version_of(database: Database) -> int:
    async with database.read() as connection:
        return int((await connection.execute(select(tables.publication.c.version))).scalar_one())


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "WATCH_SECONDS", 0.001)


@pytest.mark.usefixtures("quick")
async def test_another_process_sees_changes_also_when_the_log_does_not_reach_back(world: World) -> None:
    other = Published()
    second, _ = world.process(other)
    await second.refresh()
    async with asyncio.timeout(60):
        watching = asyncio.create_task(second.watch())
        await world.put_models({"id": "p0", "base_model_id": "a"})
        while "p0" not in other.snapshot.models:
            await asyncio.sleep(0.001)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await world.put_models({"id": "p1", "base_model_id": "a"})
        async with world.database.write() as connection:
            await connection.execute(delete(tables.publication_log))
        await world.put_models({"id": "p2", "base_model_id": "a"})
        watching = asyncio.create_task(second.watch())
        while other.snapshot.version != world.snapshot.version:
            await asyncio.sleep(0.001)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    assert other.snapshot.models == world.snapshot.models
    assert {"p0", "p1", "p2"} <= other.snapshot.models.keys()


@pytest.mark.usefixtures("quick")
async def test_the_log_of_publications_is_cut_and_what_expires_is_forgotten(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.changes.begin(SYSTEM) as change:
        for name, expires_at in (("k0", now() + 1), ("k1", None)):
            row = {"id": name, "user_id": "file-u", "name": "k", "hint": "h", "digest": name.encode(), "created_at": 1}
            await upsert(change, tables.api_keys, {**row, "expires_at": expires_at})
            change.publish("key", name)
    async with world.database.write() as connection:
        await connection.execute(update(tables.publication).values(version=MANY_VERSIONS))
    await world.put_models({"id": "p0", "base_model_id": "a"})
    assert {b"k0", b"k1", b"file"} == world.snapshot.credentials.keys()
    monkeypatch.setattr(publisher, "FORGET_SECONDS", 0)
    monkeypatch.setattr(publisher, "TOLD_SECONDS", -10)
    async with asyncio.timeout(60):
        watching = asyncio.create_task(world.publisher.watch())
        while b"k0" in world.snapshot.credentials or (await oldest(world.database)) < MANY_VERSIONS:
            await asyncio.sleep(0.001)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    assert {b"k1", b"file"} == world.snapshot.credentials.keys(), "a declared one stays"


async def oldest(database: Database) -> int:
    async with database.read() as connection:
        return int((await connection.execute(select(tables.publication_log.c.version).limit(1))).scalar_one())


async def test_base_models_and_rows_that_are_not_listed_are_known(world: World) -> None:
    await world.offer("file-c", "a", "b")
    await world.put_models({"id": "a", "is_active": False}, {"id": "p0", "base_model_id": "b", "is_active": False})
    assert list(world.snapshot.models) == ["b", "p4", "p3"]
    assert list(world.publisher.base_models) == ["a", "b"]
    assert world.publisher.base_models["a"].owned_by == "openai"
    assert world.publisher.rows_of_models.keys() == {"a", "p0", "p3", "p4", "e"}
    assert not world.publisher.rows_of_models["p0"].is_active
