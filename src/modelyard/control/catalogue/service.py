"""Catalogue rows and who may use them, as far as the data plane needs them."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, insert

from modelyard.canonical.records import GrantRow, ModelRow
from modelyard.control.catalogue import queries
from modelyard.control.transaction import Actor, Change, Changes, difference
from modelyard.core import ids
from modelyard.core.clock import now
from modelyard.core.errors import Kind, Problem
from modelyard.db.schema import grants, models
from modelyard.policy.presets import BadParameter, read_preset

MODEL = "model"
EVERYONE = "*"
PERMISSIONS = ("read", "write")
PRINCIPALS = {"user_ids": "user", "group_ids": "group"}


def grants_of(
    model_id: str, access_control: Mapping[str, Any] | None, aliases: Mapping[str, str] | None = None
) -> list[GrantRow]:
    """The grants that an `access_control` stands for: null is public, {} private, else read and write lists.

    `aliases` maps other names of users and groups (an e-mail address, a name in a file) to their ids. Raises Problem MALFORMED.
    """
    if access_control is None:
        return [_grant(model_id, "user", EVERYONE, "read")]
    found = []
    for permission, lists in access_control.items():
        if permission not in PERMISSIONS or not isinstance(lists, Mapping) or lists.keys() - PRINCIPALS.keys():
            raise _malformed()
        for field, principal_type in PRINCIPALS.items():
            names = lists.get(field) or []
            if not isinstance(names, Sequence) or isinstance(names, str):
                raise _malformed()
            for name in names:
                if not isinstance(name, str) or name == EVERYONE:
                    raise _malformed()
                found.append(_grant(model_id, principal_type, _known_as(aliases or {}, name), permission))
    return list(dict.fromkeys(found))


def _known_as(aliases: Mapping[str, str], name: str) -> str:
    return aliases.get(name) or aliases.get(name.lower(), name)


def _grant(model_id: str, principal_type: str, principal_id: str, permission: str) -> GrantRow:
    return GrantRow(
        resource_type=MODEL,
        resource_id=model_id,
        principal_type=principal_type,
        principal_id=principal_id,
        permission=permission,
    )


def _malformed() -> Problem:
    return Problem(
        Kind.MALFORMED,
        'access_control must be null (everyone), {} (private) or {"read": {"user_ids": [], "group_ids": []}, "write": ...}.',
        param="access_control",
    )


def checked_params(params: Mapping[str, Any]) -> Mapping[str, Any]:
    """The parameters, when every one can be sent. Raises Problem MALFORMED."""
    try:
        read_preset(params)
    except BadParameter as error:
        raise Problem(Kind.MALFORMED, f"{error}.", param="params") from None
    return params


async def create(
    changes: Changes, actor: Actor, given: Mapping[str, Any], access_control: Mapping[str, Any] | None
) -> ModelRow:
    """Add a row with its grants. Raises Problem CONFLICT or MALFORMED."""
    moment = now()
    row = ModelRow(
        id=given["id"],
        user_id=actor.user_id,
        name=given["name"],
        base_model_id=given.get("base_model_id"),
        params=checked_params(given["params"]),
        meta=given["meta"],
        is_active=given["is_active"],
        created_at=moment,
        updated_at=moment,
    )
    rights = grants_of(row.id, access_control)
    async with changes.begin(actor) as change:
        if await queries.one(change.connection, row.id) is not None:
            raise Problem(Kind.CONFLICT, f"There is a model with the id {row.id!r} already.", param="id")
        await change.connection.execute(insert(models).values(**_values(row)))
        await _replace_grants(change, row.id, rights)
        await change.audit("model.created", row.id, changes=difference({}, _noted(row, access_control)))
        change.publish("model", row.id)
    return row


async def remove(changes: Changes, actor: Actor, model_id: str) -> None:
    """Remove a row and its grants. Raises Problem NOT_FOUND."""
    async with changes.begin(actor) as change:
        row = await queries.one(change.connection, model_id)
        if row is None:
            raise Problem(Kind.NOT_FOUND, "There is no such model.")
        await change.connection.execute(delete(models).where(models.c.id == model_id))
        await _replace_grants(change, model_id, [])
        await change.audit("model.deleted", model_id, changes={"name": {"old": row.name, "new": None}})
        change.publish("model", model_id)


async def _replace_grants(change: Change, model_id: str, rights: Sequence[GrantRow]) -> None:
    await change.connection.execute(
        delete(grants).where(grants.c.resource_type == MODEL, grants.c.resource_id == model_id)
    )
    moment = now()
    for right in rights:
        await change.connection.execute(
            insert(grants).values(
                id=ids.row_id(),
                resource_type=right.resource_type,
                resource_id=right.resource_id,
                principal_type=right.principal_type,
                principal_id=right.principal_id,
                permission=right.permission,
                created_at=moment,
            )
        )


def _values(row: ModelRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "user_id": row.user_id,
        "base_model_id": row.base_model_id,
        "name": row.name,
        "params": dict(row.params),
        "meta": dict(row.meta),
        "is_active": row.is_active,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def _noted(row: ModelRow, access_control: Mapping[str, Any] | None) -> dict[str, Any]:
    noted = _values(row)
    del noted["created_at"], noted["updated_at"]
    return {**noted, "access_control": access_control}
