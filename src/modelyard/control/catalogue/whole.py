"""The catalogue as a whole, as a JSON array that is read and sent slice by slice.

Each slice is a transaction of its own, so that a slow reader holds no connection: a row that is changed meanwhile is
told as it was or as it is, and no row is told twice.
"""

from collections.abc import AsyncIterator, Collection, Iterable, Sequence

from sqlalchemy import ColumnElement, RowMapping, case, select

from modelyard.canonical.records import ModelRow
from modelyard.control.catalogue import queries, sharing
from modelyard.control.catalogue.access_filter import among, readable, writable
from modelyard.control.catalogue.indexing import tags_of
from modelyard.control.catalogue.listing_query import grants_of_row
from modelyard.control.catalogue.meta import tag_key
from modelyard.control.catalogue.reading import OVERRIDES, PRESETS, not_declared
from modelyard.control.catalogue.schemas import Model
from modelyard.control.catalogue.shown import Granted, declared_grants, declared_rights, granted_from, shown
from modelyard.control.context import Context
from modelyard.control.snapshot.pace import Pace
from modelyard.core.errors import Kind, Problem
from modelyard.db.schema import model_tags, models

# Rows that are read and shown at a time, so that nothing else waits long.
SLICE = 50
CHUNK_BYTES = 64 * 1024

_Declared = Sequence[tuple[ModelRow, list[Granted]]]


async def exported(context: Context, wanted: Collection[str]) -> AsyncIterator[bytes]:
    """The presets that the caller may see and write, whole, as a JSON array in pieces; of `wanted` ids only, unless it is empty.

    Raises Problem FORBIDDEN, before the first piece, when a wanted id is not among them.
    """
    sqlite = context.control.database.is_sqlite
    snapshot = context.control.published.snapshot
    seen = readable(context.principal, snapshot, sqlite=sqlite)
    condition = PRESETS & seen & writable(context.principal, sqlite=sqlite) & not_declared(context)
    declared = [
        (row, granted)
        for row, granted in _all_declared(context)
        if row.base_model_id is not None
        and sharing.may_write(context.principal, row, rights := [grant for grant, _, _ in granted])
        and sharing.may_read(context.principal, row, rights, snapshot)
        and (not wanted or row.id in wanted)
    ]
    if wanted:
        condition &= models.c.id.in_(among(wanted, sqlite=sqlite))
        async with context.control.database.read() as connection:
            known = set((await connection.execute(select(models.c.id).where(condition))).scalars())
        missing = set(wanted) - known - {row.id for row, _ in declared}
        if missing:
            raise Problem(Kind.FORBIDDEN, f"There is no preset {min(missing)!r:.300} that you may change.", param="ids")
    return _array(context, declared, condition, listed=False)


def everything(context: Context) -> AsyncIterator[bytes]:
    """Every row that the caller may see, as a JSON array in pieces. For administrators."""
    control = context.control
    seen = readable(context.principal, control.published.snapshot, sqlite=control.database.is_sqlite)
    return _array(context, _all_declared(context), seen & not_declared(context), listed=True)


def overrides(context: Context, tag: str | None) -> AsyncIterator[bytes]:
    """The overrides of base models, with this tag if one is given, as a JSON array in pieces. For administrators."""
    condition = OVERRIDES & not_declared(context)
    declared = [found for found in _all_declared(context) if found[0].base_model_id is None]
    if tag is not None:
        key = tag_key(tag)
        condition &= models.c.id.in_(select(model_tags.c.model_id).where(model_tags.c.tag == key))
        declared = [found for found in declared if key in tags_of(found[0].meta)]
    return _array(context, declared, condition, listed=True)


def _all_declared(context: Context) -> _Declared:
    declared = context.control.declared
    rights = declared_rights(declared)
    return [(row, declared_grants(row, rights[row.id])) for row in declared.models]


async def array(shown_rows: Iterable[Model]) -> AsyncIterator[bytes]:
    """These rows as a JSON array in pieces, each shown when its turn comes."""
    pieces = bytearray(b"[")
    separator = b""
    pace = Pace()
    for model in shown_rows:
        pieces += separator + model.model_dump_json().encode()
        separator = b","
        if len(pieces) > CHUNK_BYTES:
            yield bytes(pieces)
            pieces.clear()
        if pace.is_due:
            await pace.rest()
    yield bytes(pieces + b"]")


async def _array(
    context: Context, declared: _Declared, condition: ColumnElement[bool], *, listed: bool
) -> AsyncIterator[bytes]:
    pieces = bytearray(b"[")
    separator = b""
    async for model in _models(context, declared, condition, listed=listed):
        pieces += separator + model.model_dump_json().encode()
        separator = b","
        if len(pieces) > CHUNK_BYTES:
            yield bytes(pieces)
            pieces.clear()
    yield bytes(pieces + b"]")


async def _models(
    context: Context, declared: _Declared, condition: ColumnElement[bool], *, listed: bool
) -> AsyncIterator[Model]:
    """What is declared, then what is stored by id."""
    for row, granted in declared:
        yield _shown(context, row, granted, None, listed=listed)
    after: str | None = None
    while True:
        found = await _slice(context, condition, after, with_images=not listed)
        for stored in found:
            row = queries.row_of(stored)
            yield _shown(context, row, granted_from(row.id, stored["grants"]), stored["image"], listed=listed)
        if len(found) < SLICE:
            return
        after = found[-1]["id"]


async def _slice(
    context: Context, condition: ColumnElement[bool], after: str | None, *, with_images: bool
) -> Sequence[RowMapping]:
    image = models.c.profile_image if with_images else case((models.c.profile_image.is_not(None), ""))
    grants = grants_of_row(sqlite=context.control.database.is_sqlite)
    statement = (
        select(*queries.COLUMNS, image.label("image"), grants).where(condition).order_by(models.c.id).limit(SLICE)
    )
    if after is not None:
        statement = statement.where(models.c.id > after)
    async with context.control.database.read() as connection:
        return (await connection.execute(statement)).mappings().all()


def _shown(context: Context, row: ModelRow, granted: Sequence[Granted], image: str | None, *, listed: bool) -> Model:
    write_access = sharing.may_write(context.principal, row, [grant for grant, _, _ in granted])
    return shown(row, granted, write_access=write_access, image=image, listed=listed)
