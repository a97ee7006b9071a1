"""API keys: only digests are stored."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import RowMapping, and_, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from modelyard.canonical.records import CredentialRow
from modelyard.canonical.snapshot import Limits
from modelyard.db.schema import api_keys

# A caller with an expired key is told so for this long; after it the key is simply unknown.
TOLD_SECONDS = 90 * 24 * 3600


def row_of(found: RowMapping) -> CredentialRow:
    """A stored key as a record."""
    return CredentialRow(
        id=found["id"],
        user_id=found["user_id"],
        digest=found["digest"],
        name=found["name"],
        hint=found["hint"],
        models=None if found["models"] is None else tuple(found["models"]),
        dialects=None if found["dialects"] is None else tuple(found["dialects"]),
        limits=Limits(rpm=found["rpm"], tpm=found["tpm"], concurrency=found["concurrency"]),
        expires_at=found["expires_at"],
        created_at=found["created_at"],
    )


async def live(connection: AsyncConnection, now: int) -> list[CredentialRow]:
    """Keys that are not revoked, also those that have expired not long ago: their callers are told why they fail."""
    still_told = or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > now - TOLD_SECONDS)
    found = await connection.execute(select(api_keys).where(and_(api_keys.c.revoked_at.is_(None), still_told)))
    return [row_of(row) for row in found.mappings()]


async def listed(connection: AsyncConnection, user_id: str | None) -> list[CredentialRow]:
    """Keys that are not revoked, newest first, of one user or of all."""
    query = select(api_keys).where(api_keys.c.revoked_at.is_(None))
    if user_id is not None:
        query = query.where(api_keys.c.user_id == user_id)
    found = await connection.execute(query.order_by(api_keys.c.created_at.desc(), api_keys.c.id))
    return [row_of(row) for row in found.mappings()]


async def one(connection: AsyncConnection, key_id: str) -> CredentialRow | None:
    """A key that is not revoked."""
    query = select(api_keys).where(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
    found = (await connection.execute(query)).mappings().first()
    return None if found is None else row_of(found)


async def add(connection: AsyncConnection, values: Mapping[str, Any]) -> None:
    await connection.execute(insert(api_keys).values(**values))


async def revoke(connection: AsyncConnection, key_id: str, now: int) -> None:
    """The row stays: the ledger refers to it."""
    await connection.execute(update(api_keys).where(api_keys.c.id == key_id).values(revoked_at=now))
