"""Reads what the snapshot is made of, in one transaction so that it is one moment's truth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from modelyard.canonical.records import ConnectionRow, CredentialRow, GrantRow, GroupRow, ModelRow, UserRow
from modelyard.control.catalogue import queries as catalogue
from modelyard.control.connections import queries as connections
from modelyard.control.keys import queries as keys
from modelyard.control.people import queries as people
from modelyard.control.settings import queries as settings
from modelyard.core.seal import Seal
from modelyard.db.engine import Database
from modelyard.db.schema import publication


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Everything stored that the snapshot needs, at one version."""

    version: int
    users: Sequence[UserRow]
    credentials: Sequence[CredentialRow]
    connections: Sequence[ConnectionRow]
    models: Sequence[ModelRow]
    grants: Sequence[GrantRow]
    groups: Sequence[GroupRow]
    settings: Mapping[str, Any]


async def read_rows(database: Database, seal: Seal, now: int) -> Rows:
    """All of it. Sessions and keys that are over at `now` (Unix seconds) are left out."""
    async with database.read() as connection:
        return Rows(
            version=await _version(connection),
            users=await people.all_users(connection),
            credentials=[*await keys.live(connection, now), *await people.live_sessions(connection, now)],
            connections=await connections.every(connection, seal),
            models=await catalogue.every(connection),
            grants=await catalogue.grants_of_models(connection),
            groups=await people.all_groups(connection),
            settings=await settings.stored(connection),
        )


async def read_version(database: Database) -> int:
    """The version that other processes may have moved on."""
    async with database.read() as connection:
        return await _version(connection)


async def _version(connection: AsyncConnection) -> int:
    return int((await connection.execute(select(publication.c.version))).scalar_one())
