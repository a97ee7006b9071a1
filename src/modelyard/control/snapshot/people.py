"""People and what they present, compiled one by one. Pure: everything is given, nothing is fetched."""

from collections.abc import Iterable, Mapping

from modelyard.canonical.records import CredentialRow, GroupRow, UserRow
from modelyard.canonical.snapshot import ADMIN, Principal
from modelyard.policy.permissions import ALL, granted


def compile_principal(
    user: UserRow, groups: Mapping[str, GroupRow], by_default: frozenset[str], *, bypass_admin: bool
) -> Principal:
    """One user without a credential, with the groups that they are in, those above them, and what all of these permit.

    `by_default` are the permissions that everybody has.
    """
    group_ids = with_parents(user.group_ids, groups)
    return Principal(
        user_id=user.id,
        name=user.name,
        email=user.email,
        role=user.role,
        group_ids=group_ids,
        permissions=ALL
        if user.role == ADMIN
        else granted(by_default, (groups[name].permissions for name in group_ids if name in groups)),
        sees_all=user.role == ADMIN and bypass_admin,
    )


def with_parents(group_ids: Iterable[str], groups: Mapping[str, GroupRow]) -> frozenset[str]:
    """These groups and all above them."""
    found: set[str] = set()
    left = list(group_ids)
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            parent = groups[name].parent_id if name in groups else None
            if parent is not None:
                left.append(parent)
    return frozenset(found)


def compile_credential(row: CredentialRow, owner: Principal) -> Principal:
    """Who stands behind a key or a session, with its scope and limits."""
    return Principal(
        user_id=owner.user_id,
        name=owner.name,
        email=owner.email,
        role=owner.role,
        group_ids=owner.group_ids,
        credential_id=row.id,
        credential_kind=row.kind,
        models=None if row.models is None else frozenset(row.models),
        dialects=None if row.dialects is None else frozenset(row.dialects),
        limits=row.limits,
        expires_at=row.expires_at,
        permissions=owner.permissions,
        sees_all=owner.sees_all,
    )
