"""Single rows, their pictures, and the tags there are."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, select, true

from modelyard.canonical.records import GrantRow, ModelRow
from modelyard.control.catalogue import images, queries, sharing
from modelyard.control.catalogue.access_filter import among, in_scope, readable
from modelyard.control.catalogue.indexing import tags_of
from modelyard.control.catalogue.listing import declared_rows
from modelyard.control.catalogue.schemas import Model
from modelyard.control.catalogue.shown import Granted, declared_grants, shown
from modelyard.control.context import Context
from modelyard.core.errors import Kind, Problem
from modelyard.db.schema import model_tags, models
from modelyard.policy.access import row_ids, speaks_for

PRESETS = models.c.base_model_id.is_not(None)
OVERRIDES = models.c.base_model_id.is_(None)


async def one(context: Context, model_id: str) -> Model:
    """A row that the caller may read. Raises Problem NOT_FOUND for every other id, whether there is one or not."""
    row, granted, image = await _found(context, model_id)
    rights = [grant for grant, _, _ in granted]
    return shown(row, granted, write_access=sharing.may_write(context.principal, row, rights), image=image)


async def image(context: Context, model_id: str) -> images.Image:
    """The picture of a row that the caller may read; the default one for every other id."""
    try:
        row, _, stored = await _found(context, model_id)
    except Problem:
        return images.DEFAULT
    return images.image_of(row.meta, stored)


async def unguarded(context: Context, model_id: str) -> tuple[ModelRow | None, list[GrantRow]]:
    """A row whoever may read it, and the grants on it. The caller decides what of it is told."""
    row, granted, _ = await _stored(context, model_id)
    return row, [grant for grant, _, _ in granted]


async def _found(context: Context, model_id: str) -> tuple[ModelRow, Sequence[Granted], str | None]:
    snapshot = context.control.published.snapshot
    row, granted, stored_image = await _stored(context, model_id)
    rights = [grant for grant, _, _ in granted]
    if (
        row is None
        or not in_scope(context.principal, row.id, snapshot)
        or not sharing.may_read(context.principal, row, rights, snapshot)
    ):
        raise Problem(Kind.NOT_FOUND, "There is no such model, or you have no access to it.", param="id")
    return row, granted, stored_image


async def _stored(context: Context, model_id: str) -> tuple[ModelRow | None, Sequence[Granted], str | None]:
    """The row that speaks for a model (`policy.access.row_ids`)."""
    offers = context.control.is_offered
    for row_id in row_ids(model_id, offers):
        found = await _row(context, row_id)
        if found[0] is not None and speaks_for(row_id, found[0].base_model_id, model_id, offers):
            return found
    return None, [], None


async def _row(context: Context, model_id: str) -> tuple[ModelRow | None, Sequence[Granted], str | None]:
    declared = context.control.declared
    row = next((row for row in declared.models if row.id == model_id), None)
    granted, stored_image = [], None
    if row is not None:
        granted = declared_grants(row, declared.grants)
    else:
        async with context.control.database.read() as connection:
            stored = await queries.stored(connection, model_id)
        if stored is not None:
            row, stored_image = stored.row, stored.image
            granted = [Granted(found.grant, found.id, found.created_at) for found in stored.grants]
    return row, granted, stored_image


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
