"""The audit log: complete, filtered, exported, and every fault in it is found."""

import asyncio
import csv
import io
import json
import os
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from modelyard.control.audit import queries
from modelyard.control.audit.chain import digest_of
from modelyard.control.audit.export import CSV, JSONL, harmless, lines
from modelyard.control.audit.routes import Entry
from modelyard.control.audit.values import plain
from modelyard.control.audit.verify import mark_of, verify
from modelyard.control.transaction import Actor, Changes
from modelyard.core.seal import Seal
from modelyard.db import migrate
from modelyard.db.engine import Database, parse_url, sqlite_url
from tests.control.conftest import CONFINED_ADMIN_KEY, USER_KEY
from tests.postgres import run_postgres
from tests.yard import KEPT, run_yard

SEAL = Seal("a secret key of the tests, long enough")
BACK_TO_FRONT = "a newer secret key of the tests that is long enough"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A data directory whose log was written by a server, and that nobody uses any more."""
    data_dir = tmp_path_factory.mktemp("written") / "data"
    with run_yard(data_dir) as yard:
        for number in range(12):
            yard.make_key(name=f"key {number}")
        assert yard.terminate() == 0
    return data_dir


@pytest.fixture
def log(written, tmp_path):
    """A copy of it: the path of the data directory, its database open for tampering."""
    data_dir = tmp_path / "copy"
    data_dir.mkdir()
    for name in ("modelyard.db", "ledger.db", "secret-key"):
        (data_dir / name).write_bytes((written / name).read_bytes())
    with closing(sqlite3.connect(data_dir / "modelyard.db", isolation_level=None)) as connection:
        yield data_dir, connection


def modelyard(data_dir, *arguments, **environment):
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    command = [sys.executable, "-m", "modelyard", "audit", *arguments, "--data-dir", str(data_dir)]
    return subprocess.run(command, env={**kept, **environment}, capture_output=True, text=True, check=False, timeout=60)


def verdict(data_dir, mark=None, secret=None):
    """What the command says, without starting one."""
    seal = Seal(secret or (data_dir / "secret-key").read_text())

    async def look():
        database = Database(sqlite_url(data_dir / "modelyard.db"))
        try:
            return await verify(database, seal.chain_keys, mark_of(mark))
        finally:
            await database.close()

    return asyncio.run(look()).shown()


def swap(connection, one, other):
    connection.execute("UPDATE billing_audit_log SET position = -1 WHERE position = ?", (one,))
    connection.execute("UPDATE billing_audit_log SET position = ? WHERE position = ?", (one, other))
    connection.execute("UPDATE billing_audit_log SET position = ? WHERE position = -1", (other,))


def insert(connection, position, like):
    names = "user_id, action, entity_type, entity_id, description, changes, audit_metadata, created_at, digest"
    connection.execute(
        f"INSERT INTO billing_audit_log (id, position, {names}) SELECT 'forged', ?, {names} "  # noqa: S608 - names above
        "FROM billing_audit_log WHERE position = ?",
        (position, like),
    )


def shift(connection, behind, by):
    connection.execute("UPDATE billing_audit_log SET position = -position WHERE position > ?", (behind,))
    connection.execute("UPDATE billing_audit_log SET position = ? - position WHERE position < 0", (by,))


def test_a_log_that_nobody_touched_is_unbroken(log):
    data_dir, _ = log
    found = verdict(data_dir)
    assert found["ok"]
    assert found["checked"] >= 12
    assert found["fault"] is None
    assert found["mark"].startswith(f"{found['checked']}:")
    told = modelyard(data_dir, "verify")
    assert told.returncode == 0
    assert "unbroken" in told.stdout
    assert found["mark"] in told.stdout


@pytest.mark.parametrize(
    "change",
    [
        "user_id = 'somebody-else'",
        "action = 'key.revoked'",
        "entity_id = 'another'",
        "description = 'x'",
        'changes = \'{"name": {"old": null, "new": "harmless"}}\'',
        "changes = NULL",
        "changes = 'no json'",
        "audit_metadata = NULL",
        "created_at = created_at + 1",
        "created_at = 'text'",
        "id = 'another'",
        "digest = NULL",
        "digest = 'text'",
        "digest = x'00'",
    ],
)
def test_an_altered_entry_is_named(log, change):
    data_dir, connection = log
    connection.execute(f"UPDATE billing_audit_log SET {change} WHERE position = 5")  # noqa: S608 - from the table above
    entry = connection.execute("SELECT id FROM billing_audit_log WHERE position = 5").fetchone()[0]
    found = verdict(data_dir)
    assert found["fault"] == {"position": 5, "id": entry, "what": "altered"}
    assert found["checked"] == 4


def test_the_command_ends_with_1_and_names_the_fault(log):
    data_dir, connection = log
    connection.execute("UPDATE billing_audit_log SET changes = NULL WHERE position = 5")
    done = modelyard(data_dir, "verify")
    assert done.returncode == 1
    assert "position 5 was altered" in done.stdout
    done = modelyard(data_dir, "verify", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout) == verdict(data_dir)


def test_a_removed_entry_is_named(log):
    data_dir, connection = log
    connection.execute("DELETE FROM billing_audit_log WHERE position = 7")
    assert verdict(data_dir)["fault"] == {"position": 7, "id": None, "what": "missing"}


def test_a_removed_entry_is_named_when_the_gap_was_closed(log):
    data_dir, connection = log
    connection.execute("DELETE FROM billing_audit_log WHERE position = 7")
    shift(connection, 7, -1)
    connection.execute("UPDATE audit_head SET position = position - 1")
    found = verdict(data_dir)["fault"]
    assert (found["position"], found["what"]) == (7, "missing")


def test_an_inserted_entry_is_named(log):
    data_dir, connection = log
    shift(connection, 4, 1)
    insert(connection, 5, 4)
    assert verdict(data_dir)["fault"] == {"position": 5, "id": "forged", "what": "inserted"}


def test_an_entry_added_at_the_end_by_hand_is_named(log):
    data_dir, connection = log
    last = connection.execute("SELECT max(position) FROM billing_audit_log").fetchone()[0]
    insert(connection, last + 1, last)
    assert verdict(data_dir)["fault"] == {"position": last + 1, "id": "forged", "what": "inserted"}
    connection.execute("UPDATE audit_head SET position = position + 1")
    assert verdict(data_dir)["fault"] == {"position": last + 1, "id": "forged", "what": "altered"}


@pytest.mark.parametrize("position", [0, -3, "text"])
def test_an_entry_at_no_position_is_named(log, position):
    data_dir, connection = log
    connection.execute(
        "INSERT INTO billing_audit_log SELECT 'forged', user_id, action, entity_type, entity_id, description, changes, "
        "audit_metadata, created_at, ?, digest FROM billing_audit_log WHERE position = 3",
        (position,),
    )
    found = verdict(data_dir)["fault"]
    assert (found["id"], found["what"]) == ("forged", "inserted")


def test_swapped_entries_are_named(log):
    data_dir, connection = log
    swap(connection, 5, 6)
    found = verdict(data_dir)["fault"]
    assert (found["position"], found["what"]) == (5, "moved")


def test_a_log_that_was_cut_off_is_named(log):
    data_dir, connection = log
    connection.execute("DELETE FROM billing_audit_log WHERE position > 8")
    assert verdict(data_dir)["fault"] == {"position": 9, "id": None, "what": "cut off at the end"}


@pytest.mark.parametrize("digest", ["digest", "(SELECT digest FROM billing_audit_log WHERE position = 8)", "NULL"])
def test_a_log_that_was_cut_off_is_named_though_the_head_was_adapted(log, digest):
    data_dir, connection = log
    connection.execute("DELETE FROM billing_audit_log WHERE position > 8")
    connection.execute(f"UPDATE audit_head SET position = 8, digest = {digest}")  # noqa: S608 - from the table above
    what = "no chain" if digest == "NULL" else "head altered"
    found = verdict(data_dir)["fault"]
    assert found["what"] == what
    assert found["position"] == (0 if digest == "NULL" else 8)
    with run_yard(data_dir) as yard:  # what is written later does not mend it
        yard.make_key(name="later")
        found = yard.admin.post("/api/v1/audit/verify").json()
        assert found["fault"]["position"] == 9
        assert yard.terminate() == 0


def test_a_log_that_was_emptied_is_named(log):
    data_dir, connection = log
    connection.execute("DELETE FROM billing_audit_log")
    assert verdict(data_dir)["fault"] == {"position": 1, "id": None, "what": "cut off at the end"}


@pytest.mark.parametrize("change", ["position = position + 5", "position = position - 1", "digest = x'00'"])
def test_an_edited_head_is_named(log, change):
    data_dir, connection = log
    connection.execute(f"UPDATE audit_head SET {change}")  # noqa: S608 - from the table above
    assert verdict(data_dir)["fault"]["what"] in ("head altered", "cut off at the end")


def test_a_removed_head_is_named(log):
    data_dir, connection = log
    connection.execute("DELETE FROM audit_head")
    assert verdict(data_dir)["fault"]["what"] == "head altered"


def test_a_mark_proves_that_nothing_before_it_changed(log):
    data_dir, connection = log
    mark = verdict(data_dir)["mark"]
    assert verdict(data_dir, mark)["ok"]
    position, _, digest = mark.partition(":")
    other = f"{position}:{digest[::-1]}"
    assert verdict(data_dir, other)["fault"]["position"] == int(position)
    ahead = f"{int(position) + 1}:{digest}"
    assert verdict(data_dir, ahead)["fault"]["what"] == "cut off at the end"
    done = modelyard(data_dir, "verify", "--mark", "nonsense")
    assert done.returncode == 1
    assert "mark" in done.stderr
    connection.execute("UPDATE billing_audit_log SET digest = NULL")
    connection.execute("UPDATE audit_head SET digest = NULL")  # as if it were older than the chain
    assert verdict(data_dir)["fault"]["what"] == "no chain"
    with run_yard(data_dir):  # begins a new one: only the mark tells
        pass
    assert verdict(data_dir)["ok"]
    assert verdict(data_dir)["checked"] == 1
    assert not verdict(data_dir, mark)["ok"]


def test_entries_that_are_older_than_the_chain_come_first_and_are_counted(log):
    data_dir, connection = log
    connection.execute("UPDATE billing_audit_log SET digest = NULL WHERE position <= 3")
    assert verdict(data_dir)["fault"] == {
        "position": 4,
        "id": connection.execute("SELECT id FROM billing_audit_log WHERE position = 4").fetchone()[0],
        "what": "altered",
    }, "whoever takes digests away breaks the first entry that has one"


def test_the_chain_goes_on_under_a_new_secret_key(written, tmp_path):
    data_dir = tmp_path / "rotated"
    data_dir.mkdir()
    for name in ("modelyard.db", "ledger.db"):
        (data_dir / name).write_bytes((written / name).read_bytes())
    old = (written / "secret-key").read_text().strip()
    both = f"{BACK_TO_FRONT},{old}"
    with run_yard(data_dir, {"MODELYARD_SECRET_KEY": both}) as yard:
        for number in range(3):
            yard.make_key(name=f"after {number}")
        found = yard.admin.post("/api/v1/audit/verify").json()
        assert found["ok"], found
        assert yard.terminate() == 0
    assert verdict(data_dir, secret=both)["ok"]
    assert verdict(data_dir, secret=BACK_TO_FRONT)["fault"]["position"] == 1
    with closing(sqlite3.connect(data_dir / "modelyard.db", isolation_level=None)) as connection:
        last = connection.execute("SELECT max(position) FROM billing_audit_log").fetchone()[0]
        backwards = f"{old},{BACK_TO_FRONT}"
        assert not verdict(data_dir, secret=backwards)["ok"], "an older key may not follow a newer one"
        connection.execute("UPDATE billing_audit_log SET user_id = 'x' WHERE position = ?", (last,))
    assert verdict(data_dir, secret=both)["fault"]["position"] == last


async def unbroken_after_a_crowd(database):
    """50 changes at once, with one to three entries each, some of which fail: the log has the others, in a chain."""
    await migrate.upgrade(database, migrate.MAIN, None)

    async def published(touched):
        pass

    changes = Changes(database, SEAL.chain_keys[0], published)

    async def change(number):
        try:
            async with changes.begin(Actor(user_id=f"user-{number}")) as one:
                for part in range(number % 3 + 1):
                    await one.audit("key.created", f"{number}-{part}", changes={"n": {"old": None, "new": number}})
                if number % 10 == 9:
                    raise RuntimeError("this one is rolled back")
                one.publish("key", str(number))
        except RuntimeError:
            pass

    await asyncio.gather(*(change(number) for number in range(50)))
    found = await verify(database, SEAL.chain_keys)
    assert found.fault is None, found
    assert found.checked == sum(number % 3 + 1 for number in range(50) if number % 10 != 9)


async def test_fifty_changes_at_once_leave_an_unbroken_chain(tmp_path):
    database = Database(sqlite_url(tmp_path / "yard.db"))
    try:
        await unbroken_after_a_crowd(database)
    finally:
        await database.close()


async def test_what_was_rolled_back_to_a_savepoint_is_not_in_the_log(tmp_path):
    database = Database(sqlite_url(tmp_path / "yard.db"))
    try:
        await migrate.upgrade(database, migrate.MAIN, None)
        changes = Changes(database, SEAL.chain_keys[0], lambda touched: asyncio.sleep(0))
        async with changes.begin(Actor(user_id="somebody")) as change:
            await change.audit("key.created", "first")
            for name, fails in (("kept", False), ("undone", True), ("kept too", False)):
                try:
                    async with change.connection.begin_nested():
                        await change.audit("key.created", name)
                        if fails:
                            raise RuntimeError
                except RuntimeError:
                    pass
        async with database.read() as connection:
            found = await queries.page(connection, queries.Filter(), limit=9)
        assert [row["entity_id"] for row in reversed(found)] == ["first", "kept", "kept too"]
        assert (await verify(database, SEAL.chain_keys)).fault is None
    finally:
        await database.close()


@pytest.fixture(scope="module")
def postgres():
    with run_postgres() as running:
        yield running


async def test_fifty_changes_at_once_leave_an_unbroken_chain_on_postgres(postgres):
    url = postgres.new_database()
    database = Database(parse_url(url))
    try:
        await unbroken_after_a_crowd(database)
        postgres.query(url, "UPDATE billing_audit_log SET changes = '{\"n\": 1e999}' WHERE position = 7")
        found = await verify(database, SEAL.chain_keys)
        assert found.fault is not None
        assert (found.fault.position, found.fault.what) == (7, "altered")
    finally:
        await database.close()


def test_fifty_calls_at_once_on_postgres_with_two_workers(postgres, tmp_path):
    with run_yard(tmp_path / "data", {"DATABASE_URL": postgres.new_database()}, ("--workers", "2")) as yard:
        with ThreadPoolExecutor(10) as pool:
            made = list(
                pool.map(lambda n: yard.admin.post("/api/v1/keys", json={"name": f"n{n}"}).status_code, range(50))
            )
        assert made == [200] * 50
        found = yard.admin.post("/api/v1/audit/verify").json()
        assert found["ok"], found
        assert found["checked"] >= 50
        assert yard.terminate() == 0


NASTY = {
    "nan": float("nan"),
    "huge": 10**400,
    "big": 2**70,
    "small": 5e-324,
    "negative zero": -0.0,
    "half a pair": "\ud800 and \udfff",
    "\ud83d": {1: (1, 2), None: {3, 1, 2}},
    "nul": "a\x00b",
    "bytes": b"\xff",
    "emoji": "\U0001f600 é ￿",
    "long": "x" * 1_000_000,
}


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
async def test_any_value_reads_back_as_it_was_signed(engine, postgres, tmp_path):
    deep = value = {}
    for _ in range(2000):
        value["deeper"] = value = {}
    url = sqlite_url(tmp_path / "yard.db") if engine == "sqlite" else parse_url(postgres.new_database())
    database = Database(url)
    try:
        await migrate.upgrade(database, migrate.MAIN, None)
        changes = Changes(database, SEAL.chain_keys[0], lambda touched: asyncio.sleep(0))
        for name, nasty in {**NASTY, "deep": deep}.items():
            async with changes.begin(Actor(user_id=f"\ud800{name}", address="\x00")) as change:
                await change.audit("model.updated", f"{name}\udc00", changes={name: {"old": None, "new": nasty}})
        found = await verify(database, SEAL.chain_keys)
        assert found.fault is None, found
        assert found.checked == len(NASTY) + 1
    finally:
        await database.close()


def test_values_are_kept_as_plain_json():
    assert plain({"a": [1, 2.5, True, None, "é"]}) == {"a": [1, 2.5, True, None, "é"]}
    assert plain("\ud800") == "\\ud800"
    assert plain(float("inf")) == "inf"
    assert len(json.dumps(plain(NASTY))) < 30_000
    digest_of(
        b"k" * 32,
        None,
        dict.fromkeys(
            (
                "position",
                "id",
                "user_id",
                "action",
                "entity_type",
                "entity_id",
                "description",
                "audit_metadata",
                "created_at",
            ),
            1,
        )
        | {"changes": plain(NASTY)},
    )


@pytest.fixture(scope="module")
def busy(peopled):
    """A server with some history, by a declared user and by the built-in administrator."""
    for number in range(7):
        peopled.make_key(name=f"=cmd|{number}")
    with peopled.client(USER_KEY) as user:
        assert user.post("/api/v1/keys", json={"name": "mine"}).status_code == 200
    return peopled


def get(yard, **query):
    answer = yard.admin.get("/api/v1/audit", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_an_entry_names_who_it_was_and_from_where(busy):
    entry = get(busy, user_id="file-user@example.com")["items"][0]
    assert entry["user"] == {"id": "file-user@example.com", "name": entry["user"]["name"], "email": "user@example.com"}
    assert entry["action"] == "key.created"
    assert entry["audit_metadata"]["address"] == "127.0.0.1"
    assert entry["audit_metadata"]["request_id"]
    assert entry["audit_metadata"]["key_id"]
    assert entry["position"] > 0


def test_pages_by_position_stay_true_while_entries_are_written(busy):
    whole = [entry["id"] for entry in get(busy, limit=1000)["items"]]
    first = get(busy, limit=2)["items"]
    pieces, before = [entry["id"] for entry in first], first[-1]["position"]
    for _ in range(len(whole)):
        page = get(busy, limit=2, before=before)
        pieces += [entry["id"] for entry in page["items"]]
        before = page["next"]
        busy.make_key(name="meanwhile")
        if before is None:
            break
    assert pieces == whole


def test_from_and_to_bound_the_entries(busy):
    everything = get(busy)["items"]
    at = everything[0]["created_at"]
    assert get(busy, **{"from": str(at + 5)})["items"] == []
    assert get(busy, to="2020-01-01")["items"] == []
    assert get(busy, to=str(at + 100), **{"from": "2020-01-01"})["items"]


@pytest.mark.parametrize(
    "query",
    [
        {"before": 0},
        {"before": 2**63},
        {"before": "x"},
        {"limit": 0},
        {"from": "yesterday"},
        {"to": "9" * 40},
        {"entity_id": "x" * 513},
        {"from": "0000-00-00"},
    ],
)
def test_a_malformed_question_is_told(busy, query):
    assert busy.admin.get("/api/v1/audit", params=query).status_code == 422


def test_what_nobody_did_is_an_empty_list(busy):
    for query in (
        {"before": 1},
        {"user_id": "nobody"},
        {"entity_id": "'; --"},
        {"action": "%"},
        {"to": "999999999999"},
    ):
        found = get(busy, **query)
        assert found["items"] == [] or query == {"to": "999999999999"}
    assert get(busy, before=1) == {"items": [], "next": None}


def test_the_export_has_every_entry_in_both_forms(busy, tmp_path):
    whole = get(busy, limit=1000)["items"]
    lines = busy.admin.get("/api/v1/audit/export")
    assert lines.headers["content-type"].startswith("application/jsonl")
    assert [json.loads(line)["id"] for line in lines.text.splitlines()] == [entry["id"] for entry in reversed(whole)]
    table = busy.admin.get("/api/v1/audit/export", params={"format": "csv", "entity_type": "key"})
    assert "attachment" in table.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(table.text, newline="")))
    assert [row["id"] for row in rows] == [e["id"] for e in reversed(whole) if e["entity_type"] == "key"]
    assert json.loads(rows[0]["changes"])["name"]["new"] == "=cmd|0"
    assert busy.admin.get("/api/v1/audit/export", params={"format": "xml"}).status_code == 422
    for form in ("jsonl", "csv"):
        told = busy.admin.get("/api/v1/audit/export", params={"format": form}).content
        file = tmp_path / form
        done = modelyard(busy.data_dir, "export", "--format", form, "--output", str(file))
        assert done.returncode == 0, done.stderr
        assert file.read_bytes() == told


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_cell_is_a_formula(cell):
    assert harmless(cell) == "'" + cell
    assert harmless("plain") == "plain"


def test_only_administrators_read_verify_or_export(busy):
    for key in (USER_KEY, CONFINED_ADMIN_KEY):
        with busy.client(key) as client:
            assert client.get("/api/v1/audit").status_code == 403
            assert client.get("/api/v1/audit/export").status_code == 403
            assert client.post("/api/v1/audit/verify").status_code == 403
    with busy.client(None) as stranger:
        assert stranger.get("/api/v1/audit/export").status_code == 401


def test_a_busy_server_is_verified_by_the_command_too(busy):
    found = busy.admin.post("/api/v1/audit/verify").json()
    assert found["ok"], found
    told = verdict(busy.data_dir)
    assert told["ok"]
    assert busy.admin.post("/api/v1/audit/verify", params={"mark": found["mark"]}).json()["ok"]
    assert busy.admin.post("/api/v1/audit/verify", params={"mark": "x"}).status_code == 422


@pytest.mark.parametrize(
    "change",
    [
        "changes = '[1]'",
        "changes = 'no json'",
        "audit_metadata = '5'",
        "created_at = 'text'",
        "created_at = 9223372036854775807",
        "created_at = -1",
        "user_id = x'00ff'",
        "description = x'00ff'",
    ],
)
def test_an_altered_entry_keeps_nobody_from_reading_the_log(log, change):
    data_dir, connection = log
    connection.execute(f"UPDATE billing_audit_log SET {change} WHERE position = 5")  # noqa: S608 - from the table above

    async def read():
        database = Database(sqlite_url(data_dir / "modelyard.db"))
        try:
            async with database.read() as reading:
                rows = await queries.page(reading, queries.Filter(), limit=1000)
            for form in (JSONL, CSV):
                assert len([line async for line in lines(queries.every(database, queries.Filter()), form)]) >= len(rows)
            return rows
        finally:
            await database.close()

    rows = asyncio.run(read())
    assert [Entry.model_validate({**row, "user": None}).position for row in rows] == list(range(len(rows), 0, -1))
    assert verdict(data_dir)["fault"]["position"] == 5
