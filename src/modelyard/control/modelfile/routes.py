"""`/api/v1/models`: a model as a Modelfile, and a model from one."""

import asyncio

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from modelyard.control.catalogue.editing import writable
from modelyard.control.catalogue.images import put_back
from modelyard.control.catalogue.routes import Id, editing
from modelyard.control.catalogue.schemas import Model, ModelId, Name
from modelyard.control.catalogue.sharing import require
from modelyard.control.context import Caller
from modelyard.control.importers import modelfile as importer
from modelyard.control.modelfile.parsing import MAX_BYTES
from modelyard.control.modelfile.writing import of_row
from modelyard.policy.permissions import IMPORT_MODELS

routes = APIRouter(prefix="/models", tags=["models"])


class ModelfileForm(BaseModel):
    """A Modelfile to make a preset of. `base` is the model to stand on when FROM names a file instead of a model."""

    model_config = ConfigDict(extra="forbid")

    id: ModelId
    name: Name | None = None
    content: str = Field(min_length=1, max_length=MAX_BYTES)
    base: ModelId | None = None


class LeftField(BaseModel):
    """What has no effect here or was not carried: where it stands, its value in short, and why."""

    place: str
    what: str
    why: str


class ImportedModelfile(BaseModel):
    """The row, and what of the file it could not hold."""

    model: Model
    left: list[LeftField]


@routes.get("/model/modelfile", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def export_modelfile(model_id: Id, context: Caller) -> PlainTextResponse:
    """A row as a Modelfile. For those who may write it, because it shows the prompt. Comments tell what it cannot say."""
    row = next((one for one in context.control.declared.models if one.id == model_id), None)
    if row is None or not context.principal.manages:
        async with context.control.database.read() as connection:
            row = (await writable(context, connection, model_id)).row
    text, notes = await asyncio.to_thread(of_row, row.id, row.name, row.base_model_id, row.params, row.meta)
    return PlainTextResponse(text + "".join(f"# {' '.join(note.split())}\n" for note in notes))


@routes.post("/import/modelfile")
async def import_modelfile(form: ModelfileForm, context: Caller) -> ImportedModelfile:
    """Make a preset of a Modelfile, private at first, or change the row with this id. The same file twice changes nothing."""
    require(context.principal, IMPORT_MODELS)
    # In a thread: a file of some megabytes takes a while.
    carried = await asyncio.to_thread(importer.read, form.content, form.id, form.name, form.base)
    fields = carried.yard.models[0].model_dump(include={"id", "name", "base_model_id", "params", "meta"})
    async with editing(context) as edit:
        if await edit.find(form.id) is None:
            made = await edit.create(fields)
        else:
            stored = await edit.writable(form.id)
            name = form.name or stored.row.name
            meta = {**put_back(stored.row.meta, stored.image), **fields["meta"]}
            made = await edit.update(stored, {**fields, "name": name, "meta": meta})
        shown = edit.shown(made)
    left = [LeftField(place=one.place, what=one.what, why=one.why) for one in carried.left]
    return ImportedModelfile(model=shown, left=left)
