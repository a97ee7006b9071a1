"""LiteLLM: its `config.yaml` as connections, overrides and presets.

A deployment (an entry of `model_list`) becomes a model on a connection; deployments with the same address, credentials
and limits share one. A name with a deployment behind it becomes a preset over that model, or an override when both are
called alike. Names that would get in each other's way stand behind a prefix on a connection of their own.
"""

import re
from collections.abc import Mapping
from typing import Any

from modelyard.control.importers.carried import Carried, Collector
from modelyard.control.importers.litellm_deployments import Deployment, Deployments, number
from modelyard.control.importers.litellm_settings import leave_settings
from modelyard.control.importers.reading import yaml_of
from modelyard.core.errors import Kind, Problem

MAX_DEPLOYMENTS = 10_000

_INFO = ("id", "db_model", "mode")


def read(content: bytes, environment: Mapping[str, str] | None = None) -> Carried:
    """What a config.yaml holds. `environment` is for addresses that the file takes from there. Raises Problem."""
    documents = yaml_of(content)
    config = documents[0] if len(documents) == 1 else None
    if not isinstance(config, Mapping) or not isinstance(config.get("model_list", []), list | None):
        raise Problem(Kind.MALFORMED, "The file is no config.yaml of LiteLLM: it must be one object with `model_list`.")
    known = ("model_list", "litellm_settings", "router_settings", "general_settings", "environment_variables",
             "credential_list")  # fmt: skip
    if not config.keys() & set(known):
        raise Problem(Kind.MALFORMED, f"The file is no config.yaml of LiteLLM: it has none of {', '.join(known)}.")
    entries = config.get("model_list") or []
    if len(entries) > MAX_DEPLOYMENTS:
        raise Problem(Kind.TOO_LARGE, f"The file holds more than {MAX_DEPLOYMENTS} deployments.")
    collector = Collector()
    deployments = Deployments(collector, config, environment or {})
    groups: dict[str, list[Deployment]] = {}
    for index, entry in enumerate(entries):
        one = deployments.read(f"model_list[{index}]", entry)
        if one is not None:
            groups.setdefault(one.group, []).append(one)
    aliases = _aliases(collector, config, groups)
    _settle(collector, groups, reserved={*groups, *aliases})
    deployments.add_connections([one for found in groups.values() for one in found])
    for group, found in groups.items():
        _add_row(collector, group, found)
    for alias, group in aliases.items():
        _add_row(collector, alias, groups[group])
    leave_settings(collector, config, deployments.used)
    return collector.done()


def _aliases(collector: Collector, config: Mapping[str, Any], groups: Mapping[str, list[Deployment]]) -> dict[str, str]:
    """Names that stand for another: alias -> name."""
    settings = config.get("router_settings")
    given = settings.get("model_group_alias") if isinstance(settings, Mapping) else None
    aliases = {}
    for alias, target in given.items() if isinstance(given, Mapping) else ():
        place = f"router_settings.model_group_alias.{alias}"
        name = target.get("model") if isinstance(target, Mapping) else target
        if not isinstance(alias, str) or not isinstance(name, str) or name not in groups:
            collector.leave(place, target, "the file has no model of that name")
        elif alias in groups:
            collector.leave(place, target, "a model of the file has this name itself")
        else:
            aliases[alias] = name
            if isinstance(target, Mapping) and target.get("hidden"):
                collector.leave(f"{place}.hidden", True, "a name that can be called is listed here")
    return aliases


def _settle(collector: Collector, groups: Mapping[str, list[Deployment]], reserved: set[str]) -> None:
    """Of each name, the deployments that its row stands on; and a prefix for those that would reach others' models."""
    for group, found in groups.items():
        _drop_other_names(collector, group, found)
        _share_the_load(found)
    users: dict[str, set[str]] = {}
    places: dict[tuple[str, str], frozenset[Any]] = {}
    for group, found in groups.items():
        for one in found:
            users.setdefault(one.upstream, set()).add(group)
        for name in {one.upstream for one in found}:
            places[group, name] = frozenset(one.key for one in found if one.upstream == name)
    for group, found in groups.items():
        for one in found:
            if one.upstream == group or one.everything:
                continue
            others = users[one.upstream] - {group}
            alone = all(places[other, one.upstream] == places[group, one.upstream] for other in others)
            if not alone or (one.upstream in reserved and one.upstream not in users[one.upstream]):
                one.prefix = re.sub(r"[\s/]+", "-", group)[:50]


def _drop_other_names(collector: Collector, group: str, found: list[Deployment]) -> None:
    """A row stands on one base model. The others stay callable under their own names."""
    first = next((one for one in found if one.upstream == group), found[0])
    for one in found:
        one.of_row = one.upstream == first.upstream
        if not one.of_row:
            collector.leave(
                f"{one.place}.litellm_params.model",
                one.upstream,
                f"{group} stands on one model, {first.upstream}; this one can be called by its own name",
            )
        elif one.params != first.params and one is not first:
            collector.leave(
                f"{one.place}.litellm_params", one.params, f"the parameters of {first.place} hold for all of {group}"
            )


def _share_the_load(found: list[Deployment]) -> None:
    """Weights as LiteLLM draws lots: by `weight`, else by `rpm`, else by `tpm`, when all of a name have it."""
    if len(found) < 2:
        return
    for name in ("weight", "rpm", "tpm"):
        told = [number(one.told.get(name)) for one in found]
        if all(told):
            most = max(value or 0 for value in told)
            for one, value in zip(found, told, strict=True):
                scaled = value or 0 if most <= 1000 and name == "weight" else (value or 0) * 100 / most
                one.weight = max(1, min(1000, round(scaled)))
            return


def _add_row(collector: Collector, name: str, found: list[Deployment]) -> None:
    """The row that makes a name callable by everybody, as every key of LiteLLM may call it."""
    first = next(one for one in found if one.of_row)
    if first.everything:
        collector.leave(
            f"{first.place}.model_name", name,
            "the connection offers all its models under their own names; say who may use them",
        )  # fmt: skip
        return
    collector.add_model(
        first.place,
        {
            "id": name,
            "name": name,
            "base_model_id": None if first.visible == name else first.visible,
            "params": first.params,
            "meta": _meta(first.info),
            "access_control": None,
        },
    )


def _meta(info: Mapping[str, Any]) -> dict[str, Any]:
    """`model_info` in a row's `meta`: what has a name here under that name, the rest as it is."""
    meta: dict[str, Any] = {}
    rest = {name: value for name, value in info.items() if name not in _INFO and value is not None}
    for ours, theirs in (
        ("context_window", ("max_input_tokens",)),
        ("max_tokens", ("max_output_tokens", "max_tokens")),
    ):
        value = next((number(rest[name]) for name in theirs if name in rest), None)
        if value:
            meta[ours] = value
    if isinstance(rest.get("description"), str):
        meta["description"] = rest.pop("description")
    if isinstance(rest.get("supports_vision"), bool):
        meta["capabilities"] = {"vision": rest.pop("supports_vision")}
    if rest:
        meta["model_info"] = rest
    return meta
