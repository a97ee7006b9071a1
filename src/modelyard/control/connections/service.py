"""Connections: made, changed, removed. Every value is checked here, whichever way it came in."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from modelyard.canonical.endpoint import Timeouts, Tls, parse_base_url, same_origin, with_scheme
from modelyard.canonical.records import ConnectionRow
from modelyard.canonical.snapshot import Limits
from modelyard.control.connections import queries
from modelyard.control.transaction import Change, difference
from modelyard.core import ids
from modelyard.core.clock import now
from modelyard.core.errors import Kind, Problem
from modelyard.core.seal import Seal, is_masked, mask
from modelyard.dialects.flavours import FLAVOURS, KINDS, flavour_at

# Framing and routing are ours; an operator who sets these would break the request, not the server.
FORBIDDEN_HEADERS = frozenset({"host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer"})

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def build(row: ConnectionRow, given: Mapping[str, Any], defaults: Timeouts) -> ConnectionRow:
    """A row with the given fields set, checked. Raises Problem MALFORMED that names the field and the fault.

    `given` holds what the caller sent, by field name; None stands for the default. Masked keys and header values keep
    what `row` has, and so do fields that are left out; but no secret of `row` follows it to another origin.
    """
    row = replace(row, **{name: given[name] for name in ("name", "kind") if given.get(name) is not None})
    _check_kind(row.kind)
    if given.get("base_url") is not None:
        url = _checked_url(given["base_url"])
        if row.base_url and not same_origin(row.base_url, url):
            _check_given_anew(row, given)
        row = replace(row, base_url=url)
    kept = row.flavour if row.flavour and "kind" not in given else flavour_at(row.kind, row.base_url)
    row = replace(row, flavour=_checked_flavour(row.kind, given.get("flavour") or kept))
    if not row.created_at:
        row = replace(row, connection_type=FLAVOURS[row.flavour].connection_type, timeouts=defaults)
    return replace(row, **{name: READERS[name](row, value) for name, value in given.items() if name in READERS})


def _checked_url(url: str) -> str:
    try:
        parse_base_url(url)
    except ValueError as error:
        meant = with_scheme(url)
        told = (
            f"The address cannot be used: {error}."
            if meant is None
            else f"The address has no scheme. Put http:// or https:// in front of it, for example {meant}"
        )
        raise Problem(Kind.MALFORMED, f"base_url: {told}", param="base_url") from None
    return url.strip().rstrip("/")


def _check_given_anew(row: ConnectionRow, given: Mapping[str, Any]) -> None:
    """Raises Problem MALFORMED when a secret of the row would go to an address that it was not given for.

    Secrets cannot be read; whoever could have them sent to a server of their own could read them all the same.
    """
    if row.api_keys and ("api_keys" not in given or any(map(is_masked, given["api_keys"] or ()))):
        raise address_changes("api_keys")
    if row.headers and ("headers" not in given or any(map(is_masked, (given["headers"] or {}).values()))):
        raise address_changes("headers")


def address_changes(field: str, where: str = "") -> Problem:
    """The refusal to take a stored secret along; `field` is `api_keys` or `headers`, `where` begins the message."""
    what = "API keys again, or an empty list" if field == "api_keys" else "header values again, or an empty object"
    sentence = f"{where}{field}: This connection's address changes: give its {what}."
    return Problem(Kind.MALFORMED, sentence, param=field)


def _check_kind(kind: str) -> None:
    if kind not in KINDS:
        raise Problem(
            Kind.MALFORMED,
            f"kind: {kind!r} cannot be connected; use one of {', '.join(KINDS)}."
            + (" Models written as functions are not available in this version." if kind == "function" else ""),
            param="kind",
        )


def _checked_flavour(kind: str, flavour: str) -> str:
    of_kind = [name for name, row in FLAVOURS.items() if row.kind == kind]
    if flavour not in of_kind:
        raise Problem(Kind.MALFORMED, f"flavour: must be one of {', '.join(of_kind)} for kind {kind}.", param="flavour")
    return flavour


def _tag(tag: str | Mapping[str, Any]) -> str:
    name = tag if isinstance(tag, str) else tag.get("name")
    if not isinstance(name, str) or not name.strip():
        raise Problem(Kind.MALFORMED, "tags: each must be a name, or an object with a name.", param="tags")
    return name.strip()


def _unmasked_keys(given: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    left = list(known)  # two keys may look alike when masked: each is taken once, in order
    keys = []
    for key in given:
        if is_masked(key):
            match = next((other for other in left if mask(other) == key), None)
            if match is None:
                raise Problem(Kind.MALFORMED, "api_keys: a masked key matches none that is stored.", param="api_keys")
            left.remove(match)
            keys.append(match)
        elif key.strip():
            _check_header_value("api_keys", key.strip())
            keys.append(key.strip())
    return tuple(dict.fromkeys(keys))


def _unmasked_headers(given: Mapping[str, str], known: Mapping[str, str]) -> dict[str, str]:
    headers = {}
    for name, value in given.items():
        if not _HEADER_NAME.fullmatch(name) or name.lower() in FORBIDDEN_HEADERS:
            raise Problem(Kind.MALFORMED, f"headers: {name[:50]!r} cannot be set.", param="headers")
        _check_header_value("headers", value)
        if is_masked(value) and name not in known:
            raise Problem(Kind.MALFORMED, f"headers: the masked value of {name} matches none.", param="headers")
        headers[name] = known[name] if is_masked(value) else value
    return headers


def _check_header_value(field: str, value: str) -> None:
    if not value.isascii() or not value.isprintable():
        raise Problem(Kind.MALFORMED, f"{field}: a value holds a character that no header can carry.", param=field)


def _checked_tls(tls: Tls) -> Tls:
    for name in ("ca_file", "client_cert"):
        path = getattr(tls, name)
        if path is not None and not Path(path).is_file():
            raise Problem(Kind.MALFORMED, f"tls.{name}: there is no such file on the server.", param=f"tls.{name}")
    return tls


# How each given value becomes one of the row's; None stands for the default.
READERS: Mapping[str, Callable[[ConnectionRow, Any], Any]] = {
    "enable": lambda row, value: True if value is None else value,
    "loads": lambda row, value: True if value is None else value,
    "priority": lambda row, value: value or 0,
    "weight": lambda row, value: value or 1,
    "prefix_id": lambda row, value: value or None,
    "connection_type": lambda row, value: value or FLAVOURS[row.flavour].connection_type,
    "model_ids": lambda row, value: tuple(dict.fromkeys(name for name in value or () if name)),
    "tags": lambda row, value: tuple(dict.fromkeys(_tag(tag) for tag in value or ())),
    "api_keys": lambda row, value: _unmasked_keys(value or (), row.api_keys),
    "headers": lambda row, value: _unmasked_headers(value or {}, row.headers),
    "timeouts": lambda row, value: replace(row.timeouts, **_given(value)),
    "limits": lambda row, value: Limits(**(value or {})),
    "tls": lambda row, value: _checked_tls(Tls(**(value or {}))),
}


def _given(value: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: seconds for name, seconds in (value or {}).items() if seconds is not None}


def shown(row: ConnectionRow) -> dict[str, Any]:
    """A row as anyone may see it: plain JSON values, secrets masked."""
    value: dict[str, Any] = msgspec.to_builtins(row)
    value["api_keys"] = [mask(key) for key in row.api_keys]
    value["headers"] = {name: mask(text) for name, text in row.headers.items()}
    return value


NOTED = (
    "name", "kind", "flavour", "base_url", "api_keys", "enable", "prefix_id", "model_ids", "tags", "connection_type",
    "priority", "weight", "timeouts", "limits", "headers", "tls", "loads",
)  # fmt: skip


def _noted(row: ConnectionRow) -> dict[str, Any]:
    """What the audit log keeps of a connection."""
    value = shown(row)
    return {name: value[name] for name in NOTED}


def _changed(old: ConnectionRow, row: ConnectionRow) -> dict[str, dict[str, Any]]:
    """What the audit log keeps of a change. A secret that was replaced by one that looks alike is told as such."""
    changes = difference(_noted(old), _noted(row))
    if old.api_keys != row.api_keys:
        masks = {mask(key) for key in old.api_keys}
        changes["api_keys"] = {
            "old": [mask(key) for key in old.api_keys],
            "new": [_told(key, key not in old.api_keys and mask(key) in masks) for key in row.api_keys],
        }
    if old.headers != row.headers:
        changes["headers"] = {
            "old": {name: mask(value) for name, value in old.headers.items()},
            "new": {name: _told(value, _alike(old.headers.get(name), value)) for name, value in row.headers.items()},
        }
    return changes


def _alike(old: str | None, new: str) -> bool:
    return old is not None and old != new and mask(old) == mask(new)


def _told(secret: str, replaced: bool) -> str:
    return f"{mask(secret)} (replaced)" if replaced else mask(secret)


def _free_name(name: str, holder: str | None, declared: Collection[str], own_id: str) -> None:
    """Raises Problem CONFLICT when another connection, stored or declared, has that name."""
    if name in declared or holder not in (None, own_id):
        raise Problem(Kind.CONFLICT, f"There is a connection named {name!r} already.", param="name")


async def add(
    change: Change, seal: Seal, given: Mapping[str, Any], defaults: Timeouts, declared: Collection[str] = ()
) -> ConnectionRow:
    """Make a connection. `declared` are names that the configuration holds. Raises Problem MALFORMED or CONFLICT."""
    row = build(ConnectionRow(id=ids.row_id(), name="", kind="", base_url="", flavour=""), given, defaults)
    moment = now()
    row = replace(row, created_at=moment, updated_at=moment)
    _free_name(row.name, await queries.id_of_name(change.connection, row.name), declared, row.id)
    await queries.add(change.connection, row, seal)
    await change.audit("connection.created", row.id, changes=difference({}, _noted(row)))
    change.publish("connection", row.id)
    return row


async def update(
    change: Change,
    seal: Seal,
    connection_id: str,
    given: Mapping[str, Any],
    defaults: Timeouts,
    declared: Collection[str] = (),
) -> ConnectionRow:
    """Change a connection; fields that are left out keep their value. Raises Problem."""
    old = await queries.one(change.connection, connection_id, seal)
    if old is None:
        raise Problem(Kind.NOT_FOUND, "There is no such connection.")
    row = replace(build(old, given, defaults), updated_at=now())
    _free_name(row.name, await queries.id_of_name(change.connection, row.name), declared, row.id)
    await queries.replace(change.connection, row, seal)
    await change.audit("connection.updated", row.id, changes=_changed(old, row))
    change.publish("connection", row.id)
    return row


async def remove(change: Change, seal: Seal, connection_id: str) -> None:
    """Remove a connection and its credentials. Raises Problem NOT_FOUND."""
    old = await queries.one(change.connection, connection_id, seal)
    if old is None:
        raise Problem(Kind.NOT_FOUND, "There is no such connection.")
    await queries.remove(change.connection, connection_id)
    await change.audit("connection.deleted", connection_id, changes=difference(_noted(old), dict.fromkeys(NOTED)))
    change.publish("connection", connection_id)
