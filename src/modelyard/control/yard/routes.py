"""`/api/v1/yard`: the installation as a document. Administrators only; applying takes one whose key has no limits.

References in a document that comes over HTTP are never looked up in the server's environment: whoever sent them could
put any variable of it into a connection's header and have it sent to a server of their own.
"""

import asyncio
from functools import partial
from typing import Any

from fastapi import APIRouter, Response

from modelyard.control.catalogue.activity import Activity
from modelyard.control.catalogue.sharing import is_offered
from modelyard.control.context import Administrator, Context
from modelyard.control.people.rights import Giver
from modelyard.control.yard import revisions, service
from modelyard.control.yard.exporting import Ground
from modelyard.control.yard.reading import MAX_SENT
from modelyard.control.yard.schemas import (
    Applied,
    ApplyForm,
    PlanBackForm,
    PlanForm,
    Revisions,
    RollbackForm,
    ShownPlan,
    ShownRevision,
)
from modelyard.control.yard.service import Asked, Made, shown

routes = APIRouter(prefix="/yard", tags=["as code"])

YAML = "text/yaml; charset=utf-8"
_IS_YAML: dict[int | str, dict[str, Any]] = {200: {"content": {"text/yaml": {}}}}


@routes.get("", response_class=Response, responses=_IS_YAML)
async def export_yard(context: Administrator) -> Response:
    """What the database holds as `yard.yaml`: secrets as references, declared things left out."""
    async with context.control.database.read() as connection:
        return Response(await service.export(connection, _ground(context)), media_type=YAML)


@routes.post("/plan", response_model=ShownPlan)
async def plan_yard(form: PlanForm, context: Giver) -> Response:
    """What applying a document would do. Nothing is changed."""
    async with context.control.database.read() as connection:
        made = await service.plan(connection, _ground(context), _asked(form))
    return await _told(ShownPlan, made)


@routes.post("/apply", response_model=Applied)
async def apply_yard(form: ApplyForm, context: Giver) -> Response:
    """Make the database what the document says: all of it, or nothing."""
    activity = Activity()
    async with context.control.changes.begin(context.actor) as change:
        made = await service.apply(change, _ground(context), _asked(form, form.expect), activity)
    activity.tell(context)
    return await _told(Applied, made, revision=made.revision, before=made.before)


@routes.post("/rollback/plan", response_model=ShownPlan)
async def plan_yard_back(form: PlanBackForm, context: Giver) -> Response:
    """What going back to a revision would do. Its owners come back too, so it is not the plan of its document."""
    async with context.control.database.read() as connection:
        asked = Asked(text="", values=form.values)
        made = await service.plan_back(connection, _ground(context), form.revision, asked)
    return await _told(ShownPlan, made)


@routes.post("/rollback", response_model=Applied)
async def roll_back_yard(form: RollbackForm, context: Giver) -> Response:
    """Apply the document of a revision."""
    activity = Activity()
    asked = Asked(text="", values=form.values, expect=form.expect)
    async with context.control.changes.begin(context.actor) as change:
        made = await service.roll_back(change, _ground(context), form.revision, asked, activity)
    activity.tell(context)
    return await _told(Applied, made, revision=made.revision, before=made.before)


@routes.get("/revisions")
async def list_revisions(context: Administrator) -> Revisions:
    """The states that are kept, newest first."""
    async with context.control.database.read() as connection:
        found = await revisions.listed(connection)
    return Revisions(items=[ShownRevision.model_validate(row, from_attributes=True) for row in found])


@routes.get("/revisions/{revision_id}", response_class=Response, responses=_IS_YAML)
async def read_revision(revision_id: int, context: Administrator) -> Response:
    """The document of a revision."""
    async with context.control.database.read() as connection:
        return Response(await revisions.document(connection, revision_id), media_type=YAML)


async def _told(shape: type[ShownPlan], made: Made, **more: Any) -> Response:
    """A plan as JSON, written in a thread: it may have as many steps as there are people."""

    def text() -> str:
        return shape.model_validate({**shown(made), **more}).model_dump_json()

    return Response(await asyncio.to_thread(text), media_type="application/json")


def _ground(context: Context) -> Ground:
    control = context.control
    return Ground(
        seal=control.seal,
        declared=control.declared,
        timeouts=control.default_timeouts,
        offers=partial(is_offered, control.published.snapshot),
    )


def _asked(form: PlanForm, expect: str | None = None) -> Asked:
    return Asked(text=form.document, values=form.values, keep=form.keep, expect=expect, longest=MAX_SENT)
