"""Pictures of versions: each is kept once for an object, however many of its versions have it.

A version's content holds the picture's name, a digest; the picture is a row beside the versions of the same object, with
the name as its message.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from modelyard.control.transaction import Change
from modelyard.core import ids
from modelyard.core.clock import now
from modelyard.db.schema import versions
from modelyard.db.slices import slices

# Where the content of a version has the name of its picture.
FIELD = "profile_image"
WRITTEN_AT_ONCE = 10  # each may have more than a megabyte


def name_of(picture: str) -> str:
    """What a version's content holds in place of this picture, a data URI."""
    return f"sha256:{hashlib.sha256(picture.encode()).hexdigest()}"


def type_of(entity_type: str) -> str:
    """The type of the rows that hold the pictures of such objects."""
    return f"{entity_type} picture"


async def keep(change: Change, entity_type: str, kept: Mapping[tuple[str, str], str]) -> None:
    """Keep these pictures: (id of the object, name of the picture) to the picture. What is there already stays."""
    known: set[tuple[str, str]] = set()
    last: dict[str, int] = {}
    for entity_ids in slices(list({entity_id for entity_id, _ in kept})):
        found = await change.connection.execute(
            select(versions.c.entity_id, versions.c.message, versions.c.position).where(
                versions.c.entity_type == type_of(entity_type), versions.c.entity_id.in_(entity_ids)
            )
        )
        for entity_id, name, position in found:
            known.add((entity_id, name))
            last[entity_id] = max(last.get(entity_id, 0), position)
    rows: list[dict[str, Any]] = []
    for (entity_id, name), picture in kept.items():
        if (entity_id, name) in known:
            continue
        last[entity_id] = last.get(entity_id, 0) + 1
        rows.append(
            {
                "id": ids.row_id(),
                "entity_type": type_of(entity_type),
                "entity_id": entity_id,
                "parent_id": None,
                "content": picture,
                "user_id": change.actor.user_id,
                "message": name,
                "created_at": now(),
                "position": last[entity_id],
            }
        )
    for part in slices(rows, WRITTEN_AT_ONCE):
        await change.connection.execute(insert(versions), part)


async def read(connection: AsyncConnection, entity_type: str, entity_id: str, content: Mapping[str, Any]) -> str | None:
    """The picture of a version with this content; None when it has none."""
    name = content.get(FIELD)
    if name is None:
        return None
    found = await connection.execute(
        select(versions.c.content).where(
            versions.c.entity_type == type_of(entity_type),
            versions.c.entity_id == entity_id,
            versions.c.message == name,
        )
    )
    picture: str | None = found.scalar()
    return picture


async def let_go(change: Change, entity_type: str, entity_id: str) -> None:
    """Remove the pictures of an object that none of its versions has any more."""
    name = versions.c.content[FIELD].as_string()
    named = select(name).where(
        versions.c.entity_type == entity_type, versions.c.entity_id == entity_id, name.is_not(None)
    )
    await change.connection.execute(
        delete(versions).where(
            versions.c.entity_type == type_of(entity_type),
            versions.c.entity_id == entity_id,
            versions.c.message.not_in(named),
        )
    )
