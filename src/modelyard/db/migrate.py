"""Migrations: run at start, with a copy of a SQLite file made before. A database that cannot be migrated is not served."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, column, inspect, select, table
from sqlalchemy.exc import SQLAlchemyError

from modelyard.core import log
from modelyard.db.engine import Database

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


MAIN = Line("main", "alembic_version", "0001")
LEDGER = Line("ledger", "ledger_version", "0001")


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
    except SQLAlchemyError as error:
        reason = str(error.__cause__ or error)
        raise MigrationFailed(f"The {line.name} database cannot be migrated: {reason}") from error
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

    async with database.write() as connection:
        await connection.run_sync(run)


async def _back_up(database: Database, line: Line, backups: Path, current: str) -> Path | None:
    """A copy of a SQLite file beside it; PostgreSQL's backups are its operator's."""
    if not database.is_sqlite or not database.url.database:
        return None
    target = await asyncio.to_thread(_backup_path, line, backups, current)
    async with database.engine.connect() as connection:
        plain = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await plain.exec_driver_sql("VACUUM INTO ?", (str(target),))
    return target


def _backup_path(line: Line, backups: Path, current: str) -> Path:
    """Where the next backup goes; the oldest ones make room for it."""
    backups.mkdir(parents=True, exist_ok=True)
    for old in sorted(backups.glob(f"{line.name}-*.db"))[: 1 - KEPT_BACKUPS]:
        old.unlink()
    return backups / f"{line.name}-{current}-{time.strftime('%Y%m%d-%H%M%S')}.db"
