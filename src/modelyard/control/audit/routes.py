"""`/api/v1/audit`: who changed what, as pages and as a file, and whether the log is as it was written. Administrators only."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from modelyard.control.audit import export, queries
from modelyard.control.audit.queries import Filter
from modelyard.control.audit.verify import mark_of, verify
from modelyard.control.context import Administrator, Control
from modelyard.control.moments import seconds_of

routes = APIRouter(tags=["audit"])

Text = Annotated[str | None, Query(max_length=512)]
Moment = Annotated[str | None, Query(max_length=64)]
Position = Annotated[int | None, Query(ge=1, le=2**63 - 1)]


class Person(BaseModel):
    id: str
    name: str
    email: str


class Entry(BaseModel):
    """One change. `changes` maps a field to its old and new value, secrets masked; `created_at` is in Unix seconds.

    `user` is null for an actor that is no user (any more), such as the command line.
    """

    position: int
    id: str
    user_id: str
    user: Person | None
    action: str
    entity_type: str
    entity_id: str
    description: str | None
    changes: dict[str, Any] | None
    audit_metadata: dict[str, Any] | None
    created_at: int


class Entries(BaseModel):
    """`next` is the `offset` of the next page, or its `before` when that was given; null at the end."""

    items: list[Entry]
    next: int | None


class Fault(BaseModel):
    """The first fault: what was done (altered, missing, inserted, moved, cut off at the end, head altered) and where."""

    position: int
    id: str | None
    what: str


class Verdict(BaseModel):
    ok: bool
    checked: int
    older: int
    fault: Fault | None
    mark: str | None
    message: str


@routes.get("/audit")
async def audit_log(
    context: Administrator,
    entity_type: Text = None,
    entity_id: Text = None,
    user_id: Text = None,
    action: Text = None,
    start: Annotated[Moment, Query(alias="from")] = None,
    end: Annotated[Moment, Query(alias="to")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
    before: Position = None,
) -> Entries:
    """The audit log, newest first. Pages by `before` (a position) stay true while entries are written; `offset` ones shift.

    `from` and `to` are dates, ISO 8601 times or Unix seconds.
    """
    wanted = _filter(entity_type, entity_id, user_id, action, start, end)
    async with context.control.database.read() as connection:
        found = await queries.page(connection, wanted, limit=limit + 1, offset=offset, before=before)
        rows = found[:limit]
        people = await queries.people(connection, {row["user_id"] for row in rows})
    people = {**_declared_people(context.control), **people}
    items = [Entry.model_validate({**row, "user": people.get(row["user_id"])}) for row in rows]
    if len(found) <= limit:
        return Entries(items=items, next=None)
    return Entries(items=items, next=offset + limit if before is None else items[-1].position)


_FILES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file", "content": {kind.partition(";")[0]: {} for kind in export.MEDIA_TYPES.values()}}
}


@routes.get("/audit/export", response_class=StreamingResponse, responses=_FILES)
async def export_audit_log(
    context: Administrator,
    form: Annotated[Literal["jsonl", "csv"], Query(alias="format")] = "jsonl",
    entity_type: Text = None,
    entity_id: Text = None,
    user_id: Text = None,
    action: Text = None,
    start: Annotated[Moment, Query(alias="from")] = None,
    end: Annotated[Moment, Query(alias="to")] = None,
) -> StreamingResponse:
    """The audit log as a file, oldest first: JSON lines or CSV. The same filters as the list."""
    wanted = _filter(entity_type, entity_id, user_id, action, start, end)
    rows = queries.every(context.control.database, wanted)
    return StreamingResponse(
        export.lines(rows, form),
        media_type=export.MEDIA_TYPES[form],
        headers={"content-disposition": f'attachment; filename="audit.{form}"'},
    )


@routes.post("/audit/verify")
async def verify_audit_log(
    context: Administrator,
    mark: Annotated[str | None, Query(max_length=128)] = None,
) -> Verdict:
    """Check every entry against the chain. `mark` is that of an earlier verdict: the log up to it must be the same."""
    found = await verify(context.control.database, context.control.seal.chain_keys, mark_of(mark))
    return Verdict.model_validate(found.shown())


def _filter(
    entity_type: str | None,
    entity_id: str | None,
    user_id: str | None,
    action: str | None,
    start: str | None,
    end: str | None,
) -> Filter:
    given = {"entity_type": entity_type, "entity_id": entity_id, "user_id": user_id, "action": action}
    return Filter(
        equal={name: value for name, value in given.items() if value is not None},
        start=seconds_of("from", start),
        end=seconds_of("to", end),
    )


def _declared_people(control: Control) -> dict[str, dict[str, str]]:
    return {row.id: {"id": row.id, "name": row.name, "email": row.email} for row in control.declared.users}
