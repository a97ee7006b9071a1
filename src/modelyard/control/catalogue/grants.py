"""Who may read and write a model: `access_control` as people write it, grants as they are stored, and back."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from modelyard.canonical.records import GrantRow
from modelyard.core.errors import Kind, Problem

MODEL = "model"
EVERYONE = "*"
READ = "read"
WRITE = "write"
PERMISSIONS = (READ, WRITE)
PRINCIPALS = {"user_ids": "user", "group_ids": "group"}
MAX_ID = 256
MAX_GRANTS = 10_000


def grants_of(
    model_id: str, access_control: Mapping[str, Any] | None, aliases: Mapping[str, str] | None = None
) -> list[GrantRow]:
    """The grants that an `access_control` stands for: null is public, {} private, else read and write lists.

    The user id `*` stands for everyone. `aliases` maps other names of users and groups (an e-mail address, a name in a
    file) to their ids. Raises Problem MALFORMED.
    """
    if access_control is None:
        return [_grant(model_id, "user", EVERYONE, READ)]
    found = []
    for permission, lists in access_control.items():
        if permission not in PERMISSIONS or not isinstance(lists, Mapping) or lists.keys() - PRINCIPALS.keys():
            raise _malformed()
        for field, principal_type in PRINCIPALS.items():
            names = lists.get(field) or []
            if not isinstance(names, Sequence) or isinstance(names, str):
                raise _malformed()
            for name in names:
                _check_principal(principal_type, name, permission)
                found.append(_grant(model_id, principal_type, _known_as(aliases or {}, name), permission))
    return _bounded(found)


def grants_from_rows(model_id: str, rows: Iterable[Mapping[str, Any]]) -> list[GrantRow]:
    """The grants of a list of `{principal_type, principal_id, permission}`; other fields are not read. Raises Problem."""
    found = []
    for row in rows:
        principal_type, permission = str(row.get("principal_type")), str(row.get("permission"))
        if principal_type not in PRINCIPALS.values() or permission not in PERMISSIONS:
            raise Problem(
                Kind.MALFORMED,
                'access_grants: each must be {"principal_type": "user" or "group", "principal_id": id or "*" for everyone, '
                '"permission": "read" or "write"}.',
                param="access_grants",
            )
        _check_principal(principal_type, row.get("principal_id"), permission)
        found.append(_grant(model_id, principal_type, str(row["principal_id"]), permission))
    return _bounded(found)


def access_control_of(grants: Iterable[GrantRow], names: Mapping[str, str] | None = None) -> dict[str, Any] | None:
    """The `access_control` that says the same as these grants: the reverse of `grants_of`.

    `names` maps ids to what they are called in a file.
    """
    lists: dict[str, dict[str, list[str]]] = {
        permission: {"group_ids": [], "user_ids": []} for permission in PERMISSIONS
    }
    fields = {principal_type: field for field, principal_type in PRINCIPALS.items()}
    found = False
    for grant in grants:
        found = True
        name = (names or {}).get(grant.principal_id, grant.principal_id)
        lists[grant.permission][fields[grant.principal_type]].append(name)
    if not found:
        return {}
    for of_permission in lists.values():
        for ids in of_permission.values():
            ids.sort()
    public = {"group_ids": [], "user_ids": [EVERYONE]}
    return None if lists == {READ: public, WRITE: {"group_ids": [], "user_ids": []}} else lists


def _check_principal(principal_type: object, name: object, permission: object) -> None:
    everyone = name == EVERYONE
    if not isinstance(name, str) or not 0 < len(name) <= MAX_ID or (everyone and principal_type != "user"):
        raise _malformed()
    if everyone and permission == WRITE:
        raise Problem(
            Kind.MALFORMED, "Everyone may be given read access only; name the users and groups that may write.",
            param="access_control",
        )  # fmt: skip


def _bounded(found: list[GrantRow]) -> list[GrantRow]:
    distinct = list(dict.fromkeys(found))
    if len(distinct) > MAX_GRANTS:
        raise Problem(
            Kind.MALFORMED, f"One model can have at most {MAX_GRANTS} grants; use a group.", param="access_control"
        )
    return distinct


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
