"""`/api/v1/users`: administrators manage users; everyone asks what they may do and whom they can share with."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query

from modelyard.canonical.records import UserRow
from modelyard.control.context import Administrator, Caller, Context, Done
from modelyard.control.people import directory, passwords, reasons, service, sessions
from modelyard.control.people.rights import Giver, Unconfined
from modelyard.control.people.schemas import (
    Brief,
    Ended,
    Everyone,
    Found,
    FoundPeople,
    NewUser,
    Rights,
    Role,
    RoleUpdate,
    Sessions,
    Tree,
    User,
    Users,
    UserUpdate,
)
from modelyard.control.people.session_routes import shown_sessions
from modelyard.control.settings import queries as stored_settings
from modelyard.control.settings import service as settings
from modelyard.control.settings import table
from modelyard.core.errors import Kind, Problem
from modelyard.policy.permissions import GRANT_TO_USERS, UNKNOWN_HERE, defaults, flat, tree

routes = APIRouter(prefix="/users", tags=["users"])

PAGE_SIZE = 30
MAX_ALL = 10_000

UserId = Annotated[str, Path(max_length=300)]
Text = Annotated[str, Query(max_length=200)]
Page = Annotated[int, Query(ge=1, le=10**6)]
Limit = Annotated[int, Query(ge=1, le=1000)]


@routes.get("/")
async def list_users(
    context: Administrator,
    query: Text = "",
    role: Role | None = None,
    order_by: Literal["name", "email", "role", "kind", "created_at", "updated_at"] = "created_at",
    direction: Literal["asc", "desc"] = "asc",
    page: Page = 1,
    limit: Limit = PAGE_SIZE,
) -> Users:
    """One page of users, also those of the environment and of yard.yaml."""
    rows = directory.matching(await _everyone(context), query=query, role=role)
    rows = directory.ordered(rows, order_by, descending=direction == "desc")
    start = (page - 1) * limit
    return Users(items=[_shown(row) for row in rows[start : start + limit]], total=len(rows))


@routes.get("/all")
async def all_users(context: Administrator) -> Everyone:
    """Everyone in short, by name; at most 10,000."""
    rows = directory.ordered(await _everyone(context), "name", descending=False)
    items = [Brief(id=row.id, name=row.name, email=row.email, role=row.role) for row in rows[:MAX_ALL]]
    return Everyone(items=items, total=len(rows))


@routes.get("/search")
async def search_users(context: Unconfined, query: Text = "", page: Page = 1) -> FoundPeople:
    """People to share with, by a part of their name or by their whole e-mail address; administrators also by a part of it."""
    principal = context.principal
    if GRANT_TO_USERS not in principal.permissions:
        raise Problem(Kind.FORBIDDEN, "You may not share with single people (access_grants.allow_users).")
    everyone = await _everyone(context)
    found = (
        directory.matching(everyone, query=query, role=None)
        if principal.manages
        else directory.to_share_with(everyone, query)
    )
    rows = directory.ordered(found, "name", descending=False)
    start = (page - 1) * PAGE_SIZE
    return FoundPeople(
        items=[
            Found(id=row.id, name=row.name, email=row.email)
            if principal.manages
            else Found(id=row.id, name=directory.public_name(row), email=None)
            for row in rows[start : start + PAGE_SIZE]
        ],
        total=len(rows),
    )


@routes.get("/permissions")
async def own_permissions(context: Caller) -> Tree:
    """What the caller may do: the defaults and what their groups add. Administrators have all."""
    return tree(context.principal.permissions)


@routes.get("/default/permissions")
async def default_permissions(context: Administrator) -> Tree:
    """What every approved user may do."""
    return tree(defaults(context.control.published.snapshot.settings[table.PERMISSIONS]))


@routes.post("/default/permissions")
async def change_default_permissions(form: dict[str, dict[str, bool]], context: Giver) -> Tree:
    """Change the defaults. Permissions that are left out keep their value."""
    given = flat(form, ignored=UNKNOWN_HERE)
    control = context.control
    async with control.changes.begin(context.actor) as change:
        stored = await stored_settings.stored(change.connection)
        in_force = control.published.snapshot.settings
        before = stored.get(table.PERMISSIONS, in_force[table.PERMISSIONS])
        await settings.put(change, table.PERMISSIONS, {**before, **given}, in_force)
    return tree(defaults(control.published.snapshot.settings[table.PERMISSIONS]))


@routes.post("/update/role")
async def change_role(form: RoleUpdate, context: Giver) -> User:
    """Approve, promote or demote somebody."""
    return await _update(context, form.id, UserUpdate.model_validate({"role": form.role}))


@routes.post("/")
async def make_user(form: NewUser, context: Giver) -> User:
    """Make a person, or a service account."""
    password_hash = None
    if form.password is not None and form.kind == "person":
        password_hash = await passwords.hashed(form.password)
    elif form.password is not None:
        raise Problem(Kind.MALFORMED, "A service has no password: it uses API keys only.", param="password")
    async with context.control.changes.begin(context.actor) as change:
        row = await service.create_user(
            change,
            email=form.email,
            name=form.name,
            role=form.role,
            password_hash=password_hash,
            kind=form.kind,
            group_ids=form.group_ids,
            declared=context.control.declared.users,
        )
    return _shown(row)


@routes.get("/{user_id}")
async def read_user(user_id: UserId, context: Administrator) -> User:
    """One user."""
    return _shown(await directory.find(context.control.database, context.control.declared.users, user_id))


@routes.post("/{user_id}/update")
async def update_user(user_id: UserId, form: UserUpdate, context: Giver) -> User:
    """Change a user. A new password and a lower role end their sessions."""
    return await _update(context, user_id, form)


@routes.patch("/{user_id}")
async def change_user(user_id: UserId, form: UserUpdate, context: Giver) -> User:
    """The same by the other verb."""
    return await _update(context, user_id, form)


@routes.delete("/{user_id}")
async def remove_user(
    user_id: UserId, context: Giver, transfer_to: Annotated[str | None, Query(max_length=300)] = None
) -> Done:
    """Remove a user with their keys, sessions and memberships. Their models go to `transfer_to`, or have no owner."""
    control = context.control
    async with control.changes.begin(context.actor) as change:
        await service.remove_user(change, user_id, declared=control.declared.users, transfer_to=transfer_to)
    return Done()


@routes.get("/{user_id}/sessions")
async def list_sessions(user_id: UserId, context: Administrator) -> Sessions:
    """Where somebody is signed in."""
    await directory.find(context.control.database, context.control.declared.users, user_id)
    return await shown_sessions(context, user_id)


@routes.get("/{user_id}/rights")
async def read_rights(
    user_id: UserId, context: Unconfined, model: Annotated[str | None, Query(min_length=1, max_length=256)] = None
) -> Rights:
    """What somebody may do and why: every permission, and one `model` if it is named. People may ask about themselves."""
    principal = context.principal
    if not principal.manages and user_id != principal.user_id:
        raise Problem(Kind.FORBIDDEN, "Only an administrator may ask what somebody else may do.")
    user = await directory.find(context.control.database, context.control.declared.users, user_id)
    return await reasons.rights_of(context, user, model)


@routes.delete("/{user_id}/sessions")
async def end_sessions(user_id: UserId, context: Administrator) -> Ended:
    """Sign somebody out everywhere."""
    await directory.find(context.control.database, context.control.declared.users, user_id)
    async with context.control.changes.begin(context.actor) as change:
        ended = await sessions.end_sessions(change, user_id)
    return Ended(ended=ended)


async def _everyone(context: Context) -> list[UserRow]:
    return await directory.everyone(context.control.database, context.control.declared.users)


async def _update(context: Context, user_id: str, form: UserUpdate) -> User:
    declared = context.control.declared.users
    service.refuse_declared(user_id, declared)
    fields: service.UserFields = {}
    if form.name is not None:
        fields["name"] = form.name
    if form.email is not None:
        fields["email"] = form.email
    if form.role is not None:
        fields["role"] = form.role
    if form.password:
        fields["password_hash"] = await passwords.hashed(form.password)
    async with context.control.changes.begin(context.actor) as change:
        row = await service.update_user(change, user_id, declared=declared, **fields)
    return _shown(row)


def _shown(row: UserRow) -> User:
    return User(
        id=row.id,
        name=row.name,
        email=row.email,
        role=row.role,
        kind=row.kind,
        group_ids=sorted(row.group_ids),
        source=row.source,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
