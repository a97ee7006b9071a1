"""Reports over the ledger. Dimensions come from the table below, never from a caller's text."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, RowMapping, case, cast, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from modelyard.db.schema import ledger

DAY_MILLISECONDS = 86_400_000
HOUR_MILLISECONDS = 3_600_000


def _floor(unit: int) -> ColumnElement[Any]:
    """The start of the unit that a call began in, Unix seconds."""
    return cast((ledger.c.started_at - ledger.c.started_at % unit) / 1000, BigInteger)


DIMENSIONS: Mapping[str, ColumnElement[Any]] = {
    "model": ledger.c.model,
    "user": ledger.c.user_id,
    "key": ledger.c.key_id,
    "connection": ledger.c.connection_id,
    "upstream_model": ledger.c.upstream_model,
    "operation": ledger.c.operation,
    "dialect": ledger.c.dialect,
    "status": ledger.c.status,
    "day": _floor(DAY_MILLISECONDS),
    "hour": _floor(HOUR_MILLISECONDS),
}

INPUT = ledger.c.input + ledger.c.cached_input + ledger.c.cache_write + ledger.c.cache_write_1h + ledger.c.audio_input
OUTPUT = ledger.c.output + ledger.c.reasoning + ledger.c.audio_output


def first_id(milliseconds: int) -> str:
    """The smallest call id of that moment: ids begin with their time."""
    return f"{max(0, milliseconds):012x}"


async def report(
    connection: AsyncConnection,
    dimension: str,
    *,
    start: int,
    end: int,
    user_id: str | None,
    after: str | None,
    limit: int,
) -> Sequence[RowMapping]:
    """One row for each value of a dimension, ordered by it, after the value `after`. Times are Unix milliseconds."""
    value = DIMENSIONS[dimension]
    query = (
        select(
            value.label("value"),
            func.count().label("calls"),
            func.sum(INPUT + OUTPUT).label("tokens"),
            func.sum(INPUT).label("input_tokens"),
            func.sum(OUTPUT).label("output_tokens"),
            func.sum(case((ledger.c.status == "ok", 0), else_=1)).label("errors"),
            func.max(ledger.c.started_at).label("last_started_at"),
        )
        .where(ledger.c.id >= first_id(start), ledger.c.id < first_id(end))
        .group_by(value)
        .order_by(value)
        .limit(limit)
    )
    if user_id is not None:
        query = query.where(ledger.c.user_id == user_id)
    if after is not None:
        query = query.where(value > (int(after) if dimension in ("day", "hour") else after))
    return (await connection.execute(query)).mappings().all()
