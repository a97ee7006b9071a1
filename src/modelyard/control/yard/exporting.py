"""What the database holds, read as a document. Declared things are not in it: they are in their file already."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from modelyard.canonical.endpoint import Timeouts
from modelyard.canonical.records import CredentialRow, Declared, GrantRow, GroupRow, UserRow
from modelyard.control.catalogue import queries as catalogue
from modelyard.control.catalogue.grants import access_control_of
from modelyard.control.catalogue.images import put_back
from modelyard.control.connections import queries as connections
from modelyard.control.keys.queries import row_of as key_of
from modelyard.control.people import queries as people
from modelyard.control.settings import queries as settings
from modelyard.control.yard.objects import (
    CONNECTION,
    GROUP,
    KEY,
    MODEL,
    SETTING,
    USER,
    Fields,
    Objects,
    Path,
    connection_fields,
    limit_fields,
    ordered,
)
from modelyard.control.yard.setting_values import as_written
from modelyard.core import raw
from modelyard.core.clock import now
from modelyard.core.seal import Seal
from modelyard.db.schema import api_keys, models


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What a document stands on beside the database. `offers` says whether a backend offers a base model of a name."""

    seal: Seal
    declared: Declared
    timeouts: Timeouts
    offers: Callable[[str], bool] = lambda _: False


@dataclass(slots=True, kw_only=True)
class Ids:
    """Row ids by the names that people know. `users` and `groups` hold declared ones too."""

    users: dict[str, str] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    connections: dict[str, str] = field(default_factory=dict)
    keys: dict[Path, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class State:
    """The database as objects, with the ids of their rows, and each key's digest.

    `owners` maps models to the stored id of an owner for whom a document has no name: nobody, the command line, or one who
    is gone.
    """

    objects: Objects
    ids: Ids
    owners: dict[str, str] = field(default_factory=dict)
    digests: dict[Path, bytes] = field(default_factory=dict, repr=False)


async def read_state(connection: AsyncConnection, ground: Ground) -> State:
    """Everything that people configured."""
    state = State(objects=Objects(), ids=Ids())
    all_users = await people.all_users(connection)
    all_groups = await people.all_groups(connection)
    for user in [*ground.declared.users, *all_users]:
        if user.email:
            state.ids.users[user.email] = user.id
    for group in [*ground.declared.groups, *all_groups]:
        state.ids.groups[group.name] = group.id
    emails = {row_id: email for email, row_id in state.ids.users.items()}
    names = {row_id: name for name, row_id in state.ids.groups.items()}
    _read_groups(state, all_groups, names)
    _read_users(state, all_users, names)
    _read_keys(state, await _live_keys(connection), {user.id: user.email for user in all_users})
    for row in await connections.every(connection, ground.seal):
        state.ids.connections[row.name] = row.id
        state.objects.of[CONNECTION][row.name,] = connection_fields(row, ground.timeouts)
    await _read_models(connection, state, emails, names)
    for name, value in (await settings.stored(connection)).items():
        state.objects.of[SETTING][name,] = {"value": ordered(as_written(name, value, emails, names))}
    return state


def _read_groups(state: State, rows: Sequence[GroupRow], names: Mapping[str, str]) -> None:
    for row in rows:
        state.objects.of[GROUP][row.name,] = {
            "description": row.description,
            "parent": None if row.parent_id is None else names.get(row.parent_id),
            "permissions": nested(row.permissions),
            "share": row.share,
        }


def nested(permissions: Mapping[str, bool], *, only_granted: bool = True) -> Fields:
    """Path -> bool as `{section: {name: bool}}`, in order."""
    found: Fields = {}
    for path in sorted(permissions):
        section, _, name = path.partition(".")
        if permissions[path] or not only_granted:
            found.setdefault(section, {})[name] = permissions[path]
    return found


def _read_users(state: State, rows: Sequence[UserRow], names: Mapping[str, str]) -> None:
    for row in rows:
        state.objects.of[USER][row.email,] = {
            "name": row.name,
            "role": row.role,
            "kind": row.kind,
            "groups": sorted(names[group_id] for group_id in row.group_ids),
        }


async def _live_keys(connection: AsyncConnection) -> list[CredentialRow]:
    """Keys that work, or will when they are given a secret. One that was rotated is on its way out and not among them."""
    query = select(api_keys).where(api_keys.c.revoked_at.is_(None), api_keys.c.replaced_by.is_(None))
    rows = [key_of(row) for row in (await connection.execute(query)).mappings()]
    moment = now()
    return [row for row in rows if row.expires_at is None or row.expires_at > moment]


def _read_keys(state: State, rows: Sequence[CredentialRow], emails: Mapping[str, str]) -> None:
    """Keys of one user and name are told apart by a number, in the order of what they say: it is the same everywhere."""
    found = [(emails[row.user_id], row.name, key_fields(row), row) for row in rows if row.user_id in emails]
    found.sort(key=lambda one: (one[0], one[1], raw.encode(one[2]), one[3].id))
    for email, name, fields, row in found:
        number = 1
        path: Path = (email, name, "")
        while path in state.ids.keys:
            number += 1
            path = (email, name, str(number))
        state.ids.keys[path] = row.id
        state.digests[path] = row.digest
        state.objects.of[KEY][path] = fields


def key_fields(row: CredentialRow) -> Fields:
    return {
        "models": None if row.models is None else list(row.models),
        "dialects": None if row.dialects is None else list(row.dialects),
        "expires_at": row.expires_at,
        "limits": limit_fields(row.limits),
    }


async def _read_models(
    connection: AsyncConnection, state: State, emails: Mapping[str, str], names: Mapping[str, str]
) -> None:
    grants: dict[str, list[GrantRow]] = {}
    for grant in await catalogue.grants_of_models(connection):
        grants.setdefault(grant.resource_id, []).append(grant)
    query = select(*catalogue.COLUMNS, models.c.profile_image)
    for found in (await connection.execute(query)).mappings():
        row = catalogue.row_of(found)
        if row.user_id not in emails:
            state.owners[row.id] = row.user_id or ""
        state.objects.of[MODEL][row.id,] = {
            "name": row.name,
            "base_model_id": row.base_model_id,
            "owner": emails.get(row.user_id or ""),
            "params": ordered(row.params),
            "meta": ordered(put_back(row.meta, found["profile_image"])),
            "is_active": row.is_active,
            "access_control": access_fields(grants.get(row.id, ()), emails, names),
        }


def access_fields(grants: Sequence[GrantRow], emails: Mapping[str, str], names: Mapping[str, str]) -> Fields | None:
    """`access_control` with people's names for things, without empty lists. A grant to somebody who is gone is left out."""
    called = []
    for grant in grants:
        known = emails if grant.principal_type == "user" else names
        name = "*" if grant.principal_id == "*" else known.get(grant.principal_id)
        if name is not None:
            called.append(_renamed(grant, name))
    control: Any = access_control_of(called)
    if control is None:
        return None
    lists = {permission: {name: ids for name, ids in of.items() if ids} for permission, of in control.items()}
    return {permission: of for permission, of in lists.items() if of}


def _renamed(grant: GrantRow, name: str) -> GrantRow:
    return GrantRow(
        resource_type=grant.resource_type,
        resource_id=grant.resource_id,
        principal_type=grant.principal_type,
        principal_id=name,
        permission=grant.permission,
    )
