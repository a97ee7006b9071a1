"""The stores of one installation: its secret, its databases, what is declared. Opened alike by server and command line."""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from modelyard.canonical.records import Declared
from modelyard.core.seal import Seal
from modelyard.db import migrate
from modelyard.db.engine import Database, parse_url, sqlite_url
from modelyard.declared import default_timeouts, from_environment
from modelyard.settings import Settings, SettingsError, read_environment
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
        """Bring both databases to the newest revision. True when there was something to do. Raises MigrationFailed."""
        backups = self.settings.data_dir / "backups"
        moved = await migrate.upgrade(self.database, migrate.MAIN, backups)
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
        seal = Seal(settings.secret_key or _kept_secret(folder / "secret-key"))
    except OSError as error:
        raise SettingsError(
            f"MODELYARD_DATA_DIR: {folder} cannot be written ({error.strerror}). Example: MODELYARD_DATA_DIR=data"
        ) from None
    declared = _declared(settings, seal)
    try:
        database = Database(
            parse_url(settings.database_url) if settings.database_url else sqlite_url(folder / "modelyard.db")
        )
    except ValueError as error:
        raise SettingsError(
            f"DATABASE_URL: {error}. Example: DATABASE_URL=postgresql://user:password@host/modelyard"
        ) from None
    except ModuleNotFoundError:
        raise SettingsError(
            "DATABASE_URL: PostgreSQL needs an extra package. Install it with: pip install 'modelyard[postgres]'"
        ) from None
    ledger = Database(sqlite_url(folder / "ledger.db")) if database.is_sqlite else database
    return Stores(settings=settings, seal=seal, database=database, ledger=ledger, declared=declared)


def _declared(settings: Settings, seal: Seal) -> Declared:
    declared = from_environment(settings, seal)
    if settings.config is None:
        return declared
    file = read_yard_file(settings.config, read_environment(), seal, default_timeouts(settings))
    return Declared(
        connections=[*declared.connections, *file.connections],
        users=[*declared.users, *file.users],
        credentials=[*declared.credentials, *file.credentials],
        models=file.models,
        grants=file.grants,
    )


def _kept_secret(path: Path) -> str:
    """The secret key of this data directory, made at first use. Readable by its owner only."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text(encoding="ascii").strip()
    secret = secrets.token_urlsafe(48)
    with os.fdopen(descriptor, "w") as file:
        file.write(secret)
    return secret
