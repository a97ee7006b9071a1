"""Groups and who is in them."""

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from modelyard.canonical.records import GroupRow
from modelyard.core.errors import Kind, Problem
from modelyard.db.schema import grants, groups, memberships

COLUMNS = (
    groups.c.id, groups.c.name, groups.c.description, groups.c.parent_id, groups.c.permissions, groups.c.share,
    groups.c.created_at, groups.c.updated_at,
)  # fmt: skip


async def every(connection: AsyncConnection) -> list[GroupRow]:
    """All groups, by name."""
    found = await connection.execute(select(*COLUMNS).order_by(groups.c.name, groups.c.id))
    return [GroupRow(**row) for row in found.mappings()]


async def one(connection: AsyncConnection, group_id: str) -> GroupRow | None:
    """The group with that id."""
    found = (await connection.execute(select(*COLUMNS).where(groups.c.id == group_id))).mappings().first()
    return None if found is None else GroupRow(**found)


async def known_ids(connection: AsyncConnection, group_ids: Collection[str]) -> frozenset[str]:
    """The same ids. Raises Problem NOT_FOUND when one of them is no stored group's."""
    if not group_ids:
        return frozenset()
    known = set((await connection.execute(select(groups.c.id))).scalars())
    for group_id in group_ids:
        if group_id not in known:
            raise Problem(Kind.NOT_FOUND, f"There is no group {group_id[:100]!r} in the database.", param="group_ids")
    return frozenset(group_ids)


async def counts(connection: AsyncConnection) -> dict[str, int]:
    """Group id to how many were put into it. Empty groups are missing."""
    query = select(memberships.c.group_id, func.count()).group_by(memberships.c.group_id)
    return {row[0]: row[1] for row in await connection.execute(query)}


async def members(connection: AsyncConnection, group_id: str) -> list[str]:
    """The ids of those who were put into a group."""
    query = select(memberships.c.user_id).where(memberships.c.group_id == group_id).order_by(memberships.c.user_id)
    return list((await connection.execute(query)).scalars())


async def add(connection: AsyncConnection, values: Mapping[str, Any]) -> None:
    await connection.execute(insert(groups).values(**values))


async def change(connection: AsyncConnection, group_id: str, values: Mapping[str, Any]) -> None:
    await connection.execute(update(groups).where(groups.c.id == group_id).values(**values))


async def remove(connection: AsyncConnection, group_id: str, parent_id: str | None) -> None:
    """The group with its memberships and what was granted to it. Those below it come under `parent_id`."""
    await connection.execute(
        delete(grants).where(grants.c.principal_type == "group", grants.c.principal_id == group_id)
    )
    await connection.execute(delete(memberships).where(memberships.c.group_id == group_id))
    await connection.execute(update(groups).where(groups.c.parent_id == group_id).values(parent_id=parent_id))
    await connection.execute(delete(groups).where(groups.c.id == group_id))


async def add_members(connection: AsyncConnection, group_id: str, user_ids: Collection[str], moment: int) -> None:
    rows = [{"group_id": group_id, "user_id": user_id, "created_at": moment} for user_id in sorted(user_ids)]
    if rows:
        await connection.execute(insert(memberships), rows)


async def remove_members(connection: AsyncConnection, group_id: str, user_ids: Collection[str]) -> None:
    gone = sorted(user_ids)
    for start in range(0, len(gone), 500):
        some = gone[start : start + 500]
        await connection.execute(
            delete(memberships).where(memberships.c.group_id == group_id, memberships.c.user_id.in_(some))
        )


async def set_groups(connection: AsyncConnection, user_id: str, group_ids: Collection[str], moment: int) -> None:
    """Put a user into these groups and out of all others."""
    query = select(memberships.c.group_id).where(memberships.c.user_id == user_id)
    before = set((await connection.execute(query)).scalars())
    for group_id in sorted(before.difference(group_ids)):
        await remove_members(connection, group_id, [user_id])
    for group_id in sorted(set(group_ids).difference(before)):
        await add_members(connection, group_id, [user_id], moment)
