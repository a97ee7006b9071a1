"""The stored configuration of an Open WebUI database: connections with their secrets, and settings of the catalogue."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from modelyard.canonical.endpoint import parse_base_url
from modelyard.control.importers.carried import Collector, storable
from modelyard.control.importers.open_webui_database import Found
from modelyard.control.settings import table
from modelyard.dialects.flavours import FLAVOURS, is_at
from modelyard.policy.permissions import ALL, PERMISSIONS

# Of a connection's configuration: what is carried, or says nothing more.
_READ = frozenset(
    {
        "enable", "key", "prefix_id", "model_ids", "tags", "connection_type", "auth_type", "headers", "azure", "provider",
    }
)  # fmt: skip
_WHY = {
    "api_version": "the versionless API of Azure is used",
    "api_type": "which API a model takes is known by its name here",
}
_OUR_SIGN_IN = ("bearer", "none", "", None)
_FLAVOURS = {"azure": "azure", "llama.cpp": "llama.cpp", "lmstudio": "lmstudio", "vllm": "vllm"}
_MODEL_LISTS = {
    "ui.default_models": table.DEFAULT_MODELS,
    "ui.default_pinned_models": table.PINNED_MODELS,
    "ui.model_order_list": table.MODEL_ORDER,
}
_SECTIONS_READ = ("ollama", "openai")


def nested(paths: Mapping[str, bool]) -> dict[str, dict[str, bool]]:
    """Path -> bool as the document has it, `{section: {name: bool}}`."""
    found: dict[str, dict[str, bool]] = {}
    for path, value in paths.items():
        section, _, name = path.partition(".")
        found.setdefault(section, {})[name] = value
    return found


class Stored:
    """The configuration of both generations: one JSON document, or a row for each key."""

    def __init__(self, found: Found) -> None:
        self._by_key: dict[str, Any] = {}
        self._document: Mapping[str, Any] = {}
        for row in found.rows("config"):
            if isinstance(row.get("key"), str):
                self._by_key[row["key"]] = storable(row.get("value"))
            elif isinstance(row.get("data"), Mapping):
                self._document = storable(row["data"])  # the last one counts

    def get(self, path: str) -> Any:
        """The value at `section.name`; None when there is none."""
        if path in self._by_key:
            return self._by_key[path]
        value: Any = self._document
        for name in path.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
        return value

    def paths(self) -> list[str]:
        """`section.name` of all that is stored, two levels deep."""
        nested = [
            f"{section}.{name}" if isinstance(names, Mapping) else section
            for section, names in self._document.items()
            for name in (names if isinstance(names, Mapping) else (None,))
        ]
        return sorted({*nested, *self._by_key})


def add_configuration(collector: Collector, found: Found) -> None:
    """Carry connections and settings; name what is left of the rest."""
    stored = Stored(found)
    _add_connections(collector, stored, "ollama", stored.get("ollama.base_urls"), None)
    keys = stored.get("openai.api_keys")
    _add_connections(
        collector, stored, "openai", stored.get("openai.api_base_urls"), keys if isinstance(keys, list) else []
    )
    read = _add_settings(collector, stored)
    for path in stored.paths():
        if path.partition(".")[0] not in _SECTIONS_READ and path not in read and path != "version":
            value = stored.get(path)
            if value not in (None, "", [], {}, False):
                collector.leave(f"config.{path}", value, "it configures what is not carried, or is set otherwise here")


def _add_settings(collector: Collector, stored: Stored) -> set[str]:
    """The paths that were carried."""
    carried = set()
    for path, name in _MODEL_LISTS.items():
        value = stored.get(path)
        ids = value.split(",") if isinstance(value, str) else value if isinstance(value, list) else []
        ids = [one.strip() for one in ids if isinstance(one, str) and one.strip()]
        if ids:
            collector.yard.settings[name] = ids
            carried.add(path)
    permissions = stored.get("user.permissions")
    changed = {
        f"{section}.{name}": value
        for section, names in (permissions if isinstance(permissions, Mapping) else {}).items()
        for name, value in (names if isinstance(names, Mapping) else {}).items()
        if isinstance(value, bool)
    }
    for path in sorted(changed.keys() - ALL):
        collector.leave(f"config.user.permissions.{path}", changed[path], "there is no such permission here")
    known = {path: value for path, value in sorted(changed.items()) if path in ALL and value != PERMISSIONS[path][0]}
    if known:
        collector.yard.settings[table.PERMISSIONS] = nested(known)
    return {*carried, "user.permissions"}


def _add_connections(collector: Collector, stored: Stored, kind: str, urls: Any, keys: list[Any] | None) -> None:
    """`keys` stand beside the addresses, or in each one's configuration (None)."""
    configs = stored.get(f"{kind}.api_configs")
    configs = configs if isinstance(configs, Mapping) else {}
    enabled = stored.get(f"{kind}.enable")
    for index, url in enumerate(urls if isinstance(urls, list) else []):
        if not isinstance(url, str) or not url.strip():
            continue
        config = configs.get(str(index), configs.get(url, {}))
        config = config if isinstance(config, Mapping) else {}
        place = f"config.{kind}[{index}]"
        key = config.get("key") if keys is None else keys[index] if index < len(keys) else None
        key = key if isinstance(key, str) else ""
        _add_connection(collector, place, kind, url.strip(), key.strip(), config, on=enabled is not False)


def _add_connection(
    collector: Collector, place: str, kind: str, url: str, key: str, config: Mapping[str, Any], *, on: bool
) -> None:
    try:
        parse_base_url(url)
    except ValueError as error:
        collector.leave(f"{place}.url", url, f"{error}")
        return
    if not key and (urlsplit(url).hostname or "") == "api.openai.com":
        collector.leave(place, url, "it has no key, so it offers nothing")
        return
    number = len(collector.yard.connections) + 1
    fields: dict[str, Any] = {
        "name": _name(collector, kind, url),
        "kind": _kind(kind, urlsplit(url).hostname or ""),
        "base_url": url,
        "enable": on and config.get("enable", True) is not False,
    }
    if key and config.get("auth_type") != "none":
        fields["api_keys"] = [collector.secret(f"OPEN_WEBUI_{kind}_KEY_{number}", key)]
    fields |= {name: config[name] for name in ("prefix_id", "model_ids") if config.get(name)}
    if config.get("connection_type") in ("local", "external"):
        fields["connection_type"] = config["connection_type"]
    if isinstance(config.get("tags"), list):
        named = [tag.get("name") if isinstance(tag, Mapping) else tag for tag in config["tags"]]
        fields["tags"] = [tag for tag in named if isinstance(tag, str) and tag.strip()]
    flavour = _FLAVOURS.get("azure" if config.get("azure") else str(config.get("provider")))
    if flavour is not None and FLAVOURS[flavour].kind == fields["kind"]:
        fields["flavour"] = flavour
    headers = _headers(collector, f"{place}.headers", config.get("headers"), f"OPEN_WEBUI_{kind}_{number}_HEADER")
    if headers:
        fields["headers"] = headers
    _leave_rest(collector, place, config)
    collector.add_connection(place, fields)


def _kind(kind: str, host: str) -> str:
    """What is spoken there: some hosts are known to speak another dialect than they were connected with."""
    return next((flavour.kind for flavour in FLAVOURS.values() if is_at(flavour, host)), kind)


def _leave_rest(collector: Collector, place: str, config: Mapping[str, Any]) -> None:
    if config.get("auth_type") not in _OUR_SIGN_IN:
        collector.leave(f"{place}.auth_type", config["auth_type"], "only keys are sent to a backend here")
    for name in sorted(config.keys() - _READ):
        if config[name] not in (None, "", [], {}, False):
            why = _WHY.get(name, "a connection has no such field here")
            collector.leave(f"{place}.{name}", config[name], why)


def _headers(collector: Collector, place: str, given: Any, secret: str) -> dict[str, str]:
    headers = {}
    for name, value in given.items() if isinstance(given, Mapping) else ():
        if not isinstance(value, str) or "{{" in value:
            collector.leave(f"{place}.{name}", "", "a header has one fixed text here")
        else:
            headers[name] = collector.secret(f"{secret}_{name}", value)
    return headers


def _name(collector: Collector, kind: str, url: str) -> str:
    """A name of its own that is the same at every import."""
    parts = urlsplit(url)
    name = free = f"{kind} {parts.netloc}"[:90]
    taken = {one.name for one in collector.yard.connections}
    number = 1
    while free in taken:
        number += 1
        free = f"{name} ({number})"
    return free
