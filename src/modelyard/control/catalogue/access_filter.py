"""The rules of `sharing` as conditions of SQL, for what is asked about many rows at once."""

import json
from collections.abc import Collection

from sqlalchemy import JSON, ColumnElement, Select, String, bindparam, cast, func, or_, select, true, union_all
from sqlalchemy.sql.selectable import CompoundSelect

from modelyard.canonical.snapshot import Principal, Snapshot
from modelyard.control.catalogue.grants import EVERYONE, MODEL, READ, WRITE
from modelyard.control.catalogue.sharing import is_confined
from modelyard.db.schema import grants, models
from modelyard.policy.access import other_spelling


def among(values: Collection[str], *, sqlite: bool) -> Select[tuple[str]]:
    """These values as a subquery for `IN`: one parameter, however many there are."""
    text = bindparam(None, json.dumps(sorted(values)), type_=String)
    if sqlite:
        return select(func.json_each(text).table_valued("value").c.value)
    return select(func.json_array_elements_text(cast(text, JSON)).column_valued())


def readable(principal: Principal, snapshot: Snapshot, *, sqlite: bool) -> ColumnElement[bool]:
    """True for the rows that the caller may see. A key that is confined to some models sees these alone."""
    condition: ColumnElement[bool] = true()
    if not (principal.sees_all or snapshot.open_catalogue):
        condition = _owned_or_granted(principal, (READ, WRITE), sqlite=sqlite)
    if principal.models is None:
        return condition
    return condition & models.c.id.in_(among(_scope(principal.models, snapshot), sqlite=sqlite))


def writable(principal: Principal, *, sqlite: bool) -> ColumnElement[bool]:
    """True for the rows that the caller, whose key is not confined, may change."""
    assert not is_confined(principal)
    return true() if principal.manages else _owned_or_granted(principal, (WRITE,), sqlite=sqlite)


def in_scope(principal: Principal, model_id: str, snapshot: Snapshot) -> bool:
    """The part of `readable` that a confined key adds."""
    return principal.models is None or model_id in _scope(principal.models, snapshot)


def _scope(names: Collection[str], snapshot: Snapshot) -> set[str]:
    """Models in the scope of a key, as `policy.access.in_scope` counts them: also by the other spelling of their name."""
    return {*names, *(other_spelling(name) for name in names if name not in snapshot.models)}


def _owned_or_granted(principal: Principal, permissions: Collection[str], *, sqlite: bool) -> ColumnElement[bool]:
    # Presets have owners; overrides are the administrators' (`sharing`).
    owned = (models.c.user_id == principal.user_id) & models.c.base_model_id.is_not(None)
    return or_(owned, models.c.id.in_(_granted(principal, permissions, sqlite=sqlite)))


def _granted(
    principal: Principal, permissions: Collection[str], *, sqlite: bool
) -> CompoundSelect[tuple[str]] | Select[tuple[str]]:
    """The ids of the models that were granted to the caller, to one of their groups or to everyone."""
    on_models = select(grants.c.resource_id).where(grants.c.resource_type == MODEL)
    if set(permissions) != {READ, WRITE}:
        on_models = on_models.where(grants.c.permission.in_(permissions))
    to_them = on_models.where(
        grants.c.principal_type == "user", grants.c.principal_id.in_((principal.user_id, EVERYONE))
    )
    if not principal.group_ids:
        return to_them
    to_groups = on_models.where(
        grants.c.principal_type == "group", grants.c.principal_id.in_(among(principal.group_ids, sqlite=sqlite))
    )
    return union_all(to_them, to_groups)
