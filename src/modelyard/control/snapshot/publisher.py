"""Keeps the snapshot true: after every change that matters, after every discovery that found something new."""

import asyncio
import gc
from collections.abc import Callable, Mapping
from typing import Any

from modelyard.canonical.records import ConnectionRow, Declared, Offer
from modelyard.canonical.snapshot import Published, Snapshot
from modelyard.control.settings.table import PERMISSIONS
from modelyard.control.snapshot.compile import (
    BaseModel,
    CompiledConnection,
    compile_base_models,
    compile_connection,
    compile_credentials,
    compile_models,
    compile_principals,
)
from modelyard.control.snapshot.queries import Rows, read_rows, read_version
from modelyard.control.transaction import Touched
from modelyard.core import log
from modelyard.core.clock import now
from modelyard.core.seal import Seal
from modelyard.db.engine import Database
from modelyard.policy.permissions import defaults

_log = log.get(__name__)

WATCH_SECONDS = 0.5

# A young generation this large keeps the collector from running for every few calls.
GC_THRESHOLD = 20_000
# Freezing also keeps garbage that was alive at that moment, so a busy control plane freezes only now and then.
FREEZE_EVERY_SECONDS = 60


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
        self._declared = declared
        self._published = published
        self._default_model = default_model
        self._fallback_model = fallback_model
        self._open_catalogue = open_catalogue
        self._preset_wins = preset_wins
        self._bypass_admin = bypass_admin
        self._initial_settings = initial_settings
        self._connections_changed = connections_changed
        self._rows: Rows | None = None
        self._offers: Mapping[str, Offer] = {}
        self._compiled: dict[str, CompiledConnection] = {}
        self._base_models: dict[str, BaseModel] | None = None
        self._reading = asyncio.Lock()
        self._frozen_at = 0
        gc.set_threshold(GC_THRESHOLD, 20, 20)

    @property
    def connections(self) -> list[ConnectionRow]:
        """All connections in force: declared ones first, then those of the database."""
        stored = self._rows.connections if self._rows is not None else ()
        return [*self._declared.connections, *stored]

    @property
    def user_ids(self) -> frozenset[str]:
        """Everyone there is, declared or stored."""
        stored = self._rows.users if self._rows is not None else ()
        return frozenset(user.id for user in [*self._declared.users, *stored])

    async def refresh(self, touched: Touched = ()) -> None:
        """Read the rows again and publish. Returns when this process serves the result."""
        async with self._reading:
            before, self._rows = self._rows, await read_rows(self._database, self._seal, now())
            if before is None or before.connections != self._rows.connections:
                self._base_models = None  # else thousands of names would be compiled anew for each sign-in
            self._publish()

    def offer(self, offers: Mapping[str, Offer]) -> None:
        """Publish new lists of models by connection id."""
        self._offers = offers
        self._base_models = None
        if self._rows is not None:
            self._publish()

    async def watch(self) -> None:
        """Follow changes that other processes commit, for ever."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            rows = self._rows
            if rows is not None and await read_version(self._database) != rows.version:
                before = rows.connections
                await self.refresh()
                if self._rows is not None and self._rows.connections != before:
                    self._connections_changed()  # another process made one: ask it what it offers

    def _publish(self) -> None:
        rows = self._rows
        assert rows is not None
        connections = self._compile_connections()
        if self._base_models is None:
            self._base_models = compile_base_models(connections, self._offers)
        declared = self._declared
        settings = {**self._initial_settings, **rows.settings}
        principals = compile_principals(
            [*declared.users, *rows.users],
            [*declared.groups, *rows.groups],
            defaults(settings[PERMISSIONS]),
            bypass_admin=self._bypass_admin,
        )
        fixed = {row.id for row in declared.models}  # what a file declares stands, whatever is stored under its id
        models = compile_models(
            self._base_models,
            [*declared.models, *(row for row in rows.models if row.id not in fixed)],
            [*declared.grants, *(grant for grant in rows.grants if grant.resource_id not in fixed)],
            principals,
            preset_wins=self._preset_wins,
        )
        self._published.snapshot = Snapshot(
            version=rows.version,
            credentials=compile_credentials([*declared.credentials, *rows.credentials], principals),
            models=models,
            connections={compiled.row.id: compiled.connection for compiled in connections},
            default_model=self._default_model,
            fallback_model=self._fallback_model,
            open_catalogue=self._open_catalogue,
            settings=settings,
        )
        if now() - self._frozen_at >= FREEZE_EVERY_SECONDS:
            self._frozen_at = now()
            gc.unfreeze()
            gc.collect()
            gc.freeze()

    def _compile_connections(self) -> list[CompiledConnection]:
        """A row that has not changed keeps its compiled form, and with it its pool of connections."""
        compiled = {}
        for row in self.connections:
            known = self._compiled.get(row.id)
            try:
                compiled[row.id] = known if known is not None and known.row == row else compile_connection(row)
            except (ValueError, KeyError) as error:
                _log.error("a connection cannot be used", connection=row.name, error=str(error))
        self._compiled = compiled
        return list(compiled.values())
