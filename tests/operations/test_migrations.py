"""Migrations: both lines, both databases, forth and back, with a backup, and never half."""

import contextlib
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, inspect

from modelyard.db import migrate, schema
from modelyard.db.engine import Database, parse_url, sqlite_url
from modelyard.db.migrate import Line
from tests.operations.tools import modelyard, refuses
from tests.yard import run_yard

LINES = {"main": (migrate.MAIN, schema.metadata), "ledger": (migrate.LEDGER, schema.ledger_metadata)}


@contextlib.asynccontextmanager
async def opened(kind: str, line: str, tmp_path: Path, request: pytest.FixtureRequest):
    if kind == "sqlite":
        database = Database(sqlite_url(tmp_path / f"{line}.db"))
    else:
        database = Database(parse_url(request.getfixturevalue("postgres").new_database()))
    try:
        yield database
    finally:
        await database.close()


@dataclass(frozen=True, slots=True)
class OtherLine:
    """A line of migrations in a folder of the test."""

    name: str
    version_table: str
    head: str
    folder: Path


@pytest.mark.parametrize("line", LINES)
def test_the_head_that_is_known_without_alembic_is_alembics(line):
    known, _ = LINES[line]
    assert ScriptDirectory(str(known.folder)).get_current_head() == known.head


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_up_down_up_and_the_tables_are_those_of_the_schema(kind, line, tmp_path, request):
    known, metadata = LINES[line]
    async with opened(kind, line, tmp_path, request) as database:
        for _ in range(2):
            assert await migrate.upgrade(database, known, tmp_path / "backups")
            assert await migrate.revision(database, known) == known.head
            assert await _differences(database, known, metadata) == []
            assert not await migrate.upgrade(database, known, tmp_path / "backups"), "nothing to do"
            await migrate.downgrade(database, known, "base")
            assert await migrate.revision(database, known) is None
            assert await _tables(database) - {known.version_table} == set()


async def test_both_lines_share_a_postgres_database(postgres, tmp_path):
    database = Database(parse_url(postgres.new_database()))
    try:
        for known, _ in LINES.values():
            assert await migrate.upgrade(database, known, tmp_path)
        for known, metadata in LINES.values():
            assert await _differences(database, known, metadata) == []
        await migrate.downgrade(database, migrate.MAIN, "base")
        assert await migrate.revision(database, migrate.LEDGER) == migrate.LEDGER.head, (
            "one line leaves the other alone"
        )
        assert await _tables(database) == {"ledger", "ledger_version", "alembic_version"}
    finally:
        await database.close()


async def _tables(database: Database) -> set[str]:
    async with database.read() as connection:
        return set(await connection.run_sync(lambda sync: inspect(sync).get_table_names()))


async def _differences(database: Database, line: Line, metadata: MetaData) -> list[object]:
    def compare(connection) -> list[object]:
        context = MigrationContext.configure(
            connection,
            opts={
                "version_table": line.version_table,
                "compare_type": True,
                "include_name": lambda name, kind, parents: kind != "table" or name in metadata.tables,
            },
        )
        return compare_metadata(context, metadata)

    async with database.read() as connection:
        return await connection.run_sync(compare)


SECOND = """
import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "{head}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("users") as table:
        table.add_column(sa.Column("nickname", sa.String()))
    op.execute("UPDATE users SET nickname = name")
    {then}


def downgrade() -> None:
    with op.batch_alter_table("users") as table:
        table.drop_column("nickname")
"""


def _next_line(tmp_path: Path, then: str) -> OtherLine:
    """The main line with one more revision, as a later version of the program brings it."""
    folder = tmp_path / "main"
    shutil.copytree(migrate.MAIN.folder, folder, ignore=shutil.ignore_patterns("__pycache__"))
    name = folder / "versions" / "9999_nickname.py"
    name.write_text(SECOND.replace('"0002"', '"9999"').format(head=migrate.MAIN.head, then=then))
    return OtherLine("main", migrate.MAIN.version_table, "9999", folder)


async def _with_a_user(database: Database, tmp_path: Path) -> None:
    await migrate.upgrade(database, migrate.MAIN, tmp_path / "backups")
    async with database.write() as connection:
        await connection.execute(
            schema.users.insert().values(id="u", email="u@x", name="U", role="user", created_at=1, updated_at=1)
        )


async def test_an_older_sqlite_file_is_copied_before_it_is_migrated(tmp_path):
    later = _next_line(tmp_path, "pass")
    database = Database(sqlite_url(tmp_path / "modelyard.db"))
    try:
        await _with_a_user(database, tmp_path)
        assert not (tmp_path / "backups").exists(), "a new file needs no backup"
        assert await migrate.upgrade(database, later, tmp_path / "backups")
        assert await migrate.revision(database, later) == "9999"
    finally:
        await database.close()
    [backup] = (tmp_path / "backups").iterdir()
    with closing(sqlite3.connect(backup)) as copy:
        assert copy.execute("SELECT version_num FROM alembic_version").fetchone() == (migrate.MAIN.head,)
        assert copy.execute("SELECT email FROM users").fetchall() == [("u@x",)]
        assert "nickname" not in {row[1] for row in copy.execute("PRAGMA table_info(users)")}


async def test_a_backup_put_back_is_the_database_as_it_was(tmp_path):
    """Copied while the file is open and its newest rows are in the write-ahead log only; put back as a plain file."""
    later = _next_line(tmp_path, "pass")
    database = Database(sqlite_url(tmp_path / "modelyard.db"))
    try:
        await _with_a_user(database, tmp_path)
        assert (tmp_path / "modelyard.db-wal").stat().st_size > 0
        assert await migrate.upgrade(database, later, tmp_path / "backups")
    finally:
        await database.close()
    [backup] = (tmp_path / "backups").iterdir()
    restored = tmp_path / "restored" / "modelyard.db"
    restored.parent.mkdir()
    shutil.copy(backup, restored)
    database = Database(sqlite_url(restored))
    try:
        assert not await migrate.upgrade(database, migrate.MAIN, tmp_path / "backups"), "it is of the older version"
        assert await _differences(database, migrate.MAIN, schema.metadata) == []
        async with database.write() as connection:
            assert (await connection.exec_driver_sql("PRAGMA integrity_check")).scalar() == "ok"
            assert (await connection.execute(schema.users.select())).mappings().one()["email"] == "u@x"
            await connection.execute(schema.users.delete())
    finally:
        await database.close()


async def test_a_table_made_anew_keeps_what_refers_to_it(tmp_path):
    """SQLite cannot drop a column of some tables in place: the table is copied and dropped, its sessions must stay."""
    later = _next_line(tmp_path, "pass")
    database = Database(sqlite_url(tmp_path / "modelyard.db"))
    try:
        await _with_a_user(database, tmp_path)
        async with database.write() as connection:
            await connection.execute(
                schema.sessions.insert().values(id="s", user_id="u", digest=b"d", created_at=1, expires_at=2)
            )
        assert await migrate.upgrade(database, later, tmp_path / "backups")
        await migrate.downgrade(database, later, migrate.MAIN.head)
        async with database.read() as connection:
            assert (await connection.execute(schema.sessions.select())).mappings().one()["id"] == "s"
    finally:
        await database.close()


async def test_a_migration_that_leaves_a_row_without_its_owner_is_undone(tmp_path):
    later = _next_line(tmp_path, 'op.execute("DELETE FROM users")')
    database = Database(sqlite_url(tmp_path / "modelyard.db"))
    try:
        await _with_a_user(database, tmp_path)
        async with database.write() as connection:
            await connection.execute(
                schema.sessions.insert().values(id="s", user_id="u", digest=b"d", created_at=1, expires_at=2)
            )
        with pytest.raises(migrate.MigrationFailed):
            await migrate.upgrade(database, later, tmp_path / "backups")
        async with database.read() as connection:
            assert (await connection.execute(schema.users.select())).mappings().one()["id"] == "u"
    finally:
        await database.close()


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
@pytest.mark.parametrize(
    "fault", ['op.execute("SELECT * FROM no_such_table")', 'raise RuntimeError("a fault of ours")']
)
async def test_a_migration_that_fails_leaves_everything_as_it_was(kind, fault, tmp_path, request):
    later = _next_line(tmp_path, fault)
    async with opened(kind, "main", tmp_path, request) as database:
        await _with_a_user(database, tmp_path)
        before = await _tables(database)
        with pytest.raises(migrate.MigrationFailed):
            await migrate.upgrade(database, later, tmp_path / "backups")
        assert await migrate.revision(database, migrate.MAIN) == migrate.MAIN.head
        assert await _tables(database) == before
        assert await _differences(database, migrate.MAIN, schema.metadata) == []


async def test_migrating_twice_in_a_second_keeps_both_backups_and_at_most_five(tmp_path):
    later = _next_line(tmp_path, "pass")
    database = Database(sqlite_url(tmp_path / "modelyard.db"))
    try:
        await _with_a_user(database, tmp_path)
        for _ in range(3):
            assert await migrate.upgrade(database, later, tmp_path / "backups")
            await migrate.downgrade(database, later, migrate.MAIN.head)
    finally:
        await database.close()
    assert len(list((tmp_path / "backups").iterdir())) == 3


def _stamp(file: Path, table: str, revision: str) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(f"UPDATE {table} SET version_num = ?", (revision,))  # noqa: S608 - a table of ours
        connection.commit()


@pytest.mark.parametrize(("file", "table"), [("modelyard.db", "alembic_version"), ("ledger.db", "ledger_version")])
def test_a_database_newer_than_the_program_is_not_served(data_dir, file, table):
    with run_yard(data_dir):
        pass
    _stamp(data_dir / file, table, "9999")
    told = refuses("--data-dir", str(data_dir), cwd=data_dir)
    assert "9999" in told
    assert "newer" in told
    line = migrate.MAIN if table == migrate.MAIN.version_table else migrate.LEDGER
    _stamp(data_dir / file, table, line.head)
    with run_yard(data_dir):
        pass


def test_a_database_of_an_unknown_revision_is_not_served(data_dir):
    with run_yard(data_dir):
        pass
    _stamp(data_dir / "modelyard.db", "alembic_version", "0000-of-somebody-else")
    before = (data_dir / "modelyard.db").read_bytes()
    assert "main" in refuses("--data-dir", str(data_dir), cwd=data_dir)
    assert (data_dir / "modelyard.db").read_bytes() == before


def test_tables_of_somebody_else_under_our_names_are_not_served_or_changed(data_dir):
    data_dir.mkdir()
    with closing(sqlite3.connect(data_dir / "modelyard.db")) as connection:
        connection.execute("CREATE TABLE users (mine TEXT)")
        connection.commit()
    assert "main" in refuses("--data-dir", str(data_dir), cwd=data_dir)
    with closing(sqlite3.connect(data_dir / "modelyard.db")) as connection:
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        assert tables - {"alembic_version"} == {"users"}, "nothing of ours stays behind"


def test_a_file_that_is_no_database_is_not_served(data_dir):
    data_dir.mkdir()
    (data_dir / "ledger.db").write_bytes(b"this is no database" * 1000)
    told = refuses("--data-dir", str(data_dir), cwd=data_dir)
    assert "ledger" in told
    assert (data_dir / "ledger.db").read_bytes() == b"this is no database" * 1000


def test_the_command_migrates_ahead_and_says_so(data_dir):
    data_dir.mkdir()
    first = modelyard("migrate", "--data-dir", str(data_dir), cwd=data_dir)
    assert first.returncode == 0
    assert "were migrated" in first.stdout
    second = modelyard("migrate", "--data-dir", str(data_dir), cwd=data_dir)
    assert second.returncode == 0
    assert "up to date" in second.stdout
