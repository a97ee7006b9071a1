"""Single rows, their pictures, and the tags there are."""

from functools import partial

from sqlalchemy import ColumnElement, select, true

from modelyard.canonical.records import GrantRow, ModelRow
from modelyard.control.catalogue import finding, images, queries, sharing
from modelyard.control.catalogue.access_filter import among, in_scope, readable
from modelyard.control.catalogue.indexing import tags_of
from modelyard.control.catalogue.listing import declared_rows
from modelyard.control.catalogue.queries import Stored
from modelyard.control.catalogue.schemas import Model
from modelyard.control.catalogue.shown import shown
from modelyard.control.context import Context
from modelyard.core.errors import Kind, Problem
from modelyard.db.schema import model_tags, models

PRESETS = models.c.base_model_id.is_not(None)
OVERRIDES = models.c.base_model_id.is_(None)


async def one(context: Context, model_id: str) -> Model:
    """A row that the caller may read. Raises Problem NOT_FOUND for every other id, whether there is one or not."""
    found = await _readable(context, model_id)
    write_access = sharing.may_write(context.principal, found.row, found.rights)
    return shown(found.row, found.grants, write_access=write_access, image=found.image)


async def image(context: Context, model_id: str) -> images.Image:
    """The picture of a row that the caller may read; the default one for every other id."""
    try:
        found = await _readable(context, model_id)
    except Problem:
        return images.DEFAULT
    return images.image_of(found.row.meta, found.image)


async def unguarded(context: Context, model_id: str) -> tuple[ModelRow | None, list[GrantRow]]:
    """The row that speaks for a model, whoever may read it, and the grants on it. The caller decides what of it is told."""
    async with context.control.database.read() as connection:
        found = await finding.speaking(context, model_id, partial(queries.stored_by_id, connection))
    return (None, []) if found is None else (found.row, found.rights)


async def _readable(context: Context, model_id: str) -> Stored:
    snapshot = context.control.published.snapshot
    async with context.control.database.read() as connection:
        found = await finding.meant(context, model_id, partial(queries.stored_by_id, connection))
    if (
        found is None
        or not in_scope(context.principal, found.row.id, snapshot)
        or not sharing.may_read(context.principal, found.row, found.rights, snapshot)
    ):
        raise Problem(Kind.NOT_FOUND, "There is no such model, or you have no access to it.", param="id")
    return found


async def tags(context: Context) -> list[str]:
    """The tags of the presets that the caller may read, as they are written, each once."""
    control = context.control
    access = readable(context.principal, control.published.snapshot, sqlite=control.database.is_sqlite)
    return await _tags(context, PRESETS & access, presets=True)


async def base_tags(context: Context) -> list[str]:
    """The tags of all overrides of base models, as they are written, each once."""
    return await _tags(context, OVERRIDES, presets=False)


async def _tags(context: Context, condition: ColumnElement[bool], *, presets: bool) -> list[str]:
    statement = (
        select(model_tags.c.name)
        .distinct()
        .join(models, models.c.id == model_tags.c.model_id)
        .where(condition, not_declared(context))
    )
    async with context.control.database.read() as connection:
        found = set((await connection.execute(statement)).scalars())
    for row, _ in declared_rows(context):
        if (row.base_model_id is not None) == presets:
            found.update(tags_of(row.meta).values())
    return sorted(found)


def not_declared(context: Context) -> ColumnElement[bool]:
    """What a file declares stands, whatever is stored under its id."""
    ids = [row.id for row in context.control.declared.models]
    return models.c.id.not_in(among(ids, sqlite=context.control.database.is_sqlite)) if ids else true()
