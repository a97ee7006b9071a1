"""Connections, as JSON. Keys and headers go in and come back masked; a masked value sent back means unchanged."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
# A function is refused with a sentence of its own (`service.build`), so no schema offers it.
Kind = Annotated[
    Literal["openai", "anthropic", "ollama", "function"],
    WithJsonSchema({"type": "string", "enum": ["openai", "anthropic", "ollama"]}),
]
Seconds = Annotated[float, Field(gt=0, le=86_400)]


class TimeoutsForm(BaseModel):
    """Seconds. `first_byte` bounds the wait for the first byte, or for the whole of an answer that does not stream."""

    model_config = ConfigDict(extra="forbid")

    connect: Seconds | None = None
    first_byte: Seconds | None = None
    idle: Seconds | None = None


class LimitsForm(BaseModel):
    """What all callers together may use of this connection."""

    model_config = ConfigDict(extra="forbid")

    rpm: int | None = Field(None, ge=1, le=10**9)
    tpm: int | None = Field(None, ge=1, le=10**12)
    concurrency: int | None = Field(None, ge=1, le=10**6)


class TlsForm(BaseModel):
    """`ca_file` and `client_cert` are paths of PEM files on the server; the latter holds certificate and key."""

    model_config = ConfigDict(extra="forbid")

    verify: bool = True
    ca_file: str | None = None
    client_cert: str | None = None


class ConnectionFields(BaseModel):
    """What may be set on a connection. Left out: the kind's own default, or unchanged."""

    model_config = ConfigDict(extra="forbid")

    flavour: str | None = None
    api_keys: list[str] | None = Field(None, max_length=100)
    enable: bool | None = None
    prefix_id: str | None = Field(None, max_length=50, pattern=r"^[^\s/]*$")
    model_ids: list[str] | None = Field(None, max_length=10_000)
    tags: list[str | dict[str, Any]] | None = Field(None, max_length=100)
    connection_type: Literal["local", "external"] | None = None
    priority: int | None = Field(None, ge=-1000, le=1000)
    weight: int | None = Field(None, ge=1, le=1000)
    timeouts: TimeoutsForm | None = None
    limits: LimitsForm | None = None
    headers: dict[str, str] | None = Field(None, max_length=50)
    tls: TlsForm | None = None
    loads: bool | None = Field(None, description="Activating a model loads it here, deactivating unloads it")


class NewConnection(ConnectionFields):
    """A connection to make. The base URL is accepted with or without its `/v1` or `/api`."""

    name: Name
    kind: Kind
    base_url: str = Field(max_length=2000)


class ConnectionPatch(ConnectionFields):
    """Changes to a connection."""

    name: Name | None = None
    kind: Kind | None = None
    base_url: str | None = Field(None, max_length=2000)


class TriedConnection(ConnectionPatch):
    """A connection to try and not to keep. With `id` it is the connection of that id with these changes, secrets included."""

    id: str | None = Field(None, max_length=64)


class Timeouts(BaseModel):
    connect: float
    first_byte: float
    idle: float


class Connection(BaseModel):
    """A connection as it is shown: keys and header values masked, with what is known of its list of models.

    `source` is `database`, `environment` or `file`; only the first may be changed here. `models_age` is in seconds.
    """

    id: str
    name: str
    kind: str
    flavour: str
    base_url: str
    api_keys: list[str]
    enable: bool
    prefix_id: str | None
    model_ids: list[str]
    tags: list[str]
    connection_type: str
    priority: int
    weight: int
    timeouts: Timeouts
    limits: LimitsForm
    headers: dict[str, str]
    tls: TlsForm
    loads: bool
    source: str
    models: list[str]
    models_age: int | None
    error: str | None
    created_at: int
    updated_at: int


class Connections(BaseModel):
    items: list[Connection]


class Flavour(BaseModel):
    """A server or service that is known by name. `default_for_kind`: what a connection of the kind is when neither a
    flavour is named nor its host is known. `loads`: its models can be loaded and unloaded."""

    name: str
    kind: str
    base_url: str
    connection_type: str
    default_for_kind: bool
    loads: bool


class Kinds(BaseModel):
    """What can be connected, and the timeouts of a connection that names none."""

    items: list[Flavour]
    timeouts: Timeouts


class Found(BaseModel):
    """A backend that answers on this machine and is not connected."""

    kind: str
    flavour: str
    base_url: str
    models: list[str]


class FoundBackends(BaseModel):
    items: list[Found]


class Verdict(BaseModel):
    """What `verify` found: `ok`, the names it offers, or `error` for an administrator."""

    ok: bool
    models: list[str]
    error: str | None
    milliseconds: int
