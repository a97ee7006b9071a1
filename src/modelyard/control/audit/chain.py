"""The chain of the audit log: each row's digest covers its content and the digest before it, under the secret key.

So an altered, removed or inserted row breaks every digest after it, and whoever can write to the database but does not
know the secret key cannot mend them. Rows that are older than the chain have no digest.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from modelyard.core import raw
from modelyard.db.schema import audit, audit_head

# What a digest covers, in this order.
COVERED = (
    "position", "id", "user_id", "action", "entity_type", "entity_id", "description", "changes", "audit_metadata",
    "created_at",
)  # fmt: skip


def digest_of(key: bytes, before: bytes | None, row: Mapping[str, Any]) -> bytes:
    """The digest of a row that follows the one with the digest `before` (None: the first of the chain). 32 bytes."""
    content = raw.encode_sorted([row[name] for name in COVERED])
    return hashlib.blake2b((before or b"") + content, key=key, digest_size=32).digest()


async def append(connection: AsyncConnection, key: bytes, row: Mapping[str, Any]) -> None:
    """Write one row at the end of the chain. The head is locked until the transaction is over."""
    moved = update(audit_head).values(position=audit_head.c.position + 1).returning(audit_head.c.position)
    position = (await connection.execute(moved)).scalar_one()
    before = (await connection.execute(select(audit_head.c.digest))).scalar_one()
    placed = {**row, "position": position}
    digest = digest_of(key, before, placed)
    await connection.execute(insert(audit).values(**placed, digest=digest))
    await connection.execute(update(audit_head).values(digest=digest))
