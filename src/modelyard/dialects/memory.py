"""How servers that hold several models load one into memory and let it go, as data.

Ollama: a generation without a prompt loads, with `keep_alive` 0 it unloads, and the answer comes when that is done; a model
that only embeds is loaded by an embedding of nothing. llama.cpp's router answers at once and tells in `GET /models` how
far it is; a llama.cpp that serves one model alone has neither path.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from modelyard.dialects.openai.listing import read_models, read_tags

LOADED = "loaded"
LOADING = "loading"
FAILED = "failed"
UNLOADED = "unloaded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One request by POST: its path, and its fields beside `model`."""

    path: str
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What a server can be told about its memory.

    `load` are the commands that load, the next one for a model that the one before does not fit (status 400); `unload` lets
    go. `waits`: the answer to `load` comes when the model is loaded. `states_path` tells what is in memory, read by
    `read_states`: the server's name of a model to its state; one that is not there is unloaded. A server that answers with
    one of `absent` cannot do this at all.
    """

    load: tuple[Command, ...]
    unload: Command
    waits: bool
    states_path: str
    read_states: Callable[[bytes], dict[str, str]]
    absent: frozenset[int] = frozenset()


def _running(body: bytes) -> dict[str, str]:
    return {str(row["id"]): LOADED for row in read_tags(body)}


_OF_THE_ROUTER = {"loaded": LOADED, "sleeping": LOADED, "loading": LOADING, "downloading": LOADING}


def _listed(body: bytes) -> dict[str, str]:
    states = {}
    for row in read_models(body):
        status = row.get("status")
        if isinstance(status, dict):
            failed = FAILED if status.get("failed") else UNLOADED
            states[str(row["id"])] = _OF_THE_ROUTER.get(str(status.get("value")), failed)
    return states


OLLAMA = Memory(
    load=(
        Command(path="/api/generate", fields={"prompt": "", "stream": False}),
        Command(path="/api/embed", fields={"input": ""}),
    ),
    unload=Command(path="/api/generate", fields={"prompt": "", "keep_alive": 0, "stream": False}),
    waits=True,
    states_path="/api/ps",
    read_states=_running,
)

LLAMA_ROUTER = Memory(
    load=(Command(path="/models/load"),),
    unload=Command(path="/models/unload"),
    waits=False,
    states_path="/models",
    read_states=_listed,
    absent=frozenset({404, 405, 501}),
)
