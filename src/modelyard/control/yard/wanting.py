"""What a document asks for, as objects: checked in itself, each value in the form in which an export would have it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from modelyard.canonical.endpoint import same_origin
from modelyard.canonical.records import ConnectionRow
from modelyard.canonical.snapshot import Limits
from modelyard.control.catalogue.grants import EVERYONE, grants_of
from modelyard.control.catalogue.meta import tidied, without_null_tags
from modelyard.control.catalogue.service import checked_params
from modelyard.control.connections.service import address_changes, build
from modelyard.control.settings import service as settings
from modelyard.control.settings.table import PERMISSIONS, SIGN_UP_GROUP
from modelyard.control.yard import references
from modelyard.control.yard.document import Yard, YardKey, YardModel
from modelyard.control.yard.exporting import Ground, access_fields, nested
from modelyard.control.yard.objects import (
    CONNECTION,
    GROUP,
    KEY,
    MODEL,
    SETTING,
    USER,
    Fields,
    Objects,
    connection_fields,
    limit_fields,
    ordered,
)
from modelyard.control.yard.reading import Lookup, Path, resolved
from modelyard.core.clock import now
from modelyard.core.errors import Kind, Problem
from modelyard.policy.permissions import flat


@dataclass(slots=True, kw_only=True)
class Wanted:
    """The objects, what is to be said about them, and who and what can be named by them."""

    objects: Objects
    notes: list[str] = field(default_factory=list)
    users: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()


def lookup_for(content: Any, current: Objects, values: Mapping[str, str]) -> Lookup:
    """Where references come from: `values`, else what the same connection has now under that very name.

    What a connection has is found for its own keys and headers only, and at the address that it has now: anywhere else
    it could be read out. The lookup raises Problem MALFORMED when that address changes.
    """
    connections = {path[0]: fields for path, fields in current.of[CONNECTION].items()}
    keys, headers = references.key_names(connections), references.header_names(connections)

    def lookup(variable: str, path: Path, whole: bool) -> str | None:
        if variable in values:
            return values[variable]
        if not whole or len(path) != 4 or path[0] != "connections" or path[2] not in ("api_keys", "headers"):
            return None
        entry = content["connections"][path[1]]
        name = entry.get("name")
        if not isinstance(name, str) or name.strip() not in connections:
            return None
        name = name.strip()
        found = stored(name, variable, path)
        if found is not None and not stays(entry.get("base_url"), name, path):
            raise address_changes(str(path[2]), f"connection {name}: ${{{variable}}} is not set. ")
        return found

    def stored(name: str, variable: str, path: Path) -> str | None:
        if path[2] == "api_keys":
            return references.known_keys(name, connections[name]["api_keys"], keys[name]).get(variable)
        header = path[3]
        if not isinstance(header, str) or header not in headers[name]:
            return None
        is_its = variable in references.known_header(name, header, headers[name][header])
        return str(connections[name]["headers"][header]) if is_its else None

    def stays(base_url: Any, name: str, path: Path) -> bool:
        # The address may have references of its own; it counts as it will be.
        url = resolved(base_url, lookup, (*path[:2], "base_url"))
        return isinstance(url, str) and same_origin(url, connections[name]["base_url"])

    return lookup


def wanted(yard: Yard, current: Objects, ground: Ground, *, keep: bool) -> Wanted:
    """The objects that a document asks for. Raises Problem MALFORMED that names what is wrong.

    `current` is what there is; `keep` when what the document does not name stays.
    """
    found = Wanted(objects=Objects(sections=frozenset(yard.model_fields_set)))
    found.users = _known(found, USER, [user.email for user in yard.users], current, keep) | {
        user.email for user in ground.declared.users if user.email
    }
    found.groups = _known(found, GROUP, [group.name for group in yard.groups], current, keep) | {
        group.name for group in ground.declared.groups
    }
    for name, value in yard.settings.items():
        found.objects.of[SETTING][name,] = {"value": _setting(name, value, found.groups)}
    _groups(found, yard)
    for connection in yard.connections:
        with_name = ConnectionRow(id="", name="", kind="", base_url="", flavour="")
        row = _named(
            f"connection {connection.name}",
            lambda: build(with_name, connection.model_dump(exclude_unset=True), ground.timeouts),  # noqa: B023 - called at once
        )
        _add(found, CONNECTION, (row.name,), connection_fields(row, ground.timeouts))
    _users(found, yard)
    taken = {row.id for row in ground.declared.models}
    for model in yard.models:
        if model.id in taken:
            raise _fault(f"model {model.id}: it is declared in the file that the server was started with.")
        _add(found, MODEL, (model.id,), _model(found, model))
    return found


def _fault(sentence: str) -> Problem:
    return Problem(Kind.MALFORMED, sentence)


def _named(what: str, work: Any) -> Any:
    """Do it; a Problem says what it was about."""
    try:
        return work()
    except Problem as problem:
        raise Problem(problem.kind, f"{what}: {problem.message}", param=problem.param) from None


def _add(found: Wanted, noun: str, path: tuple[str, ...], fields: Fields) -> None:
    if path in found.objects.of[noun]:
        raise _fault(f"{noun} {' of '.join(reversed(path[:2]))}: it is there more than once.")
    found.objects.of[noun][path] = fields


def _known(found: Wanted, noun: str, given: Iterable[str], current: Objects, keep: bool) -> frozenset[str]:
    """The names that there will be."""
    there = frozenset(path[0] for path in current.of[noun])
    section = "users" if noun == USER else "groups"
    if section not in found.objects.sections:
        return there
    return frozenset(given) | there if keep else frozenset(given)


def _setting(name: str, value: Any, groups: frozenset[str]) -> Any:
    if name == PERMISSIONS:
        _named(f"setting {name}", lambda: flat(value) if isinstance(value, Mapping) else settings.checked(name, value))
    elif name not in settings.CHECKS:
        raise _fault(f"setting {name}: there is no such setting. Known are: {', '.join(settings.CHECKS)}.")
    elif name == SIGN_UP_GROUP and isinstance(value, str):
        _check_names(f"setting {name}", [value], groups, "group")
    return ordered(value)


def _groups(found: Wanted, yard: Yard) -> None:
    parents: dict[str, str | None] = {}
    for group in yard.groups:
        if group.parent is not None and group.parent not in found.groups:
            raise _fault(f"group {group.name}: there is no group {group.parent!r} to be its parent.")
        parents[group.name] = group.parent
        permissions = nested(_named(f"group {group.name}", lambda: flat(group.permissions)))  # noqa: B023 - called at once
        fields = {
            "description": group.description,
            "parent": group.parent,
            "permissions": permissions,
            "share": group.share,
        }
        _add(found, GROUP, (group.name,), fields)
    for name, parent in parents.items():
        above, steps = parent, 0
        while above is not None:
            steps += 1
            if above == name or steps > len(parents):
                raise _fault(f"group {name}: it is below itself.")
            above = parents.get(above)


def _users(found: Wanted, yard: Yard) -> None:
    for user in yard.users:
        _check_names(f"user {user.email}", user.groups, found.groups, "group")
        name = user.name.strip() or user.email.partition("@")[0][:100]
        fields = {"name": name, "role": user.role, "kind": user.kind, "groups": sorted(set(user.groups))}
        _add(found, USER, (user.email,), fields)
        for key in user.keys:
            _key(found, user.email, key)


def _key(found: Wanted, email: str, key: YardKey) -> None:
    if key.expires_at is not None and key.expires_at <= now():
        found.notes.append(f"The key {key.name} of {email} has expired and is left out.")
        return
    path = (email, key.name, key.id)
    limits = Limits(**key.limits.model_dump()) if key.limits else Limits()
    fields = {
        "models": key.models,
        "dialects": None if key.dialects is None else list(key.dialects),
        "expires_at": key.expires_at,
        "limits": limit_fields(limits),
    }
    _add(found, KEY, path, fields)
    if key.key is not None:
        if key.key in found.objects.tokens.values():
            raise _fault(f"key {key.name} of {email}: the same key is there more than once.")
        found.objects.tokens[path] = key.key


def _model(found: Wanted, model: YardModel) -> Fields:
    what = f"model {model.id}"
    owner = None if model.owner is None else model.owner.strip().lower()
    if owner is not None:
        _check_names(what, [owner], found.users, "user")
    return {
        "name": model.name or model.id,
        "base_model_id": model.base_model_id,
        "owner": owner,
        "params": ordered(_named(what, lambda: checked_params(model.params))),
        "meta": ordered(_named(what, lambda: tidied(without_null_tags(model.meta)))),
        "is_active": model.is_active,
        "access_control": _named(what, lambda: _access(what, model, found)),
    }


def _access(what: str, model: YardModel, found: Wanted) -> Fields | None:
    grants = [
        replace(grant, principal_id=grant.principal_id.lower()) if grant.principal_type == "user" else grant
        for grant in grants_of(model.id, model.access_control)
    ]
    users = [grant.principal_id for grant in grants if grant.principal_type == "user"]
    _check_names("access_control", [user for user in users if user != EVERYONE], found.users, "user")
    groups = [grant.principal_id for grant in grants if grant.principal_type == "group"]
    _check_names("access_control", groups, found.groups, "group")
    return access_fields(list(dict.fromkeys(grants)), {name: name for name in users}, {name: name for name in groups})


def _check_names(what: str, names: Sequence[str], known: frozenset[str], noun: str) -> None:
    for name in names:
        if name not in known:
            raise _fault(f"{what}: there is no {noun} {name[:100]!r}.")
