"""What the commands have in common: they work on the stores directly, and say in one line what is wrong.

A command may run while the server does: a change moves the publication's version, which every server process watches.
"""

import os
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from modelyard.cli.output import note, stop
from modelyard.cli.setting import fail, settings_for
from modelyard.core.errors import Kind, Problem

if TYPE_CHECKING:
    from modelyard.canonical.records import ConnectionRow, UserRow
    from modelyard.control.transaction import Changes
    from modelyard.db.engine import Database
    from modelyard.db.migrate import Line
    from modelyard.settings import Settings
    from modelyard.stores import Stores

DataDir = Annotated[Path | None, typer.Option(help="Folder for databases, journal and secret key.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]

Result = TypeVar("Result")


class State(Enum):
    """How the databases stand to this version. The value is the sentence that says so."""

    ABSENT = "There is no database yet."
    CURRENT = "The databases are up to date."
    BEHIND = "The databases are not migrated to this version."
    AHEAD = "The databases were made by a newer version of Modelyard than this one."


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Open stores and the way to change them."""

    stores: "Stores"
    changes: "Changes"

    async def connections(self) -> "list[ConnectionRow]":
        """All connections in force: declared ones first."""
        # Imported here, as everywhere in this module, so that `--help` loads nothing of the server.
        from modelyard.control.connections import queries

        async with self.stores.database.read() as connection:
            return [*self.stores.declared.connections, *await queries.every(connection, self.stores.seal)]

    async def users(self) -> "list[UserRow]":
        """Everyone there is: declared ones first."""
        from modelyard.control.people import queries

        async with self.stores.database.read() as connection:
            return [*self.stores.declared.users, *await queries.all_users(connection)]


def settings_of(data_dir: Path | None, config: Path | None = None) -> "Settings":
    """The settings of a command. Its log is quiet: what a person needs to know is said by the command itself."""
    settings, _ = settings_for({"data_dir": data_dir, "config": config})
    from modelyard.core import log

    log.configure("error")
    return settings


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Do a command's work. What fails is one line on standard error and exit code 1; wrong settings are exit code 2."""
    import asyncio

    from pydantic import ValidationError
    from sqlalchemy.exc import SQLAlchemyError

    from modelyard.db.migrate import MigrationFailed
    from modelyard.settings import SettingsError

    try:
        return asyncio.run(work)
    except SettingsError as error:
        fail(str(error))
    except Problem as problem:
        stop(problem.message)
    except MigrationFailed as error:
        stop(str(error))
    except ValidationError as error:
        stop(" ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}." for fault in error.errors()))
    except UnicodeEncodeError:
        stop("An argument is not UTF-8 text.")
    except (SQLAlchemyError, OSError) as error:
        stop(f"The database cannot be used: {words_of(error)}")
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        raise SystemExit(130) from None


def words_of(error: Exception) -> str:
    """The driver's own words; SQLAlchemy's would hold the statement with its values."""
    return str(getattr(error, "orig", None) or error)


@asynccontextmanager
async def opened(settings: "Settings", *, make: bool = False) -> AsyncIterator[Session]:
    """The stores, when their databases are up to date. `make`: a new, empty database is migrated first.

    Raises Problem that says what to do otherwise; then nothing was written.
    """
    from modelyard.control.transaction import Changes, unserved
    from modelyard.stores import open_stores

    async with untouched(settings) as stores:
        state = await state_of(stores)
    if state is not State.ABSENT and not secret_is_known(settings):
        raise Problem(Kind.UNAVAILABLE, secret_is_missing(settings))
    if state is State.AHEAD:
        raise Problem(Kind.UNAVAILABLE, f"{state.value} Use that version.")
    if state is State.BEHIND or (state is State.ABSENT and not make):
        raise Problem(Kind.UNAVAILABLE, f"{state.value} Do this first: {migrate_command(settings)}")
    stores = open_stores(settings)
    try:
        if state is State.ABSENT:
            await stores.migrate()
            note(f"A new database was made ({place(settings)}).")
        yield Session(stores=stores, changes=Changes(stores.database, stores.seal.chain_keys[0], unserved))
    finally:
        await stores.close()


@asynccontextmanager
async def untouched(settings: "Settings") -> "AsyncIterator[Stores]":
    """The stores, without making a data directory or a secret key that is not there yet. Raises SettingsError."""
    from modelyard.stores import open_stores

    with TemporaryDirectory() as scratch:
        if not settings.data_dir.is_dir():
            _check_can_be_made(settings.data_dir)
            settings = settings.model_copy(update={"data_dir": Path(scratch)})
        elif not secret_is_known(settings):
            # For the time of one look, at what no secret has sealed.
            settings = settings.model_copy(update={"secret_key": "nothing was sealed with this one"})
        stores = open_stores(settings)
        try:
            yield stores
        finally:
            await stores.close()


def _check_can_be_made(folder: Path) -> None:
    from modelyard.settings import SettingsError

    parent = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise SettingsError(f"MODELYARD_DATA_DIR: {folder} cannot be made. Example: MODELYARD_DATA_DIR=data")


def secret_is_known(settings: "Settings") -> bool:
    """True when the environment or the data directory has the secret key."""
    return settings.secret_key is not None or (settings.data_dir / "secret-key").exists()


def secret_is_missing(settings: "Settings") -> str:
    """What to say when there is a database and not the secret key that it was made with."""
    return (
        f"The database was made with a secret key that is not here: set MODELYARD_SECRET_KEY as for the server "
        f"(there is no {settings.data_dir / 'secret-key'})."
    )


async def state_of(stores: "Stores") -> State:
    """How both databases stand. Does not make or change anything."""
    from modelyard.db.migrate import LEDGER, MAIN

    states = {await _state_of(stores.database, MAIN), await _state_of(stores.ledger, LEDGER)}
    if len(states) == 1:
        return states.pop()
    return State.AHEAD if State.AHEAD in states else State.BEHIND


def _is_missing_file(database: "Database") -> bool:
    return database.is_sqlite and not Path(database.url.database or "").exists()


async def _state_of(database: "Database", line: "Line") -> State:
    from sqlalchemy import Connection, inspect

    from modelyard.db.migrate import revision

    def is_empty(connection: Connection) -> bool:
        return not inspect(connection).get_table_names()

    if _is_missing_file(database):
        return State.ABSENT
    found = await revision(database, line)
    if found is None:
        async with database.read() as connection:
            return State.ABSENT if await connection.run_sync(is_empty) else State.BEHIND
    if found == line.head:
        return State.CURRENT
    return State.AHEAD if found > line.head else State.BEHIND


def place(settings: "Settings") -> str:
    """Where the database is, without its password."""
    return "DATABASE_URL" if settings.database_url else str(settings.data_dir)


def migrate_command(settings: "Settings") -> str:
    """The command that brings the databases up to date."""
    return f"modelyard migrate --data-dir {settings.data_dir}"
