"""Stored settings: checked, written, audited, published. Every way in (API, as code, people) comes through `put`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from modelyard.canonical.snapshot import PENDING, USER
from modelyard.control.catalogue.grants import grants_from_rows, grants_of
from modelyard.control.settings import queries, table
from modelyard.control.transaction import Change, difference
from modelyard.core import raw
from modelyard.core.errors import Kind, Problem
from modelyard.policy.permissions import PERMISSIONS

MAX_ID = 256
MAX_IDS = 10_000
MAX_FALLBACKS = 10
MAX_ARENA_MODELS = 100
MAX_ARENA_BYTES = 1024 * 1024
FILTER_MODES = ("include", "exclude")


async def put(
    change: Change, name: str, value: Any, in_force: Mapping[str, Any] = table.INITIAL, *, param: str | None = None
) -> Any:
    """Store a setting by its name in `table`; the value as it is kept comes back. What is stored already is no change.

    `in_force` are the settings of the snapshot: the audit log tells from them what held before, when nothing was stored.
    `param` is what the caller calls the setting. Raises Problem MALFORMED, or NOT_FOUND for a name that is none.
    """
    value = checked(name, value, param=param)
    found = await queries.stored(change.connection)
    if name in found and found[name] == value:
        return value
    await queries.put(change.connection, name, value)
    old = found.get(name, in_force[name])
    await change.audit("settings.updated", name, changes=difference({"value": old}, {"value": value}))
    change.publish("settings", name)
    return value


def checked(name: str, value: Any, *, param: str | None = None) -> Any:
    """The value as it is kept. Raises Problem MALFORMED, or NOT_FOUND for a name that is none."""
    check = CHECKS.get(name)
    if check is None:
        raise Problem(Kind.NOT_FOUND, f"There is no setting {name[:100]!r}. Known are: {', '.join(CHECKS)}.")
    try:
        return check(value)
    except Wrong as wrong:
        raise Problem(Kind.MALFORMED, f"{param or name} {wrong}", param=param or name) from None


class Wrong(ValueError):
    """A value that a setting cannot have. The text goes behind the setting's name."""


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Wrong("must be true or false.")
    return value


def _ids(value: Any) -> list[str]:
    """Model ids, each once, in order."""
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) > MAX_IDS:
        raise Wrong(f"must be a list of at most {MAX_IDS} model ids.")
    return list(dict.fromkeys(_id(item) for item in value))


def _id(value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_ID or not value.isprintable():
        raise Wrong(f"holds something that is no id: use 1 to {MAX_ID} printable characters.")
    return value


def _permissions(value: Any) -> dict[str, bool]:
    if not isinstance(value, Mapping):
        raise Wrong("must be an object of permissions, each true or false.")
    for path, given in value.items():
        if path not in PERMISSIONS or not isinstance(given, bool):
            raise Wrong(f"holds {str(path)[:100]!r}, which is not a permission with a value of true or false.")
    return dict(value)


def _role(value: Any) -> str:
    if value not in (PENDING, USER):
        raise Wrong(f"must be {PENDING} or {USER}.")
    return str(value)


def _group(value: Any) -> str | None:
    return None if value in (None, "") else _id(value)


def _arena_models(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) > MAX_ARENA_MODELS:
        raise Wrong(f"must be a list of at most {MAX_ARENA_MODELS} objects.")
    rows = [_arena_model(row) for row in value]
    if len({row["id"] for row in rows}) < len(rows):
        raise Wrong("holds an id twice.")
    try:
        size = len(raw.encode(rows))
    except (UnicodeEncodeError, RecursionError):
        raise Wrong("holds text that is no Unicode, or is nested too deeply.") from None
    if size > MAX_ARENA_BYTES:
        raise Wrong(f"is larger than {MAX_ARENA_BYTES} bytes.")
    return rows


def _arena_model(row: Any) -> dict[str, Any]:
    if not isinstance(row, Mapping):
        raise Wrong('must hold objects such as {"id": "blind-test", "name": "Blind test", "meta": {}}.')
    name, meta = row.get("name"), row.get("meta")
    meta = {} if meta is None else meta
    if not isinstance(name, str) or not 0 < len(name.strip()) <= MAX_ID:
        raise Wrong(f"holds a model without a `name` of 1 to {MAX_ID} characters.")
    if not isinstance(meta, Mapping):
        raise Wrong("holds a model whose `meta` is no object.")
    if meta.get("model_ids") is not None:
        _ids(meta["model_ids"])
    if meta.get("filter_mode") is not None and meta["filter_mode"] not in FILTER_MODES:
        raise Wrong(f"holds a model whose `meta.filter_mode` is not {' or '.join(FILTER_MODES)}.")
    _check_access(meta)
    return {**row, "id": _id(row.get("id")), "name": name.strip(), "meta": dict(meta)}


def _check_access(meta: Mapping[str, Any]) -> None:
    control, grants = meta.get("access_control"), meta.get("access_grants")
    if control is not None and not isinstance(control, Mapping):
        raise Wrong("holds a model whose `meta.access_control` is neither null nor an object.")
    if grants is not None and not (isinstance(grants, list) and all(isinstance(grant, Mapping) for grant in grants)):
        raise Wrong("holds a model whose `meta.access_grants` is no list of objects.")
    try:
        grants_of("", control)
        grants_from_rows("", grants or ())
    except Problem as problem:
        raise Wrong(f"holds a model with wrong access: {problem.message}") from None


# How each setting's value is checked, and brought into the form that is kept.
def _fallbacks(value: Any) -> dict[str, list[str]]:
    """Model id to the ids that are tried after it, in order."""
    if not isinstance(value, Mapping) or len(value) > MAX_IDS:
        raise Wrong("must be an object of model ids, each with the list of those that are tried after it.")
    names = _ids(list(value))
    found = {name: _ids(value[name]) for name in names}
    if any(len(others) > MAX_FALLBACKS for others in found.values()):
        raise Wrong(f"names more than {MAX_FALLBACKS} models after one.")
    return {name: others for name, others in found.items() if others}


CHECKS: Mapping[str, Callable[[Any], Any]] = {
    table.PERMISSIONS: _permissions,
    table.DEFAULT_MODELS: _ids,
    table.PINNED_MODELS: _ids,
    table.MODEL_ORDER: _ids,
    table.FALLBACKS: _fallbacks,
    table.ARENA_ENABLED: _truth,
    table.ARENA_MODELS: _arena_models,
    table.DIRECT_CONNECTIONS: _truth,
    table.BASE_MODELS_CACHE: _truth,
    table.SIGN_UP_ENABLED: _truth,
    table.SIGN_UP_ROLE: _role,
    table.SIGN_UP_GROUP: _group,
}
