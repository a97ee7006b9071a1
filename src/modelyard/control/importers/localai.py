"""LocalAI: the YAML of its models as overrides and presets on one connection to it.

LocalAI goes on reading its own files: how a model is loaded stays there. What is carried is what a request may say, so
that it is governed here.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelyard.canonical.endpoint import parse_base_url
from modelyard.control.importers.carried import Carried, Collector, storable
from modelyard.control.importers.litellm_deployments import number
from modelyard.control.importers.reading import check_size, yaml_of
from modelyard.core.errors import Kind, Problem
from modelyard.dialects.flavours import FLAVOURS

MAX_FILES = 1_000
MAX_MODELS = 10_000
DEFAULT_URL = FLAVOURS["localai"].default_url

# LocalAI's name -> ours, of `parameters` and of the model itself.
PARAMETERS: Mapping[str, str] = {
    **{name: name for name in (
        "temperature", "top_p", "top_k", "min_p", "typical_p", "max_tokens", "repeat_penalty", "repeat_last_n",
        "frequency_penalty", "presence_penalty", "seed", "n", "logit_bias", "logprobs", "top_logprobs", "ignore_eos",
        "negative_prompt", "language", "translate", "echo",
    )},
    "tfz": "tfs_z",
    "n_keep": "num_keep",
}  # fmt: skip
OF_MODEL: Mapping[str, str] = {
    "mirostat": "mirostat",
    "mirostat_eta": "mirostat_eta",
    "mirostat_tau": "mirostat_tau",
    "reasoning_effort": "reasoning_effort",
    "grammar": "grammar",
    "stopwords": "stop",
    "system_prompt": "system",
}
_READ = {"name", "parameters", "description", "context_size", "alias", "disabled", "usage", *OF_MODEL}
# A file of LocalAI's gallery is not one of a model.
_GALLERY = ("config_file", "overrides", "variants", "files", "urls")
_STAYS = "LocalAI reads it from its own file, which stays in force"
_WHY = {
    "limits": "calls are limited for each connection and each key, not for a model",
    "proxy": "connect the backend behind it itself",
    "mcp": "tools are not run here",
    "agent": "tools are not run here",
    "pii": "texts are not searched here",
    "router": "calls are not routed by what they say",
}


def read(path: Path, base_url: str = DEFAULT_URL, name: str = "LocalAI") -> Carried:
    """The models of a YAML file, or of all `.yaml` and `.yml` files of a folder. Raises Problem."""
    try:
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        wanted = [one for one in files if one == path or _is_yaml(one)]
        if not wanted or len(wanted) > MAX_FILES:
            raise Problem(Kind.MALFORMED, f"{path} holds {len(wanted)} YAML files; give 1 to {MAX_FILES}.")
        check_size(sum(one.stat().st_size for one in wanted))
        documents = {one.name: yaml_of(one.read_bytes()) for one in wanted}
    except OSError as error:
        raise Problem(Kind.NOT_FOUND, f"{path} cannot be read: {error.strerror}.") from None
    return of_documents(documents, base_url, name)


def _is_yaml(path: Path) -> bool:
    return path.suffix.lower() in (".yaml", ".yml") and not path.name.startswith(".") and path.is_file()


def of_documents(documents: Mapping[str, list[Any]], base_url: str = DEFAULT_URL, name: str = "LocalAI") -> Carried:
    """The models of YAML documents by the names of their files: each one model, or a list of them. Raises Problem."""
    try:
        parse_base_url(base_url)
    except ValueError as error:
        raise Problem(Kind.MALFORMED, f"The address of LocalAI: {error}.") from None
    collector = Collector()
    collector.add_connection("connection", {"name": name, "kind": "openai", "flavour": "localai", "base_url": base_url})
    found = [
        (f"{file}[{index}]" if len(items) > 1 else file, item)
        for file, values in documents.items()
        for items in [[one for value in values for one in (value if isinstance(value, list) else [value])]]
        for index, item in enumerate(items)
    ]
    if not any(isinstance(item, Mapping) and isinstance(item.get("name"), str) for _, item in found):
        raise Problem(Kind.MALFORMED, "The file holds no model of LocalAI: none of its documents has a `name`.")
    if len(found) > MAX_MODELS:
        raise Problem(Kind.TOO_LARGE, f"The files hold more than {MAX_MODELS} models.")
    for place, item in found:
        _add(collector, place, storable(item))
    return collector.done()


def _add(collector: Collector, place: str, item: Any) -> None:
    if not isinstance(item, Mapping) or not isinstance(item.get("name"), str) or not item["name"]:
        collector.leave(place, item, "it is not a model: it has no name")
        return
    if any(name in item for name in _GALLERY) and "parameters" not in item:
        collector.leave(place, item["name"], "it is an entry of a gallery, not a model")
        return
    alias = item.get("alias")
    if isinstance(alias, str) and alias:
        for name in sorted(item.keys() - {"name", "alias", "description", "disabled"}):
            collector.leave(f"{place}.{name}", item[name], "LocalAI does not read it of an alias")
        _add_row(collector, place, item, alias, {})
        return
    params = _params(collector, place, item)
    for name in sorted(item.keys() - _READ):
        if item[name] not in (None, "", [], {}, False):
            collector.leave(f"{place}.{name}", item[name], _WHY.get(name, _STAYS))
    _add_row(collector, place, item, None, params)


def _params(collector: Collector, place: str, item: Mapping[str, Any]) -> dict[str, Any]:
    params: dict[str, Any] = {}
    given = item.get("parameters")
    if given is not None and not isinstance(given, Mapping):
        collector.leave(f"{place}.parameters", given, "it is not an object")
    for name, value in given.items() if isinstance(given, Mapping) else ():
        if value is None:
            continue
        if name in PARAMETERS:
            params[PARAMETERS[name]] = value
        else:
            collector.leave(f"{place}.parameters.{name}", value, _STAYS)
    for theirs, ours in OF_MODEL.items():
        if item.get(theirs) not in (None, "", []):
            params[ours] = item[theirs]
    return params


def _add_row(
    collector: Collector, place: str, item: Mapping[str, Any], base: str | None, params: dict[str, Any]
) -> None:
    meta: dict[str, Any] = {}
    for name in ("description", "usage"):
        if isinstance(item.get(name), str) and item[name]:
            meta[name] = item[name]
    context = number(item.get("context_size"))
    if context:
        meta["context_window"] = context
    collector.add_model(
        place,
        {
            "id": item["name"],
            "name": item["name"][:256],
            "base_model_id": base,
            "params": params,
            "meta": meta,
            "is_active": item.get("disabled") is not True,
            "access_control": None,  # LocalAI serves its models to everybody who reaches it
        },
    )
