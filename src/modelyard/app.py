"""The composition root: the only place where everything meets. State is built here and handed down.

The table of contents of the server is `_front`; one call can be followed from there through `api.openai`,
`gateway.pipeline` and `upstream.client`.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry, start_http_server

from modelyard.api import management
from modelyard.api.calls import Calls
from modelyard.api.catalogue import CatalogueDoors
from modelyard.api.front import Door, Front, framed, renamed
from modelyard.api.interface import ASSETS, Interface
from modelyard.api.ollama import OllamaDoors
from modelyard.api.openai import PREFIX, OpenAIDoors, numbered
from modelyard.api.ops import CallMetrics, Operations
from modelyard.canonical.snapshot import Limits, Published
from modelyard.control.context import Control
from modelyard.control.discovery import Discovery
from modelyard.control.lifecycle.bases import Bases
from modelyard.control.lifecycle.service import Lifecycle
from modelyard.control.people import throttle
from modelyard.control.settings import table
from modelyard.control.snapshot.publisher import Publisher
from modelyard.control.transaction import Changes
from modelyard.core import log
from modelyard.core.tasks import Background
from modelyard.db import ledger
from modelyard.db.responses import ResponseStore
from modelyard.declared import default_timeouts
from modelyard.dialects.table import DIALECTS
from modelyard.gateway.fetching import Fetcher
from modelyard.gateway.flusher import Flusher
from modelyard.gateway.journal import Journal
from modelyard.gateway.limits import Limiter
from modelyard.gateway.pipeline import Pipeline
from modelyard.gateway.stored import StoredResponses
from modelyard.policy.routing import STRATEGIES
from modelyard.settings import Settings
from modelyard.stores import Stores
from modelyard.upstream.client import Client

_log = log.get(__name__)

# A start does not wait longer than this for backends to list their models; they appear when they answer.
FIRST_DISCOVERY_SECONDS = 0.5

LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


class Modelyard:
    """One serving process: `front` is its ASGI app, valid between `start` and `stop`. It owns the stores and the client."""

    def __init__(self, stores: Stores, client: Client, worker: int = 0, workers: int = 1) -> None:
        settings = stores.settings
        self._stores = stores
        self._background = Background()
        self._first_discovery = asyncio.Event()
        self._metrics_port = settings.metrics_port if settings.enable_metrics and worker == 0 else None
        self._stop_metrics: Callable[[], None] | None = None
        published = Published()
        self._client = client
        self._journal = Journal(stores.journal_folder)
        self._flusher = Flusher(
            self._journal,
            stores.journal_folder,
            lambda lines: ledger.insert(stores.ledger, lines),
            sync_seconds=settings.journal_sync_seconds,
        )
        self._publisher = Publisher(
            stores.database,
            stores.seal,
            stores.declared,
            published,
            default_model=settings.default_model,
            fallback_model=settings.fallback_model,
            open_catalogue=settings.bypass_model_access_control,
            preset_wins=settings.preset_wins,
            bypass_admin=settings.bypass_admin_access_control,
            initial_settings=_initial_settings(settings),
            connections_changed=lambda: self._discovery.soon(),  # noqa: PLW0108 - it is made below
        )
        self._discovery = Discovery(
            client, lambda: self._publisher.connections, self._publisher.offer, settings.models_cache_ttl
        )
        changes = Changes(stores.database, stores.seal.chain_keys[0], self._publisher.refresh)
        self._lifecycle = Lifecycle(
            changes,
            client,
            bases=Bases(
                stores.database,
                lambda: self._publisher.base_models,
                lambda: self._publisher.connections,
                stores.declared.models,
            ),
            timeout=settings.load_timeout,
            process=f"{socket.gethostname()}:{settings.data_dir.resolve()}:{worker}",
        )
        control = Control(
            database=stores.database,
            ledger=stores.ledger,
            changes=changes,
            seal=stores.seal,
            declared=stores.declared,
            published=published,
            discovery=self._discovery,
            client=client,
            connections=lambda: self._publisher.connections,
            users=lambda: self._publisher.user_ids,
            is_offered=lambda name: name in self._publisher.base_models,
            lifecycle=self._lifecycle,
            session_seconds=round(settings.session_hours * 3600),
            trash_seconds=settings.trash_days * 24 * 3600,
            default_timeouts=default_timeouts(settings),
        )
        self._responses = StoredResponses(
            ResponseStore(stores.database), round(settings.response_hours * 3600), settings.max_body_bytes
        )
        system = settings.max_concurrent_requests
        pipeline = Pipeline(
            published,
            client,
            Limiter(worker, workers),
            self._journal,
            STRATEGIES["priority"],
            Fetcher(
                client,
                frozenset(host.lower() for host in settings.fetch_hosts) if settings.fetch_urls else None,
                settings.max_body_bytes,
            ),
            self._responses,
            Limits(concurrency=system) if system is not None else None,
        )
        self._registry = registry = CollectorRegistry(auto_describe=False)
        registry.register(CallMetrics(published, self._journal))
        operations = Operations(
            published=published,
            seal=stores.seal,
            registry=registry,
            ready=lambda: None if self._first_discovery.is_set() else "the backends have not been asked yet",
            metrics_enabled=settings.enable_metrics,
        )
        calls = Calls(pipeline, published, stores.seal, settings.max_body_bytes)
        manage = management.Management(management.build(default_timeouts(settings)), control, settings.max_body_bytes)
        self.front = _front(
            settings,
            calls,
            OpenAIDoors(calls, published, self._responses, self._discovery.refresh),
            OllamaDoors(calls, published, self._discovery.loaded),
            CatalogueDoors(
                calls, published, control.connections, lambda: self._discovery.offers, self._discovery.refresh
            ),
            Interface(),
            manage,
            operations,
        )

    async def start(self) -> None:
        """Bring in what earlier processes left, publish the first snapshot, begin the background work."""
        found = await self._flusher.replay()
        if found:
            _log.info("calls of an earlier process were brought into the ledger", calls=found)
        await self._publisher.refresh()
        if self._metrics_port is not None:
            self._serve_metrics(self._metrics_port)
        self._background.start("flush the journal", self._flusher.run)
        self._background.start("follow other processes", self._publisher.watch)
        self._background.start("discover models", self._discover)
        self._background.start("forget old responses", self._responses.run)
        self._background.start("load and unload models", self._lifecycle.run)
        self._background.start("forget failed sign-ins", lambda: throttle.run(self._stores.database))
        try:
            async with asyncio.timeout(FIRST_DISCOVERY_SECONDS):
                await self._first_discovery.wait()
        except TimeoutError:
            pass

    def _serve_metrics(self, port: int) -> None:
        """METRICS_PORT: a door for scrapers alone, which a firewall can tell from the other."""
        try:
            server, thread = start_http_server(port, self._stores.settings.host, self._registry)
        except OSError as error:
            _log.error("the metrics have no port of their own", port=port, reason=error.strerror)
            return

        def stop() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        self._stop_metrics = stop

    def connected_urls(self) -> list[str]:
        """The addresses that are connected."""
        return [row.base_url for row in self._publisher.connections]

    async def stop(self) -> None:
        """End the background work and leave everything written."""
        if self._stop_metrics is not None:
            self._stop_metrics()
        await self._background.stop()
        await self._client.close()
        try:
            await self._flusher.finish()
        except Exception as error:  # noqa: BLE001 - the journal keeps what the database would not take
            _log.error("the ledger could not be written; the next start does it", error=repr(error))
        self._journal.close()
        await self._stores.close()

    async def _discover(self) -> None:
        await self._discovery.refresh()
        self._first_discovery.set()
        await self._discovery.run()


def _initial_settings(settings: Settings) -> dict[str, Any]:
    """What the environment says of those settings that people change while the server runs."""
    return {
        **table.INITIAL,
        table.PERMISSIONS: settings.user_permissions,
        table.DEFAULT_MODELS: settings.default_models,
        table.PINNED_MODELS: settings.pinned_models,
        table.MODEL_ORDER: settings.model_order,
        table.ARENA_ENABLED: settings.enable_arena,
        table.SIGN_UP_ENABLED: settings.enable_signup,
        table.SIGN_UP_ROLE: settings.default_user_role,
        table.SIGN_UP_GROUP: settings.default_group_id,
    }


def _front(
    settings: Settings,
    calls: Calls,
    openai: OpenAIDoors,
    ollama: OllamaDoors,
    catalogue: CatalogueDoors,
    interface: Interface,
    manage: management.Management,
    operations: Operations,
) -> Front:
    """Every door of the server."""
    below_openai = renamed("/openai/", PREFIX, openai.rest)
    return Front(
        exact={
            **_models(calls, ollama),
            "/api/models": catalogue.models,
            "/api/models/": catalogue.models,
            "/api/v1/models": catalogue.models,
            "/api/v1/models/": catalogue.models,
            "/api/models/base": catalogue.base,
            "/openai/models": below_openai,
            **{"/openai/" + path: framed(manage) for path in ("config", "config/update", "verify")},
            "/health": operations.health,
            "/ready": operations.readiness,
            "/metrics": operations.metrics,
            "/": interface.page,
            **dict.fromkeys(interface.names, interface.asset),
        },
        prefixes={
            PREFIX: openai.rest,
            "/ollama" + PREFIX: renamed("/ollama", "", openai.rest),
            "/openai" + PREFIX: renamed("/openai", "", openai.rest),
            "/openai/models/": numbered(framed(manage), below_openai),
            "/openai/responses/": below_openai,
            "/openai/": openai.passthrough,
            ASSETS: interface.asset,
        },
        rest=interface.or_else(manage),
        hosts=_hosts(settings),
        base_path=settings.base_path,
    )


def _models(calls: Calls, ollama: OllamaDoors) -> dict[str, Door]:
    """The doors of the three dialects, at their own paths and at those by which the ecosystem knows them too."""
    doors: dict[str, Door] = {
        "/api/tags": ollama.tags,
        "/api/show": ollama.show,
        "/api/ps": ollama.ps,
        "/api/version": ollama.version,
    }
    for dialect in DIALECTS.values():
        for operation in dialect.operations:
            doors[operation.path] = calls.door(dialect, operation)
    others = {"/ollama" + path: door for path, door in doors.items()}
    for path, door in doors.items():
        if path.startswith(PREFIX):
            others["/openai" + path] = others["/openai/" + path.removeprefix(PREFIX)] = door
    chat = doors["/v1/chat/completions"]
    return {
        **others,
        **doors,
        "/api/chat/completions": chat,
        "/api/v1/chat/completions": chat,
        "/ollama": ollama.status,
        "/ollama/": ollama.status,
    }


def _hosts(settings: Settings) -> frozenset[str] | None:
    if settings.allowed_hosts:
        return frozenset(host.lower() for host in settings.allowed_hosts) | LOCAL_NAMES
    return LOCAL_NAMES | {settings.host.lower()} if settings.is_loopback else None
