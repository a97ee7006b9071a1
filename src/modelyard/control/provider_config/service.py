"""Connections as lists by position: what the list that a client sends changes, in one transaction.

A position is that among the connections of a kind in force: declared ones first, then those of the database in the order
in which they were made.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from modelyard.canonical.endpoint import Timeouts
from modelyard.canonical.records import DATABASE, ConnectionRow
from modelyard.control.connections import queries
from modelyard.control.connections.service import add, build, remove, update
from modelyard.control.transaction import Change
from modelyard.core.clock import now
from modelyard.core.errors import Kind, Problem
from modelyard.core.seal import Seal, is_masked, mask

MAX_NAME = 100
BEARER = "bearer"
NO_KEY = "none"
# What a config may set beside key and kind of authentication.
FIELDS = ("enable", "prefix_id", "model_ids", "tags", "connection_type", "headers")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One position of the list that a client sends. `key` None: unchanged, "": none. `config` holds what is to be set."""

    url: str
    key: str | None
    config: Mapping[str, Any]


def shown_key(row: ConnectionRow) -> str:
    """A connection's (first) key as it is shown."""
    return mask(row.api_keys[0]) if row.api_keys else ""


def shown_config(row: ConnectionRow) -> dict[str, Any]:
    """What is set on a connection, without its key. `id`, `name` and `source` are told, not set."""
    return {
        "enable": row.enable,
        "prefix_id": row.prefix_id or "",
        "model_ids": list(row.model_ids),
        "tags": [{"name": tag} for tag in row.tags],
        "connection_type": row.connection_type,
        "auth_type": BEARER if row.api_keys else NO_KEY,
        "headers": {name: mask(value) for name, value in row.headers.items()},
        "id": row.id,
        "name": row.name,
        "source": row.source,
    }


def fields_of(wanted: Wanted) -> dict[str, Any]:
    """What a position sets, in the words of a connection. Raises Problem MALFORMED."""
    given = {name: wanted.config[name] for name in FIELDS if name in wanted.config}
    if given.get("enable", True) is None:
        del given["enable"]
    auth = wanted.config.get("auth_type") or BEARER
    if auth not in (BEARER, NO_KEY):
        raise Problem(Kind.MALFORMED, f"auth_type: {auth[:50]!r} is not supported; use {BEARER} or {NO_KEY}.")
    if wanted.key is not None:
        given["api_keys"] = [wanted.key] if wanted.key else []
    if auth == NO_KEY and (not wanted.key or is_masked(wanted.key)):
        given["api_keys"] = []
    return given


def same_url(one: str, other: str) -> bool:
    """True for two spellings of a base URL that differ in nothing that is kept."""
    return one.strip().rstrip("/") == other.strip().rstrip("/")


def matched(rows: Sequence[ConnectionRow], wanted: Sequence[Wanted]) -> list[ConnectionRow | None]:
    """For each position wanted the connection that it means: of the same URL, at best in the same place; else the one
    whose place it has, with another URL; else none, it is new."""
    found: list[ConnectionRow | None] = [None] * len(wanted)
    left = dict(enumerate(rows))
    for index, each in enumerate(wanted):
        if index in left and same_url(left[index].base_url, each.url):
            found[index] = left.pop(index)
    for index, each in enumerate(wanted):
        place = next((place for place, row in left.items() if same_url(row.base_url, each.url)), None)
        if found[index] is None and place is not None:
            found[index] = left.pop(place)
    for index in range(len(wanted)):
        if found[index] is None and index in left:
            found[index] = left.pop(index)
    return found


class Lists:
    """Brings the connections of one kind to what a list says. `rows` are all connections in force, of every kind."""

    def __init__(self, seal: Seal, defaults: Timeouts, kind: str, rows: Sequence[ConnectionRow]) -> None:
        self._seal = seal
        self._defaults = defaults
        self._kind = kind
        self._rows = [row for row in rows if row.kind == kind]
        self._declared = [row.name for row in rows if row.source != DATABASE]
        self._names = {row.name for row in rows}

    async def apply(self, change: Change, wanted: Sequence[Wanted], enable: bool | None) -> None:
        """Add, change and remove database connections. `enable` switches all of them, when it is another than now.

        Raises Problem CONFLICT when that would change a declared one, MALFORMED for a value that none can have.
        """
        meant = matched(self._rows, wanted)
        kept = {row.id for row in meant if row is not None}
        switch = enable if self._rows and enable is not any(row.enable for row in self._rows) else None
        for gone in self._rows:
            if gone.id not in kept:
                _writable(gone)
                await remove(change, self._seal, gone.id)
        latest = max((row.created_at for row in self._rows), default=0)
        for each, row in zip(wanted, meant, strict=True):
            given = fields_of(each)
            if switch is not None:
                given["enable"] = switch
            if row is None:
                latest = max(now(), latest + 1)
                await self._add(change, each, given, latest)
            else:
                await self._update(change, row, each, given)

    async def _add(self, change: Change, wanted: Wanted, given: dict[str, Any], created_at: int) -> None:
        name = free_name(wanted.url, self._kind, self._names)
        self._names.add(name)
        given = {**given, "name": name, "kind": self._kind, "base_url": wanted.url}
        row = await add(change, self._seal, given, self._defaults, self._declared)
        if row.created_at != created_at:
            # Positions follow these times, and several connections may be made within one second.
            await queries.replace(change.connection, replace(row, created_at=created_at), self._seal)

    async def _update(self, change: Change, row: ConnectionRow, wanted: Wanted, given: dict[str, Any]) -> None:
        if "api_keys" in given and wanted.key and wanted.key == shown_key(row):
            del given["api_keys"]  # the first of several is shown; sent back, all of them stay
        if not same_url(row.base_url, wanted.url):
            _writable(row)
            given.update(kind=self._kind, base_url=wanted.url)
        # A declared row has no time of making, and would be taken for a new one.
        dated = replace(row, created_at=row.created_at or 1)
        if build(dated, given, self._defaults) == dated:
            return
        _writable(row)
        await update(change, self._seal, row.id, given, self._defaults, self._declared)


def _writable(row: ConnectionRow) -> None:
    if row.source != DATABASE:
        raise Problem(
            Kind.CONFLICT,
            f"The connection {row.name!r} is declared in the {row.source}; change it there and start again.",
        )


def free_name(url: str, kind: str, taken: Collection[str]) -> str:
    """A name for a new connection: its host, with a number when that is taken."""
    try:
        host = urlsplit(url).hostname or kind
    except ValueError:
        host = kind  # it is refused, with the reason, where connections are made
    name = host[: MAX_NAME - 10]
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}-{number}"
    return free


def tried(kind: str, url: str, wanted: Wanted, rows: Sequence[ConnectionRow], defaults: Timeouts) -> ConnectionRow:
    """A connection that is only tried, never kept. A masked key is that of the connection with this very URL.

    Raises Problem MALFORMED.
    """
    known = ConnectionRow(id="verify", name="verify", kind=kind, base_url="", flavour="")
    same = (row for row in rows if row.kind == kind and same_url(row.base_url, url))
    found = next(
        (row for row in same if not wanted.key or not is_masked(wanted.key) or wanted.key == shown_key(row)), None
    )
    if found is not None:
        known = replace(known, base_url=found.base_url, api_keys=found.api_keys, headers=found.headers, tls=found.tls)
        if not wanted.key or not is_masked(wanted.key):
            known = replace(known, api_keys=())
    given = fields_of(wanted)
    given.pop("enable", None)
    return build(known, {**given, "kind": kind, "base_url": url}, defaults)
