"""`/api/v1/models/model/history`: what a row was, what changed, and back to an earlier version."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from modelyard.control.catalogue.editing import check_version, writable
from modelyard.control.catalogue.grants import MODEL
from modelyard.control.catalogue.images import put_back
from modelyard.control.catalogue.queries import Stored
from modelyard.control.catalogue.routes import Id, editing
from modelyard.control.catalogue.schemas import Model
from modelyard.control.context import Caller
from modelyard.control.versions import pictures
from modelyard.control.versions import service as versions
from modelyard.core.errors import Kind, Problem

routes = APIRouter(prefix="/models", tags=["models"])


class Author(BaseModel):
    name: str


class Version(BaseModel):
    """One saved state of a row. `created_at` is in Unix seconds; `user` is null when the account is gone.

    `changed` outlines what differs from the version it was made from: up to 20 paths, such as `params.temperature`.
    """

    id: str
    model_id: str
    parent_id: str | None
    user_id: str
    user: Author | None
    commit_message: str | None
    created_at: int
    is_current: bool
    changed: list[str]


class FullVersion(Version):
    """`snapshot` holds name, base_model_id, params and meta as they were."""

    snapshot: dict[str, Any]


class Difference(BaseModel):
    """Path -> {old, new} of every value that differs, such as `params.temperature`. Of pictures (`profile_image`) digests."""

    changes: dict[str, dict[str, Any]]


@routes.get("/model/history")
async def history(model_id: Id, context: Caller, page: Annotated[int, Query(ge=1, le=1_000_000)] = 1) -> list[Version]:
    """A row's versions, newest first, 20 a page. For those who may write it."""
    async with context.control.database.read() as connection:
        stored = await writable(context, connection, model_id)
        found = await versions.page(connection, MODEL, stored.row.id, page)
        changed = await versions.changed(connection, MODEL, stored.row.id, found)
    return [Version(**_told(dict(row), stored, changed)) for row in found]


@routes.get("/model/history/diff")
async def difference(
    model_id: Id,
    context: Caller,
    old: Annotated[str, Query(alias="from", max_length=100, description="id of a version")],
    new: Annotated[str | None, Query(alias="to", max_length=100, description="default: the one in force")] = None,
) -> Difference:
    """What differs between two versions."""
    async with context.control.database.read() as connection:
        stored = await writable(context, connection, model_id)
        before = await versions.read(connection, MODEL, stored.row.id, old)
        after = await versions.read(connection, MODEL, stored.row.id, new or stored.row.version_id or "")
    return Difference(changes=versions.compared(before["content"], after["content"]))


@routes.get("/model/history/{version_id}")
async def one_version(version_id: str, model_id: Id, context: Caller) -> FullVersion:
    """One version with its content."""
    async with context.control.database.read() as connection:
        stored = await writable(context, connection, model_id)
        found = await versions.read(connection, MODEL, stored.row.id, version_id)
        image = await pictures.read(connection, MODEL, stored.row.id, found["content"])
        changed = await versions.changed(connection, MODEL, stored.row.id, [found])
    return FullVersion(**_told(dict(found), stored, changed), snapshot=_snapshot(found["content"], image))


@routes.delete("/model/history/{version_id}")
async def forget_version(version_id: str, model_id: Id, context: Caller) -> bool:
    """Remove a version that is not the one in force."""
    async with editing(context) as edit:
        stored = await edit.writable(model_id)
        if version_id == stored.row.version_id:
            raise Problem(Kind.CONFLICT, "This version is in force; restore another one first.", param="version_id")
        await versions.forget(edit.change, MODEL, stored.row.id, version_id)
        await edit.change.audit(
            "model.version_deleted", stored.row.id, changes={"version": {"old": version_id, "new": None}}
        )
    return True


class RestoreVersion(BaseModel):
    """Which version shall be in force. `current` refuses (409) when another one is in force than the caller has seen."""

    model_config = ConfigDict(extra="ignore")

    version_id: str = Field(min_length=1, max_length=100)
    current: str | None = Field(None, max_length=100)


@routes.post("/model/update/version")
async def restore_version(form: RestoreVersion, model_id: Id, context: Caller) -> Model:
    """Put an earlier version in force again. Activity, access and hiding stay as they are."""
    async with editing(context) as edit:
        stored = await edit.writable(model_id)
        check_version(stored, form.current)
        found = await versions.read(edit.change.connection, MODEL, stored.row.id, form.version_id)
        # It may stand on a base that the caller may not use (any more).
        edit.check_base(stored, found["content"]["base_model_id"])
        image = await pictures.read(edit.change.connection, MODEL, stored.row.id, found["content"])
        changed = edit.noted(stored, await edit.batch.put_in_force(stored, form.version_id, found["content"], image))
    return edit.shown(changed)


def _snapshot(content: Mapping[str, Any], image: str | None) -> dict[str, Any]:
    shown = {name: content[name] for name in ("name", "base_model_id", "params")}
    return {**shown, "meta": put_back(content["meta"], image)}


def _told(row: Mapping[str, Any], stored: Stored, changed: Mapping[str, list[str]]) -> dict[str, Any]:
    return {
        "id": row["id"],
        "model_id": stored.row.id,
        "parent_id": row["parent_id"],
        "user_id": row["user_id"],
        "user": None if row["author"] is None else {"name": row["author"]},
        "commit_message": row["message"],
        "created_at": row["created_at"],
        "is_current": row["id"] == stored.row.version_id,
        "changed": changed.get(row["id"], []),
    }
