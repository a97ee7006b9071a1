"""Connections as lists by position, as JSON. Keys come back masked; a masked one sent back means unchanged."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

MAX_CONNECTIONS = 100

Url = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]
ApiKey = Annotated[str, StringConstraints(max_length=5000)]
Urls = Annotated[list[Url], Field(max_length=MAX_CONNECTIONS)]
Keys = Annotated[list[ApiKey], Field(max_length=MAX_CONNECTIONS)]


class ConnectionConfig(BaseModel):
    """What is set on one connection. Left out: unchanged. What a client sends beyond these is not kept."""

    model_config = ConfigDict(extra="ignore")

    enable: bool | None = None
    key: ApiKey | None = None
    prefix_id: str | None = Field(None, max_length=50, pattern=r"^[^\s/]*$")
    model_ids: list[Annotated[str, StringConstraints(max_length=256)]] | None = Field(None, max_length=10_000)
    tags: list[str | dict[str, Any]] | None = Field(None, max_length=100)
    connection_type: str | None = Field(None, pattern="^(local|external)?$")
    auth_type: str | None = Field(None, max_length=50)
    headers: dict[str, str] | None = Field(None, max_length=50)


# By position ("0", "1", ...), or by URL as older clients send it.
Configs = Annotated[dict[str, ConnectionConfig], Field(max_length=10 * MAX_CONNECTIONS)]


class OpenAIConfig(BaseModel):
    """The connections of kind openai. The one at a position is the same in all three."""

    ENABLE_OPENAI_API: bool
    OPENAI_API_BASE_URLS: list[str]
    OPENAI_API_KEYS: list[str]
    OPENAI_API_CONFIGS: dict[str, dict[str, Any]]


class OpenAIConfigForm(BaseModel):
    """Changes to the connections of kind openai. Keys are cut, or filled up with "", to the number of URLs."""

    model_config = ConfigDict(extra="forbid")

    ENABLE_OPENAI_API: bool | None = None
    OPENAI_API_BASE_URLS: Urls
    OPENAI_API_KEYS: Keys | None = None
    OPENAI_API_CONFIGS: Configs = {}


class OllamaConfig(BaseModel):
    """The connections of kind ollama. A key stands in the config of its connection."""

    ENABLE_OLLAMA_API: bool
    OLLAMA_BASE_URLS: list[str]
    OLLAMA_API_CONFIGS: dict[str, dict[str, Any]]


class OllamaConfigForm(BaseModel):
    """Changes to the connections of kind ollama."""

    model_config = ConfigDict(extra="forbid")

    ENABLE_OLLAMA_API: bool | None = None
    OLLAMA_BASE_URLS: Urls
    OLLAMA_API_CONFIGS: Configs = {}


class VerifyForm(BaseModel):
    """A backend to try. A masked key stands for the one of the connection that has this URL."""

    model_config = ConfigDict(extra="ignore")

    url: Url
    key: ApiKey | None = None
    config: ConnectionConfig | None = None


class ModelList(BaseModel):
    """What a backend lists, row by row as it says it."""

    object: str = "list"
    data: list[dict[str, Any]]


class OllamaVersion(BaseModel):
    version: str
