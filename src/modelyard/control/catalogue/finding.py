"""Finds the row that is meant by a model's name, stored or declared by a file (`policy.access.speaking`)."""

from collections.abc import Awaitable, Callable, Collection, Mapping

from modelyard.control.catalogue.queries import Stored
from modelyard.control.catalogue.sharing import may_write
from modelyard.control.catalogue.shown import declared_grants
from modelyard.control.context import Context
from modelyard.policy import access

# Reads stored rows by id, several at once; None for an id without a row.
Fetch = Callable[[Collection[str]], Awaitable[Mapping[str, Stored | None]]]


async def speaking(context: Context, name: str, fetch: Fetch) -> Stored | None:
    """The row that speaks for a model."""
    return _speaking(context, name, await _rows(context, name, fetch))


async def meant(context: Context, name: str, fetch: Fetch) -> Stored | None:
    """The row that a request to read or change one means: the one that speaks for the model.

    A preset is out of force once a backend offers its name. Those who wrote it find it all the same, to look after what is
    in it; to an administrator the name means the base model.
    """
    rows = await _rows(context, name, fetch)
    who, own = context.principal, rows.get(name)
    if own is None or own.row.base_model_id is None or who.manages or not may_write(who, own.row, own.rights):
        return _speaking(context, name, rows)
    return own


def _speaking(context: Context, name: str, rows: Mapping[str, Stored]) -> Stored | None:
    records = {row_id: stored.row for row_id, stored in rows.items()}
    row = access.speaking(name, records, context.control.is_offered)
    return None if row is None else rows[row.id]


async def _rows(context: Context, name: str, fetch: Fetch) -> dict[str, Stored]:
    """The rows of both spellings by id. What a file declares stands, whatever is stored under its id."""
    names, declared = (name, access.other_spelling(name)), context.control.declared
    rows = {
        row.id: Stored(row=row, grants=declared_grants(row, declared.grants), image=None)
        for row in declared.models
        if row.id in names
    }
    left = [row_id for row_id in names if row_id not in rows]
    found = await fetch(left) if left else {}
    return {**rows, **{row_id: stored for row_id, stored in found.items() if stored is not None}}
