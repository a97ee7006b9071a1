"""Reads what the snapshot is made of: everything, or what was touched since a version; either way one moment's truth."""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, RowMapping, Select, delete, or_, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from modelyard.canonical.records import ConnectionRow, CredentialRow, GrantRow, GroupRow, ModelRow, UserRow
from modelyard.control.connections import queries as connections_of
from modelyard.control.keys import queries as keys_of
from modelyard.control.settings import queries as settings_of
from modelyard.control.snapshot.compile import MODEL
from modelyard.control.snapshot.pace import Pace
from modelyard.control.snapshot.picture import STORED_CREDENTIALS, CredentialKey, Facts, Picture, kept, key_of
from modelyard.core.seal import Seal
from modelyard.db import schema as tables
from modelyard.db.engine import Database
from modelyard.db.schema import api_keys, grants, memberships, publication, publication_log, sessions

T = TypeVar("T")

# More objects than this are not picked out one by one.
MANY = 5_000
# So many rows come from the driver at once, and so many ids go into one statement.
BATCH = 200
BATCH_OF_MODELS = 50

USERS = select(*(tables.users.c[name] for name in ("id", "email", "name", "role", "kind", "created_at", "updated_at")))
MEMBERS = select(memberships.c.user_id, memberships.c.group_id)
GROUPS = select(tables.groups)
SESSIONS = select(*(sessions.c[name] for name in ("id", "user_id", "digest", "expires_at", "created_at")))
MODELS = select(*(tables.models.c[name] for name in (
    "id", "user_id", "name", "base_model_id", "params", "meta", "is_active", "version_id", "created_at", "updated_at",
)))  # fmt: skip
GRANTS = select(*(grants.c[name] for name in (
    "resource_type", "resource_id", "principal_type", "principal_id", "permission",
))).where(grants.c.resource_type == MODEL)  # fmt: skip


async def read_facts(database: Database, seal: Seal, now: int, picture: Picture | None, pace: Pace) -> Facts | None:
    """What changed after this picture's version; None when nothing did. Everything without a picture, or when the log
    of publications does not reach back to it. Sessions and keys that are over at `now` (Unix seconds) are left out."""
    async with _one_moment(database) as connection:
        reader = _Reader(connection, seal, now, picture or Picture(), pace)
        if picture is None:
            return await reader.everything(await _version(connection))
        version, touched = await _touched_since(connection, picture.version)
        if version == picture.version:
            return None
        if touched is None:
            return await reader.everything(version)
        return await reader.objects(version, touched)


async def read_version(database: Database) -> int:
    """The version that other processes may have moved on."""
    async with database.read() as connection:
        return await _version(connection)


async def forget_publications(database: Database, version: int) -> None:
    """Drop what the log says of this version and of those before it."""
    async with database.write() as connection:
        await connection.execute(delete(publication_log).where(publication_log.c.version <= version))


@asynccontextmanager
async def _one_moment(database: Database) -> AsyncIterator[AsyncConnection]:
    """A transaction whose statements all see the same state. SQLite's always do."""
    async with database.read() as connection:
        if not database.is_sqlite:
            await connection.execution_options(isolation_level="REPEATABLE READ")
        yield connection


async def _version(connection: AsyncConnection) -> int:
    return int((await connection.execute(select(publication.c.version))).scalar_one())


async def _touched_since(connection: AsyncConnection, version: int) -> tuple[int, dict[str, list[str]] | None]:
    """The version there is, and ids by type of what was touched on the way to it; None when that is not known."""
    log = publication_log.c
    joined = publication.outerjoin(publication_log, log.version > version)
    query = select(publication.c.version, log.version, log.entity_type, log.entity_id).select_from(joined)
    rows = (await connection.execute(query.limit(MANY + 1))).all()
    current = int(rows[0][0])
    if len(rows) > MANY or len({row[1] for row in rows} - {None}) != current - version:
        return current, None
    touched: dict[str, dict[str, None]] = {}
    for _, _, entity_type, entity_id in rows:
        touched.setdefault(entity_type, {})[entity_id] = None
    return current, {entity_type: list(names) for entity_type, names in touched.items()}


class _Reader:
    """Reads rows in batches, so that making records of them never holds the loop for long.

    A row that is as it was in `picture` is the same object: what is read again leaves nothing to clear away.
    """

    def __init__(self, connection: AsyncConnection, seal: Seal, now: int, picture: Picture, pace: Pace) -> None:
        self._connection = connection
        self._seal = seal
        self._now = now
        self._picture = picture
        self._pace = pace

    async def everything(self, version: int) -> Facts:
        return Facts(
            version=version,
            whole=True,
            settings=await settings_of.stored(self._connection),
            groups=await self._groups(),
            users={row.id: row for row in await self._users(true(), true())},
            credentials={key_of(row): row for row in await self._credentials(true(), true())},
            connections=await self._connections(),
            models={row.id: row for row in await self._models(true())},
            grants=await self._grants(true()),
        )

    async def objects(self, version: int, touched: Mapping[str, Sequence[str]]) -> Facts:
        """These objects, and what hangs on them."""
        users: dict[str, UserRow | None] = dict.fromkeys(touched.get("user", ()))
        credentials: dict[CredentialKey, CredentialRow | None] = {
            (kind, name): None for kind in STORED_CREDENTIALS for name in touched.get(kind, ())
        }
        members: dict[str, set[str]] = {name: set() for name in touched.get("group", ())}
        models: dict[str, ModelRow | None] = dict.fromkeys(touched.get("model", ()))
        found_grants: dict[str, list[GrantRow]] = {}
        for names in _batches(users):
            of_them = await self._users(tables.users.c.id.in_(names), memberships.c.user_id.in_(names))
            users.update((row.id, row) for row in of_them)
        for of_keys, of_sessions in self._credentials_wanted(touched):
            credentials.update((key_of(row), row) for row in await self._credentials(of_keys, of_sessions))
        for names in _batches(members):
            for user_id, group_id in await self._members(memberships.c.group_id.in_(names)):
                members[group_id].add(user_id)
        for names in _batches(models):
            models.update((row.id, row) for row in await self._models(tables.models.c.id.in_(names)))
            found_grants |= await self._grants(grants.c.resource_id.in_(names))
        return Facts(
            version=version,
            settings=await settings_of.stored(self._connection) if "settings" in touched else None,
            groups=await self._groups() if members else None,
            members=members,
            users=users,
            credentials=credentials,
            connections=await self._connections() if "connection" in touched else None,
            models=models,
            grants=found_grants,
            ungranted_users=frozenset(touched.get("user_grants", ())),
            ungranted_groups=frozenset(touched.get("group_grants", ())),
        )

    def _credentials_wanted(
        self, touched: Mapping[str, Sequence[str]]
    ) -> Iterator[tuple[ColumnElement[bool] | None, ColumnElement[bool] | None]]:
        """Conditions on keys and on sessions: those that were touched, and all of the users who were."""
        for names in _batches(touched.get("user", ())):
            yield api_keys.c.user_id.in_(names), sessions.c.user_id.in_(names)
        for names in _batches(touched.get("key", ())):
            yield api_keys.c.id.in_(names), None
        for names in _batches(touched.get("session", ())):
            yield None, sessions.c.id.in_(names)

    async def _users(self, whose: ColumnElement[bool], memberships_whose: ColumnElement[bool]) -> list[UserRow]:
        joined: dict[str, set[str]] = {}
        for user_id, group_id in await self._members(memberships_whose):
            joined.setdefault(user_id, set()).add(group_id)
        known = self._picture.users

        def record(row: RowMapping) -> UserRow:
            return kept(UserRow(**row, group_ids=frozenset(joined.get(row["id"], ()))), known.get(row["id"]))

        return await self._read(USERS.where(whose).order_by(tables.users.c.created_at, tables.users.c.email), record)

    async def _members(self, which: ColumnElement[bool]) -> list[tuple[str, str]]:
        return await self._read(MEMBERS.where(which), lambda row: (row["user_id"], row["group_id"]))

    async def _groups(self) -> list[GroupRow]:
        return await self._read(GROUPS, lambda row: GroupRow(**row))

    async def _credentials(
        self, of_keys: ColumnElement[bool] | None, of_sessions: ColumnElement[bool] | None
    ) -> list[CredentialRow]:
        found: list[CredentialRow] = []
        if of_keys is not None:
            over = self._now - keys_of.TOLD_SECONDS
            still_told = or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > over)
            query = select(api_keys).where(of_keys, api_keys.c.revoked_at.is_(None), still_told)
            found += await self._read(query, lambda row: self._kept(keys_of.row_of(row)))
        if of_sessions is not None:
            query = SESSIONS.where(of_sessions, sessions.c.expires_at > self._now)
            found += await self._read(query, lambda row: self._kept(CredentialRow(**row, kind="session")))
        return found

    def _kept(self, row: CredentialRow) -> CredentialRow:
        return kept(row, self._picture.credentials.get(key_of(row)))

    async def _connections(self) -> list[ConnectionRow]:
        query = select(tables.connections).order_by(tables.connections.c.created_at, tables.connections.c.id)
        return await self._read(query, lambda row: connections_of.row_of(row, self._seal))

    async def _models(self, which: ColumnElement[bool]) -> list[ModelRow]:
        query = MODELS.where(which).order_by(tables.models.c.created_at, tables.models.c.id)
        known = self._picture.rows
        return await self._read(query, lambda row: kept(ModelRow(**row), known.get(row["id"])), BATCH_OF_MODELS)

    async def _grants(self, on: ColumnElement[bool]) -> dict[str, list[GrantRow]]:
        by_model: dict[str, list[GrantRow]] = {}
        await self._read(
            GRANTS.where(on), lambda row: by_model.setdefault(row["resource_id"], []).append(GrantRow(**row))
        )
        return by_model

    async def _read(self, query: Select[Any], record: Callable[[RowMapping], T], batch: int = BATCH) -> list[T]:
        found: list[T] = []
        result = await self._connection.stream(query.execution_options(yield_per=batch))
        async for rows in result.mappings().partitions():
            for row in rows:
                found.append(record(row))
                if self._pace.is_due:
                    await self._pace.rest()
        return found


def _batches(names: Iterable[str]) -> Iterator[list[str]]:
    left = iter(names)
    while batch := list(islice(left, BATCH)):
        yield batch
