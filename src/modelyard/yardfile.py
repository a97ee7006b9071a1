"""`yard.yaml` as a file that is in force: connections, groups, people with their keys, and catalogue rows, read-only.

Its JSON schema is published as `docs/yard.schema.json`. A value of the form `${NAME}` is taken from the environment.
"""

from collections.abc import Mapping
from pathlib import Path

from modelyard.canonical.endpoint import Timeouts
from modelyard.canonical.records import (
    FILE,
    ConnectionRow,
    CredentialRow,
    Declared,
    GrantRow,
    GroupRow,
    ModelRow,
    UserRow,
)
from modelyard.canonical.snapshot import Limits
from modelyard.control.catalogue.grants import grants_of
from modelyard.control.catalogue.meta import tidied, without_null_tags
from modelyard.control.connections.service import build
from modelyard.control.yard import reading
from modelyard.control.yard.document import Yard, YardKey, YardUser
from modelyard.core.clock import now
from modelyard.core.errors import Problem
from modelyard.core.seal import Seal, mask
from modelyard.policy.permissions import flat
from modelyard.policy.presets import BadParameter, read_preset
from modelyard.settings import SettingsError


def read(path: Path, environment: Mapping[str, str], seal: Seal, timeouts: Timeouts) -> Declared:
    """What a file declares. Raises SettingsError with the place and the fault."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(
            f"MODELYARD_CONFIG: {path} cannot be read ({error.strerror}). Example: MODELYARD_CONFIG=yard.yaml"
        ) from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path}: it is not UTF-8 text.") from None
    try:
        content = reading.resolved(reading.parsed(text), lambda name, place, whole: environment.get(name))
        yard = reading.validated(content)
    except reading.Unreadable as error:
        raise SettingsError("\n".join(f"{path}: {fault}" for fault in str(error).splitlines())) from None
    if yard.settings:
        raise SettingsError(
            f"{path}: settings: they are changed while the server runs, so a file that is in force cannot hold them. "
            f"Put them into a file of their own and use: modelyard apply {path.name}"
        )
    return _declared(yard, path, seal, timeouts)


def _declared(yard: Yard, path: Path, seal: Seal, timeouts: Timeouts) -> Declared:
    _check_users(yard.users, path)
    _check_groups(yard, path)
    by_email = {user.email: f"file-{user.email}" for user in yard.users}
    by_name = {group.name: f"file-{group.name}" for group in yard.groups}
    models, grants = _models(yard, path, {**by_name, **by_email})
    return Declared(
        connections=_connections(yard, path, timeouts),
        users=[
            UserRow(id=by_email[user.email], email=user.email, name=user.name or user.email, role=user.role,
                    kind=user.kind, group_ids=frozenset(by_name[name] for name in user.groups), source=FILE)
            for user in yard.users
        ],
        groups=_groups(yard, path, by_name),
        credentials=[
            CredentialRow(
                id=f"file-{user.email}-{_called(key)}",
                user_id=by_email[user.email],
                digest=seal.digest(key.key or ""),
                name=key.name,
                hint=mask(key.key or ""),
                models=None if key.models is None else tuple(key.models),
                dialects=None if key.dialects is None else tuple(key.dialects),
                limits=Limits(**(key.limits.model_dump() if key.limits else {})),
                expires_at=key.expires_at,
                source=FILE,
            )
            for user in yard.users
            for key in user.keys
        ],
        models=models,
        grants=grants,
    )  # fmt: skip


def _check_users(users: list[YardUser], path: Path) -> None:
    _no_twins(path, "users", [user.email for user in users])
    holders: dict[str, list[str]] = {}
    for user in users:
        _no_twins(path, f"keys of {user.email}", [_called(key) for key in user.keys])
        for key in user.keys:
            if key.key is None:
                raise SettingsError(f"{path}: users: the key {key.name} of {user.email} has no `key`.")
            holders.setdefault(key.key, []).append(f"{key.name} of {user.email}")
    for names in holders.values():
        if len(names) > 1:
            raise SettingsError(f"{path}: users: one key is there more than once: {', '.join(names)}.")


def _called(key: YardKey) -> str:
    return f"{key.name}-{key.id}" if key.id else key.name


def _check_groups(yard: Yard, path: Path) -> None:
    _no_twins(path, "groups", [group.name for group in yard.groups])
    parents = {group.name: group.parent for group in yard.groups}
    named = [(f"groups: {group.name}", group.parent) for group in yard.groups]
    named += [(f"users: {user.email}", name) for user in yard.users for name in user.groups]
    for what, name in named:
        if name is not None and name not in parents:
            raise SettingsError(f"{path}: {what}: the file has no group {name}.")
    for name, parent in parents.items():
        above, steps = parent, 0
        while above is not None:
            if above == name or steps > len(parents):
                raise SettingsError(f"{path}: groups: {name} is below itself.")
            above, steps = parents[above], steps + 1


def _groups(yard: Yard, path: Path, by_name: Mapping[str, str]) -> list[GroupRow]:
    rows = []
    for group in yard.groups:
        try:
            permissions = flat(group.permissions)
        except Problem as problem:
            raise SettingsError(f"{path}: group {group.name}: {problem.message}") from None
        rows.append(
            GroupRow(
                id=by_name[group.name],
                name=group.name,
                description=group.description,
                parent_id=None if group.parent is None else by_name[group.parent],
                permissions=permissions,
                share=group.share,
                source=FILE,
            )
        )
    return rows


def _connections(yard: Yard, path: Path, timeouts: Timeouts) -> list[ConnectionRow]:
    rows = []
    for connection in yard.connections:
        row = ConnectionRow(id=f"file-{connection.name}", name="", kind="", base_url="", flavour="", source=FILE)
        try:
            rows.append(build(row, connection.model_dump(exclude_unset=True), timeouts))
        except Problem as problem:
            raise SettingsError(f"{path}: connection {connection.name}: {problem.message}") from None
    _no_twins(path, "connections", [row.name for row in rows])
    return rows


def _models(yard: Yard, path: Path, ids: Mapping[str, str]) -> tuple[list[ModelRow], list[GrantRow]]:
    rows, grants = [], []
    moment = now()
    # An id with white space, which no new preset may have, is taken: a file that was in force must not keep the server from
    # starting.
    for model in yard.models:
        try:
            read_preset(model.params)
            meta = tidied(without_null_tags(model.meta))
            grants += grants_of(model.id, model.access_control, ids)
        except (BadParameter, Problem) as error:
            raise SettingsError(f"{path}: model {model.id}: {error}") from None
        rows.append(
            ModelRow(
                id=model.id,
                user_id=None if model.owner is None else ids.get(model.owner.lower(), model.owner),
                name=model.name or model.id,
                base_model_id=model.base_model_id,
                params=model.params,
                meta=meta,
                is_active=model.is_active,
                source=FILE,
                created_at=moment,
                updated_at=moment,
            )
        )
    _no_twins(path, "models", [row.id for row in rows])
    return rows, grants


def _no_twins(path: Path, what: str, names: list[str]) -> None:
    twins = sorted({name for name in names if names.count(name) > 1})
    if twins:
        raise SettingsError(f"{path}: {what}: {', '.join(twins)} is there more than once.")
