"""`/api/v1/models`, the writing half: rows made, changed, shared, deleted and restored. Reading is `listing_routes`."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from modelyard.control.catalogue import importing, queries, whole
from modelyard.control.catalogue.editing import Edit, check_may_restore, rights_given
from modelyard.control.catalogue.grants import MODEL
from modelyard.control.catalogue.schemas import Grant, Model, ModelForm, ModelId, ModelUpdate, Name
from modelyard.control.catalogue.sharing import check_unconfined, require
from modelyard.control.context import Administrator, Caller, Context
from modelyard.control.snapshot.pace import Pace
from modelyard.control.trash import service as trash
from modelyard.core import ids
from modelyard.core.clock import now
from modelyard.core.errors import Kind, Problem
from modelyard.db.slices import slices
from modelyard.policy.permissions import WORKSPACE_MODELS

routes = APIRouter(prefix="/models", tags=["models"])

Id = Annotated[ModelId, Query(alias="id")]


@asynccontextmanager
async def editing(context: Context) -> AsyncIterator[Edit]:
    """One transaction of one person; what follows from it begins after the commit."""
    async with context.control.changes.begin(context.actor) as change:
        edit = Edit(context, change)
        yield edit
        await edit.write()
    edit.activity.tell(context)


@routes.post("/create")
async def create_model(form: ModelForm, context: Caller) -> Model:
    """Add a preset over a base model, or (administrators, without base_model_id) an override of one."""
    require(context.principal, WORKSPACE_MODELS)
    async with editing(context) as edit:
        made = await edit.create(form.model_dump(exclude_unset=True))
    return edit.shown(made)


@routes.post("/model/update")
async def update_model(form: ModelUpdate, context: Caller) -> Model:
    """Change a row. Fields that are left out keep their value. With `version_id`: 409 when it is not the newest."""
    async with editing(context) as edit:
        stored = await edit.writable(form.id)
        changed = await edit.update(stored, form.model_dump(exclude_unset=True))
    return edit.shown(changed)


class Toggle(BaseModel):
    """Which model, unless the query names it, and whether it shall be active. Without `is_active`: the other way round."""

    model_config = ConfigDict(extra="ignore")

    id: ModelId | None = None
    is_active: bool | None = None


@routes.post("/model/toggle")
async def toggle_model(
    context: Caller,
    form: Toggle | None = None,
    model_id: Annotated[ModelId | None, Query(alias="id")] = None,
    is_active: bool | None = None,
) -> Model:
    """Activate or deactivate a row. With `is_active` (query or body) it may be repeated without harm."""
    named = model_id or (form.id if form is not None else None)
    if named is None:
        raise Problem(Kind.MALFORMED, "Name the model: ?id=...", param="id")
    wanted = is_active if is_active is not None else form.is_active if form is not None else None
    async with editing(context) as edit:
        stored = await edit.writable(named)
        active = not stored.row.is_active if wanted is None else wanted
        changed = await edit.set_active(stored, active)
    return edit.shown(changed)


class Access(BaseModel):
    """Who may read and write: `access_grants` or `access_control`. `name` is for a row that this makes."""

    model_config = ConfigDict(extra="ignore")

    id: ModelId
    name: Name | None = None
    access_grants: list[Grant] | None = Field(None, max_length=10_000)
    access_control: dict[str, Any] | None = None


@routes.post("/model/access/update")
async def update_access(form: Access, context: Caller) -> Model:
    """Set who may read and write a row. For a base model without a row an administrator's call makes an empty override."""
    given = form.model_dump(exclude_unset=True)
    rights = rights_given(form.id, given)
    if rights is None:
        raise Problem(Kind.MALFORMED, "Send access_grants or access_control.", param="access_grants")
    async with editing(context) as edit:
        if context.principal.manages and await edit.speaking(form.id) is None:
            changed = await edit.govern({"id": form.id, "name": form.name or form.id, **given})
        else:
            stored = await edit.writable(form.id)
            changed = await edit.share(stored, rights_given(stored.row.id, given) or [])
    return edit.shown(changed)


class Named(BaseModel):
    model_config = ConfigDict(extra="ignore")

    id: ModelId


@routes.post("/model/delete")
async def delete_model(form: Named, context: Caller) -> bool:
    """Delete a row. It can be restored (`model/restore`) until its time in the trash is over."""
    return await _delete(context, form.id)


@routes.delete("/model/delete")
async def delete_model_by_query(model_id: Id, context: Caller) -> bool:
    """Delete a row named in the query."""
    return await _delete(context, model_id)


async def _delete(context: Context, model_id: str) -> bool:
    async with editing(context) as edit:
        stored = await edit.removable(model_id)
        await edit.remove(stored, ids.row_id())
        await trash.purge(edit.change, now() - context.control.trash_seconds)
    return True


class Confirmation(BaseModel):
    model_config = ConfigDict(extra="forbid")

    confirm: bool = False


class DeletedAll(BaseModel):
    """How many rows were deleted. `model/restore` with this `batch_id` brings all of them back."""

    status: bool = True
    deleted: int
    batch_id: str


@routes.delete("/delete/all")
async def delete_all_models(
    context: Administrator, form: Confirmation | None = None, confirm: bool = False
) -> DeletedAll:
    """Delete every row of the catalogue: base models lose their names and grants. Needs `confirm: true` (query or body)."""
    if not (confirm or (form is not None and form.confirm)):
        raise Problem(
            Kind.MALFORMED,
            "This deletes every model of the catalogue. Send confirm=true to do it; it can be undone as one step.",
            param="confirm",
        )
    batch_id = ids.row_id()
    async with editing(context) as edit:
        await trash.purge(edit.change, now() - context.control.trash_seconds)
        names = await queries.ids_of_all(edit.change.connection)
        await importing.remove_all(edit, names, batch_id)
    return DeletedAll(deleted=len(names), batch_id=batch_id)


class Deleted(BaseModel):
    """A deleted row. Times are Unix seconds; it can be restored until `expires_at`.

    `trash_id` is of this row alone: what was deleted several times under one `id` is here several times. `together` is how
    many are still here of what its `batch_id` deleted, this one included.
    """

    trash_id: str
    id: str
    name: str
    user_id: str
    deleted_by: str
    deleted_at: int
    expires_at: int
    batch_id: str
    together: int


class AllDeleted(BaseModel):
    items: list[Deleted]
    total: int


@routes.get("/deleted")
async def deleted_models(
    context: Caller,
    page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
    limit: Annotated[int, Query(ge=1, le=100)] = 30,
) -> AllDeleted:
    """What was deleted and can be restored: one's own, or everybody's for an administrator. Newest first."""
    check_unconfined(context.principal)
    owner = None if context.principal.manages else context.principal.user_id
    kept = context.control.trash_seconds
    since = now() - kept
    async with context.control.database.read() as connection:
        rows, total = await trash.listed(
            connection, MODEL, owner_id=owner, since=since, limit=limit, offset=(page - 1) * limit
        )
        batches = {row["batch_id"] for row in rows}
        together = await trash.sizes(connection, MODEL, batches, owner_id=owner, since=since)
    return AllDeleted(
        items=[
            Deleted(
                trash_id=row["id"],
                id=row["entity_id"],
                name=row["name"],
                user_id=row["owner_id"],
                deleted_by=row["deleted_by"],
                deleted_at=row["deleted_at"],
                expires_at=row["deleted_at"] + kept,
                batch_id=row["batch_id"],
                together=together.get(row["batch_id"], 1),
            )
            for row in rows
        ],
        total=total,
    )


class Restore(BaseModel):
    """One row by its `trash_id` or its `id` (the one deleted last under it), or all that one act deleted by its `batch_id`."""

    model_config = ConfigDict(extra="forbid")

    id: ModelId | None = None
    trash_id: str | None = Field(None, max_length=100)
    batch_id: str | None = Field(None, max_length=100)


class Restored(BaseModel):
    status: bool = True
    items: list[Model]


@routes.post("/model/restore", response_model=Restored)
async def restore_models(form: Restore, context: Caller) -> Response:
    """Bring deleted rows back with their access, their history and their owner. 409 when an id is taken meanwhile.

    Access that the caller could not give now does not come back. What an administrator deleted, administrators restore.
    """
    check_unconfined(context.principal)
    if sum(name is not None for name in (form.id, form.trash_id, form.batch_id)) != 1:
        raise Problem(Kind.MALFORMED, "Send one of id, trash_id and batch_id.", param="id")
    since = now() - context.control.trash_seconds
    made = []
    pace = Pace()
    async with editing(context) as edit:
        connection = edit.change.connection
        owner = None if context.principal.manages else context.principal.user_id
        if form.batch_id is not None:
            found = await trash.batch(connection, MODEL, form.batch_id, since)
        elif form.trash_id is not None:
            found = [await trash.one(connection, MODEL, form.trash_id, since, owner_id=owner)]
        else:
            found = [await trash.newest(connection, MODEL, form.id or "", since, owner_id=owner)]
        check_may_restore(context, found)
        for part in slices(found):
            await edit.load_named([row["entity_id"] for row in part])
            for row in part:
                made.append(await edit.restore(row))
                if pace.is_due:
                    await pace.rest()
    return StreamingResponse(_restored(map(edit.shown, made)), media_type="application/json")


async def _restored(shown_rows: Iterable[Model]) -> AsyncIterator[bytes]:
    """`Restored` of any number of rows, in pieces."""
    yield b'{"status":true,"items":'
    async for piece in whole.array(shown_rows):
        yield piece
    yield b"}"
