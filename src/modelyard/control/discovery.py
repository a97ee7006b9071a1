"""What each connection offers: fetched off the request path, in parallel, the last good list kept with its age."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from modelyard.canonical.endpoint import Endpoint, Timeouts
from modelyard.canonical.records import ConnectionRow, Offer
from modelyard.control.snapshot.compile import compile_connection, request_headers, visible_name
from modelyard.core import log
from modelyard.core.clock import now
from modelyard.core.errors import Problem
from modelyard.core.seal import MASK
from modelyard.dialects.flavours import FLAVOURS
from modelyard.dialects.openai.listing import NotAList
from modelyard.upstream.client import Client, cause_of, sentence

_log = log.get(__name__)

LIST_SECONDS = 2.0
LOADED_SECONDS = (
    2.0  # How long an answer of loaded() is kept: anybody may ask, and each question goes to every backend.
)
# Of a secret that is looked for in an answer: a shorter one would be found in innocent text.
SHORTEST_SECRET = 8
MAX_LIST_BYTES = 16 * 1024 * 1024


class ListFailed(Exception):
    """A connection's list of models could not be had. The text is for an administrator: sentences without secrets, and
    without the address, which stands beside them."""


async def fetch_models(client: Client, row: ConnectionRow) -> list[dict[str, Any]]:
    """Ask one connection for its models, within LIST_SECONDS in all. Raises ListFailed."""
    compiled = compile_connection(row)
    flavour = compiled.flavour
    endpoint = replace(
        compiled.connection.endpoint,
        timeouts=Timeouts(connect=LIST_SECONDS, first_byte=LIST_SECONDS, idle=LIST_SECONDS),
    )
    key = row.api_keys[0] if row.api_keys else None
    own = {name.lower(): value for name, value in row.headers.items()}
    try:
        async with asyncio.timeout(LIST_SECONDS):
            status, body = await _get(client, endpoint, flavour.models_path, request_headers(flavour, key, own))
    except TimeoutError:
        raise ListFailed(f"No answer within {LIST_SECONDS:.0f} s.") from None
    except Problem as problem:
        raise ListFailed(cause_of(problem)) from None
    if status in (401, 403):
        raise ListFailed(f"Credentials refused (status {status}). Check the API key.")
    if status == 404:
        raise ListFailed(f"No list of models at {flavour.models_path}. Check the base URL and the kind.")
    if status != 200:
        raise ListFailed(f"Status {status} in place of a list of models.")
    try:
        return flavour.read_models(_unsaid(row, body))
    except NotAList as error:
        raise ListFailed(sentence(_without(row, str(error)))) from None


async def _get(
    client: Client, endpoint: Endpoint, path: str, headers: tuple[tuple[str, str], ...]
) -> tuple[int, bytes]:
    answer = await client.send(endpoint, "GET", path, headers, b"", stream=False)
    try:
        return answer.status, await answer.read(MAX_LIST_BYTES)
    finally:
        answer.abort()


def _unsaid(row: ConnectionRow, body: bytes) -> bytes:
    """A backend's words without the secrets that it was sent: every user may read its list."""
    for secret in (*row.api_keys, *row.headers.values()):
        if len(secret) >= SHORTEST_SECRET:
            body = body.replace(secret.encode(), MASK.encode())
    return body


def _without(row: ConnectionRow, text: str) -> str:
    for key in row.api_keys:
        text = text.replace(key, MASK)
    return text


async def fetch_loaded(client: Client, row: ConnectionRow) -> dict[str, dict[str, Any]]:
    """What a backend that loads and unloads models holds in memory now, by our names. Nothing when it does not say."""
    compiled = compile_connection(row)
    path = compiled.flavour.loaded_path
    if path is None:
        return {}
    key = row.api_keys[0] if row.api_keys else None
    own = {name.lower(): value for name, value in row.headers.items()}
    try:
        async with asyncio.timeout(LIST_SECONDS):
            headers = request_headers(compiled.flavour, key, own)
            status, body = await _get(client, compiled.connection.endpoint, path, headers)
        rows = compiled.flavour.read_models(_unsaid(row, body)) if status == 200 else []
    except (TimeoutError, Problem, NotAList):
        return {}
    return {visible_name(row, str(model["id"])): model for model in rows}


class Discovery:
    """Refreshes every connection's list each `interval` seconds, and at once when told to. `interval` 0: only then."""

    def __init__(
        self,
        client: Client,
        connections: Callable[[], Iterable[ConnectionRow]],
        offer: Callable[[Mapping[str, Offer]], Awaitable[None]],
        interval: float,
    ) -> None:
        self._client = client
        self._connections = connections
        self._offer = offer
        self._interval = interval
        self._asked = asyncio.Event()
        self._refreshing = asyncio.Lock()
        self._loading = asyncio.Lock()
        self._loaded: dict[str, dict[str, Any]] = {}
        self._loaded_of: list[ConnectionRow] = []
        self._loaded_until = 0.0
        self._settings: dict[str, ConnectionRow] = {}
        self.offers: dict[str, Offer] = {}

    async def run(self) -> None:
        """Refresh for ever."""
        while True:
            self._asked.clear()
            await self.refresh()
            try:
                async with asyncio.timeout(self._interval or None):
                    await self._asked.wait()
            except TimeoutError:
                pass

    def soon(self) -> None:
        """Refresh in the background: nobody waits for a backend."""
        self._asked.set()

    async def refresh(self) -> None:
        """Ask every connection now and publish what is new."""
        async with self._refreshing:
            rows = [row for row in self._connections() if row.enable]
            found: dict[str, Offer] = {}
            async with asyncio.TaskGroup() as group:
                for row in rows:
                    group.create_task(self._refresh_one(row, found))
            await self._take(rows, found)

    async def refresh_connection(self, row: ConnectionRow) -> Offer:
        """Ask one connection now, after it was made or changed, and publish what is new."""
        found: dict[str, Offer] = {}
        await self._refresh_one(row, found)
        await self._take([row], found)
        return found[row.id]

    async def loaded(self) -> dict[str, dict[str, Any]]:
        """What the backends hold in memory now, by our names: the one thing that is asked of them while a caller waits.

        They are asked once at a time, and again after LOADED_SECONDS or when a connection has changed.
        """
        async with self._loading:
            rows = [row for row in self._connections() if row.enable]
            clock = asyncio.get_running_loop().time
            if clock() >= self._loaded_until or rows != self._loaded_of:
                found = await asyncio.gather(*(fetch_loaded(self._client, row) for row in rows))
                self._loaded = {name: model for models in found for name, model in models.items()}
                self._loaded_of = rows
                self._loaded_until = clock() + LOADED_SECONDS
            return self._loaded

    async def _refresh_one(self, row: ConnectionRow, found: dict[str, Offer]) -> None:
        before = self._settings.get(row.id)
        moved = before is not None and (before.base_url, before.kind) != (row.base_url, row.kind)
        known = Offer() if moved else self.offers.get(row.id, Offer())
        try:
            models = await fetch_models(self._client, row)
        except ListFailed as failed:
            if known.error is None:
                _log.warning(
                    "a connection gives no list of models",
                    connection=row.name,
                    address=row.base_url,
                    reason=str(failed),
                )
            found[row.id] = replace(known, error=str(failed))
        else:
            same = known.fetched_at is not None and list(known.models) == models
            found[row.id] = Offer(models=known.models if same else models, fetched_at=now())
        self._settings[row.id] = row

    async def _take(self, rows: list[ConnectionRow], found: Mapping[str, Offer]) -> None:
        asked = {row.id: row for row in rows}
        offers = dict(self.offers)
        # A connection may have been made, changed or removed while the backends were being asked.
        current = {row.id: row for row in self._connections() if row.enable}
        offers.update({key: offer for key, offer in found.items() if current.get(key) == asked[key]})
        offers = {key: offer for key, offer in offers.items() if key in current}
        self.offers = offers
        await self._offer(offers)  # also without news: what another round found may still be on its way


# Where the usual local servers listen. Several answer on one port; what they say tells them apart.
SHARED_PORT = FLAVOURS["llama.cpp"]  # LocalAI listens on the same one
LOCAL_PORTS: Mapping[int, tuple[str, ...]] = {
    11434: ("ollama",),
    8080: ("llama.cpp",),
    8000: ("vllm",),
    1234: ("lmstudio",),
}


async def find_local(client: Client, taken: Iterable[str]) -> list[ConnectionRow]:
    """Backends that answer on this machine and are not connected yet. They are offered, never added."""
    found: list[ConnectionRow] = []
    known = {url.rstrip("/").replace("localhost", "127.0.0.1") for url in taken}

    async def look(port: int, name: str) -> None:
        flavour = FLAVOURS[name]
        url = f"http://127.0.0.1:{port}"
        if any(other == url or other.startswith(url + "/") for other in known):
            return
        row = ConnectionRow(
            id=f"local-{port}", name=name, kind=flavour.kind, base_url=url, flavour=name, connection_type="local"
        )
        try:
            models = await fetch_models(client, row)
        except ListFailed:
            return
        if flavour is SHARED_PORT and any(model.get("owned_by") not in (None, "llamacpp") for model in models):
            row = replace(row, name="localai", flavour="localai")
        found.append(replace(row, model_ids=tuple(str(model["id"]) for model in models)))

    async with asyncio.TaskGroup() as group:
        for port, names in LOCAL_PORTS.items():
            for name in names:
                group.create_task(look(port, name))
    return sorted(found, key=lambda row: row.id)
