"""States of an object, kept one by one. The owning room says what a state holds and how it is put back.

A picture is kept apart (`pictures`): once, however many states have it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, Text, bindparam, cast, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from modelyard.control.snapshot.pace import Pace
from modelyard.control.transaction import Change
from modelyard.control.versions import pictures
from modelyard.control.versions.outline import outline
from modelyard.core.clock import now
from modelyard.core.errors import Kind, Problem
from modelyard.db.schema import users, versions
from modelyard.db.slices import slices

PAGE_SIZE = 20
MAX_VERSIONS = 200  # of one object; the oldest are let go


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A state of an object that shall be kept. `parent_id` is the version that it was made from.

    `picture` is a data URI; the content that is kept has its name under `pictures.FIELD`.
    """

    id: str
    entity_id: str
    content: Mapping[str, Any]
    parent_id: str | None
    message: str | None
    picture: str | None = None


async def keep(change: Change, entity_type: str, kept: Sequence[Version]) -> None:
    """Keep these states, in this order. Of an object that has too many the oldest are let go."""
    last: dict[str, int] = {}
    for names in slices(list({version.entity_id for version in kept})):
        found = await change.connection.execute(
            select(versions.c.entity_id, func.max(versions.c.position))
            .where(versions.c.entity_type == entity_type, versions.c.entity_id.in_(names))
            .group_by(versions.c.entity_id)
        )
        last.update({row[0]: row[1] for row in found})
    rows = []
    with_pictures: dict[tuple[str, str], str] = {}
    for version in kept:
        name = None if version.picture is None else pictures.name_of(version.picture)
        if name is not None and version.picture is not None:
            with_pictures[version.entity_id, name] = version.picture
        last[version.entity_id] = last.get(version.entity_id, 0) + 1
        rows.append(
            {
                "id": version.id,
                "entity_type": entity_type,
                "entity_id": version.entity_id,
                "parent_id": version.parent_id,
                "content": {**version.content, pictures.FIELD: name},
                "user_id": change.actor.user_id,
                "message": version.message,
                "created_at": now(),
                "position": last[version.entity_id],
            }
        )
    for part in slices(rows):
        await change.connection.execute(insert(versions), part)
    await pictures.keep(change, entity_type, with_pictures)
    for entity_id, position in last.items():
        if position > MAX_VERSIONS:
            await _let_go(change, entity_type, entity_id, position - MAX_VERSIONS)


async def _let_go(change: Change, entity_type: str, entity_id: str, position: int) -> None:
    """Remove the versions up to this position. Those made from them are the first ones then."""
    mine = (versions.c.entity_type == entity_type, versions.c.entity_id == entity_id)
    gone = select(versions.c.id).where(*mine, versions.c.position <= position)
    await change.connection.execute(
        update(versions).where(*mine, versions.c.parent_id.in_(gone.scalar_subquery())).values(parent_id=None)
    )
    await change.connection.execute(delete(versions).where(*mine, versions.c.position <= position))
    await pictures.let_go(change, entity_type, entity_id)


async def page(connection: AsyncConnection, entity_type: str, entity_id: str, number: int) -> list[RowMapping]:
    """One page of an object's versions without their content, newest first, each with its author's name."""
    found = await connection.execute(
        select(
            versions.c.id,
            versions.c.parent_id,
            versions.c.user_id,
            versions.c.message,
            versions.c.created_at,
            versions.c.position,
            users.c.name.label("author"),
        )
        .select_from(versions.outerjoin(users, users.c.id == versions.c.user_id))
        .where(versions.c.entity_type == entity_type, versions.c.entity_id == entity_id)
        .order_by(versions.c.position.desc())
        .limit(PAGE_SIZE)
        .offset((number - 1) * PAGE_SIZE)
    )
    return list(found.mappings())


async def changed(
    connection: AsyncConnection, entity_type: str, entity_id: str, rows: Sequence[RowMapping]
) -> dict[str, list[str]]:
    """Of these versions, by id: the paths of what differs from the version each was made from, at most MAX_TOLD. The first has
    none."""
    told: dict[str, list[str]] = {}
    pace = Pace()
    for row in rows:
        if row["parent_id"] is None:
            continue
        # As texts, two at a time: decoded they would hold the event loop, and all together much memory.
        found = await connection.execute(
            select(versions.c.id, cast(versions.c.content, Text)).where(
                versions.c.entity_type == entity_type,
                versions.c.entity_id == entity_id,
                versions.c.id.in_((row["id"], row["parent_id"])),
            )
        )
        texts: dict[str, str] = {row[0]: row[1] for row in found}
        if len(texts) == 2:
            told[row["id"]] = await outline(texts[row["parent_id"]], texts[row["id"]], pace)
    return told


async def read(connection: AsyncConnection, entity_type: str, entity_id: str, version_id: str) -> RowMapping:
    """One version with its content. Raises Problem NOT_FOUND."""
    found = await connection.execute(
        select(versions, users.c.name.label("author"))
        .select_from(versions.outerjoin(users, users.c.id == versions.c.user_id))
        .where(versions.c.id == version_id, versions.c.entity_type == entity_type, versions.c.entity_id == entity_id)
    )
    row = found.mappings().first()
    if row is None:
        raise Problem(Kind.NOT_FOUND, "There is no such version.", param="version_id")
    return row


async def forget(change: Change, entity_type: str, entity_id: str, version_id: str) -> None:
    """Remove one version; those made from it continue from what it was made from. Raises Problem NOT_FOUND."""
    row = await read(change.connection, entity_type, entity_id, version_id)
    mine = (versions.c.entity_type == entity_type, versions.c.entity_id == entity_id)
    await change.connection.execute(
        update(versions).where(*mine, versions.c.parent_id == version_id).values(parent_id=row["parent_id"])
    )
    await change.connection.execute(delete(versions).where(versions.c.id == version_id))
    await pictures.let_go(change, entity_type, entity_id)


async def move(change: Change, entity_type: str, places: Mapping[str, str]) -> None:
    """Give the versions of objects to other ids (old to new): a deleted object takes its history with it."""
    moved = (
        update(versions)
        .where(_of(entity_type), versions.c.entity_id == bindparam("old"))
        .values(entity_id=bindparam("new"))
    )
    for part in slices([{"old": old, "new": new} for old, new in places.items()]):
        await change.connection.execute(moved, part)


async def forget_all(change: Change, entity_type: str, entity_ids: Sequence[str]) -> None:
    """Remove every version of these objects."""
    for names in slices(entity_ids):
        await change.connection.execute(delete(versions).where(_of(entity_type), versions.c.entity_id.in_(names)))


def _of(entity_type: str) -> ColumnElement[bool]:
    """What belongs to the histories of such objects: versions and their pictures."""
    return (versions.c.entity_type == entity_type) | (versions.c.entity_type == pictures.type_of(entity_type))


def compared(old: Mapping[str, Any], new: Mapping[str, Any], place: str = "") -> dict[str, dict[str, Any]]:
    """Path -> {old, new} for every value that differs; paths go into objects (`params.temperature`), not into lists."""
    found: dict[str, dict[str, Any]] = {}
    for name in [*old, *(name for name in new if name not in old)]:
        before, after = old.get(name), new.get(name)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            found.update(compared(before, after, f"{place}{name}."))
        elif before != after or type(before) is not type(after):
            found[f"{place}{name}"] = {"old": before, "new": after}
    return found
