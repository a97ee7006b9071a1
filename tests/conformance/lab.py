"""All the servers of the matrix, started once: upstreams of three kinds behind one Modelyard, and the callers."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conformance.asking import ANTHROPIC, DIALECTS, OLLAMA, OPENAI
from tests.conformance.callers import CALLERS, Caller
from tests.conformance.recorded import Recorded, run_recorded
from tests.engine import ALIAS
from tests.servers import Scripted, run_engine, run_scripted
from tests.yard import Yard, run_yard

SCRIPTED = "scripted"
REAL = "real"

# Whose models a target's names begin with.
PREFIXES: Mapping[str, str] = {OPENAI: "o", ANTHROPIC: "a", OLLAMA: "l"}
UPSTREAM_SECRET = "sk-upstream-secret-0123456789"
# OpenAI itself: it has the Responses API, and refuses what only local servers know.
NATIVE = "on"
STALLED = "stall"
IDLE_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class Lab:
    """The running servers. `callers` have keys of one user who may use everything."""

    yard: Yard
    scripted: Scripted
    recorded: Recorded
    callers: Mapping[str, Caller]

    def real(self, target: str, recording: str) -> str:
        """The model of a real backend: llama.cpp's, or by a recorded exchange of Ollama."""
        return f"{PREFIXES[target]}r.{recording if target == OLLAMA else ALIAS}"

    def sent(self) -> dict[str, Any]:
        """What the scripted upstream was sent last: `path`, `headers`, `body` (text)."""
        last: dict[str, Any] = self.scripted.state()["requests"][-1]
        return last


@contextmanager
def run_lab(folder: Path) -> Iterator[Lab]:
    """Start everything; `folder` gets the data directory."""
    with ExitStack() as stack:
        scripted = stack.enter_context(run_scripted())
        engine = stack.enter_context(run_engine())
        recorded = stack.enter_context(run_recorded())
        environment = {"MODELYARD_FETCH_HOSTS": "127.0.0.1", "MODELS_CACHE_TTL": "0"}
        yard = stack.enter_context(run_yard(folder / "data", environment))
        connect_scripted(yard, scripted)
        llama = engine.base_url.removesuffix("/v1")
        native = {"flavour": "openai", "prefix_id": NATIVE}
        yard.connect("scripted OpenAI itself", scripted.root, OPENAI, **native)
        yard.connect("llama.cpp", llama, OPENAI, flavour="llama.cpp", prefix_id="or")
        yard.connect("llama.cpp as Anthropic", llama, ANTHROPIC, prefix_id="ar")
        yard.connect("recorded Ollama", recorded.base_url, OLLAMA, prefix_id="lr", loads=False)
        key = yard.make_key()
        callers = {dialect: CALLERS[dialect](yard.url, key) for dialect in DIALECTS}
        for caller in callers.values():
            stack.callback(caller.close)
        yield Lab(yard=yard, scripted=scripted, recorded=recorded, callers=callers)


def listed(target: str, script: str) -> str:
    """The name of a scripted model in the list of models: Ollama's names have a tag."""
    return f"{PREFIXES[target]}.{script}{':latest' if target == OLLAMA else ''}"


def connect_scripted(yard: Yard, scripted: Scripted) -> None:
    """The scripted upstream as a backend of every kind: `o.echo`, `a.echo`, `l.echo`.

    A second connection of each kind is impatient, for the one script that stalls: `os.stall` and so on.
    """
    for dialect in DIALECTS:
        prefix, secret = PREFIXES[dialect], [UPSTREAM_SECRET]
        yard.connect(f"scripted {dialect}", scripted.root, dialect, prefix_id=prefix, api_keys=secret, loads=False)
        yard.connect(
            f"impatient {dialect}",
            scripted.root,
            dialect,
            prefix_id=f"{prefix}s",
            model_ids=[STALLED, f"{STALLED}:latest"],
            timeouts={"idle": IDLE_SECONDS},
            loads=False,
        )
