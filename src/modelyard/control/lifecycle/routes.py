"""What is in memory and what is being done about it; load and unload by hand."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from modelyard.control.context import Administrator, Caller, Context, Done
from modelyard.control.lifecycle import queries
from modelyard.core.errors import Kind, Problem
from modelyard.policy.access import usable

routes = APIRouter(tags=["lifecycle"])

# Outside of /api/v1, at the paths by which clients know them.
doors = APIRouter(tags=["lifecycle"])

Name = Annotated[str, Field(min_length=1, max_length=512)]


class State(BaseModel):
    """How the last job for a model ended, or that it is under way: loading, loaded, unloading, unloaded, failed or
    not_supported. `reason` is for administrators; `updated_at` is in Unix seconds."""

    model_id: str
    connection_id: str
    connection: str | None
    state: str
    reason: str | None
    updated_at: int


class States(BaseModel):
    items: list[State]


class Job(BaseModel):
    """One job. `kind` is load or unload, `user_id` who asked for it or toggled the model. Times are Unix seconds."""

    id: str
    kind: str
    model_id: str
    connection_id: str
    connection: str | None
    upstream_model: str
    state: str
    reason: str | None
    user_id: str
    created_at: int
    updated_at: int


class Jobs(BaseModel):
    """`next` is the `before` of the next page, null at the end."""

    items: list[Job]
    next: str | None


class Named(BaseModel):
    model: Name


class NamedEitherWay(BaseModel):
    """Ollama's form: `model`, or `name` as older clients say. What else it has is passed over."""

    model_config = ConfigDict(extra="ignore")

    model: Name | None = None
    name: Name | None = None


@routes.get("/models/state")
async def states(context: Caller) -> States:
    """Which models are in memory, as far as Modelyard has loaded or unloaded them, of those that the caller may use.

    A preset has the state of its base. Administrators see base models that nobody can use at the moment, too.
    """
    async with context.control.database.read() as connection:
        rows = await queries.latest(connection)
    by_base: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_base.setdefault(row["model_id"], []).append(row)
    names = _connection_names(context)
    manages = context.principal.manages
    items = [
        State(
            model_id=model_id,
            connection_id=row["connection_id"],
            connection=names.get(row["connection_id"]),
            state=row["state"],
            reason=row["reason"] if manages else None,
            updated_at=row["updated_at"],
        )
        for model_id, base in _visible(context, by_base)
        for row in by_base[base]
    ]
    return States(items=items)


def _visible(context: Context, by_base: dict[str, list[dict[str, Any]]]) -> list[tuple[str, str]]:
    """(id, base model's id) of the models that the caller may know of and whose base has a job."""
    if not by_base:
        return []
    found = [(base, base) for base in by_base] if context.principal.manages else []
    snapshot = context.control.published.snapshot
    for model in usable(context.principal, snapshot):
        base = model.base.id if model.base is not None else model.id
        if base in by_base:
            found.append((model.id, base))
    return list(dict.fromkeys(found))


@routes.get("/jobs")
async def jobs(
    context: Administrator,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    before: Annotated[str | None, Query(max_length=64)] = None,
) -> Jobs:
    """Loads and unloads, newest first. `before` is the `next` of an earlier page."""
    async with context.control.database.read() as connection:
        found = await queries.page(connection, limit=limit + 1, before=before)
    items = [_job(context, row) for row in found[:limit]]
    return Jobs(items=items, next=items[-1].id if len(found) > limit else None)


@doors.post("/api/models/load", status_code=202)
async def load(context: Administrator, form: Named) -> Job:
    """Begin to load a model, or the base of a preset, on the first backend that can. Answers at once with the job."""
    return _job(context, await context.control.lifecycle.load(context.actor, form.model))


TOO_LONG: dict[int | str, dict[str, Any]] = {504: {"description": "A backend takes too long; it goes on"}}


@doors.post("/api/models/unload", responses=TOO_LONG)
async def unload(context: Administrator, form: Named) -> Done:
    """Unload a model, or the base of a preset, from every backend that can. Answers when it has left the memory."""
    await context.control.lifecycle.unload(context.actor, form.model)
    return Done()


@doors.post("/ollama/api/unload", responses=TOO_LONG)
async def unload_as_ollama(context: Administrator, form: NamedEitherWay) -> Done:
    """The same at the path of the Ollama router."""
    name = form.model or form.name
    if name is None:
        raise Problem(Kind.MALFORMED, "Name the model in `model`.", param="model")
    await context.control.lifecycle.unload(context.actor, name)
    return Done()


def _job(context: Context, row: dict[str, Any]) -> Job:
    return Job.model_validate({**row, "connection": _connection_names(context).get(row["connection_id"])})


def _connection_names(context: Context) -> dict[str, str]:
    return {row.id: row.name for row in context.control.connections()}
