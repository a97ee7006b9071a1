"""Groups: made, changed, removed, and their members. Every rule about them is here, whichever way a change comes in."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypedDict, Unpack

from modelyard.canonical.records import GroupRow
from modelyard.control.groups import queries
from modelyard.control.people import queries as people
from modelyard.control.transaction import Change, difference
from modelyard.core import ids
from modelyard.core.clock import now
from modelyard.core.errors import Kind, Problem
from modelyard.policy.permissions import ALL

MAX_DEPTH = 10
MAX_NAME = 100


class GroupFields(TypedDict, total=False):
    """What can be changed of a group. `permissions` maps paths to True; a False means the same as a path left out."""

    name: str
    description: str
    parent_id: str | None
    permissions: Mapping[str, bool]
    share: bool


async def create(
    change: Change, *, name: str, declared: Sequence[GroupRow] = (), **fields: Unpack["_NewFields"]
) -> GroupRow:
    """Make a group within a change. `declared` are the groups that the configuration holds.

    Raises Problem: MALFORMED, CONFLICT for a taken name, NOT_FOUND for an unknown parent.
    """
    moment = now()
    blank = GroupRow(id=ids.row_id(), name="", created_at=moment, updated_at=moment)
    row = await _checked(change, blank, declared, {"name": name, **fields})
    await queries.add(change.connection, {**_noted(row), "id": row.id, "created_at": moment, "updated_at": moment})
    await change.audit("group.created", row.id, changes=difference({}, _noted(row)))
    change.publish("group", row.id)
    return row


async def update(
    change: Change, group_id: str, *, declared: Sequence[GroupRow] = (), **fields: Unpack[GroupFields]
) -> GroupRow:
    """Change a group; fields that are left out keep their value. `parent_id` None puts it at the top. Raises Problem."""
    old = await stored(change, group_id, declared)
    row = await _checked(change, old, declared, fields)
    noted = difference(_noted(old), _noted(row))
    if not noted:
        return old
    row = replace(row, updated_at=now())
    await queries.change(change.connection, group_id, {**_noted(row), "updated_at": row.updated_at})
    await change.audit("group.updated", group_id, changes=noted)
    change.publish("group", group_id)
    return row


async def remove(change: Change, group_id: str, *, declared: Sequence[GroupRow] = ()) -> None:
    """Remove a group with its memberships and what was granted to it; groups below it come under its parent."""
    old = await stored(change, group_id, declared)
    members = await queries.members(change.connection, group_id)
    granted = await people.grants_to(change.connection, "group", group_id)
    below = [row.id for row in await queries.every(change.connection) if row.parent_id == group_id]
    await queries.remove(change.connection, group_id, old.parent_id)
    noted = difference(_noted(old), dict.fromkeys(_noted(old)))
    if members:
        noted["user_ids"] = {"old": members, "new": None}
    if granted:
        noted["grants"] = {"old": [dict(grant) for grant in granted], "new": None}
    await change.audit("group.deleted", group_id, changes=noted)
    for child in below:
        await change.audit("group.updated", child, changes={"parent_id": {"old": group_id, "new": old.parent_id}})
        change.publish("group", child)
    for user_id in members:
        change.publish("user", user_id)
    if granted:
        change.publish("group_grants", group_id)
    change.publish("group", group_id)


async def set_members(
    change: Change,
    group_id: str,
    *,
    user_ids: Collection[str] | None = None,
    add: Collection[str] = (),
    remove: Collection[str] = (),
    declared: Sequence[GroupRow] = (),
) -> None:
    """Put these users into a group, and with `user_ids` all others out of it; or `add` and `remove` some.

    Raises Problem NOT_FOUND for a user who is not in the database: declared ones are put into groups where they are.
    """
    await stored(change, group_id, declared)
    before = set(await queries.members(change.connection, group_id))
    wanted = (before if user_ids is None else set(user_ids)) | set(add)
    wanted.difference_update(remove)
    added, gone = wanted - before, before - wanted
    unknown = sorted(added - await people.known_ids(change.connection, added))
    if unknown:
        raise Problem(Kind.NOT_FOUND, f"There is no user {unknown[0][:100]!r} in the database.", param="user_ids")
    if not added and not gone:
        return
    moment = now()
    await queries.add_members(change.connection, group_id, added, moment)
    await queries.remove_members(change.connection, group_id, gone)
    await queries.change(change.connection, group_id, {"updated_at": moment})
    noted = {"user_ids": {"old": sorted(gone), "new": sorted(added)}}
    await change.audit("group.updated", group_id, changes=noted, description="members: those who left, those who came")
    change.publish("group", group_id)
    for user_id in sorted(added | gone):
        change.publish("user", user_id)


async def stored(change: Change, group_id: str, declared: Sequence[GroupRow] = ()) -> GroupRow:
    """The group that is to be changed. Raises Problem NOT_FOUND, or CONFLICT for a declared one."""
    for row in declared:
        if row.id == group_id:
            raise Problem(
                Kind.CONFLICT, f"This group is declared in the {row.source}; change it there and start again."
            )
    found = await queries.one(change.connection, group_id)
    if found is None:
        raise Problem(Kind.NOT_FOUND, "There is no such group.")
    return found


class _NewFields(TypedDict, total=False):
    description: str
    parent_id: str | None
    permissions: Mapping[str, bool]
    share: bool


async def _checked(change: Change, row: GroupRow, declared: Sequence[GroupRow], fields: Mapping[str, Any]) -> GroupRow:
    """The row with the fields set. Raises Problem."""
    others = [other for other in await queries.every(change.connection) if other.id != row.id]
    if "name" in fields:
        row = replace(row, name=_checked_name(fields["name"], [*declared, *others]))
    if "permissions" in fields:
        row = replace(row, permissions=_checked_permissions(fields["permissions"]))
    if "parent_id" in fields:
        row = replace(row, parent_id=fields["parent_id"])
        _check_place(row, others)
    return replace(row, **{name: fields[name] for name in ("description", "share") if name in fields})


def _checked_name(name: str, others: Sequence[GroupRow]) -> str:
    name = name.strip()
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise Problem(
            Kind.MALFORMED,
            f"A group needs a name of at most {MAX_NAME} characters without control characters.",
            param="name",
        )
    if any(other.name.casefold() == name.casefold() for other in others):
        raise Problem(Kind.CONFLICT, f"There is a group named {name!r} already.", param="name")
    return name


def _checked_permissions(given: Mapping[str, bool]) -> dict[str, bool]:
    """Only what is granted is kept: a group takes nothing away."""
    for path in given:
        if path not in ALL:
            raise Problem(Kind.MALFORMED, f"permissions: {path[:100]!r} is not a permission.", param="permissions")
    return {path: True for path in sorted(given) if given[path]}


def _check_place(row: GroupRow, others: Sequence[GroupRow]) -> None:
    """Raises Problem when the parent is unknown, is below the group itself, or the tree becomes too high."""
    if row.parent_id is None:
        return
    known = {other.id: other for other in others}
    if row.parent_id != row.id and row.parent_id not in known:
        raise Problem(Kind.NOT_FOUND, "There is no such parent group in the database.", param="parent_id")
    above = 0
    parent: str | None = row.parent_id
    while parent is not None:
        if parent == row.id or above > len(known):
            raise Problem(Kind.CONFLICT, "A group cannot be below itself.", param="parent_id")
        above += 1
        parent = known[parent].parent_id
    if above + _height(row.id, others) > MAX_DEPTH:
        raise Problem(Kind.MALFORMED, f"Groups can be nested {MAX_DEPTH} deep.", param="parent_id")


def _height(group_id: str, others: Sequence[GroupRow]) -> int:
    """How many levels there are from this group down, itself included."""
    level, height = {group_id}, 0
    while level and height <= MAX_DEPTH:
        height += 1
        level = {other.id for other in others if other.parent_id in level}
    return height


def _noted(row: GroupRow) -> dict[str, Any]:
    """What is stored of a group, and what the audit log keeps of it."""
    return {
        "name": row.name, "description": row.description, "parent_id": row.parent_id,
        "permissions": dict(row.permissions), "share": row.share,
    }  # fmt: skip
