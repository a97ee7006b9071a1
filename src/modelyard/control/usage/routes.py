"""`GET /api/v1/usage`: what was called, by whom, where it ran. Everyone sees their own, administrators everything."""

import time
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel

from modelyard.control.context import Caller
from modelyard.control.moments import SECONDS, milliseconds_of
from modelyard.control.usage import queries
from modelyard.core.errors import Kind, Problem

routes = APIRouter(tags=["usage"])

FUTURE_MILLISECONDS = 86_400_000


class Usage(BaseModel):
    """Each item holds the dimension by its own name, `calls`, `tokens`, `input_tokens`, `output_tokens`, `errors` (calls
    that did not end well), `last_at` (when the latest call began, Unix seconds) and `cost` (null until prices are known).
    `next` continues the list, null at its end."""

    items: list[dict[str, Any]]
    next: str | None


@routes.get("/usage")
async def usage(
    context: Caller,
    group_by: str = "model",
    start: Annotated[str | None, Query(alias="from")] = None,
    end: Annotated[str | None, Query(alias="to")] = None,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 1000,
) -> Usage:
    """Usage grouped by one dimension. `from` and `to` are dates, ISO 8601 times or Unix seconds; this month by default."""
    if group_by not in queries.DIMENSIONS:
        raise Problem(Kind.MALFORMED, f"group_by must be one of {', '.join(queries.DIMENSIONS)}.", param="group_by")
    if after is not None and group_by in ("day", "hour") and not SECONDS.fullmatch(after):
        raise Problem(Kind.MALFORMED, "after must be the `next` of an earlier answer.", param="after")
    this_month = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    first = milliseconds_of("from", start) if start is not None else round(this_month.timestamp() * 1000)
    last = milliseconds_of("to", end) if end is not None else round(time.time() * 1000) + FUTURE_MILLISECONDS
    user_id = None if context.principal.manages else context.principal.user_id
    async with context.control.ledger.read() as connection:
        found = await queries.report(
            connection, group_by, start=first, end=last, user_id=user_id, after=after, limit=limit + 1
        )
    items = [
        {
            group_by: row["value"],
            "calls": int(row["calls"]),
            "tokens": int(row["tokens"]),
            "input_tokens": int(row["input_tokens"]),
            "output_tokens": int(row["output_tokens"]),
            "cost": None,
            "errors": int(row["errors"]),
            "last_at": int(row["last_started_at"]) // 1000,
        }
        for row in found[:limit]
    ]
    return Usage(items=items, next=str(items[-1][group_by]) if len(found) > limit else None)
