"""`yard.yaml`: connections, the owners of keys, and catalogue rows as a file. In force and read-only while it is used.

Its JSON schema is published as `docs/yard.schema.json`. A value of the form `${NAME}` is taken from the environment.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

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
from modelyard.control.catalogue.service import grants_of
from modelyard.control.connections.service import build
from modelyard.control.yard.document import REFERENCE, Yard, YardUser
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
        content = _content(text)
        yard = Yard.model_validate(_with_references(content or {}, environment, path))
    except yaml.MarkedYAMLError as error:  # told without the lines around the fault: they may hold a key
        line = f" (line {error.problem_mark.line + 1})" if error.problem_mark else ""
        raise SettingsError(f"{path}: it is not YAML: {error.problem}{line}.") from None
    except ValidationError as error:
        faults = [f"{path}: {_place(fault['loc'])}{_reason(fault['msg'])}." for fault in error.errors()]
        raise SettingsError("\n".join(faults)) from None
    except (yaml.YAMLError, ValueError) as error:
        raise SettingsError(f"{path}: it is not YAML: {' '.join(str(error).split())}.") from None
    except RecursionError:
        raise SettingsError(f"{path}: it is nested too deep; does an anchor hold itself?") from None
    return _declared(yard, path, seal, timeouts)


def _place(location: tuple[int | str, ...]) -> str:
    return f"{'.'.join(map(str, location))}: " if location else ""


def _reason(message: str) -> str:
    return message.removeprefix("Value error, ")


def _content(text: str) -> Any:
    """What `yaml.safe_load` yields; but a key that is given twice in one mapping is a fault."""
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        _no_twin_keys(node)
        return None if node is None else loader.construct_document(node)
    finally:
        loader.dispose()


def _no_twin_keys(node: yaml.Node | None) -> None:
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _no_twin_keys(item)
    elif isinstance(node, yaml.MappingNode):
        known = set()
        for key, value in node.value:
            name = (key.tag, str(key.value))
            if name in known:
                raise yaml.MarkedYAMLError(problem=f"{key.value} is there more than once", problem_mark=key.start_mark)
            known.add(name)
            _no_twin_keys(value)


def _with_references(value: Any, environment: Mapping[str, str], path: Path) -> Any:
    """The content with `${NAME}` replaced. After YAML has been read, so that a value can never become structure."""

    def found(match: re.Match[str]) -> str:
        if match[1] not in environment:
            raise SettingsError(f"{path}: ${{{match[1]}}} is not set in the environment.")
        return environment[match[1]]

    if isinstance(value, str):
        return REFERENCE.sub(found, value)
    if isinstance(value, list):
        return [_with_references(item, environment, path) for item in value]
    if isinstance(value, dict):
        return {key: _with_references(item, environment, path) for key, item in value.items()}
    return value


def _declared(yard: Yard, path: Path, seal: Seal, timeouts: Timeouts) -> Declared:
    _check_users(yard.users, path)
    by_email = {user.email: f"file-{user.email}" for user in yard.users}
    by_name = {group.name: f"file-{group.name}" for group in yard.groups}
    models, grants = _models(yard, path, {**by_name, **by_email})
    return Declared(
        connections=_connections(yard, path, timeouts),
        users=[
            UserRow(id=by_email[user.email], email=user.email, name=user.name or user.email, role=user.role,
                    kind=user.kind, group_ids=frozenset(by_name.get(name, name) for name in user.groups), source=FILE)
            for user in yard.users
        ],
        groups=_groups(yard, path, by_name),
        credentials=[
            CredentialRow(
                id=key.id or f"file-{user.email}-{key.name}",
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
        _no_twins(path, f"keys of {user.email}", [key.name for key in user.keys])
        for key in user.keys:
            if key.key is None:
                raise SettingsError(f"{path}: users: the key {key.name} of {user.email} has no `key`.")
            holders.setdefault(key.key, []).append(f"{key.name} of {user.email}")
    for names in holders.values():
        if len(names) > 1:
            raise SettingsError(f"{path}: users: one key is there more than once: {', '.join(names)}.")


def _groups(yard: Yard, path: Path, by_name: Mapping[str, str]) -> list[GroupRow]:
    _no_twins(path, "groups", [group.name for group in yard.groups])
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
                parent_id=None if group.parent is None else by_name.get(group.parent, group.parent),
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
    for model in yard.models:
        try:
            read_preset(model.params)
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
                meta=model.meta,
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
