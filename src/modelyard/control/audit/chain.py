"""The chain of the audit log: each row's digest covers its content and the end of the chain before it, under the secret key.

So an altered, removed or inserted row breaks the chain after it, and whoever can write to the database but does not
know the secret key cannot mend it. The head keeps a digest of its own over the last row (`end_of`), which nobody without
the key can make for an earlier row: a log that was cut off does not fit its head, nor does what is written after it.
Rows that are older than the chain have no digest.
"""

import hashlib
from collections.abc import Mapping, Sequence
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

# Rows that are signed and written at once: a large change must not hold the event loop.
SLICE = 200


def digest_of(key: bytes, before: bytes | None, row: Mapping[str, Any]) -> bytes:
    """The digest of a row that follows a chain with the end `before` (None: the first of the chain). 32 bytes.

    Raises ValueError, TypeError or RecursionError for values that no row of ours holds (`control.audit.values`).
    """
    content = raw.encode_sorted([row[name] for name in COVERED])
    return hashlib.blake2b((before or b"") + content, key=key, digest_size=32).digest()


def end_of(key: bytes, digest: bytes) -> bytes:
    """The end of a chain whose last row has this digest. 32 bytes."""
    return hashlib.blake2b(digest, key=key, person=b"audit-end", digest_size=32).digest()


async def has_begun(connection: AsyncConnection) -> bool:
    """True when a row with a digest was written."""
    return (await connection.execute(select(audit_head.c.digest))).scalar() is not None


async def lock(connection: AsyncConnection) -> None:
    """Wait for every other change to be over. Who takes this lock first never waits for two locks in another's order."""
    await connection.execute(select(audit_head.c.id).with_for_update())


async def append(connection: AsyncConnection, key: bytes, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write these rows at the end of the chain, in their order. The head is locked until the transaction is over."""
    moved = (
        update(audit_head)
        .values(position=audit_head.c.position + len(rows))
        .returning(audit_head.c.position, audit_head.c.digest)
    )
    position, end = (await connection.execute(moved)).one()
    position -= len(rows)
    for start in range(0, len(rows), SLICE):
        placed = []
        for row in rows[start : start + SLICE]:
            position += 1
            entry = {**row, "position": position}
            entry["digest"] = digest_of(key, end, entry)
            end = end_of(key, entry["digest"])
            placed.append(entry)
        await connection.execute(insert(audit), placed)
    await connection.execute(update(audit_head).values(digest=end))
