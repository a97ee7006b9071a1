"""One entry of `GET /api/models`: what a backend says of a model, with the catalogue's row laid over it. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from modelyard.canonical.snapshot import Connection, Model
from modelyard.policy.display_names import OLLAMA, is_preset, offered_name, shown_name

OPENAI = "openai"

# Ours in every entry: a backend's own list may not set them.
OURS = frozenset(
    {
        "id", "name", "object", "created", "owned_by", "connection_type", "tags", "urlIdx", "openai", "ollama", "anthropic",
        "info", "preset", "arena", "actions", "filters", "pipe", "direct", "pricing",
    }
)  # fmt: skip
# What a row's `meta` may say that is told as a field of the entry.
TOLD = ("context_window", "max_tokens", "pricing")
# Of an arena entry's `meta`: who may use it and what stands behind it are the administrators' business.
NOT_TOLD = frozenset({"profile_image_url", "access_control", "access_grants", "model_ids", "filter_mode"})


class Place(NamedTuple):
    """Where a connection stands: its kind, how it is labelled, and its position among those of its kind."""

    kind: str
    connection_type: str
    tags: tuple[str, ...]
    position: int


def places(connections: Mapping[str, Connection]) -> dict[str, Place]:
    """Connection id to its place. Positions count by kind, in the order in which connections are in force."""
    found: dict[str, Place] = {}
    counts: dict[str, int] = {}
    for connection in connections.values():
        kind = connection.kind
        index = counts.get(kind, 0)
        counts[kind] = index + 1
        found[connection.id] = Place(kind, connection.connection_type, connection.tags, index)
    return found


def base_entry(name: str, about: Mapping[str, Any], place: Place, indexes: Iterable[int]) -> dict[str, Any]:
    """A model as a backend offers it. `about` is the backend's own row, `indexes` the positions of all that offer it."""
    kind = place.kind
    passed = {field: value for field, value in about.items() if field not in OURS} if kind != OLLAMA else {}
    created = about.get("created")
    own = {**about, "urls": list(dict.fromkeys(indexes))} if kind == OLLAMA else dict(about)
    return {
        **passed,
        "id": name,
        "name": offered_name(name, about, kind),
        "object": "model",
        "created": created if isinstance(created, int) and not isinstance(created, bool) else 0,
        "owned_by": kind,
        "connection_type": place.connection_type,
        "tags": _tags((), place.tags),
        kind: own,
        "urlIdx": place.position,
    }


def model_entry(model: Model, known: Mapping[str, Place]) -> dict[str, Any]:
    """A model of the catalogue: a base model, with its override's name and info if it has one, or a preset."""
    info = _shown(model.info)
    meta = info.get("meta", {}) if info is not None else {}
    if is_preset(model):
        entry = _preset_entry(model, known)
        labels: tuple[str, ...] = ()
    else:
        targets = [known[target.connection.id] for target in model.targets]
        entry = base_entry(model.id, model.about, targets[0], (place.position for place in targets))
        entry["name"] = shown_name(model)
        labels = targets[0].tags
    if info is not None:
        entry["info"] = info
    entry["tags"] = _tags(meta.get("tags"), labels)
    entry.update(_told(model, meta))
    entry["actions"] = []
    entry["filters"] = []
    return entry


def _preset_entry(model: Model, known: Mapping[str, Place]) -> dict[str, Any]:
    place = known[model.targets[0].connection.id] if model.targets else None
    return {
        "id": model.id,
        "name": model.name,
        "object": "model",
        "created": model.created,
        "owned_by": place.kind if place is not None else OPENAI,
        "connection_type": place.connection_type if place is not None else None,
        "preset": True,
    }


def arena_entry(row: Mapping[str, Any]) -> dict[str, Any]:
    """An entry behind which stands one of several models."""
    meta = {name: value for name, value in (row.get("meta") or {}).items() if name not in NOT_TOLD}
    return {
        "id": row["id"],
        "name": row["name"],
        "info": {"meta": meta},
        "object": "model",
        "created": 0,
        "owned_by": "arena",
        "arena": True,
        "tags": _tags(meta.get("tags"), ()),
        "actions": [],
        "filters": [],
    }


def _shown(info: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The row without what no list shows: parameters, and pictures that have a path of their own."""
    if info is None:
        return None
    shown = {name: value for name, value in info.items() if name != "params"}
    meta = info.get("meta")
    if isinstance(meta, Mapping):
        shown["meta"] = {name: value for name, value in meta.items() if name != "profile_image_url"}
    else:
        shown["meta"] = {}
    return shown


def _told(model: Model, meta: Mapping[str, Any]) -> dict[str, Any]:
    """Context window, most tokens and prices as the row says, else the row of a preset's base."""
    base = model.base.info if model.base is not None else None
    under = base.get("meta") if base is not None else None
    told = {}
    for name in TOLD:
        value = meta.get(name)
        if value is None and isinstance(under, Mapping):
            value = under.get(name)
        if value is not None:
            told[name] = value
    return told


def _tags(of_row: object, labels: Iterable[str]) -> list[dict[str, str]]:
    names: dict[str, None] = {}
    for tag in of_row if isinstance(of_row, list) else ():
        name = tag.get("name") if isinstance(tag, Mapping) else tag
        if isinstance(name, str) and name:
            names[name] = None
    names.update(dict.fromkeys(labels))
    return [{"name": name} for name in names]
