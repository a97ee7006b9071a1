"""What callers see of the catalogue, encoded: each entry once, each list once for all who may see the same.

Built in slices, so that nobody's call waits for a large catalogue. Held in at most 64 MB: entries, the rights of callers,
and whole lists have a share each; what does not fit is made anew when it is asked for.
"""

import asyncio
import operator
import time
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from itertools import compress
from typing import Any, Generic, NamedTuple, TypeVar

from modelyard.api.entries import arena_entry, model_entry, places
from modelyard.canonical.snapshot import Model, Principal, Published, Snapshot
from modelyard.control.settings import table
from modelyard.core import log, raw
from modelyard.policy.access import in_scope, may_use
from modelyard.policy.display_names import is_preset, shown_name

_log = log.get(__name__)

# Of an entry, what is never the trouble: checked where it is stored, or ours.
PLAIN = ("id", "object", "created", "owned_by", "connection_type", "urlIdx", "preset", "arena", "actions", "filters")

MEGABYTE = 1024 * 1024
ENTRY_BYTES = 20 * MEGABYTE
RIGHTS_BYTES = 12 * MEGABYTE
LIST_BYTES = 32 * MEGABYTE
# About what Python adds to each thing that is kept.
OVERHEAD_BYTES = 300

# Work is done in pieces of so many models, and the event loop gets its turn when a slice has taken so long.
PIECE = 100
SLICE_SECONDS = 0.002

# Of a snapshot's settings, those that a list depends on.
SETTINGS = (table.MODEL_ORDER,)

Key = TypeVar("Key")
Value = TypeVar("Value")


class Shelf(Generic[Key, Value]):
    """Keeps what was used last, within `limit` bytes. Something larger than all of it is not kept."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.size = 0
        self._kept: OrderedDict[Key, tuple[Value, int]] = OrderedDict()

    def get(self, key: Key) -> Value | None:
        found = self._kept.get(key)
        if found is None:
            return None
        self._kept.move_to_end(key)
        return found[0]

    def put(self, key: Key, value: Value, size: int) -> None:
        """Keep `value`, which takes `size` bytes."""
        self.drop(key)
        size += OVERHEAD_BYTES
        if size > self.limit:
            return
        self._kept[key] = value, size
        self.size += size
        while self.size > self.limit:
            _, (_, freed) = self._kept.popitem(last=False)
            self.size -= freed

    def drop(self, key: Key) -> None:
        found = self._kept.pop(key, None)
        if found is not None:
            self.size -= found[1]

    def clear(self) -> None:
        self._kept.clear()
        self.size = 0


class Entry(NamedTuple):
    """One encoded entry, the model that it tells of, and a digest of its bytes."""

    model: Model
    body: bytes
    digest: bytes


class Rights(NamedTuple):
    """Which entries a caller sees, a byte for each (0 or 1), and the ETag of their list."""

    mask: bytes
    etag: bytes


class Listed(NamedTuple):
    """An answer: `body` is None when the client has it already."""

    body: bytes | None
    etag: bytes


class View:
    """One snapshot's entries in the order in which they are listed. Entries of the arena are models without targets."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.settings = _settings(snapshot)
        self.places = places(snapshot.connections)
        self.models: Sequence[Model] = ()

    def holds_for(self, snapshot: Snapshot) -> bool:
        """True when a list made for this view is one of that snapshot too."""
        mine = self.snapshot
        if snapshot is mine:
            return True
        if (
            snapshot.open_catalogue != mine.open_catalogue
            or len(snapshot.models) != len(mine.models)
            or _settings(snapshot) != self.settings
            or snapshot.arena != mine.arena
            or (snapshot.connections is not mine.connections and places(snapshot.connections) != self.places)
            or (
                snapshot.models is not mine.models
                and not all(map(operator.is_, snapshot.models.values(), mine.models.values()))
            )
        ):
            return False
        self.snapshot = snapshot
        return True


class Lists:
    """The lists of `GET /api/models`, for every caller."""

    def __init__(self, published: Published) -> None:
        self._published = published
        self._building = asyncio.Lock()
        self._view: View | None = None
        self._entries: Shelf[str, Entry] = Shelf(ENTRY_BYTES)
        self._rights: Shelf[Any, Rights] = Shelf(RIGHTS_BYTES)
        self._bodies: Shelf[bytes, bytes] = Shelf(LIST_BYTES)

    @property
    def size(self) -> int:
        """Bytes that are kept."""
        return self._entries.size + self._rights.size + self._bodies.size

    async def listed(self, principal: Principal, known: frozenset[bytes]) -> Listed:
        """The list that this caller sees now. `known` are the ETags of lists that the client holds."""
        view = self._view
        if view is not None and view.holds_for(self._published.snapshot):
            rights = self._rights.get(_rights_key(principal))
            if rights is not None:
                if rights.etag in known:
                    return Listed(None, rights.etag)
                body = self._bodies.get(rights.etag)
                if body is not None:
                    return Listed(body, rights.etag)
        async with self._building:
            view = await self._current()
            rights = await self._rights_of(principal, view)
            if rights.etag in known:
                return Listed(None, rights.etag)
            return Listed(await self._body_of(rights, view), rights.etag)

    async def _current(self) -> View:
        """The view of the snapshot in force."""
        snapshot = self._published.snapshot
        before = self._view
        if before is not None and before.holds_for(snapshot):
            return before
        view = View(snapshot)
        view.models = await _ordered(_listed_models(view), view.settings[table.MODEL_ORDER])
        if before is not None and before.places != view.places:
            self._entries.clear()  # entries tell positions
        self._rights.clear()
        self._view = view
        return view

    async def _rights_of(self, principal: Principal, view: View) -> Rights:
        key = _rights_key(principal)
        rights = self._rights.get(key)
        if rights is None:
            snapshot, mask = view.snapshot, bytearray()
            turn = Turn()
            for piece in _pieces(view.models):
                mask += bytes(in_scope(principal, m, snapshot) and may_use(principal, m, snapshot) for m in piece)
                await turn.over()
            digest = blake2b(digest_size=16)
            for piece in _pieces(list(compress(view.models, mask))):
                for model in piece:
                    digest.update(self._entry(model, view).digest)
                await turn.over()
            rights = Rights(bytes(mask), b'"%s"' % digest.hexdigest().encode())
            if self._view is view:
                self._rights.put(key, rights, len(mask))
        return rights

    async def _body_of(self, rights: Rights, view: View) -> bytes:
        body = self._bodies.get(rights.etag)
        if body is None:
            bodies: list[bytes] = []
            turn = Turn()
            for piece in _pieces(list(compress(view.models, rights.mask))):
                bodies += [self._entry(model, view).body for model in piece]
                await turn.over()
            body = whole(bodies)
            self._bodies.put(rights.etag, body, len(body))
        return body

    def _entry(self, model: Model, view: View) -> Entry:
        """The entry of a model, encoded once as long as it is the same model."""
        found = self._entries.get(model.id)
        if found is not None and found.model is model:
            return found
        drawing = view.snapshot.arena.get(model.id)
        body = encoded(model_entry(model, view.places) if drawing is None else arena_entry(drawing.row))
        entry = Entry(model, body, blake2b(body, digest_size=16).digest())
        self._entries.put(model.id, entry, len(body))
        return entry


def encoded(entry: dict[str, Any]) -> bytes:
    """One entry as JSON. What was stored and cannot be told takes its own row's info away, never the whole list."""
    try:
        return raw.encode(entry)
    except (UnicodeEncodeError, RecursionError):
        _log.error("a model's row cannot be told as JSON", model=entry["id"])
        return raw.encode({name: entry[name] for name in PLAIN if name in entry})


def whole(entries: list[bytes]) -> bytes:
    """The list of these encoded entries. Several megabytes: put together in one copy."""
    if not entries:
        return b'{"data":[]}'
    entries = [b'{"data":[' + entries[0], *entries[1:]]
    entries[-1] += b"]}"
    return b",".join(entries)


class Turn:
    """Lets the event loop go on when this slice of work has taken long enough."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    async def over(self) -> None:
        if time.monotonic() - self._began >= SLICE_SECONDS:
            await asyncio.sleep(0)
            self._began = time.monotonic()


def _rights_key(principal: Principal) -> tuple[object, ...]:
    """All of a caller that decides what they see."""
    return principal.user_id, principal.role, principal.sees_all, principal.group_ids, principal.models


def _settings(snapshot: Snapshot) -> dict[str, Any]:
    return {name: snapshot.settings.get(name, table.INITIAL[name]) for name in SETTINGS}


def _listed_models(view: View) -> list[Model]:
    """Base models, the arena, presets."""
    models = list(view.snapshot.models.values())
    arena = [entry.model for entry in view.snapshot.arena.values()]
    if not arena:
        return models
    first = next((index for index, model in enumerate(models) if is_preset(model)), len(models))
    return [*models[:first], *arena, *models[first:]]


async def _ordered(models: list[Model], order: Sequence[str]) -> list[Model]:
    """The models in the order that administrators set, then by name. Without an order they stay as they are."""
    if not order:
        return models
    turn = Turn()
    positions = {name: index for index, name in enumerate(order)}
    placed: list[Model] = []
    others: list[Model] = []
    names: dict[str, str] = {}
    for piece in _pieces(models):
        for model in piece:
            (placed if model.id in positions else others).append(model)
            names[model.id] = shown_name(model)
        await turn.over()
    placed.sort(key=lambda model: positions[model.id])
    others.sort(key=lambda model: names[model.id])
    return placed + others


def _pieces(models: Sequence[Model]) -> Iterable[Sequence[Model]]:
    return (models[start : start + PIECE] for start in range(0, len(models), PIECE))
