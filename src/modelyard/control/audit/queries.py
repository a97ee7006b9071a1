"""The audit log, read."""

import json
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import RowMapping, Select, Text, cast, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from modelyard.db.engine import Database
from modelyard.db.schema import audit, audit_head, users

# What an export reads at once.
SLICE = 500

_LAST_SECOND = 253_402_300_799  # of the year 9999: no calendar goes on

# JSON is read as text and decoded below: a row that was tampered with must not keep the others from being read.
_COLUMNS = [
    cast(column, Text).label(column.name) if column.name in ("changes", "audit_metadata") else column
    for column in audit.c
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which entries: `equal` has columns and their values, `start` and `end` are Unix seconds (from, before)."""

    equal: Mapping[str, str] = field(default_factory=dict)
    start: int | None = None
    end: int | None = None

    def narrow(self, query: Select[Any]) -> Select[Any]:
        """The query with its conditions."""
        for column, value in self.equal.items():
            query = query.where(audit.c[column] == value)
        if self.start is not None:
            query = query.where(audit.c.created_at >= self.start)
        if self.end is not None:
            query = query.where(audit.c.created_at < self.end)
        return query


async def page(
    connection: AsyncConnection, wanted: Filter, *, limit: int, offset: int = 0, before: int | None = None
) -> list[dict[str, Any]]:
    """Entries newest first: those below the position `before`, or those after `offset` others."""
    query = wanted.narrow(select(*_COLUMNS)).order_by(audit.c.position.desc()).limit(limit)
    query = query.offset(offset) if before is None else query.where(audit.c.position < before)
    return [_readable(row) for row in await _rows(connection, query)]


async def every(database: Database, wanted: Filter) -> AsyncIterator[dict[str, Any]]:
    """All entries up to now, oldest first, read in slices: what is written meanwhile is left out."""
    async with database.read() as connection:
        last = (await connection.execute(select(func.max(audit.c.position)))).scalar() or 0
    position = 0
    while position < last:
        query = wanted.narrow(select(*_COLUMNS)).where(audit.c.position > position, audit.c.position <= last)
        async with database.read() as connection:
            rows = await _rows(connection, query.order_by(audit.c.position).limit(SLICE))
        for row in rows:
            yield _readable(row)
        position = rows[-1]["position"] if len(rows) == SLICE else last


async def head(connection: AsyncConnection) -> RowMapping | None:
    """The end of the chain as it is kept: position and digest."""
    found = await connection.execute(select(audit_head.c.position, audit_head.c.digest))
    return found.mappings().first()


async def first(connection: AsyncConnection, limit: int) -> list[dict[str, Any]]:
    """The first rows by position, whatever positions they have."""
    return await _rows(connection, select(*_COLUMNS).order_by(audit.c.position).limit(limit))


async def after(connection: AsyncConnection, position: int, limit: int) -> list[dict[str, Any]]:
    """The rows behind this position."""
    query = select(*_COLUMNS).where(audit.c.position > position).order_by(audit.c.position).limit(limit)
    return await _rows(connection, query)


async def _rows(connection: AsyncConnection, query: Select[Any]) -> list[dict[str, Any]]:
    return [
        {
            **row,
            "changes": _decoded(row["changes"]),
            "audit_metadata": _decoded(row["audit_metadata"]),
            "digest": row["digest"] if isinstance(row["digest"], bytes | None) else str(row["digest"]).encode(),
        }
        for row in (await connection.execute(query)).mappings()
    ]


def _readable(row: dict[str, Any]) -> dict[str, Any]:
    """The row with values of the kinds that its columns have, for readers; SQLite keeps whatever somebody put there.

    Not for the chain: that is checked on the values as they are.
    """
    found = dict(row)
    for name in ("changes", "audit_metadata"):
        if not isinstance(row[name], dict | None):
            found[name] = {"unreadable": json.dumps(row[name])}
    for name in ("id", "user_id", "action", "entity_type", "entity_id", "description"):
        if not isinstance(row[name], str | None):
            found[name] = str(row[name])
    created_at = row["created_at"]
    if not isinstance(created_at, int) or not 0 <= created_at <= _LAST_SECOND:
        found["created_at"] = 0
    return found


def _decoded(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return {"unreadable": text}


async def people(connection: AsyncConnection, user_ids: Collection[str]) -> dict[str, dict[str, str]]:
    """Id, name and e-mail address of those among them that the database has."""
    query = select(users.c.id, users.c.name, users.c.email).where(users.c.id.in_(user_ids))
    return {row["id"]: dict(row) for row in (await connection.execute(query)).mappings()}
