"""Servers and their accents, as data. A new OpenAI-compatible server is one row.

Until the hub translates, Ollama and Anthropic are called at the OpenAI-compatible endpoints that both of them serve.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from modelyard.dialects.openai.listing import read_models, read_tags

BEARER = ("authorization", "Bearer {key}")
X_API_KEY = ("x-api-key", "{key}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Flavour:
    """How to speak to one kind of server.

    `api_path` is where its API starts below the base URL, `models_path` where its list of models is. `endings` are what
    people append to a base URL and may leave out. `credential` is the header that carries a key, `listing_credential`
    the one for the list of models. `stream_usage`: whether it understands `stream_options`.
    """

    kind: str
    dialect: str
    default_url: str
    api_path: str = "/v1"
    models_path: str = "/v1/models"
    endings: tuple[str, ...] = ("/v1",)
    read_models: Callable[[bytes], list[dict[str, Any]]] = read_models
    credential: tuple[str, str] = BEARER
    listing_credential: tuple[str, str] = BEARER
    listing_headers: tuple[tuple[str, str], ...] = ()
    connection_type: str = "external"
    stream_usage: bool = True


FLAVOURS: Mapping[str, Flavour] = {
    "openai": Flavour(kind="openai", dialect="openai", default_url="https://api.openai.com/v1"),
    "localai": Flavour(kind="openai", dialect="openai", default_url="http://127.0.0.1:8080", connection_type="local"),
    "llama.cpp": Flavour(kind="openai", dialect="openai", default_url="http://127.0.0.1:8080", connection_type="local"),
    "vllm": Flavour(kind="openai", dialect="openai", default_url="http://127.0.0.1:8000", connection_type="local"),
    "lmstudio": Flavour(kind="openai", dialect="openai", default_url="http://127.0.0.1:1234", connection_type="local"),
    "ollama": Flavour(
        kind="ollama",
        dialect="openai",
        default_url="http://127.0.0.1:11434",
        models_path="/api/tags",
        endings=("/api", "/v1"),
        read_models=read_tags,
        connection_type="local",
    ),
    "anthropic": Flavour(
        kind="anthropic",
        dialect="openai",
        default_url="https://api.anthropic.com",
        models_path="/v1/models?limit=1000",
        listing_credential=X_API_KEY,
        listing_headers=(("anthropic-version", "2023-06-01"),),
    ),
}

KINDS: Mapping[str, str] = {"openai": "openai", "ollama": "ollama", "anthropic": "anthropic"}
"""Each kind of connection and the flavour it has when none is named."""


def without_ending(path: str, flavour: Flavour) -> str:
    """The path of a base URL without the API root that people append or leave out alike."""
    for ending in flavour.endings:
        if path.endswith(ending):
            return path.removesuffix(ending)
    return path
