"""Stored settings as clients know them. In a change, what is left out stays as it is."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

# What clients send along that is not kept: said to be refused when there is something in it.
Nothing = Annotated[dict[str, Any], Field(max_length=0)] | None
# A comma-separated text or a list of model ids; null is none.
Ids = str | list[str] | None


class ModelSettings(BaseModel):
    """Which models are chosen for a new chat, which are pinned, and in which order lists show them."""

    DEFAULT_MODELS: str | None
    DEFAULT_PINNED_MODELS: str | None
    MODEL_ORDER_LIST: list[str]
    MODEL_FALLBACKS: dict[str, list[str]]


class ModelSettingsForm(BaseModel):
    """Changes to the model settings. Model ids as a list, or as one text with commas between them.

    Defaults for all models are not kept here: rows of the catalogue hold parameters and metadata.
    """

    model_config = ConfigDict(extra="ignore")

    DEFAULT_MODELS: Ids = Field(None, max_length=1_000_000)
    DEFAULT_PINNED_MODELS: Ids = Field(None, max_length=1_000_000)
    MODEL_ORDER_LIST: Ids = Field(None, max_length=1_000_000)
    MODEL_FALLBACKS: dict[str, list[str]] | None = Field(
        None, max_length=10_000, description="Model id, or * for all others, to those that are tried after it"
    )
    DEFAULT_MODEL_METADATA: Nothing = Field(None, description="Must be null or empty")
    DEFAULT_MODEL_PARAMS: Nothing = Field(None, description="Must be null or empty")


class ConnectionSettings(BaseModel):
    """What clients are told of connections: whether they may hold some by themselves."""

    ENABLE_DIRECT_CONNECTIONS: bool
    ENABLE_BASE_MODELS_CACHE: bool


class ConnectionSettingsForm(BaseModel):
    """Changes to the connection settings."""

    model_config = ConfigDict(extra="ignore")

    ENABLE_DIRECT_CONNECTIONS: bool | None = None
    ENABLE_BASE_MODELS_CACHE: bool | None = None


class ArenaSettings(BaseModel):
    """The entries of the list of models behind which stands one of several models."""

    ENABLE_EVALUATION_ARENA_MODELS: bool
    EVALUATION_ARENA_MODELS: list[dict[str, Any]]


class ArenaSettingsForm(BaseModel):
    """Changes to the arena."""

    model_config = ConfigDict(extra="ignore")

    ENABLE_EVALUATION_ARENA_MODELS: bool | None = None
    EVALUATION_ARENA_MODELS: list[dict[str, Any]] | None = Field(None, max_length=100)


class ClientConfig(BaseModel):
    """What a client needs to know of this server and of what its user may do.

    `default_models` and `default_pinned_models` hold those that the caller may use. `permissions` is the nested object of
    all permissions.
    """

    status: bool = True
    name: str = "Modelyard"
    version: str
    default_models: str | None
    default_pinned_models: str | None
    features: dict[str, bool]
    permissions: dict[str, dict[str, bool]]
