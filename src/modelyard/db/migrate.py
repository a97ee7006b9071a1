"""Migrations: run at start, with a copy of a SQLite file made before. A database that cannot be migrated is not served."""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, column, inspect, select, table

from modelyard.core import log
from modelyard.db.engine import Database, words_of

_log = log.get(__name__)

KEPT_BACKUPS = 5


@dataclass(frozen=True, slots=True)
class Line:
    """One line of migrations: its folder, the table that holds the revision, and the newest revision.

    `head` is known here so that a start with nothing to do need not load Alembic (a test keeps it true).
    """

    name: str
    version_table: str
    head: str

    @property
    def folder(self) -> Path:
        return Path(__file__).parent / "migrations" / self.name


MAIN = Line("main", "alembic_version", "0005")
LEDGER = Line("ledger", "ledger_version", "0002")


class MigrationFailed(Exception):
    """The database is as it was before (or as its backup is); the server must not start on it."""


async def revision(database: Database, line: Line) -> str | None:
    """The revision a database is at, None for a new one."""
    async with database.read() as connection:
        return await connection.run_sync(lambda sync: _revision(sync, line))


def _revision(connection: Connection, line: Line) -> str | None:
    if not inspect(connection).has_table(line.version_table):
        return None
    versions = table(line.version_table, column("version_num"))
    found: str | None = connection.execute(select(versions.c.version_num)).scalar()
    return found


async def upgrade(database: Database, line: Line, backups: Path) -> bool:
    """Bring a database to the newest revision. True when there was something to do. Raises MigrationFailed."""
    try:
        current = await revision(database, line)
        if current == line.head:
            return False
        if current is not None and current > line.head:
            raise MigrationFailed(
                f"The {line.name} database is at revision {current}, newer than this version of Modelyard knows "
                f"({line.head}). Start the version that made it, or restore a backup."
            )
        backup = await _back_up(database, line, backups, current) if current is not None else None
        await _move(database, line, lambda command, config: command.upgrade(config, "head"))
    except MigrationFailed:
        raise
    except Exception as error:  # a migration may raise anything
        raise MigrationFailed(f"The {line.name} database cannot be migrated: {words_of(error)}") from error
    _log.info("database migrated", database=line.name, revision=line.head, backup=str(backup) if backup else None)
    return True


async def downgrade(database: Database, line: Line, to: str) -> None:
    """Go back to an older revision (`base` for none)."""
    await _move(database, line, lambda command, config: command.downgrade(config, to))


async def _move(database: Database, line: Line, step: Callable[..., None]) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(line.folder))
    config.attributes["version_table"] = line.version_table

    def run(connection: Connection) -> None:
        config.attributes["connection"] = connection
        step(command, config)
        if database.is_sqlite and connection.exec_driver_sql("PRAGMA foreign_key_check").first() is not None:
            raise MigrationFailed(
                f"The {line.name} database cannot be migrated: a row would refer to one that is gone."
            )

    # SQLite changes a table by making it anew, and dropping the old one would delete what refers to it.
    mover = Database(database.url, references=False)
    try:
        async with mover.write() as connection:
            await connection.run_sync(run)
    finally:
        await mover.close()


async def _back_up(database: Database, line: Line, backups: Path, current: str) -> Path | None:
    """A copy of a SQLite file; PostgreSQL's backups are its operator's."""
    if not database.is_sqlite or not database.url.database:
        return None
    return await asyncio.to_thread(_copy, Path(database.url.database), line, backups, current)


def _copy(file: Path, line: Line, backups: Path, current: str) -> Path:
    """Copy a database, and let the oldest copies go. A copy has its name only when it is whole."""
    backups.mkdir(parents=True, exist_ok=True, mode=0o700)
    target = backups / f"{line.name}-{current}-{time.strftime('%Y%m%d-%H%M%S')}-{time.time_ns() % 10**9:09d}.db"
    begun = target.with_suffix(".part")
    try:
        with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(begun)) as copy:
            source.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")  # one file, complete in itself
        begun.rename(target)
    finally:
        begun.unlink(missing_ok=True)
    for old in sorted(backups.glob(f"{line.name}-*.db"), key=lambda path: path.stat().st_mtime_ns)[:-KEPT_BACKUPS]:
        old.unlink()
    return target
