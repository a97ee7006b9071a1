"""API keys: only digests are stored."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import RowMapping, func, insert, or_, select, update
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


async def number_of(connection: AsyncConnection, user_id: str, now: int) -> int:
    """How many of `live` keys a user has."""
    still_told = or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > now - TOLD_SECONDS)
    query = select(func.count()).where(api_keys.c.user_id == user_id, api_keys.c.revoked_at.is_(None), still_told)
    return int((await connection.execute(query)).scalar_one())


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


async def replacements(connection: AsyncConnection, user_id: str | None) -> dict[str, str]:
    """Id of a key that was rotated to the id of the one in its place; of one user or of all."""
    query = select(api_keys.c.id, api_keys.c.replaced_by).where(
        api_keys.c.revoked_at.is_(None), api_keys.c.replaced_by.is_not(None)
    )
    if user_id is not None:
        query = query.where(api_keys.c.user_id == user_id)
    return {row[0]: row[1] for row in await connection.execute(query)}


async def replaced_by(connection: AsyncConnection, key_id: str) -> str | None:
    """The key that a rotation made in place of this one."""
    query = select(api_keys.c.replaced_by).where(api_keys.c.id == key_id)
    return (await connection.execute(query)).scalar()


async def still_replaced(connection: AsyncConnection, key_id: str, now: int) -> bool:
    """True while a key that was rotated to this one works still."""
    query = select(api_keys.c.id).where(
        api_keys.c.replaced_by == key_id, api_keys.c.revoked_at.is_(None), api_keys.c.expires_at > now
    )
    return (await connection.execute(query.limit(1))).first() is not None


async def is_taken(connection: AsyncConnection, digest: bytes) -> bool:
    """True when there is or was a key with that digest."""
    return (await connection.execute(select(api_keys.c.id).where(api_keys.c.digest == digest))).first() is not None


async def add(connection: AsyncConnection, values: Mapping[str, Any]) -> None:
    await connection.execute(insert(api_keys).values(**values))


async def change(connection: AsyncConnection, key_id: str, values: Mapping[str, Any]) -> None:
    await connection.execute(update(api_keys).where(api_keys.c.id == key_id).values(**values))


async def revoke(connection: AsyncConnection, key_id: str, now: int) -> None:
    """The row stays: the ledger refers to it."""
    await connection.execute(update(api_keys).where(api_keys.c.id == key_id).values(revoked_at=now))


async def revoke_all(connection: AsyncConnection, user_id: str, now: int) -> list[str]:
    """Revoke every key of a user. The ids of those that were not revoked before."""
    found = await connection.execute(
        update(api_keys)
        .where(api_keys.c.user_id == user_id, api_keys.c.revoked_at.is_(None))
        .values(revoked_at=now)
        .returning(api_keys.c.id)
    )
    return list(found.scalars())
