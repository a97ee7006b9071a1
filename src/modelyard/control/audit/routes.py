"""`GET /api/v1/audit`: who changed what. Administrators only."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel

from modelyard.control.audit import queries
from modelyard.control.context import Administrator

routes = APIRouter(tags=["audit"])


class Entry(BaseModel):
    """One change. `changes` maps a field to its old and new value, secrets masked; `created_at` is in Unix seconds."""

    id: str
    user_id: str
    action: str
    entity_type: str
    entity_id: str
    description: str | None
    changes: dict[str, Any] | None
    audit_metadata: dict[str, Any] | None
    created_at: int


class Entries(BaseModel):
    items: list[Entry]
    next: int | None


@routes.get("/audit")
async def audit_log(
    context: Administrator,
    entity_type: str | None = None,
    entity_id: str | None = None,
    user_id: str | None = None,
    action: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
) -> Entries:
    """The audit log, newest first. `next` is the offset of the next page, null at the end."""
    wanted = {"entity_type": entity_type, "entity_id": entity_id, "user_id": user_id, "action": action}
    async with context.control.database.read() as connection:
        found = await queries.page(connection, wanted, limit=limit + 1, offset=offset)
    items = [Entry.model_validate(dict(row)) for row in found[:limit]]
    return Entries(items=items, next=offset + limit if len(found) > limit else None)
