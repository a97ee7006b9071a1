"""`/api/v1/groups`: administrators manage groups; everyone sees their own, and those they can share with."""

from typing import Annotated

from fastapi import APIRouter, Path

from modelyard.canonical.records import GroupRow
from modelyard.control.context import Administrator, Context
from modelyard.control.groups import queries, service
from modelyard.control.groups.schemas import Group, GroupUpdate, Member, Members, NewGroup
from modelyard.control.people import directory
from modelyard.control.people.rights import Giver, Unconfined
from modelyard.core.errors import Kind, Problem
from modelyard.policy.permissions import GRANT_TO_GROUPS, tree

routes = APIRouter(prefix="/groups", tags=["groups"])

GroupId = Annotated[str, Path(max_length=300)]


@routes.get("/")
async def list_groups(context: Unconfined, share: bool | None = None) -> list[Group]:
    """Groups by name: all for an administrator, else the caller's own and those that can be shared with."""
    principal = context.principal
    async with context.control.database.read() as connection:
        rows = [*context.control.declared.groups, *await queries.every(connection)]
        counts = {**_declared_counts(context), **await queries.counts(connection)}
    shareable = GRANT_TO_GROUPS in principal.permissions
    visible = [
        row
        for row in rows
        if (principal.manages or row.id in principal.group_ids or (row.share and shareable))
        and share in (None, row.share)
    ]
    visible.sort(key=lambda row: (row.name.casefold(), row.id))
    return [_shown(row, counts.get(row.id, 0), full=principal.manages) for row in visible]


@routes.post("/create")
async def make_group(form: NewGroup, context: Giver) -> Group:
    """Make a group."""
    fields = form.given()
    async with context.control.changes.begin(context.actor) as change:
        row = await service.create(change, declared=context.control.declared.groups, **fields)
        if form.user_ids:
            await service.set_members(change, row.id, user_ids=form.user_ids)
    return await _one(context, row.id)


@routes.get("/id/{group_id}")
async def read_group(group_id: GroupId, context: Administrator) -> Group:
    """One group with the ids of its members."""
    return await _one(context, group_id)


@routes.get("/id/{group_id}/export")
async def export_group(group_id: GroupId, context: Administrator) -> Group:
    """The same, to keep as a file."""
    return await _one(context, group_id)


@routes.post("/id/{group_id}/users")
async def list_members(group_id: GroupId, context: Administrator) -> list[Member]:
    """Those who were put into the group."""
    group = await _one(context, group_id)
    wanted = set(group.user_ids or ())
    rows = await directory.everyone(context.control.database, context.control.declared.users)
    found = directory.ordered([row for row in rows if row.id in wanted], "name", descending=False)
    return [
        Member.model_validate({"id": row.id, "name": row.name, "email": row.email, "role": row.role}) for row in found
    ]


@routes.post("/id/{group_id}/update")
async def update_group(group_id: GroupId, form: GroupUpdate, context: Giver) -> Group:
    """Change a group."""
    fields = form.given()
    async with context.control.changes.begin(context.actor) as change:
        await service.update(change, group_id, declared=context.control.declared.groups, **fields)
        if form.user_ids is not None:
            await service.set_members(change, group_id, user_ids=form.user_ids)
    return await _one(context, group_id)


@routes.post("/id/{group_id}/users/add")
async def add_members(group_id: GroupId, form: Members, context: Giver) -> Group:
    """Put users into the group."""
    async with context.control.changes.begin(context.actor) as change:
        await service.set_members(change, group_id, add=form.user_ids, declared=context.control.declared.groups)
    return await _one(context, group_id)


@routes.post("/id/{group_id}/users/remove")
async def remove_members(group_id: GroupId, form: Members, context: Giver) -> Group:
    """Take users out of the group."""
    async with context.control.changes.begin(context.actor) as change:
        await service.set_members(change, group_id, remove=form.user_ids, declared=context.control.declared.groups)
    return await _one(context, group_id)


@routes.delete("/id/{group_id}/delete")
async def remove_group(group_id: GroupId, context: Giver) -> bool:
    """Remove a group with its memberships and what was granted to it. Groups below it come under its parent."""
    async with context.control.changes.begin(context.actor) as change:
        await service.remove(change, group_id, declared=context.control.declared.groups)
    return True


async def _one(context: Context, group_id: str) -> Group:
    for row in context.control.declared.groups:
        if row.id == group_id:
            inside = [user.id for user in context.control.declared.users if group_id in user.group_ids]
            return _shown(row, len(inside), full=True, user_ids=inside)
    async with context.control.database.read() as connection:
        found = await queries.one(connection, group_id)
        members = await queries.members(connection, group_id)
    if found is None:
        raise Problem(Kind.NOT_FOUND, "There is no such group.")
    return _shown(found, len(members), full=True, user_ids=members)


def _declared_counts(context: Context) -> dict[str, int]:
    counts: dict[str, int] = {}
    for user in context.control.declared.users:
        for group_id in user.group_ids:
            counts[group_id] = counts.get(group_id, 0) + 1
    return counts


def _shown(row: GroupRow, member_count: int, *, full: bool, user_ids: list[str] | None = None) -> Group:
    return Group(
        id=row.id,
        name=row.name,
        description=row.description,
        parent_id=row.parent_id,
        share=row.share,
        permissions=tree({path for path, given in row.permissions.items() if given}) if full else None,
        member_count=member_count,
        user_ids=user_ids,
        source=row.source,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
