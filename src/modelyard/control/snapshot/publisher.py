"""Keeps the snapshot true: after every change that matters, after every discovery that found something new.

The first snapshot is made of everything there is, each later one of the one before it and what was touched since. What
was touched stands in `publication_log`, written in the transaction of the change itself. It is read from there, whoever
made the change: nothing is lost when refreshes overlap, are cancelled or fail, the next one reads from the same place.
"""

import asyncio
import gc
from collections.abc import Callable, Mapping
from typing import Any

from modelyard.canonical.records import ConnectionRow, Declared, ModelRow, Offer
from modelyard.canonical.snapshot import Arena, Published, Snapshot
from modelyard.control.keys.queries import TOLD_SECONDS
from modelyard.control.snapshot.arena import compile_arena, in_force
from modelyard.control.snapshot.compile import BaseModel
from modelyard.control.snapshot.offered import is_same
from modelyard.control.snapshot.pace import Pace
from modelyard.control.snapshot.patching import Rules, lay
from modelyard.control.snapshot.picture import Facts, Picture
from modelyard.control.snapshot.queries import forget_publications, read_facts, read_version
from modelyard.control.transaction import Touched
from modelyard.core.clock import now
from modelyard.core.seal import Seal
from modelyard.db.engine import Database

WATCH_SECONDS = 0.5
# Expired sessions and keys are dropped from memory this often; until then they are refused by their time.
FORGET_SECONDS = 600
# So many versions stay in the log of publications, for processes that were held up. It is cut this many at a time.
KEPT_PUBLICATIONS = 10_000
CUT_PUBLICATIONS = 1_000

# A young generation this large keeps the collector from running for every few calls; the middle one is small enough
# that a collection of what publishing has made is over within the 10 ms that nothing may hold the loop.
GC_THRESHOLDS = (5_000, 2, 400)
# Freezing also keeps garbage that was alive at that moment, so it is done only now and then.
FREEZE_EVERY_SECONDS = 60
# Up to so many models that a change replaced are freed at once.
FEW = 200


class Publisher:
    """Owns what the snapshot is compiled from. One for each process."""

    def __init__(
        self,
        database: Database,
        seal: Seal,
        declared: Declared,
        published: Published,
        *,
        default_model: str | None,
        fallback_model: str | None,
        open_catalogue: bool,
        preset_wins: bool,
        bypass_admin: bool,
        initial_settings: Mapping[str, Any],
        connections_changed: Callable[[], None],
    ) -> None:
        self._database = database
        self._seal = seal
        self._published = published
        self._default_model = default_model
        self._fallback_model = fallback_model
        self._open_catalogue = open_catalogue
        self._rules = Rules(
            declared=declared,
            initial_settings=initial_settings,
            preset_wins=preset_wins,
            bypass_admin=bypass_admin,
        )
        self._connections_changed = connections_changed
        self._picture: Picture | None = None
        self._arena: Mapping[str, Arena] = {}
        self._offers: Mapping[str, Offer] = {}
        self._working = asyncio.Lock()
        self._frozen_at = 0
        self._is_to_freeze = False
        self._leaving: list[object] = []
        self._forgot_at = now()
        self._cut_at = 0
        gc.set_threshold(*GC_THRESHOLDS)

    @property
    def connections(self) -> list[ConnectionRow]:
        """All connections in force: declared ones first, then those of the database."""
        return list(self._rules.declared.connections if self._picture is None else self._picture.connections)

    @property
    def user_ids(self) -> frozenset[str]:
        """Everyone there is, declared or stored."""
        return frozenset(self._rules.users if self._picture is None else self._picture.users)

    @property
    def base_models(self) -> Mapping[str, BaseModel]:
        """Every name that a connection offers, also those whose override is inactive. Not changed in place."""
        return {} if self._picture is None else self._picture.offered.models

    @property
    def rows_of_models(self) -> Mapping[str, ModelRow]:
        """The catalogue's rows in force by id: declared and stored, active and not. Not changed in place."""
        return {} if self._picture is None else self._picture.rows

    async def refresh(self, touched: Touched = ()) -> None:
        """Publish everything that was committed. Returns when this process serves the result.

        `touched` is what the caller's own change touched; the log says it too, with what others did meanwhile.
        Raises what the database raises; the snapshot in force stays then, and the next refresh makes good.
        """
        async with self._working:
            await self._catch_up()
            await self._let_go()

    async def offer(self, offers: Mapping[str, Offer]) -> None:
        """Publish new lists of models by connection id. Returns when this process serves them.

        Lists that are as they were cost nothing. Before the first `refresh` they are only kept for it.
        """
        self._offers = offers
        async with self._working:
            picture = self._picture
            if picture is None:
                return
            latest, known = self._offers, picture.offered.offers
            if latest.keys() != known.keys() or not all(is_same(offer, known[key]) for key, offer in latest.items()):
                await self._publish(Facts(version=picture.version))
                del picture, known  # else nothing of them could go
                await self._let_go()

    async def watch(self) -> None:
        """Follow changes that other processes commit, for ever."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            if self._picture is None:
                continue
            before = self.connections
            version = await read_version(self._database)
            if version != self._picture.version:
                await self.refresh()
                if self.connections != before:
                    self._connections_changed()  # another process made one: ask it what it offers
            await self.offer(self._offers)  # in case the one who brought them was cancelled
            await self._tidy(version)

    async def _catch_up(self) -> None:
        """Under the lock."""
        facts = await read_facts(self._database, self._seal, now(), self._picture, Pace())
        if facts is not None:
            await self._publish(facts)

    async def _publish(self, facts: Facts) -> None:
        """Under the lock. Only a picture that is complete comes into force."""
        before = self._picture or Picture()
        picture = await lay(before, facts, self._offers, self._rules, Pace())
        if picture.settings != before.settings:
            self._arena = compile_arena(picture.settings)
        closed = frozenset(name for name, row in picture.rows.items() if not row.is_active)
        self._published.snapshot = Snapshot(
            version=picture.version,
            credentials=picture.by_digest,
            models=picture.models,
            connections={key: compiled.connection for key, compiled in picture.offered.connections.items()},
            default_model=self._default_model,
            fallback_model=self._fallback_model,
            open_catalogue=self._open_catalogue,
            settings=picture.settings,
            closed=closed,
            arena=in_force(self._arena, picture.bases, picture.models, closed),
        )
        is_first, self._picture = self._picture is None, picture
        if is_first:
            gc.collect()  # this holds the loop, but nothing is served yet
        is_many = facts.whole or len(facts.models) > FEW
        if is_many or picture.offered.models is not before.offered.models:
            self._is_to_freeze = True
            self._leaving = [
                *before.rows.values(),
                *before.models.values(),
                *before.offered.joined.values(),
                *before.offered.models.values(),
            ]
        self._freeze()

    async def _let_go(self) -> None:
        """Under the lock. Thousands of objects that are not needed any more are freed in slices."""
        pace = Pace()
        while self._leaving:
            self._leaving.pop()
            if pace.is_due:
                await pace.rest()

    def _freeze(self) -> None:
        """Take what was published out of the collector's sight, without a collection before it: that holds the loop."""
        if self._is_to_freeze and now() - self._frozen_at >= FREEZE_EVERY_SECONDS:
            self._is_to_freeze = False
            self._frozen_at = now()
            gc.freeze()

    async def _tidy(self, version: int) -> None:
        """What has to be done now and then."""
        self._freeze()
        if now() - self._forgot_at >= FORGET_SECONDS:
            self._forgot_at = now()
            await self._forget_expired()
        last = version - KEPT_PUBLICATIONS
        if last - self._cut_at >= CUT_PUBLICATIONS:
            self._cut_at = last
            await forget_publications(self._database, last)

    async def _forget_expired(self) -> None:
        async with self._working:
            picture = self._picture
            assert picture is not None
            over = {"session": now(), "key": now() - TOLD_SECONDS}
            expired = {
                key: None
                for key, row in picture.credentials.items()
                if row.expires_at is not None and row.expires_at <= over.get(key[0], 0)
            }
            if expired:
                await self._publish(Facts(version=picture.version, credentials=expired))
