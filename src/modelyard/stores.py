"""The stores of one installation: its secret, its databases, what is declared. Opened alike by server and command line."""

import errno
import os
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.exc import ArgumentError

from modelyard.canonical.records import Declared
from modelyard.control.transaction import Changes, begin_chain, unserved
from modelyard.core.seal import Seal
from modelyard.db import migrate
from modelyard.db.engine import Database, Unreachable, parse_url, sqlite_url
from modelyard.declared import default_timeouts, from_environment
from modelyard.settings import MIN_SECRET_LENGTH, Settings, SettingsError, is_secret_enough, read_environment
from modelyard.yardfile import read as read_yard_file


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """`ledger` is a file of its own on SQLite and the same database on PostgreSQL."""

    settings: Settings
    seal: Seal
    database: Database
    ledger: Database
    declared: Declared

    @property
    def journal_folder(self) -> Path:
        return self.settings.data_dir / "journal"

    async def migrate(self) -> bool:
        """Bring both databases to the newest revision. True when there was something to do.

        Raises MigrationFailed, and SettingsError when the database of DATABASE_URL cannot be reached.
        """
        if self.settings.database_url:
            try:
                await self.database.reach()
            except Unreachable as error:
                raise _wrong_url(f"the database cannot be reached ({error})") from None
        backups = self.settings.data_dir / "backups"
        moved = await migrate.upgrade(self.database, migrate.MAIN, backups)
        await begin_chain(Changes(self.database, self.seal.chain_keys[0], unserved))
        return await migrate.upgrade(self.ledger, migrate.LEDGER, backups) or moved

    async def close(self) -> None:
        await self.database.close()
        if self.ledger is not self.database:
            await self.ledger.close()


def open_stores(settings: Settings) -> Stores:
    """Open them; nothing is read yet. Raises SettingsError."""
    folder = settings.data_dir
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _check_writable(folder)
        seal = Seal(settings.secret_key or _kept_secret(folder / "secret-key"))
    except OSError as error:
        raise SettingsError(
            f"MODELYARD_DATA_DIR: {error.filename or folder} cannot be written ({error.strerror}). "
            "Example: MODELYARD_DATA_DIR=data"
        ) from None
    declared = _declared(settings, seal)
    try:
        database = Database(
            parse_url(settings.database_url) if settings.database_url else sqlite_url(folder / "modelyard.db")
        )
    except (ValueError, ArgumentError) as error:
        raise _wrong_url(str(error)) from None
    except ModuleNotFoundError:
        raise SettingsError(
            "DATABASE_URL: PostgreSQL needs an extra package. Install it with: pip install 'modelyard[postgres]'"
        ) from None
    ledger = Database(sqlite_url(folder / "ledger.db")) if database.is_sqlite else database
    return Stores(settings=settings, seal=seal, database=database, ledger=ledger, declared=declared)


def _wrong_url(fault: str) -> SettingsError:
    return SettingsError(f"DATABASE_URL: {fault}. Example: DATABASE_URL=postgresql://user:password@host/modelyard")


def _check_writable(folder: Path) -> None:
    """Raises OSError. A disk that fails is mounted read-only, and SQLite would say so much later."""
    for path in (folder, folder / "modelyard.db", folder / "ledger.db", folder / "journal"):
        if path.exists() and not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, "read-only", str(path))


def _declared(settings: Settings, seal: Seal) -> Declared:
    declared = from_environment(settings, seal)
    if settings.config is None:
        return declared
    file = read_yard_file(settings.config, read_environment(), seal, default_timeouts(settings))
    return Declared(
        connections=[*declared.connections, *file.connections],
        users=[*declared.users, *file.users],
        groups=file.groups,
        credentials=[*declared.credentials, *file.credentials],
        models=file.models,
        grants=file.grants,
    )


def _kept_secret(path: Path) -> str:
    """The secret key of this data directory, made at first use. Readable by its owner only. Raises SettingsError."""
    if not path.exists():
        _make_secret(path)
    secret = path.read_text(encoding="ascii", errors="replace").strip()
    if not secret.isascii() or not is_secret_enough(secret):
        raise SettingsError(
            f"{path}: it holds no secret key of at least {MIN_SECRET_LENGTH} ASCII characters. Put the right one back, or "
            "remove the file for a new one when there is no database yet."
        )
    return secret


def _make_secret(path: Path) -> None:
    """Written aside and then given its name: a full disk leaves no empty key, and of two processes one makes it."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}-")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(48))
            file.flush()
            os.fsync(file.fileno())
        _name(Path(name), path)
    finally:
        Path(name).unlink(missing_ok=True)


def _name(made: Path, path: Path) -> None:
    try:
        path.hardlink_to(made)
    except FileExistsError:
        pass  # another process was first
    except OSError:  # a file system without links
        made.rename(path)
