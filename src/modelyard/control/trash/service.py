"""Deleted objects, whole, until their time is over. The owning room says what an object holds and how it is put back."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from modelyard.control.transaction import Change
from modelyard.control.versions import service as versions
from modelyard.core import ids
from modelyard.core.clock import now
from modelyard.core.errors import Kind, Problem
from modelyard.db.schema import trash
from modelyard.db.slices import slices

PURGED_AT_ONCE = 500
# Whole objects with their texts: reading all of a large batch at one go would hold the event loop.
READ_AT_ONCE = 50


def place_of(trash_id: str) -> str:
    """Where the versions of a deleted object are meanwhile: its own id may be taken by a new one."""
    return f"deleted {trash_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """An object that is being deleted. One `batch_id` for all that one act deletes."""

    entity_id: str
    content: Mapping[str, Any]
    name: str
    owner_id: str
    batch_id: str


async def put(change: Change, entity_type: str, deleted: Sequence[Deleted]) -> None:
    """Keep objects that are being deleted, with their history."""
    rows: list[dict[str, Any]] = [
        {
            "id": ids.call_id(),  # in the order of time: of two of one second the later is told
            "entity_type": entity_type,
            "entity_id": thing.entity_id,
            "name": thing.name,
            "owner_id": thing.owner_id,
            "content": dict(thing.content),
            "batch_id": thing.batch_id,
            "deleted_by": change.actor.user_id,
            "deleted_at": now(),
        }
        for thing in deleted
    ]
    for part in slices(rows):
        await change.connection.execute(insert(trash), part)
    await versions.move(change, entity_type, {row["entity_id"]: place_of(row["id"]) for row in rows})


async def take(change: Change, entity_type: str, rows: Sequence[RowMapping]) -> None:
    """Take objects out again: their history goes back to their ids."""
    for part in slices(rows):
        await change.connection.execute(delete(trash).where(trash.c.id.in_([row["id"] for row in part])))
    await versions.forget_all(change, entity_type, [row["entity_id"] for row in rows])
    await versions.move(change, entity_type, {place_of(row["id"]): row["entity_id"] for row in rows})


async def give(change: Change, entity_type: str, owner_id: str, new_owner: str) -> list[str]:
    """What somebody owned of what was deleted gets another owner. The ids of those objects, in order."""
    found = await change.connection.execute(
        update(trash)
        .where(trash.c.entity_type == entity_type, trash.c.owner_id == owner_id)
        .values(owner_id=new_owner)
        .returning(trash.c.entity_id)
    )
    return sorted(found.scalars())


async def listed(
    connection: AsyncConnection, entity_type: str, *, owner_id: str | None, since: int, limit: int, offset: int
) -> tuple[list[RowMapping], int]:
    """(one page of what was deleted since then, newest first; how many in all). `owner_id` None: everybody's."""
    wanted = _wanted(entity_type, since, owner_id)
    columns = [column for column in trash.c if column.name != "content"]
    found = await connection.execute(
        select(*columns)
        .where(*wanted)
        .order_by(trash.c.deleted_at.desc(), trash.c.id.desc())
        .limit(limit)
        .offset(offset)
    )
    total = (await connection.execute(select(func.count()).select_from(trash).where(*wanted))).scalar_one()
    return list(found.mappings()), total


async def sizes(
    connection: AsyncConnection, entity_type: str, batch_ids: Collection[str], *, owner_id: str | None, since: int
) -> dict[str, int]:
    """How many objects are still here of what each of these acts deleted; with `owner_id` of those that are theirs."""
    found = await connection.execute(
        select(trash.c.batch_id, func.count())
        .where(*_wanted(entity_type, since, owner_id), trash.c.batch_id.in_(batch_ids))
        .group_by(trash.c.batch_id)
    )
    return dict(found.tuples().all())


async def newest(
    connection: AsyncConnection, entity_type: str, entity_id: str, since: int, *, owner_id: str | None
) -> RowMapping:
    """The object that was deleted last under this id; with `owner_id` of those that are theirs. Raises Problem NOT_FOUND."""
    wanted = (*_wanted(entity_type, since, owner_id), trash.c.entity_id == entity_id)
    return await _first(connection, entity_type, wanted, "id")


async def one(
    connection: AsyncConnection, entity_type: str, trash_id: str, since: int, *, owner_id: str | None
) -> RowMapping:
    """One object by the id of its row here; with `owner_id` only when it is theirs. Raises Problem NOT_FOUND."""
    wanted = (*_wanted(entity_type, since, owner_id), trash.c.id == trash_id)
    return await _first(connection, entity_type, wanted, "trash_id")


def _wanted(entity_type: str, since: int, owner_id: str | None) -> list[ColumnElement[bool]]:
    wanted = [trash.c.entity_type == entity_type, trash.c.deleted_at >= since]
    return wanted if owner_id is None else [*wanted, trash.c.owner_id == owner_id]


async def _first(
    connection: AsyncConnection, entity_type: str, wanted: Iterable[ColumnElement[bool]], param: str
) -> RowMapping:
    found = await connection.execute(
        select(trash).where(*wanted).order_by(trash.c.deleted_at.desc(), trash.c.id.desc()).limit(1)
    )
    row = found.mappings().first()
    if row is None:
        raise Problem(Kind.NOT_FOUND, f"There is no deleted {entity_type} with that id.", param=param)
    return row


async def batch(connection: AsyncConnection, entity_type: str, batch_id: str, since: int) -> list[RowMapping]:
    """Everything that one act deleted. Raises Problem NOT_FOUND."""
    query = (
        select(trash)
        .where(trash.c.entity_type == entity_type, trash.c.batch_id == batch_id, trash.c.deleted_at >= since)
        .order_by(trash.c.entity_id)
    )
    rows: list[RowMapping] = []
    found = await connection.stream(query.execution_options(yield_per=READ_AT_ONCE))
    async for part in found.mappings().partitions():
        rows += part
    if not rows:
        raise Problem(Kind.NOT_FOUND, "There is nothing left to restore of that deletion.", param="batch_id")
    return rows


async def purge(change: Change, before: int) -> None:
    """Let go of what was deleted before that moment (Unix seconds), a bounded number at once."""
    found = await change.connection.execute(
        select(trash.c.id, trash.c.entity_type).where(trash.c.deleted_at < before).limit(PURGED_AT_ONCE)
    )
    by_type: dict[str, list[str]] = {}
    for trash_id, entity_type in found:
        by_type.setdefault(entity_type, []).append(trash_id)
    for entity_type, trash_ids in by_type.items():
        await versions.forget_all(change, entity_type, [place_of(trash_id) for trash_id in trash_ids])
        for part in slices(trash_ids):
            await change.connection.execute(delete(trash).where(trash.c.id.in_(part)))
