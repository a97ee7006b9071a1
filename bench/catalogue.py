"""A catalogue of 10,000 models with 50,000 grants, as one caller after another meets it over HTTP."""

import asyncio
import http.client
import itertools
import json
import secrets
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlencode

from bench import large_catalogue
from bench.processes import GATEWAY_CORE, Failed, free_port, started, wait_until_healthy
from bench.sections import Plan, Results, Timed, say
from modelyard.db import migrate
from modelyard.db.engine import Database, sqlite_url

CALLS = 200
CHANGES = 20
START_SECONDS = 60.0
CALLER = 7  # an ordinary user in five groups
LIST = "/api/v1/models/list"
TOGGLE = "/api/v1/models/model/toggle"
DISCOVERY = "/api/models"
# What is measured, by the names that targets are set for.
SEARCH = "list, search and tag"
LATER = "discovery, later calls"
CHANGE = "a change, answered when it is in force"
# What several callers ask for in turn.
SEARCHES = (
    {"query": "AMBER", "tag": "coding"},
    {"query": "größe", "tag": "翻译", "order_by": "name", "direction": "asc"},
    {"query": "модель", "tag": "ÜBERSETZUNG", "view_option": "shared"},
    {"query": "e", "tag": "team-3", "order_by": "updated_at"},
    {"query": "user-7", "tag": "100%"},
)


@dataclass(frozen=True)
class Caller:
    connection: http.client.HTTPConnection
    key: str

    def ask(self, method: str, path: str, query: Mapping[str, str] | None = None, body: object = None) -> bytes:
        """The answer to one call. Raises Failed unless it is a 200."""
        target = f"{path}?{urlencode(query)}" if query else path
        sent = None if body is None else json.dumps(body).encode()
        headers = {"authorization": f"Bearer {self.key}"}
        try:
            self.connection.request(method, target, sent, headers)
            answer = self.connection.getresponse()
        except http.client.RemoteDisconnected:  # the connection was idle for long; the next call opens another
            self.connection.close()
            self.connection.request(method, target, sent, headers)
            answer = self.connection.getresponse()
        content = answer.read()
        if answer.status != http.client.OK:
            raise Failed(f"{method} {target}: {answer.status} {content[:200]!r}")
        return content


def catalogue(plan: Plan, results: Results) -> None:
    """Lists, search and discovery for one ordinary user and for an administrator; a change and what follows it."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        large = asyncio.run(_prepared(folder))
        with _callers(folder, plan, large.users[CALLER]["id"]) as (administrator, user):
            searches = itertools.cycle(SEARCHES)
            _measure(results, "list", lambda: user.ask("GET", LIST))
            _measure(results, SEARCH, lambda: user.ask("GET", LIST, next(searches)))
            _measure(results, "list of an administrator", lambda: administrator.ask("GET", LIST))
            _measure(results, "discovery, the first call", lambda: user.ask("GET", DISCOVERY), calls=1)
            _measure(results, LATER, lambda: user.ask("GET", DISCOVERY))
            told = len(json.loads(user.ask("GET", DISCOVERY))["data"])
            say(f"catalogue: discovery tells {told} models")
            if told < large_catalogue.MODELS / 100:
                raise Failed(f"discovery tells {told} models only: its figures mean nothing")
            presets = [row["id"] for row in large.models if row["base_model_id"] is not None][:CHANGES]
            changes, after = [], []
            for model_id in presets:
                changes.append(_timed(partial(administrator.ask, "POST", TOGGLE, {"id": model_id})))
                after.append(_timed(lambda: user.ask("GET", DISCOVERY)))
            _note(results, CHANGE, changes)
            _note(results, "discovery, the first call after a change", after)
            others = sorted(
                set(itertools.chain(*large.group_ids.values())) - large.group_ids[large.users[CALLER]["id"]]
            )
            _note(results, "a group deleted with its grants", [
                _timed(partial(administrator.ask, "DELETE", f"/api/v1/groups/id/{group_id}/delete"))
                for group_id in others[:CHANGES]
            ])  # fmt: skip


async def _prepared(folder: Path) -> large_catalogue.Large:
    large = large_catalogue.made()
    database = Database(sqlite_url(folder / "modelyard.db"))
    try:
        await migrate.upgrade(database, migrate.MAIN, folder / "backups")
        await large_catalogue.write(database, large)
    finally:
        await database.close()
    return large


@contextmanager
def _callers(folder: Path, plan: Plan, user_id: str) -> Iterator[tuple[Caller, Caller]]:
    """An administrator and an ordinary user of a server on this data directory."""
    port, admin_key = free_port(), secrets.token_hex(20)
    command = [plan.modelyard, "serve", "--host", "127.0.0.1", "--port", str(port), "--data-dir", str(folder)]
    environment = {"MODELYARD_ADMIN_API_KEY": admin_key, "ENABLE_OLLAMA_API": "false", "ENABLE_OPENAI_API": "false"}
    with started(command, GATEWAY_CORE, folder / "log", environment) as process:
        wait_until_healthy(process, port, "/ready", START_SECONDS)
        administrator = Caller(http.client.HTTPConnection("127.0.0.1", port, timeout=60), admin_key)
        made = administrator.ask("POST", "/api/v1/keys", body={"name": "bench", "user_id": user_id})
        user = Caller(http.client.HTTPConnection("127.0.0.1", port, timeout=60), json.loads(made)["key"])
        try:
            yield administrator, user
        finally:
            administrator.connection.close()
            user.connection.close()


def _measure(results: Results, name: str, call: Callable[[], object], calls: int = CALLS) -> None:
    _note(results, name, [_timed(call) for _ in range(calls)])


def _timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000


def _note(results: Results, name: str, milliseconds: list[float]) -> None:
    p95 = statistics.quantiles(milliseconds, n=20)[-1] if len(milliseconds) > 1 else milliseconds[0]
    results.catalogue.append(Timed(name, len(milliseconds), statistics.median(milliseconds), p95))
    say(f"catalogue {results.catalogue[-1]}")
