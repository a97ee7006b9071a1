"""What the environment declares: connections that are in force and read-only, and the built-in administrator."""

from collections.abc import Sequence

from modelyard.canonical.endpoint import Timeouts
from modelyard.canonical.records import ENVIRONMENT, ConnectionRow, CredentialRow, Declared, UserRow
from modelyard.canonical.snapshot import ADMIN
from modelyard.control.connections.service import build
from modelyard.core.errors import Problem
from modelyard.core.seal import Seal, mask
from modelyard.dialects.flavours import FLAVOURS
from modelyard.settings import Settings, SettingsError

BUILT_IN_ADMINISTRATOR = "built-in-administrator"


def default_timeouts(settings: Settings) -> Timeouts:
    """The timeouts of a connection that names none."""
    return Timeouts(connect=settings.connect_timeout, first_byte=settings.request_timeout, idle=settings.idle_timeout)


def from_environment(settings: Settings, seal: Seal) -> Declared:
    """Everything that the settings declare. Raises SettingsError."""
    users, credentials = [], []
    if settings.admin_api_key is not None:
        users.append(
            UserRow(
                id=BUILT_IN_ADMINISTRATOR,
                email="",
                name="Built-in administrator",
                role=ADMIN,
                source=ENVIRONMENT,
            )
        )
        credentials.append(
            CredentialRow(
                id="MODELYARD_ADMIN_API_KEY",
                user_id=BUILT_IN_ADMINISTRATOR,
                digest=seal.digest(settings.admin_api_key),
                name="MODELYARD_ADMIN_API_KEY",
                hint=mask(settings.admin_api_key),
                source=ENVIRONMENT,
            )
        )
    return Declared(connections=_connections(settings), users=users, credentials=credentials)


def _connections(settings: Settings) -> list[ConnectionRow]:
    """The backends that the environment names. With none of the variables set, none."""
    timeouts = default_timeouts(settings)
    rows: list[ConnectionRow] = []

    def add(flavour: str, variable: str, urls: Sequence[str], keys: Sequence[Sequence[str]]) -> None:
        kind = FLAVOURS[flavour].kind
        for index, url in enumerate(urls):
            name = flavour if len(urls) == 1 else f"{flavour}-{index + 1}"
            row = ConnectionRow(
                id=f"environment-{flavour}-{index + 1}",
                name=name,
                kind=kind,
                base_url="",
                flavour="",
                source=ENVIRONMENT,
            )
            given = {
                "flavour": None if flavour == kind else flavour,  # the name of a kind says nothing of the server
                "base_url": url,
                "api_keys": list(keys[index]) if index < len(keys) else [],
            }
            try:
                rows.append(build(row, given, timeouts))
            except Problem as problem:
                if problem.param != "base_url":
                    raise SettingsError(f"{variable.partition('_')[0]}_API_KEY: {problem.message}") from None
                example = FLAVOURS[flavour].default_url
                raise SettingsError(f"{variable}: {problem.message} Example: {variable}={example}") from None

    if settings.enable_ollama is not False:
        add("ollama", "OLLAMA_BASE_URLS" if settings.ollama_base_urls else "OLLAMA_BASE_URL", _ollama(settings), [])
    if settings.enable_openai is not False:
        urls, keys = _openai(settings)
        add("openai", "OPENAI_API_BASE_URLS" if settings.openai_api_base_urls else "OPENAI_API_BASE_URL", urls, keys)
    if settings.enable_anthropic is not False:
        wanted = settings.enable_anthropic or settings.anthropic_api_key or settings.anthropic_base_url
        url = settings.anthropic_base_url or FLAVOURS["anthropic"].default_url
        key = [settings.anthropic_api_key] if settings.anthropic_api_key else []
        add("anthropic", "ANTHROPIC_BASE_URL", [url] if wanted else [], [key])
    if settings.enable_localai is not False:
        wanted = settings.enable_localai or settings.localai_base_url
        url = settings.localai_base_url or FLAVOURS["localai"].default_url
        add("localai", "LOCALAI_BASE_URL", [url] if wanted else [], [])
    return rows


def _ollama(settings: Settings) -> list[str]:
    urls = [url for url in settings.ollama_base_urls if url]
    if not urls and settings.ollama_base_url:
        urls = [settings.ollama_base_url]
    return urls or ([FLAVOURS["ollama"].default_url] if settings.enable_ollama else [])


def _openai(settings: Settings) -> tuple[list[str], list[list[str]]]:
    """(addresses, the keys of each). `OPENAI_API_KEY_1..n` are further keys of the first one."""
    keys = [[key] if key else [] for key in settings.openai_api_keys]
    if not keys and settings.openai_api_key:
        keys = [[settings.openai_api_key]]
    # An empty place among the addresses takes its key with it: never another server's.
    listed = [(url, keys[index : index + 1]) for index, url in enumerate(settings.openai_api_base_urls) if url]
    urls = [url for url, _ in listed]
    if urls:
        keys = [key[0] if key else [] for _, key in listed]
    elif settings.openai_api_base_url:
        urls = [settings.openai_api_base_url]
    if settings.openai_numbered_keys:
        keys = keys or [[]]
        keys[0] = [*keys[0], *settings.openai_numbered_keys]
    if not urls and (keys or settings.enable_openai):
        urls = [FLAVOURS["openai"].default_url]
    return urls, keys
