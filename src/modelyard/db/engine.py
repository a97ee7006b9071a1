"""Engines and transactions. SQLite in WAL mode with one writer at a time, or PostgreSQL by asyncpg."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

BUSY_MILLISECONDS = 10_000
CACHE_KIBIBYTES = 16 * 1024

_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
    "postgresql+asyncpg": "postgresql+asyncpg",
}

# The parameters of a PostgreSQL URL: its own name of each, and ours. What is not here, asyncpg does not know.
_PARAMETERS = {
    "sslmode": "ssl",
    "ssl": "ssl",
    "connect_timeout": "timeout",
    "application_name": "application_name",
    "options": "options",
    "host": "host",
    "port": "port",
    "passfile": "passfile",
    "target_session_attrs": "target_session_attrs",
    "prepared_statement_cache_size": "prepared_statement_cache_size",
}
_OF_THE_SESSION = ("application_name", "options")


class Unreachable(Exception):
    """No connection to the database could be made. Its text is the driver's."""


def sqlite_url(path: Path) -> URL:
    """The URL of a SQLite file."""
    return URL.create("sqlite+aiosqlite", database=str(path))


def parse_url(text: str) -> URL:
    """DATABASE_URL with our drivers. Raises ValueError with a sentence for a person."""
    try:
        url = make_url(text)
    except Exception as error:
        raise ValueError("it is not a database URL") from error
    driver = _DRIVERS.get(url.drivername)
    if driver is None:
        raise ValueError(
            f"{url.drivername} is not supported: use sqlite:///path or postgresql://user:password@host/name"
        )
    url = url.set(drivername=driver)
    return _of_a_file(url) if driver == "sqlite+aiosqlite" else _with_known_parameters(url)


def _of_a_file(url: URL) -> URL:
    if not url.database or url.database == ":memory:" or url.host or url.query:
        raise ValueError("SQLite needs a file and takes no parameters: use sqlite:///path")
    return url


def _with_known_parameters(url: URL) -> URL:
    query = dict(url.query)
    if query.get("channel_binding") in ("prefer", "disable"):
        del query["channel_binding"]  # the driver never binds, which both allow
    unknown = sorted(query.keys() - _PARAMETERS.keys())
    if unknown:
        raise ValueError(
            f"the parameter {unknown[0]} is not supported (known are {', '.join(_PARAMETERS)}; certificates are set by "
            "PGSSLROOTCERT, PGSSLCERT and PGSSLKEY)"
        )
    query = {_PARAMETERS[name]: value for name, value in query.items()}
    seconds = str(query.get("timeout", "1"))
    if not seconds.isdecimal() or int(seconds) == 0:
        raise ValueError("the parameter connect_timeout must be a number of seconds")
    return url.set(query=query)


def words_of(error: BaseException) -> str:
    """The driver's own words, in one line; SQLAlchemy's would hold the statement with its values."""
    if isinstance(error, DBAPIError) and error.orig is not None:
        error = error.orig.__cause__ or error.orig
    return " ".join(str(error).split()) or type(error).__name__


class Database:
    """One database. `read` and `write` are the only ways in: a transaction each, committed at its end.

    `references=False` leaves SQLite's foreign keys unchecked, for migrations: they drop tables that others refer to.
    """

    def __init__(self, url: URL, *, references: bool = True) -> None:
        self.url = url
        self.is_sqlite = url.get_backend_name() == "sqlite"
        self._writing = asyncio.Lock()
        self.engine = _sqlite_engine(url, references) if self.is_sqlite else _postgres_engine(url)

    async def reach(self) -> None:
        """Connect once. Raises Unreachable."""
        try:
            async with self.read():
                pass
        except Exception as error:  # each driver has its own, and asyncpg is installed on request
            raise Unreachable(words_of(error)) from error

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection for reading."""
        async with self.engine.connect() as connection:
            yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction: committed when the block ends, rolled back when it raises.

        SQLite knows one writer at a time; taking the lock at the beginning spares a transaction from failing half way.
        """
        if not self.is_sqlite:
            async with self.engine.begin() as connection:
                yield connection
            return
        async with self._writing, self.engine.connect() as plain:
            connection = await plain.execution_options(writes=True)
            async with connection.begin():
                yield connection

    async def close(self) -> None:
        await self.engine.dispose()


def _postgres_engine(url: URL) -> AsyncEngine:
    query = dict(url.query)
    arguments: dict[str, Any] = {}
    if "timeout" in query:
        arguments["timeout"] = int(str(query.pop("timeout")))
    of_the_session = {name: str(query.pop(name)) for name in _OF_THE_SESSION if name in query}
    if of_the_session:
        arguments["server_settings"] = of_the_session
    return create_async_engine(
        url.set(query=query),
        connect_args=arguments,
        pool_size=5,
        max_overflow=5,
        pool_pre_ping=True,
        pool_timeout=10,
    )


def _sqlite_engine(url: URL, references: bool) -> AsyncEngine:
    engine = create_async_engine(url, pool_size=4, max_overflow=0, pool_timeout=30)

    @event.listens_for(engine.sync_engine, "connect")
    def configure(connection: DBAPIConnection, entry: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # transactions are begun by us, below
        cursor = connection.cursor()
        for pragma in (
            "journal_mode=WAL",
            f"busy_timeout={BUSY_MILLISECONDS}",
            f"foreign_keys={'ON' if references else 'OFF'}",
            "synchronous=NORMAL",
            f"cache_size=-{CACHE_KIBIBYTES}",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Any) -> None:
        writes = connection.get_execution_options().get("writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
