"""All settings: read once at start from the environment (and `.env`), checked, handed down as a value.

The only module that reads the environment. Each field's alias is its name in the environment; `docs/settings.md` lists
all of them, and a test keeps the two equal.
"""

import ipaddress
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from dotenv import dotenv_values
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from modelyard.core.errors import Problem
from modelyard.policy import permissions
from modelyard.policy.credentials import MIN_KEY_LENGTH, sendable_key

MIN_SECRET_LENGTH = 32

_NUMBERED_KEY = re.compile(r"OPENAI_API_KEY_([1-9][0-9]*)")
_OURS = re.compile(r"MODELYARD_[A-Z_]+")


class SettingsError(Exception):
    """Settings that cannot be used: one line each with the name, the value's fault and an example."""


def _listed(separator: str) -> BeforeValidator:
    def split(value: object) -> object:
        return [part.strip() for part in value.split(separator)] if isinstance(value, str) else value

    return BeforeValidator(split)


def is_secret_enough(secret_key: str) -> bool:
    """True for a secret key, or for several with commas between, of which each is long enough."""
    return all(len(part.strip()) >= MIN_SECRET_LENGTH for part in secret_key.split(","))


def email_address(value: str) -> str:
    """The address in lower case. Raises ValueError."""
    from modelyard.control.people.service import checked_email  # it brings the database along; few settings name one

    try:
        return checked_email(value)
    except Problem:
        raise ValueError("it is not an e-mail address") from None


Semicolons = Annotated[list[str], _listed(";")]
Commas = Annotated[list[str], _listed(",")]
Port = Annotated[int, Field(ge=0, le=65_535)]
Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]


class Settings(BaseModel):
    """Every setting with its default."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    host: str = Field("127.0.0.1", alias="MODELYARD_HOST", description="Address to listen on.", examples=["::1"])
    port: Port = Field(8484, alias="MODELYARD_PORT", description="Port to listen on.", examples=["8484"])
    data_dir: Path = Field(
        Path("data"), alias="MODELYARD_DATA_DIR", description="Folder for databases, journal and the secret key.",
        examples=["/var/lib/modelyard"],
    )  # fmt: skip
    workers: int = Field(1, ge=1, le=64, alias="MODELYARD_WORKERS", description="Processes that serve.", examples=["2"])
    config: Path | None = Field(
        None, alias="MODELYARD_CONFIG", description="A `yard.yaml` to read at start.", examples=["yard.yaml"]
    )
    database_url: str | None = Field(
        None, repr=False, alias="DATABASE_URL", description="PostgreSQL instead of SQLite in the data directory.",
        examples=["postgresql://user:password@host/modelyard"],
    )  # fmt: skip
    secret_key: str | None = Field(
        None, alias="MODELYARD_SECRET_KEY", min_length=32, repr=False,
        description="Encrypts stored credentials and keys the digests of API keys. Created in the data directory when "
        "absent. `new,old` rotates the encryption (and ends all keys and sessions).",
        examples=["at least 32 random characters"],
    )  # fmt: skip
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", alias="MODELYARD_LOG_LEVEL", description="Lowest level to log.", examples=["warning"]
    )

    admin_email: str | None = Field(
        None, alias="MODELYARD_ADMIN_EMAIL", description="First administrator, created at start with the password below.",
        examples=["you@example.com"],
    )  # fmt: skip
    admin_password: str | None = Field(
        None, alias="MODELYARD_ADMIN_PASSWORD", min_length=8, repr=False, description="Password of that administrator.",
        examples=["at least 8 characters"],
    )  # fmt: skip
    admin_api_key: str | None = Field(
        None, alias="MODELYARD_ADMIN_API_KEY", min_length=MIN_KEY_LENGTH, repr=False,
        description="An API key taken as it is; acts as a built-in administrator.",
        examples=["at least 32 random characters"],
    )  # fmt: skip
    setup_link: bool = Field(
        False, alias="MODELYARD_SETUP_LINK", examples=["true"],
        description="Start on a public address although there is no administrator yet, and print the setup link.",
    )  # fmt: skip
    response_hours: float = Field(
        24, ge=0, le=100_000, alias="MODELYARD_RESPONSE_HOURS", examples=["720"],
        description="How long answers of the responses API are kept for `previous_response_id`. `0` keeps none.",
    )  # fmt: skip
    fetch_urls: bool = Field(
        True, alias="MODELYARD_FETCH_URLS", examples=["false"],
        description="Fetch pictures and documents that a request names by their address, from public hosts, for backends "
        "that cannot do so themselves.",
    )  # fmt: skip
    fetch_hosts: Commas = Field(
        [], alias="MODELYARD_FETCH_HOSTS", examples=["files.example.internal"],
        description="Hosts that may be fetched from although they are not public.",
    )  # fmt: skip
    session_hours: float = Field(
        24 * 28, gt=0, le=100_000, alias="MODELYARD_SESSION_HOURS", description="How long a sign-in lasts.", examples=["12"]
    )  # fmt: skip

    trusted_proxies: Commas = Field(
        [], alias="MODELYARD_TRUSTED_PROXIES", examples=["10.0.0.0/8"],
        description="Addresses or networks of reverse proxies whose `X-Forwarded-For` and `-Proto` are believed.",
    )  # fmt: skip
    base_path: str = Field(
        "", alias="MODELYARD_BASE_PATH", description="Path below which a reverse proxy serves Modelyard.",
        examples=["/modelyard"],
    )  # fmt: skip
    allowed_hosts: Commas = Field(
        [], alias="MODELYARD_ALLOWED_HOSTS", examples=["models.example.com"],
        description="Host names that the server answers to. Default: local names on a loopback address, otherwise every name.",
    )  # fmt: skip
    max_body_bytes: int = Field(
        32 * 1024 * 1024, ge=1024, alias="MODELYARD_MAX_BODY_BYTES", description="Largest request body.",
        examples=["67108864"],
    )  # fmt: skip
    drain_seconds: int = Field(
        30, ge=0, le=3600, alias="MODELYARD_DRAIN_SECONDS", examples=["120"],
        description="After SIGTERM, how long running calls and streams may take to end.",
    )  # fmt: skip

    connect_timeout: Seconds = Field(
        5.0, alias="MODELYARD_CONNECT_TIMEOUT", description="Seconds to connect to a backend.", examples=["2"]
    )
    request_timeout: Seconds = Field(
        300.0, alias="REQUEST_TIMEOUT", examples=["60"],
        description="Seconds to wait for a backend's first byte, or for the whole of an answer that does not stream. "
        "Never ends a flowing stream.",
    )  # fmt: skip
    idle_timeout: Seconds = Field(
        60.0, alias="MODELYARD_IDLE_TIMEOUT", description="Longest gap in seconds between two chunks of a stream.",
        examples=["120"],
    )  # fmt: skip
    journal_sync_seconds: float | None = Field(
        None, gt=0, le=3600, alias="MODELYARD_JOURNAL_SYNC_SECONDS", examples=["1"],
        description="Force the journal to the disk at this interval. Unset: the operating system decides, which a crash "
        "of the process survives and a power cut may not.",
    )  # fmt: skip

    models_cache_ttl: float = Field(
        30.0, ge=0, le=86_400, alias="MODELS_CACHE_TTL", examples=["300"],
        description="Seconds between two looks at what the backends offer; 0: only at start, on a change and when asked.",
    )  # fmt: skip
    default_model: str | None = Field(
        None, alias="DEFAULT_MODEL", description="Model of a request that names none.", examples=["llama3.2"]
    )
    fallback_model: str | None = Field(
        None, alias="FALLBACK_MODEL", examples=["llama3.2"],
        description="Tried before the first byte when every backend of the asked model failed, if the caller may use it.",
    )  # fmt: skip
    max_concurrent_requests: int | None = Field(
        None, ge=1, alias="MAX_CONCURRENT_REQUESTS", description="Most calls at the same time.", examples=["10"]
    )
    bypass_model_access_control: bool = Field(
        False, alias="BYPASS_MODEL_ACCESS_CONTROL", examples=["true"],
        description="Every approved user may use every model.",
    )  # fmt: skip
    bypass_admin_access_control: bool = Field(
        True, alias="BYPASS_ADMIN_ACCESS_CONTROL", examples=["false"],
        description="Administrators see and use every model. `false`: only what is theirs or granted to them; they still "
        "manage everything.",
    )  # fmt: skip
    default_models: Commas = Field(
        [], alias="DEFAULT_MODELS", examples=["llama3.2,gpt-5"],
        description="Models preselected in clients. A starting value, as the next ones: a saved one takes precedence.",
    )  # fmt: skip
    pinned_models: Commas = Field(
        [], alias="DEFAULT_PINNED_MODELS", description="Models that clients show on top.", examples=["llama3.2"]
    )
    model_order: Commas = Field(
        [], alias="MODEL_ORDER_LIST", description="Ids in the order of `GET /api/models`; the others follow by name.",
        examples=["gpt-5,llama3.2"],
    )  # fmt: skip
    enable_arena: bool = Field(
        False, alias="ENABLE_EVALUATION_ARENA_MODELS", examples=["true"],
        description="List entries that stand for a model drawn at random.",
    )  # fmt: skip
    user_permissions: dict[str, bool] = Field(
        {}, alias="USER_PERMISSIONS_*", examples=["true"],
        description="What approved users may do besides calling models: docs/people.md has every name and default.",
    )  # fmt: skip
    enable_signup: bool = Field(
        False,
        alias="ENABLE_SIGNUP",
        description="Anyone who can reach the server can create an account.",
        examples=["true"],
    )
    default_user_role: Literal["pending", "user"] = Field(
        "pending", alias="DEFAULT_USER_ROLE", examples=["user"],
        description="Role of an account that somebody created for themselves; `pending` waits for an administrator.",
    )  # fmt: skip
    default_group_id: str | None = Field(
        None, alias="DEFAULT_GROUP_ID", description="Id of a group that such an account is put into.", examples=["..."]
    )
    trash_days: int = Field(
        30, ge=1, le=3650, alias="MODELYARD_TRASH_DAYS", examples=["90"],
        description="How long what was deleted can be restored.",
    )  # fmt: skip
    load_timeout: Seconds = Field(
        600.0, alias="MODELYARD_LOAD_TIMEOUT", examples=["1800"],
        description="Seconds that a backend may take to load a model into memory.",
    )  # fmt: skip
    preset_wins: bool = Field(
        False, alias="MODELYARD_PRESET_WINS", examples=["true"],
        description="A preset's parameters take precedence over those of the request.",
    )  # fmt: skip
    metrics_port: Port | None = Field(
        None,
        alias="METRICS_PORT",
        description="Serve the metrics on a port of their own as well, on the same address and without a key.",
        examples=["9090"],
    )
    enable_metrics: bool = Field(
        True, alias="ENABLE_METRICS", description="Serve `/metrics` to administrators.", examples=["false"]
    )

    enable_ollama: bool | None = Field(
        None, alias="ENABLE_OLLAMA", description="`true` connects Ollama, at its default address when none is set.",
        examples=["true"],
    )  # fmt: skip
    ollama_base_url: str | None = Field(
        None, alias="OLLAMA_BASE_URL", description="An Ollama host.", examples=["http://127.0.0.1:11434"]
    )
    ollama_base_urls: Semicolons = Field(
        [], alias="OLLAMA_BASE_URLS", description="Several Ollama hosts, separated by `;`.",
        examples=["http://gpu1:11434;http://gpu2:11434"],
    )  # fmt: skip
    enable_openai: bool | None = Field(
        None, alias="ENABLE_OPENAI", description="`true` connects OpenAI, at its default address when none is set.",
        examples=["true"],
    )  # fmt: skip
    openai_api_base_url: str | None = Field(
        None, alias="OPENAI_API_BASE_URL", description="An OpenAI-compatible server.",
        examples=["https://api.openai.com/v1"],
    )  # fmt: skip
    openai_api_base_urls: Semicolons = Field(
        [], alias="OPENAI_API_BASE_URLS", description="Several OpenAI-compatible servers, separated by `;`.",
        examples=["https://api.openai.com/v1;http://127.0.0.1:8000/v1"],
    )  # fmt: skip
    openai_api_key: str | None = Field(
        None, alias="OPENAI_API_KEY", repr=False, description="Key for the one server.", examples=["sk-..."]
    )
    openai_api_keys: Semicolons = Field(
        [], alias="OPENAI_API_KEYS", repr=False, description="Keys for those servers, in the same order.",
        examples=["sk-...;sk-..."],
    )  # fmt: skip
    openai_numbered_keys: list[str] = Field(
        [], alias="OPENAI_API_KEY_1..n", repr=False, examples=["sk-..."],
        description="`OPENAI_API_KEY_1`, `_2` ...: several keys of the first server, used in turn.",
    )  # fmt: skip
    enable_anthropic: bool | None = Field(
        None, alias="ENABLE_ANTHROPIC", description="`true` connects Anthropic, `false` does not although a key is set.",
        examples=["false"],
    )  # fmt: skip
    anthropic_api_key: str | None = Field(
        None, alias="ANTHROPIC_API_KEY", repr=False, description="Anthropic's key.", examples=["sk-ant-..."]
    )
    anthropic_base_url: str | None = Field(
        None, alias="ANTHROPIC_BASE_URL", description="Anthropic's address.", examples=["https://api.anthropic.com"]
    )
    enable_localai: bool | None = Field(
        None, alias="ENABLE_LOCALAI", description="`true` connects LocalAI, at its default address when none is set.",
        examples=["true"],
    )  # fmt: skip
    localai_base_url: str | None = Field(
        None, alias="LOCALAI_BASE_URL", description="A LocalAI server.", examples=["http://127.0.0.1:8080"]
    )

    @field_validator("base_path")
    @classmethod
    def _a_path(cls, value: str) -> str:
        value = value.rstrip("/")
        if value and not value.startswith("/"):
            raise ValueError("it must start with a slash")
        return value

    @field_validator("secret_key")
    @classmethod
    def _each_long_enough(cls, value: str | None) -> str | None:
        if value is not None and not is_secret_enough(value):
            raise ValueError(f"each key in it must have at least {MIN_SECRET_LENGTH} characters")
        return value

    @field_validator("admin_email")
    @classmethod
    def _an_address(cls, value: str | None) -> str | None:
        return None if value is None else email_address(value)

    @field_validator("admin_api_key")
    @classmethod
    def _fits_a_header(cls, value: str | None) -> str | None:
        return None if value is None else sendable_key(value)

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: list[str]) -> list[str]:
        for network in value:
            ipaddress.ip_network(network, strict=False)
        return value

    @property
    def is_loopback(self) -> bool:
        """True when only this machine can reach the server."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def read_environment(directory: Path | None = None) -> dict[str, str]:
    """The process's environment over a `.env` file in the directory (the current one by default). Empty values are unset."""
    file = dotenv_values((directory or Path.cwd()) / ".env")
    return {name: value for name, value in {**file, **os.environ}.items() if value}


def switched_off() -> dict[str, str]:
    """The names that the process's environment sets to nothing: a worker must get them too, for it reads `.env` again."""
    return {name: value for name, value in os.environ.items() if not value}


def load(overrides: Mapping[str, Any], environment: Mapping[str, str]) -> Settings:
    """Settings from the environment, with the command line's options (by field name) over them. Raises SettingsError."""
    numbered = sorted(
        (int(match[1]), value) for name, value in environment.items() if (match := _NUMBERED_KEY.fullmatch(name))
    )
    by_alias = {field.alias: name for name, field in Settings.model_fields.items()}
    values: dict[str, Any] = {by_alias[name]: value for name, value in environment.items() if name in by_alias}
    values["openai_numbered_keys"] = [value for _, value in numbered]
    try:
        values["user_permissions"] = permissions.from_environment(environment)
    except ValueError as error:
        raise SettingsError(f"{error}.") from None
    values.update({name: value for name, value in overrides.items() if value is not None})
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError(
            "\n".join(_told(fault["loc"], fault["msg"], fault.get("input")) for fault in error.errors())
        ) from None
    if (settings.admin_email is None) != (settings.admin_password is None):
        raise SettingsError(
            "MODELYARD_ADMIN_EMAIL and MODELYARD_ADMIN_PASSWORD must be set together. "
            "Example: MODELYARD_ADMIN_EMAIL=you@example.com and MODELYARD_ADMIN_PASSWORD=at least 8 characters"
        )
    return settings


# Names that ask for protection which is not there yet: silence would be dangerous.
NOT_ENFORCED = {
    "MAX_COST_PER_HOUR": "prices are not known yet, so money is not limited",
    "COST_ALERT_THRESHOLD": "prices are not known yet, so nobody is alerted",
}


# What `modelyard chat` reads: the key of a caller, not a setting of the server.
CLIENT_NAMES = {"MODELYARD_API_KEY"}


def unknown_names(environment: Mapping[str, str]) -> list[str]:
    """Names that look like ours and are not: a typo, most likely."""
    known = {field.alias for field in Settings.model_fields.values()} | CLIENT_NAMES
    return sorted(name for name in environment if _OURS.fullmatch(name) and name not in known)


def _told(location: tuple[int | str, ...], fault: str, value: object) -> str:
    name = str(location[0])
    field = Settings.model_fields.get(name) or next(f for f in Settings.model_fields.values() if f.alias == name)
    shown = "" if field.repr is False else f" (it is {value!r})"
    reason = fault.removeprefix("Value error, ").removeprefix("Input ")
    return f"{field.alias}: {reason}{shown}. Example: {field.alias}={(field.examples or [''])[0]}"
