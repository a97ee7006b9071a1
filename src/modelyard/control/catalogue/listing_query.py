"""One page of the catalogue in one statement: the rows, whose they are, their grants, and how many there are."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    JSON,
    ColumnElement,
    RowMapping,
    Select,
    String,
    and_,
    bindparam,
    case,
    false,
    func,
    null,
    or_,
    select,
    true,
    type_coerce,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from modelyard.control.catalogue.access_filter import among
from modelyard.control.catalogue.grants import MODEL
from modelyard.control.catalogue.letter_case import glob_pattern, regular_expression
from modelyard.control.catalogue.meta import tag_key
from modelyard.control.catalogue.queries import COLUMNS
from modelyard.db.schema import grants, model_tags, models, users

CREATED = "created"
SHARED = "shared"

# What a list can be ordered by: the name the caller uses -> the column.
ORDERS: dict[str, ColumnElement[Any]] = {
    "name": models.c.sort_name,
    "created_at": models.c.created_at,
    "updated_at": models.c.updated_at,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a caller asks of a list. `query` and `tag` are as they were written; `view` is "created", "shared" or ""."""

    query: str = ""
    tag: str = ""
    view: str = ""
    order_by: str = "created_at"
    descending: bool = True
    offset: int = 0
    limit: int = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the statement needs to know beside it.

    `access` is true for the rows that the caller may see, `user_id` is the caller. Rows of `hidden` ids do not count.
    `owners` are people of whom the database does not know that the query finds them; `asked_for` are people to tell
    of beside the page. Rows are told from `first` up to `last`, counted from 0 in the whole list.
    """

    access: ColumnElement[bool]
    user_id: str
    hidden: Collection[str] = ()
    owners: Collection[str] = ()
    asked_for: Collection[str] = ()
    first: int = 0
    last: int = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The rows of a page, and how many there are without a view: all that match, and the caller's own of these.

    `people` are those that were asked for and have an account: [id, name, role, e-mail] each.
    """

    rows: Sequence[RowMapping]
    all: int
    created: int
    people: Sequence[Sequence[str]]


async def page(connection: AsyncConnection, wanted: Wanted, limits: Limits) -> Found:
    """Presets that match and may be seen, in a total order: by the key, then by id.

    Each row has the columns of `queries.COLUMNS`, `has_image`, `owner_name`, `owner_role`, `owner_email` (null without
    an account) and `grants`: a list of [id, principal_type, principal_id, permission, created_at].
    """
    statement = _statement(wanted, limits, sqlite=connection.dialect.name == "sqlite")
    found = (await connection.execute(statement)).mappings().all()
    # There is always one row, which tells the counts; on an empty page it holds no model.
    rows = [row for row in found if row["id"] is not None]
    first = found[0]
    return Found(
        rows=rows, all=int(first["all_rows"]), created=int(first["created_rows"]), people=first["people"] or ()
    )


def _statement(wanted: Wanted, limits: Limits, *, sqlite: bool) -> Select[Any]:
    key = ORDERS[wanted.order_by]
    matching = (
        select(models.c.id.label("matching_id"), models.c.user_id.label("owner_id"), key.label("sort_key"))
        .where(*_conditions(wanted, limits, sqlite=sqlite))
        .cte("matching")
    )
    created = func.coalesce(func.sum(case((matching.c.owner_id == limits.user_id, 1), else_=0)), 0)
    counted = select(func.count().label("all_rows"), created.label("created_rows")).select_from(matching).cte("counted")
    chosen = (
        select(matching.c.matching_id, matching.c.sort_key)
        .order_by(*_order(matching.c.sort_key, matching.c.matching_id, wanted, sqlite=sqlite))
        .limit(limits.last - limits.first)
        .offset(limits.first)
    )
    if wanted.view == CREATED:
        chosen = chosen.where(matching.c.owner_id == limits.user_id)
    elif wanted.view == SHARED:
        chosen = chosen.where(matching.c.owner_id != limits.user_id)
    on_page = chosen.cte("on_page")
    rows = (
        counted.outerjoin(on_page, true())
        .outerjoin(models, models.c.id == on_page.c.matching_id)
        .outerjoin(users, users.c.id == models.c.user_id)
    )
    return (
        select(
            counted.c.all_rows,
            counted.c.created_rows,
            *COLUMNS,
            models.c.profile_image.is_not(None).label("has_image"),
            users.c.name.label("owner_name"),
            users.c.role.label("owner_role"),
            users.c.email.label("owner_email"),
            grants_of_row(sqlite=sqlite),
            _people(limits.asked_for, sqlite=sqlite).label("people"),
        )
        .select_from(rows)
        .order_by(*_order(on_page.c.sort_key, on_page.c.matching_id, wanted, sqlite=sqlite))
    )


def _order(
    key: ColumnElement[Any], model_id: ColumnElement[str], wanted: Wanted, *, sqlite: bool
) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    """By code points on both databases, whatever the database's locale."""
    if not sqlite:
        model_id = model_id.collate("C")
        key = key.collate("C") if wanted.order_by == "name" else key
    return key.desc() if wanted.descending else key.asc(), model_id.asc()


def _conditions(wanted: Wanted, limits: Limits, *, sqlite: bool) -> list[ColumnElement[bool]]:
    conditions = [models.c.base_model_id.is_not(None), limits.access]
    if wanted.query:
        conditions.append(_mentions(wanted.query, limits.owners, sqlite=sqlite))
    if wanted.tag:
        tagged = select(model_tags.c.model_id).where(model_tags.c.tag == tag_key(wanted.tag))
        conditions.append(models.c.id.in_(tagged))
    if limits.hidden:
        conditions.append(models.c.id.not_in(among(limits.hidden, sqlite=sqlite)))
    return conditions


def _mentions(query: str, owners: Collection[str], *, sqlite: bool) -> ColumnElement[bool]:
    """The row, or the name or address of its owner, holds the query."""
    place = func.instr if sqlite else func.strpos
    pattern = bindparam(None, glob_pattern(query) if sqlite else regular_expression(query), type_=String)
    operator = "GLOB" if sqlite else "~"
    found = select(users.c.id).where(
        or_(*(column.bool_op(operator)(pattern) for column in (users.c.name, users.c.email)))
    )
    return or_(
        place(models.c.search_text, query.casefold()) > 0,
        models.c.user_id.in_(found),
        models.c.user_id.in_(among(owners, sqlite=sqlite)) if owners else false(),
    )


def _people(user_ids: Collection[str], *, sqlite: bool) -> ColumnElement[Any]:
    if not user_ids:
        return null()
    array, collect = _json_arrays(sqlite=sqlite)
    columns = (users.c.id, users.c.name, users.c.role, users.c.email)
    told = select(collect(array(*columns))).where(users.c.id.in_(among(user_ids, sqlite=sqlite))).correlate(None)
    return type_coerce(told.scalar_subquery(), JSON)


def grants_of_row(*, sqlite: bool) -> ColumnElement[Any]:
    """A column beside those of a model: its grants, a list of [id, principal_type, principal_id, permission, created_at]."""
    array, collect = _json_arrays(sqlite=sqlite)
    columns = (
        grants.c.id, grants.c.principal_type, grants.c.principal_id, grants.c.permission, grants.c.created_at,
    )  # fmt: skip
    collected = (
        select(collect(array(*columns)))
        .where(and_(grants.c.resource_type == MODEL, grants.c.resource_id == models.c.id))
        .correlate(models)
    )
    return type_coerce(collected.scalar_subquery(), JSON).label("grants")


def _json_arrays(*, sqlite: bool) -> tuple[Any, Any]:
    """The functions that make an array of columns, and one of rows."""
    return (func.json_array, func.json_group_array) if sqlite else (func.json_build_array, func.json_agg)
