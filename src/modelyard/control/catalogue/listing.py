"""Lists of the catalogue: what is stored and what a file declares, in one order."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy import RowMapping

from modelyard.canonical.records import GrantRow, ModelRow, UserRow
from modelyard.control.catalogue import listing_query, queries, sharing
from modelyard.control.catalogue.access_filter import in_scope, readable
from modelyard.control.catalogue.indexing import search_text, sort_name, tags_of
from modelyard.control.catalogue.listing_query import CREATED, SHARED, Limits, Wanted
from modelyard.control.catalogue.meta import tag_key
from modelyard.control.catalogue.schemas import Counts, Models, OwnedModel, Owner
from modelyard.control.catalogue.shown import Granted, declared_grants, declared_rights, granted_from, shown
from modelyard.control.context import Context

_KEYS = {
    "name": lambda entry: sort_name(entry.row.name),
    "created_at": lambda entry: entry.row.created_at,
    "updated_at": lambda entry: entry.row.updated_at,
}


@dataclass(frozen=True, slots=True)
class _Entry:
    """A row in its place; only those of the page are shown."""

    row: ModelRow
    shown: Callable[[], OwnedModel]


async def page(context: Context, wanted: Wanted) -> Models:
    """One page of the presets that the caller may see: one statement, whatever is asked.

    Rows that a file declares are few: those that match are put in their places among the stored ones, of which so many
    more are read as could come before the page.
    """
    control, principal = context.control, context.principal
    people = {user.id: user for user in control.declared.users}
    declared = [(row, rights) for row, rights in declared_rows(context) if row.base_model_id is not None]
    first = max(0, wanted.offset - len(declared))
    async with control.database.read() as connection:
        found = await listing_query.page(
            connection,
            wanted,
            Limits(
                access=readable(principal, control.published.snapshot, sqlite=control.database.is_sqlite),
                user_id=principal.user_id,
                hidden=[row.id for row in control.declared.models],
                owners=[user.id for user in people.values() if wanted.query and _is_called(user, wanted.query)],
                asked_for={row.user_id for row, _ in declared if row.user_id} - people.keys(),
                first=first,
                last=wanted.offset + wanted.limit,
            ),
        )
    owners = {
        user_id: Owner(id=user_id, name=name, role=role, email=email) for user_id, name, role, email in found.people
    }
    matching = []
    for row, rights in declared:
        owner = people.get(row.user_id or "") or owners.get(row.user_id or "")
        if _matches(row, owner, wanted):
            matching.append(_Entry(row, partial(_shown_declared, context, row, rights, owner)))
    in_view = [entry for entry in matching if _in_view(entry.row, wanted, principal.user_id)]
    merged = sorted([*in_view, *(_stored(context, row, people) for row in found.rows)], key=lambda entry: entry.row.id)
    merged.sort(key=_KEYS[wanted.order_by], reverse=wanted.descending)
    begin = wanted.offset - first
    every = found.all + len(matching)
    created = found.created + sum(entry.row.user_id == principal.user_id for entry in matching)
    counts = Counts(all=every, created=created, shared=every - created)
    return Models(
        items=[entry.shown() for entry in merged[begin : begin + wanted.limit]],
        total={CREATED: counts.created, SHARED: counts.shared}.get(wanted.view, counts.all),
        counts=counts,
    )


def declared_rows(context: Context) -> Iterator[tuple[ModelRow, list[GrantRow]]]:
    """The rows that a file declares and the caller may see, with their grants."""
    snapshot = context.control.published.snapshot
    rights = declared_rights(context.control.declared)
    for row in context.control.declared.models:
        if in_scope(context.principal, row.id, snapshot) and sharing.may_read(
            context.principal, row, rights[row.id], snapshot
        ):
            yield row, rights[row.id]


def _shown_declared(
    context: Context, row: ModelRow, rights: Sequence[GrantRow], owner: UserRow | Owner | None
) -> OwnedModel:
    return _owned(context, row, declared_grants(row, rights), owner, has_image=False)


def _stored(context: Context, found: RowMapping, people: Mapping[str, UserRow]) -> _Entry:
    row = queries.row_of(found)
    owner: UserRow | Owner | None = people.get(row.user_id or "")
    if owner is None and found["owner_name"] is not None:
        owner = Owner(
            id=found["user_id"], name=found["owner_name"], role=found["owner_role"], email=found["owner_email"]
        )
    granted = granted_from(row.id, found["grants"])
    return _Entry(row, partial(_owned, context, row, granted, owner, has_image=found["has_image"]))


def _owned(
    context: Context, row: ModelRow, granted: Sequence[Granted], owner: UserRow | Owner | None, *, has_image: bool
) -> OwnedModel:
    write_access = sharing.may_write(context.principal, row, [grant for grant, _, _ in granted])
    model = shown(row, granted, write_access=write_access, image="" if has_image else None, listed=True)
    if isinstance(owner, UserRow):
        owner = Owner(id=owner.id, name=owner.name, role=owner.role, email=owner.email)
    offered = sharing.base_named(context.control.published.snapshot, row.base_model_id or row.id) is not None
    return OwnedModel.model_construct(**dict(model), user=owner, base_offered=offered)


def _matches(row: ModelRow, owner: UserRow | Owner | None, wanted: Wanted) -> bool:
    """What the statement asks of stored rows."""
    if wanted.tag and tag_key(wanted.tag) not in tags_of(row.meta):
        return False
    about = search_text(row.id, row.name, row.base_model_id, row.meta)
    return wanted.query.casefold() in about or (owner is not None and _is_called(owner, wanted.query))


def _in_view(row: ModelRow, wanted: Wanted, user_id: str) -> bool:
    return not wanted.view or (row.user_id == user_id) == (wanted.view == CREATED)


def _is_called(owner: UserRow | Owner, query: str) -> bool:
    return query.casefold() in owner.name.casefold() or query.casefold() in owner.email.casefold()
