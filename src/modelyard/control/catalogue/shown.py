"""A catalogue row as the API shows it."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from modelyard.canonical.records import Declared, GrantRow, ModelRow
from modelyard.control.catalogue import images
from modelyard.control.catalogue.grants import MODEL, access_control_of
from modelyard.control.catalogue.schemas import Model, ShownGrant


class Granted(NamedTuple):
    """A grant with what the database knows beside it."""

    grant: GrantRow
    id: str
    created_at: int


def shown(
    row: ModelRow,
    grants: Sequence[tuple[GrantRow, str, int]],
    *,
    write_access: bool,
    image: str | None,
    listed: bool = False,
) -> Model:
    """A row with its grants (each with its id and Unix time). Without `write_access` its parameters stay hidden.

    `image` is the stored picture, a data URI, and goes back into `meta`. In a list (`listed`) the path that serves it
    stands there instead, and `image` need only tell, by not being None, that there is one.
    """
    meta = images.listed(row.meta, row.id, image is not None) if listed else images.put_back(row.meta, image)
    return Model(
        id=row.id,
        user_id=row.user_id or "",
        base_model_id=row.base_model_id,
        name=row.name,
        params=dict(row.params) if write_access else {},
        meta=meta,
        access_control=access_control_of(grant for grant, _, _ in grants),
        access_grants=[_shown_grant(grant, grant_id, created_at) for grant, grant_id, created_at in grants],
        is_active=row.is_active,
        version_id=row.version_id,
        write_access=write_access,
        source=row.source,
        updated_at=row.updated_at,
        created_at=row.created_at,
    )


def granted_from(model_id: str, found: Sequence[Sequence[Any]] | None) -> list[Granted]:
    """Grants as `listing_query.grants_of_row` tells them, in the order that single reads have too."""
    granted = []
    for grant_id, principal_type, principal_id, permission, created_at in found or ():
        grant = GrantRow(
            resource_type=MODEL,
            resource_id=model_id,
            principal_type=principal_type,
            principal_id=principal_id,
            permission=permission,
        )
        granted.append(Granted(grant, grant_id, created_at))
    granted.sort(key=lambda one: (one.grant.permission, one.grant.principal_type, one.grant.principal_id))
    return granted


def declared_rights(declared: Declared) -> Mapping[str, list[GrantRow]]:
    """The grants that a file declares on models, by the model's id."""
    found: dict[str, list[GrantRow]] = {row.id: [] for row in declared.models}
    for grant in declared.grants:
        if grant.resource_type == MODEL and grant.resource_id in found:
            found[grant.resource_id].append(grant)
    return found


def declared_grants(row: ModelRow, grants: Iterable[GrantRow]) -> list[Granted]:
    """The grants of a row that a file declares. They have no ids of their own: these are the same at every start."""
    return [
        Granted(grant, _stable_id(grant), row.created_at)
        for grant in grants
        if grant.resource_type == MODEL and grant.resource_id == row.id
    ]


def _stable_id(grant: GrantRow) -> str:
    parts = (grant.resource_type, grant.resource_id, grant.principal_type, grant.principal_id, grant.permission)
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _shown_grant(grant: GrantRow, grant_id: str, created_at: int) -> ShownGrant:
    return ShownGrant.model_validate(
        {
            "id": grant_id,
            "resource_type": grant.resource_type,
            "resource_id": grant.resource_id,
            "principal_type": grant.principal_type,
            "principal_id": grant.principal_id,
            "permission": grant.permission,
            "created_at": created_at,
        }
    )
