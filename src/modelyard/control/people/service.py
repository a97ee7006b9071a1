"""Users: made, changed, removed. Every rule about them is here, whichever way a change comes in."""

import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any, TypedDict, Unpack

from modelyard.canonical.records import PERSON, SERVICE, UserRow
from modelyard.canonical.snapshot import ADMIN, PENDING, USER
from modelyard.control.catalogue.grants import MODEL
from modelyard.control.groups import queries as groups
from modelyard.control.keys import queries as keys
from modelyard.control.people import passwords, queries
from modelyard.control.people.sessions import end_sessions
from modelyard.control.transaction import SYSTEM, Change, Changes, difference
from modelyard.control.trash import service as trash
from modelyard.core import ids
from modelyard.core.clock import now
from modelyard.core.errors import Kind, Problem

# From the least to the most.
ROLES = (PENDING, USER, ADMIN)
KINDS = (PERSON, SERVICE)
MAX_EMAIL = 254
MAX_NAME = 100

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


class UserFields(TypedDict, total=False):
    """What can be changed of a user. `password_hash` is of argon2; `group_ids` are stored groups."""

    email: str
    name: str
    role: str
    password_hash: str
    group_ids: Collection[str]


def checked_email(email: str) -> str:
    """The address in lower case. Raises Problem MALFORMED. Only its shape is checked: local names are fine."""
    email = email.strip().lower()
    if not _EMAIL.fullmatch(email) or len(email) > MAX_EMAIL or not email.isprintable():
        raise Problem(Kind.MALFORMED, "That is not an e-mail address, such as you@example.com.", param="email")
    return email


async def create_user(
    change: Change,
    *,
    email: str,
    name: str,
    role: str,
    password_hash: str | None,
    kind: str = PERSON,
    group_ids: Collection[str] = (),
    declared: Sequence[UserRow] = (),
) -> UserRow:
    """Add a person or a service within a change. `declared` are the users that the configuration holds.

    Raises Problem: MALFORMED, CONFLICT when the address is taken, NOT_FOUND for an unknown group.
    """
    email = checked_email(email)
    _check_role(role)
    if kind not in KINDS:
        raise Problem(Kind.MALFORMED, f"The kind must be one of {', '.join(KINDS)}.", param="kind")
    if kind == SERVICE and password_hash is not None:
        raise _no_password()
    await _free_email(change, email, declared)
    moment = now()
    row = UserRow(
        id=ids.row_id(),
        email=email,
        name=_checked_name(name) or email.partition("@")[0][:MAX_NAME],
        role=role,
        kind=kind,
        group_ids=await groups.known_ids(change.connection, group_ids),
        created_at=moment,
        updated_at=moment,
    )
    await queries.add_user(
        change.connection,
        {
            "id": row.id,
            "email": row.email,
            "name": row.name,
            "role": row.role,
            "kind": row.kind,
            "password_hash": password_hash,
            "created_at": moment,
            "updated_at": moment,
        },
    )
    await groups.set_groups(change.connection, row.id, row.group_ids, moment)
    await change.audit("user.created", row.id, changes=difference({"group_ids": []}, _noted(row)))
    _published(change, row.id, row.group_ids)
    return row


async def update_user(
    change: Change, user_id: str, *, declared: Sequence[UserRow] = (), **fields: Unpack[UserFields]
) -> UserRow:
    """Change a user; fields that are left out keep their value.

    A new password and a lower role end the user's sessions. Raises Problem: NOT_FOUND; CONFLICT for a taken address, the
    last administrator, or a declared user; MALFORMED.
    """
    old = await _stored(change, user_id, declared)
    row = old
    if "email" in fields:
        row = replace(row, email=checked_email(fields["email"]))
        if row.email != old.email:
            await _free_email(change, row.email, declared)
    if "name" in fields:
        row = replace(row, name=_checked_name(fields["name"]) or row.name)
    if "role" in fields:
        row = replace(row, role=_check_role(fields["role"]))
        await _keep_an_administrator(change, old, row.role, declared)
    if "group_ids" in fields:
        row = replace(row, group_ids=await groups.known_ids(change.connection, fields["group_ids"]))
    noted = difference(_noted(old), _noted(row))
    if "password_hash" in fields:
        if old.kind == SERVICE:
            raise _no_password()
        noted["password"] = {"old": "********", "new": "********"}
    if not noted:
        return old
    row = replace(row, updated_at=now())
    values: dict[str, Any] = {"email": row.email, "name": row.name, "role": row.role, "updated_at": row.updated_at}
    if "password_hash" in fields:
        values["password_hash"] = fields["password_hash"]
    await queries.change_user(change.connection, user_id, values)
    if row.group_ids != old.group_ids:
        await groups.set_groups(change.connection, user_id, row.group_ids, row.updated_at)
    await change.audit("user.updated", user_id, changes=noted)
    _published(change, user_id, row.group_ids ^ old.group_ids)
    if "password_hash" in fields or ROLES.index(row.role) < ROLES.index(old.role):
        await end_sessions(change, user_id)
    return row


async def remove_user(
    change: Change, user_id: str, *, declared: Sequence[UserRow] = (), transfer_to: str | None = None
) -> None:
    """Remove a user with their keys, sessions, memberships and what was granted to them.

    Their models stay, without an owner or with the one that `transfer_to` names, also those that can be restored. Raises
    Problem: NOT_FOUND; CONFLICT for the last administrator or a declared user; MALFORMED.
    """
    old = await _stored(change, user_id, declared)
    if transfer_to == user_id:
        raise Problem(Kind.MALFORMED, "transfer_to must be somebody else.", param="transfer_to")
    if transfer_to is not None and all(row.id != transfer_to for row in declared):
        known = await queries.known_ids(change.connection, [transfer_to])
        if not known:
            raise Problem(Kind.NOT_FOUND, "There is no such user to give the models to.", param="transfer_to")
    await _keep_an_administrator(change, old, PENDING, declared)
    moment = now()
    owned = await queries.models_of(change.connection, user_id)
    granted = await queries.grants_to(change.connection, "user", user_id)
    for key_id in await keys.revoke_all(change.connection, user_id, moment):
        await change.audit("key.revoked", key_id, changes={"user_id": {"old": user_id, "new": None}})
        change.publish("key", key_id)
    await end_sessions(change, user_id)
    deleted: list[str] = []
    if transfer_to is not None:
        await queries.give_models(change.connection, user_id, transfer_to, moment)
        for model_id in owned:
            await change.audit("model.updated", model_id, changes={"user_id": {"old": user_id, "new": transfer_to}})
        deleted = await trash.give(change, MODEL, user_id, transfer_to)
    await queries.remove_user(change.connection, user_id)
    noted = difference(_noted(old), dict.fromkeys(_noted(old)))
    if owned:
        noted["models"] = {"old": owned, "new": {"user_id": transfer_to}}
    if deleted:
        noted["deleted_models"] = {"old": deleted, "new": {"user_id": transfer_to}}
    if granted:
        noted["grants"] = {"old": [dict(grant) for grant in granted], "new": None}
    await change.audit("user.deleted", user_id, changes=noted)
    for model_id in owned:
        change.publish("model", model_id)
    if granted:
        change.publish("user_grants", user_id)
    _published(change, user_id, old.group_ids)


async def ensure_administrator(changes: Changes, *, email: str, password: str) -> bool:
    """Make the administrator that the settings name, unless there is a user with that address. True when made."""
    email = checked_email(email)
    async with changes.database.read() as connection:
        if await queries.by_email(connection, email) is not None:
            return False
    password_hash = await passwords.hashed(password)
    async with changes.begin(SYSTEM) as change:
        await create_user(change, email=email, name="", role=ADMIN, password_hash=password_hash)
    return True


def refuse_declared(user_id: str, declared: Sequence[UserRow]) -> None:
    """Raises Problem CONFLICT for a user whom the environment or a file declares."""
    for row in declared:
        if row.id == user_id:
            raise Problem(Kind.CONFLICT, f"This user is declared in the {row.source}; change it there and start again.")


async def _stored(change: Change, user_id: str, declared: Sequence[UserRow]) -> UserRow:
    refuse_declared(user_id, declared)
    row = await queries.one(change.connection, user_id)
    if row is None:
        raise Problem(Kind.NOT_FOUND, "There is no such user.")
    return row


async def _free_email(change: Change, email: str, declared: Sequence[UserRow]) -> None:
    if any(row.email == email for row in declared) or await queries.by_email(change.connection, email) is not None:
        raise Problem(Kind.CONFLICT, "There is a user with that e-mail address already.", param="email")


async def _keep_an_administrator(change: Change, old: UserRow, new_role: str, declared: Sequence[UserRow]) -> None:
    """Changes come one after the other (`Changes.begin`), so of two who demote each other the second fails."""
    if old.role != ADMIN or new_role == ADMIN or any(row.role == ADMIN for row in declared):
        return
    if await queries.count_admins(change.connection) <= 1:
        raise Problem(Kind.CONFLICT, "This is the last administrator; make another one first.", param="role")


def _check_role(role: str) -> str:
    if role not in ROLES:
        raise Problem(Kind.MALFORMED, f"The role must be one of {', '.join(ROLES)}.", param="role")
    return role


def _checked_name(name: str) -> str:
    name = name.strip()
    if len(name) > MAX_NAME or not name.isprintable():
        raise Problem(
            Kind.MALFORMED, f"The name must have at most {MAX_NAME} characters and no control characters.", param="name"
        )
    return name


def _no_password() -> Problem:
    return Problem(Kind.MALFORMED, "A service has no password: it uses API keys only.", param="password")


def _noted(row: UserRow) -> dict[str, Any]:
    """What the audit log keeps of a user."""
    return {
        "email": row.email, "name": row.name, "role": row.role, "kind": row.kind, "group_ids": sorted(row.group_ids),
    }  # fmt: skip


def _published(change: Change, user_id: str, group_ids: Collection[str]) -> None:
    change.publish("user", user_id)
    for group_id in sorted(group_ids):
        change.publish("group", group_id)
