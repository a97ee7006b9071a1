"""`/api/v1/models`: many rows at once. Import, sync, and one act on a selection."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Query
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from modelyard.control.catalogue import importing, queries, whole
from modelyard.control.catalogue.bulk import ACTS, MAKES_ROWS, Wanted
from modelyard.control.catalogue.importing import Result
from modelyard.control.catalogue.routes import editing
from modelyard.control.catalogue.schemas import Grant, Model, ModelId
from modelyard.control.catalogue.sharing import require
from modelyard.control.context import Administrator, Caller
from modelyard.control.snapshot.pace import Pace
from modelyard.core import ids, raw
from modelyard.core.errors import Kind, Problem
from modelyard.db.slices import slices
from modelyard.policy.permissions import IMPORT_MODELS

routes = APIRouter(prefix="/models", tags=["models"])


class ItemResult(BaseModel):
    """What came of one item; `place` counts from 0 in what was sent."""

    place: int
    id: str | None
    status: Literal["created", "updated", "unchanged", "failed", "deleted"]
    detail: str | None


class Imported(BaseModel):
    status: bool = True
    results: list[ItemResult]


class _Failed(Exception):
    """Takes the transaction back; carries the results to the answer."""

    def __init__(self, results: list[Result]) -> None:
        super().__init__()
        self.results = results


@routes.post("/import", response_model=Imported)
async def import_models(
    context: Caller,
    content: Annotated[Any, Body(description='a list of models, or {"models": [...]}')],
    partial: Annotated[bool, Query(description="write the good items although others fail")] = False,
) -> Any:
    """Import rows in one transaction: known ids are updated where the caller may write them, new ones are the caller's.

    When an item fails nothing is written (422 with a result per item), unless `partial` is true.
    """
    require(context.principal, IMPORT_MODELS)
    items = importing.items_of(content)
    try:
        async with editing(context) as edit:
            results = await importing.take_all(edit, items)
            if not partial and any(result.status == "failed" for result in results):
                raise _Failed(results)
    except _Failed as failed:
        return _refused(failed.results)
    # Encoded here: thousands of results as forms, checked once more by FastAPI, would hold the event loop.
    return Response(raw.encode({"status": True, "results": results}), media_type="application/json")


class Sync(BaseModel):
    """The whole catalogue as it shall be. Rows that are not listed are deleted; they can be restored as one step."""

    model_config = ConfigDict(extra="forbid")

    models: list[Any] = Field(max_length=importing.MAX_ITEMS)
    confirm: bool = Field(False, description="Needed for an empty list, which deletes everything")


@routes.post("/sync", response_model=list[Model])
async def sync_models(context: Administrator, form: Sync) -> Any:
    """Make the catalogue equal to the list, in one transaction: all rows as they are then."""
    if not form.models and not form.confirm:
        raise Problem(
            Kind.MALFORMED, "An empty list deletes every model. Send confirm: true to do it.", param="confirm"
        )
    try:
        async with editing(context) as edit:
            results = await importing.take_all(edit, form.models, whole=True)
            if any(result.status == "failed" for result in results):
                raise _Failed(results)
            await importing.remove_others(edit, {result.id for result in results if result.id}, ids.row_id())
            names = await queries.ids_of_all(edit.change.connection)
            rows = [stored for part in slices(names) for stored in await edit.load(part)]
    except _Failed as failed:
        return _refused(failed.results)
    return StreamingResponse(whole.array(map(edit.shown, rows)), media_type="application/json")


class Bulk(BaseModel):
    """One act on a selection. `tag` and `untag` need `tags`; `share` adds `access_grants` or `access_control`."""

    model_config = ConfigDict(extra="forbid")

    ids: list[ModelId] = Field(min_length=1, max_length=1000)
    action: Literal["enable", "disable", "hide", "show", "delete", "tag", "untag", "share"]
    tags: list[Annotated[str, Field(min_length=1, max_length=100)]] = Field([], max_length=100)
    access_grants: list[Grant] | None = Field(None, max_length=1000)
    access_control: dict[str, Any] | None = None


class BulkDone(Imported):
    """`batch_id` restores what was deleted as one step."""

    batch_id: str | None


@routes.post("/bulk")
async def act_on_models(context: Caller, form: Bulk) -> BulkDone:
    """Do one thing to many rows, in one transaction. Rows that the caller may not change are told and left alone.

    A base model without a row gets one from an administrator's act that needs it.
    """
    if form.action in ("tag", "untag") and not form.tags:
        raise Problem(Kind.MALFORMED, "Send the tags.", param="tags")
    access = form.model_dump(include={"access_grants", "access_control"}, exclude_unset=True)
    wanted = Wanted(tags=form.tags, access=access, batch_id=ids.row_id())
    done: Literal["deleted", "updated"] = "deleted" if form.action == "delete" else "updated"
    results: list[Result] = []
    acted: set[str] = set()  # both spellings of a name may stand for one row
    pace = Pace()
    async with editing(context) as edit:
        for part in slices(list(dict.fromkeys(form.ids))):
            await edit.load_named(part)
            bare = [model_id for model_id in part if await edit.is_ungoverned(model_id)]
            if bare and form.action in MAKES_ROWS:
                for model_id in bare:
                    await edit.govern({"id": model_id})
                    if pace.is_due:
                        await pace.rest()
                bare.clear()
                await edit.load_named(part)
            for model_id in part:
                if model_id in bare and form.action != "delete":
                    results.append(Result(place=len(results), id=model_id, status="unchanged"))
                    continue
                try:
                    stored = await (edit.removable if done == "deleted" else edit.writable)(model_id)
                    if stored.row.id not in acted:
                        await ACTS[form.action](edit, stored, wanted)
                        acted.add(stored.row.id)
                except Problem as problem:
                    results.append(Result(place=len(results), id=model_id, status="failed", detail=problem.message))
                else:
                    results.append(Result(place=len(results), id=model_id, status=done))
                if pace.is_due:
                    await pace.rest()
    return BulkDone(results=_told(results), batch_id=wanted.batch_id if form.action == "delete" else None)


def _told(results: list[Result]) -> list[ItemResult]:
    return [
        ItemResult(place=result.place, id=result.id, status=result.status, detail=result.detail) for result in results
    ]


def _refused(results: list[Result]) -> JSONResponse:
    failed = [result for result in results if result.status == "failed"]
    told = [item.model_dump() for item in _told(results)]
    return JSONResponse(
        {"detail": f"{len(failed)} of {len(results)} models cannot be taken; nothing was changed.", "results": told},
        status_code=Kind.MALFORMED.status,
    )
