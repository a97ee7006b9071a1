"""What is measured, and how each of it is started. One table: VARIANTS."""

import http.client
import json
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from bench import bodies, peers
from bench.answers import MODEL, TOOL
from bench.governed import Ledger
from bench.processes import GATEWAY_CORE, LOAD_CORE, Failed, Process, free_port, started, wait_until_healthy

COMPLETIONS = "/v1/chat/completions"
MESSAGES = "/v1/messages"
STREAM_LADDER = (100, 200, 300, 500, 700, 1000)
# Other gateways start lower, so that their limit is found as well.
PEER_STREAM_LADDER = (10, 25, 50, 100, 200, 300, 500, 700, 1000)
HUB_STREAM_LADDER = (100, 200, 300, 500)
UPSTREAM_KEY = "sk-upstream"
# What limits one key must not be what is measured, yet each must be checked on every call.
KEY_LIMITS = {"rpm": 10_000_000, "tpm": 1_000_000_000, "concurrency": 10_000}


@dataclass(frozen=True)
class Site:
    """What a variant is started with."""

    port: int
    upstream: str  # with /v1
    folder: Path
    admin_key: str
    modelyard: str


@dataclass(frozen=True)
class Launch:
    command: list[str]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Variant:
    name: str
    # Nothing to launch: the load goes straight to the upstream.
    launch: Callable[[Site], Launch] | None
    # The headers a caller sends; asked for when the server is healthy.
    headers: Callable[[Site], dict[str, str]]
    health: str = "/health"
    ladder: tuple[int, ...] = STREAM_LADDER
    peer: Callable[[], peers.Peer] | None = None
    start_seconds: float = 30.0
    # What its ledger holds, by the status of the calls; asked for through its management API.
    ledger: Callable[[Site], Mapping[str, int]] | None = None
    # Measured for its upstream client: start and model list would say again what they say of `modelyard`.
    client_only: bool = False
    # What its callers send, and where to.
    path: str = COMPLETIONS
    body: Callable[[], bytes] = bodies.plain
    # Must all be in the answer, so that a fast one that left something out is no result.
    expects: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Gateway:
    """A variant, running and answering."""

    base: str
    url: str  # of the variant's own path
    headers: dict[str, str]
    body: bytes
    process: Process
    ready_seconds: float
    ledger: Ledger | None = None


def _bare(site: Site) -> Launch:
    peers.clients()
    # The access log is off: it would cost the baseline a tenth and flatter all that is compared with it.
    command = [sys.executable, "-m", "uvicorn", "bench.bare:application", "--host", "127.0.0.1"]
    command += ["--port", str(site.port), "--http", "httptools", "--loop", "uvloop", "--no-access-log"]
    return Launch(command, {"BENCH_UPSTREAM": site.upstream.removesuffix("/v1")})


def _modelyard(site: Site) -> Launch:
    return _serving(site, [site.modelyard], _openai(site))


def _modelyard_with(client: str) -> Callable[[Site], Launch]:
    def launch(site: Site) -> Launch:
        peers.clients()
        return _serving(site, [sys.executable, "-m", "bench.with_client", client], _openai(site))

    return launch


def _in_front_of(connection: Callable[[Site], dict[str, str]]) -> Callable[[Site], Launch]:
    return lambda site: _serving(site, [site.modelyard], connection(site))


# The one connection, as the environment names it.


def _openai(site: Site) -> dict[str, str]:
    return {"OPENAI_API_BASE_URL": site.upstream, "OPENAI_API_KEY": UPSTREAM_KEY}


def _anthropic(site: Site) -> dict[str, str]:
    return {"ANTHROPIC_BASE_URL": site.upstream.removesuffix("/v1"), "ANTHROPIC_API_KEY": UPSTREAM_KEY}


def _ollama(site: Site) -> dict[str, str]:
    return {"OLLAMA_BASE_URL": site.upstream.removesuffix("/v1")}


def _serving(site: Site, modelyard: list[str], connection: dict[str, str]) -> Launch:
    command = [*modelyard, "serve", "--host", "127.0.0.1", "--port", str(site.port)]
    environment = {**connection, "MODELYARD_ADMIN_API_KEY": site.admin_key}
    return Launch([*command, "--data-dir", str(site.folder / "data")], environment)


def _litellm(site: Site) -> Launch:
    config = site.folder / "litellm.json"  # JSON is YAML too
    parameters = {"model": f"openai/{MODEL}", "api_base": site.upstream, "api_key": UPSTREAM_KEY}
    settings = {
        "model_list": [{"model_name": MODEL, "litellm_params": parameters}],
        "litellm_settings": {"telemetry": False},
        "general_settings": {"master_key": f"sk-{site.admin_key}"},
    }
    config.write_text(json.dumps(settings))
    command = [*peers.litellm().command, "--config", str(config), "--host", "127.0.0.1", "--port", str(site.port)]
    # Without the local cost map it would ask the internet for prices while starting.
    environment = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False", "LITELLM_LOG": "ERROR"}
    return Launch([*command, "--num_workers", "1"], environment)


def _portkey(site: Site) -> Launch:
    # Headless and in production mode it leaves out its own log and console: its best case.
    return Launch([*peers.portkey().command, f"--port={site.port}", "--headless"], {"NODE_ENV": "production"})


def _no_headers(site: Site) -> dict[str, str]:
    return {}


def _bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def _modelyard_key(site: Site) -> dict[str, str]:
    """A governed key made through the management API, as an administrator would."""
    body = json.dumps({"name": "bench", "limits": KEY_LIMITS}).encode()
    headers = {"content-type": "application/json", **_bearer(site.admin_key)}
    status, answer = call(site.port, "POST", "/api/v1/keys", headers, body)
    try:
        key = json.loads(answer)["key"]
    except (ValueError, KeyError, TypeError):
        key = None
    if status not in (200, 201) or not isinstance(key, str):
        raise Failed(f"no key: POST /api/v1/keys answered {status}: {answer[:200].decode(errors='replace')}")
    return _bearer(key)


def _modelyard_anthropic_key(site: Site) -> dict[str, str]:
    """The same, sent as Anthropic's callers send theirs."""
    key = _modelyard_key(site)["authorization"].removeprefix("Bearer ")
    return {"x-api-key": key, "anthropic-version": "2023-06-01"}


def _modelyard_ledger(site: Site) -> dict[str, int]:
    status, answer = call(site.port, "GET", "/api/v1/usage?group_by=status&from=0", _bearer(site.admin_key))
    if status != 200:
        raise Failed(f"no usage: GET /api/v1/usage answered {status}: {answer[:200].decode(errors='replace')}")
    return {item["status"]: item["calls"] for item in json.loads(answer)["items"]}


def _portkey_headers(site: Site) -> dict[str, str]:
    return {"x-portkey-provider": "openai", "x-portkey-custom-host": site.upstream, **_bearer(UPSTREAM_KEY)}


def _litellm_headers(site: Site) -> dict[str, str]:
    return _bearer(f"sk-{site.admin_key}")


MODELYARD = "modelyard"
VARIANTS = (
    Variant("direct", None, _no_headers),
    Variant("bare", _bare, _no_headers),
    Variant(MODELYARD, _modelyard, _modelyard_key, ledger=_modelyard_ledger),
    *(
        Variant(
            f"modelyard {client}", _modelyard_with(client), _modelyard_key, ledger=_modelyard_ledger, client_only=True
        )
        for client in ("aiohttp", "pyreqwest")
    ),
    Variant(
        "litellm",
        _litellm,
        _litellm_headers,
        health="/health/liveliness",
        ladder=PEER_STREAM_LADDER,
        peer=peers.litellm,
        start_seconds=180.0,
    ),
    Variant("portkey", _portkey, _portkey_headers, health="/", ladder=PEER_STREAM_LADDER, peer=peers.portkey),
)

PASSING = "passing"
HUB_ANTHROPIC = "hub anthropic"


def _hub(name: str, connection: Callable[[Site], dict[str, str]], ladder: tuple[int, ...] = ()) -> Variant:
    """One call with tools as OpenAI's callers make it, and whom it is passed on or translated to."""
    return Variant(
        name,
        _in_front_of(connection),
        _modelyard_key,
        ladder=ladder,
        ledger=_modelyard_ledger,
        body=bodies.openai_tools,
        expects=(b'"chat.completion"', b'"tool_calls"', TOOL.encode()),
    )


# What the hub adds, and what it is compared with: the same body, passed on. Streams are asked of those with a ladder.
HUB_VARIANTS = (
    _hub(PASSING, _openai),
    _hub(HUB_ANTHROPIC, _anthropic, HUB_STREAM_LADDER),
    _hub("hub ollama", _ollama),
    Variant(
        "hub in",
        _modelyard,
        _modelyard_anthropic_key,
        ladder=(),
        ledger=_modelyard_ledger,
        path=MESSAGES,
        body=bodies.anthropic_tools,
        expects=(b'"message"', b'"tool_use"', TOOL.encode()),
    ),
)


def call(port: int, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body=body, headers=dict(headers))
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException) as problem:
        raise Failed(f"{method} {path}: {type(problem).__name__}") from problem
    finally:
        connection.close()


@contextmanager
def upstream(folder: Path, models: int = 1) -> Iterator[tuple[str, Process]]:
    """The stand-in model server; gives its address, with /v1."""
    port = free_port()
    command = [sys.executable, "-m", "bench.upstream", "--port", str(port), "--models", str(models)]
    with started(command, LOAD_CORE, folder / "upstream.log", {}) as process:
        wait_until_healthy(process, port, "/health", 15)
        yield f"http://127.0.0.1:{port}/v1", process


@contextmanager
def running(variant: Variant, address: tuple[str, Process], modelyard: str) -> Iterator[Gateway]:
    """Start a variant afresh, with nothing left from before, and prove that it answers a request."""
    upstream_url, upstream_process = address
    body = variant.body()
    if variant.launch is None:
        base = upstream_url.removesuffix("/v1")
        yield Gateway(base, base + variant.path, {}, body, upstream_process, 0.0)
        return
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        site = Site(port, upstream_url, Path(folder), secrets.token_hex(20), modelyard)
        launch = variant.launch(site)
        if shutil.which(launch.command[0]) is None:
            raise Failed(f"not installed: no executable {Path(launch.command[0]).name}")
        with started(launch.command, GATEWAY_CORE, site.folder / "log", launch.environment) as process:
            ready = wait_until_healthy(process, port, variant.health, variant.start_seconds)
            headers = variant.headers(site)
            _prove(variant, port, headers, body, process)
            ledger = None if variant.ledger is None else partial(variant.ledger, site)
            yield Gateway(base, base + variant.path, headers, body, process, ready, ledger)


def _prove(variant: Variant, port: int, headers: Mapping[str, str], body: bytes, process: Process) -> None:
    """One request must be answered; a few tries, as a gateway may still be finding out the upstream's models."""
    sent = {"content-type": "application/json", **headers}
    status, answer = 0, b""
    for _ in range(100):
        status, answer = call(port, "POST", variant.path, sent, body)
        if status == 200:
            missing = [each.decode() for each in variant.expects if each not in answer]
            if missing:
                raise Failed(f"its answer lacks {', '.join(missing)}: {answer[:200].decode(errors='replace')}")
            return
        if process.popen.poll() is not None:
            break
        time.sleep(0.1)
    raise Failed(f"answered {status}: {answer[:200].decode(errors='replace')}")
