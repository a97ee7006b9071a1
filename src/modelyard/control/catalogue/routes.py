"""`/api/v1/models`, the part that the data plane needs: make and remove catalogue rows with their access."""

from typing import Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from modelyard.control.catalogue import service
from modelyard.control.context import Administrator, Context
from modelyard.core.errors import Kind, Problem

routes = APIRouter(prefix="/models", tags=["models"])


class ModelForm(BaseModel):
    """A row to add. `access_control` left out means private, null means public."""

    model_config = ConfigDict(extra="ignore")

    id: str = Field(min_length=1, max_length=256)
    name: str = Field(min_length=1, max_length=256)
    base_model_id: str | None = Field(None, max_length=256)
    meta: dict[str, Any] = {}
    params: dict[str, Any] = {}
    access_control: dict[str, Any] | None = {}
    is_active: bool = True


class Model(BaseModel):
    """A catalogue row. Times are Unix seconds."""

    id: str
    user_id: str
    base_model_id: str | None
    name: str
    params: dict[str, Any]
    meta: dict[str, Any]
    access_control: dict[str, Any] | None
    is_active: bool
    updated_at: int
    created_at: int


@routes.post("/create")
async def create_model(form: ModelForm, context: Administrator) -> Model:
    """Add an override of a base model (no base_model_id) or a preset over one."""
    _writable(context, form.id)
    row = await service.create(
        context.control.changes, context.actor, form.model_dump(exclude={"access_control"}), form.access_control
    )
    return Model(
        id=row.id,
        user_id=row.user_id or "",
        base_model_id=row.base_model_id,
        name=row.name,
        params=dict(row.params),
        meta=dict(row.meta),
        access_control=form.access_control,
        is_active=row.is_active,
        updated_at=row.updated_at,
        created_at=row.created_at,
    )


@routes.delete("/model/delete")
async def delete_model(context: Administrator, model_id: str = Query(alias="id")) -> bool:
    """Remove a catalogue row."""
    _writable(context, model_id)
    await service.remove(context.control.changes, context.actor, model_id)
    return True


def _writable(context: Context, model_id: str) -> None:
    if any(row.id == model_id for row in context.control.declared.models):
        raise Problem(
            Kind.CONFLICT, "This model is declared in yard.yaml; change it there and start again.", param="id"
        )
