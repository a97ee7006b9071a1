"""What a document says and what a database holds, in one form that can be compared: every field of every object.

An object is a mapping of its fields, known by its noun and its path: `("staff",)` for a group, `("ci@example.com",
"pipeline", "")` for a key. Secrets of connections are in clear here; `planning` masks what is shown.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from modelyard.canonical.endpoint import Timeouts, Tls
from modelyard.canonical.records import ConnectionRow
from modelyard.control.yard import references
from modelyard.control.yard.reading import escaped
from modelyard.dialects.flavours import FLAVOURS, flavour_at

SETTING, GROUP, CONNECTION, USER, KEY, MODEL = "setting", "group", "connection", "user", "key", "model"

# The section of the document that holds a noun.
SECTIONS: Mapping[str, str] = {
    SETTING: "settings",
    GROUP: "groups",
    CONNECTION: "connections",
    USER: "users",
    KEY: "users",
    MODEL: "models",
}

Path = tuple[str, ...]
Fields = dict[str, Any]

_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    SETTING: {},
    GROUP: {"description": "", "parent": None, "permissions": {}, "share": True},
    USER: {"role": "user", "kind": "person", "groups": []},
    KEY: {"models": None, "dialects": None, "expires_at": None, "limits": {}},
    MODEL: {"base_model_id": None, "owner": None, "params": {}, "meta": {}, "is_active": True, "access_control": {}},
    CONNECTION: {
        "enable": True, "prefix_id": None, "model_ids": [], "tags": [], "priority": 0, "weight": 1, "timeouts": {},
        "limits": {}, "headers": {}, "tls": {}, "loads": True, "api_keys": [],
    },
}  # fmt: skip


@dataclass(slots=True)
class Objects:
    """Noun -> path -> fields, of the sections that are there. `tokens` are keys' secrets that a document sets."""

    sections: frozenset[str] = frozenset(SECTIONS.values())
    of: dict[str, dict[Path, Fields]] = field(default_factory=lambda: {noun: {} for noun in SECTIONS})
    tokens: dict[Path, str] = field(default_factory=dict, repr=False)


def with_owners(objects: Objects, owners: Mapping[str, str]) -> Objects:
    """The same objects, with the stored id of an owner where a model has one for whom a document has no name."""
    models = {
        path: {**fields, "owner": owners.get(path[0]) or None} if fields["owner"] is None else fields
        for path, fields in objects.of[MODEL].items()
    }
    return replace(objects, of={**objects.of, MODEL: models})


def ordered(value: Any) -> Any:
    """The same value with the names of each mapping in order."""
    if isinstance(value, Mapping):
        return {name: ordered(value[name]) for name in sorted(value)}
    return [ordered(item) for item in value] if isinstance(value, (list, tuple)) else value


def connection_fields(row: ConnectionRow, defaults: Timeouts) -> Fields:
    """A connection's fields. Of timeouts, limits and tls only what differs from the installation's defaults."""
    return {
        "kind": row.kind,
        "base_url": row.base_url,
        "flavour": row.flavour,
        "api_keys": list(row.api_keys),
        "enable": row.enable,
        "prefix_id": row.prefix_id,
        "model_ids": list(row.model_ids),
        "tags": list(row.tags),
        "connection_type": row.connection_type,
        "priority": row.priority,
        "weight": row.weight,
        "timeouts": _differing(row.timeouts, defaults, ("connect", "first_byte", "idle")),
        "limits": limit_fields(row.limits),
        "headers": ordered(row.headers),
        "tls": _differing(row.tls, Tls(), ("verify", "ca_file", "client_cert")),
        "loads": row.loads,
    }


def limit_fields(limits: Any) -> Fields:
    """The limits that there are."""
    found = {name: getattr(limits, name) for name in ("rpm", "tpm", "concurrency")}
    return {name: value for name, value in found.items() if value is not None}


def _differing(value: object, default: object, names: Iterable[str]) -> Fields:
    return {name: getattr(value, name) for name in names if getattr(value, name) != getattr(default, name)}


def compact(noun: str, path: Path, fields: Fields) -> Fields:
    """The fields that are not as they would be if they were left out, in the order in which they are written."""
    defaults = dict(_DEFAULTS[noun])
    if noun == MODEL:
        defaults["name"] = path[0]
    if noun == CONNECTION:
        defaults["flavour"] = flavour_at(fields["kind"], fields["base_url"])
        defaults["connection_type"] = FLAVOURS[fields["flavour"]].connection_type
    return {name: value for name, value in fields.items() if name not in defaults or value != defaults[name]}


def document_of(objects: Objects) -> Fields:
    """The document that says what these objects are, complete, in a fixed order, with references for secrets."""
    of = objects.of
    keys: dict[str, list[Fields]] = {}
    for path in sorted(of[KEY]):
        email, name, number = path
        head = {"name": name, "id": number} if number else {"name": name}
        keys.setdefault(email, []).append({**head, **compact(KEY, path, of[KEY][path])})
    users = _listed(objects, USER, "email")
    return {
        "settings": {path[0]: escaped(fields["value"]) for path, fields in sorted(of[SETTING].items())},
        "groups": _listed(objects, GROUP, "name"),
        "connections": _connections(of[CONNECTION]),
        "users": [{**user, "keys": escaped(keys[user["email"]])} if user["email"] in keys else user for user in users],
        "models": _listed(objects, MODEL, "id"),
    }


def _listed(objects: Objects, noun: str, name: str) -> list[Fields]:
    found: list[Fields] = escaped(
        [{name: path[0], **compact(noun, path, fields)} for path, fields in sorted(objects.of[noun].items())]
    )
    return found


def _connections(of: Mapping[Path, Fields]) -> list[Fields]:
    by_name = {path[0]: fields for path, fields in sorted(of.items())}
    keys, headers = references.key_names(by_name), references.header_names(by_name)
    listed = []
    for name, fields in by_name.items():
        entry = escaped({"name": name, **compact(CONNECTION, (name,), {**fields, "api_keys": [], "headers": {}})})
        if fields["api_keys"]:
            entry["api_keys"] = [f"${{{variable}}}" for variable in keys[name]]
        if fields["headers"]:
            entry["headers"] = {header: f"${{{headers[name][header]}}}" for header in fields["headers"]}
        listed.append(entry)
    return listed
