"""The deployments of a LiteLLM configuration, and the connections that they become."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from modelyard.canonical.endpoint import parse_base_url
from modelyard.control.importers.carried import Collector, storable
from modelyard.control.importers.litellm_providers import PROVIDERS, Provider, split

_ENVIRONMENT = "os.environ/"
_PARAMETERS = frozenset(
    {
        "temperature", "top_p", "max_tokens", "max_completion_tokens", "frequency_penalty", "presence_penalty", "stop",
        "seed", "n", "logit_bias", "response_format", "reasoning_effort", "top_k", "min_p", "num_ctx", "num_predict",
        "num_gpu", "num_thread", "repeat_penalty", "repeat_last_n", "mirostat", "mirostat_eta", "mirostat_tau", "tfs_z",
        "keep_alive", "think", "thinking", "logprobs", "top_logprobs", "user", "service_tier", "dimensions", "modalities",
        "verbosity", "parallel_tool_calls", "chat_template_kwargs",
    }
)  # fmt: skip
_READ = frozenset(
    {
        "model", "custom_llm_provider", "api_base", "base_url", "api_key", "organization", "extra_headers", "headers",
        "extra_body", "timeout", "rpm", "tpm", "max_parallel_requests", "weight", "order", "litellm_credential_name",
    }
)  # fmt: skip
_LIMIT = "a limit is a whole number of 1 or more"
_WHY = {
    "api_version": "the versionless API of Azure is used",
    "max_retries": "before the first byte a call goes on to the next key or host by itself",
    "num_retries": "before the first byte a call goes on to the next key or host by itself",
    "stream_timeout": "one waiting time holds for streams and others: set timeouts.first_byte of the connection",
    "drop_params": "what a backend does not take is left out and told, always",
    "tags": "calls are not routed by tags",
    "max_budget": "money is not limited per deployment",
    "budget_duration": "money is not limited per deployment",
    "input_cost_per_token": "put it under model_info, which is kept with the model",
    "output_cost_per_token": "put it under model_info, which is kept with the model",
    "mock_response": "answers are not made up",
    "cooldown_time": "a backend that fails is passed over for the next one, not for a time",
}


@dataclass(slots=True, kw_only=True)
class Deployment:
    """One entry of `model_list`. `key` is what deployments on one connection have in common."""

    place: str
    group: str
    upstream: str
    everything: bool
    told: Mapping[str, Any]
    fields: dict[str, Any]
    params: dict[str, Any]
    info: Mapping[str, Any]
    weight: int | None = None
    prefix: str | None = None
    of_row: bool = True

    @property
    def visible(self) -> str:
        """The name of its model among all that are offered."""
        return f"{self.prefix}.{self.upstream}" if self.prefix else self.upstream

    @property
    def key(self) -> tuple[Any, ...]:
        limited = (self.group, self.upstream) if self.fields.get("limits") else ()
        return (*(repr(self.fields.get(name)) for name in sorted(self.fields)), self.weight, self.prefix, *limited)


@dataclass
class Deployments:
    """Reads deployments one by one, and makes connections of them."""

    collector: Collector
    config: Mapping[str, Any]
    around: Mapping[str, str]  # the environment of whoever imports
    environment: Mapping[str, Any] = field(init=False)  # what the file itself sets
    credentials: Mapping[str, Mapping[str, Any]] = field(init=False)
    timeout: float | None = field(init=False)
    parallel: int | None = field(init=False)  # at once, of a deployment without limits of its own
    defaults: Mapping[str, Any] = field(init=False)  # parameters of all deployments
    used: set[str] = field(default_factory=set)  # variables of the file that were taken over

    def __post_init__(self) -> None:
        environment = self.config.get("environment_variables")
        self.environment = environment if isinstance(environment, Mapping) else {}
        listed = self.config.get("credential_list")
        self.credentials = {
            str(one.get("credential_name")): one["credential_values"]
            for one in (listed if isinstance(listed, list) else [])
            if isinstance(one, Mapping) and isinstance(one.get("credential_values"), Mapping)
        }
        self.timeout = self._timeout()
        self.parallel = self._parallel()
        self.defaults = self._defaults()

    def read(self, place: str, entry: Any) -> Deployment | None:
        """An entry, or None when it cannot be carried; then that is noted."""
        params = entry.get("litellm_params") if isinstance(entry, Mapping) else None
        model = params.get("model") if isinstance(params, Mapping) else None
        if not isinstance(entry, Mapping) or not isinstance(params, Mapping) or not isinstance(model, str):
            self.collector.leave(place, entry, "it is no deployment: it has no litellm_params.model")
            return None
        group = entry.get("model_name")
        group = group if isinstance(group, str) and group else model
        told = storable({**self.defaults, **self._credential(place, params), **params})
        name, upstream = split(model, told.get("custom_llm_provider"))
        provider = PROVIDERS.get(name or "")
        if provider is None or not upstream:
            what = f"the provider {name} cannot be connected" if name else "the provider of this model is not known"
            self.collector.leave(f"{place}.litellm_params.model", model, f"{what} here")
            return None
        fields = self._fields(f"{place}.litellm_params", told, provider, name or "")
        if fields is None:
            return None
        everything = upstream == "*"
        if provider.tag and not everything and ":" not in upstream:
            upstream += provider.tag
        info = entry.get("model_info")
        for other in sorted(entry.keys() - {"model_name", "litellm_params", "model_info"}, key=str):
            self.collector.leave(f"{place}.{other}", entry[other], "a deployment has no such field here")
        return Deployment(
            place=place,
            group=group,
            upstream=upstream,
            everything=everything,
            told=told,
            fields=fields,
            params=self._params(f"{place}.litellm_params", told),
            info=storable(info) if isinstance(info, Mapping) else {},
        )

    def add_connections(self, deployments: Sequence[Deployment]) -> None:
        """One connection for all deployments that have their key in common, with an allow-list of their models."""
        shared: dict[tuple[Any, ...], list[Deployment]] = {}
        for one in deployments:
            shared.setdefault(one.key, []).append(one)
        taken: set[str] = set()
        for found in shared.values():
            first = found[0]
            fields = {**first.fields, "name": _free_name(first, taken)}
            if not any(one.everything for one in found):
                fields["model_ids"] = list(dict.fromkeys(one.upstream for one in found))
            if first.prefix:
                fields["prefix_id"] = first.prefix
            if first.weight is not None:
                fields["weight"] = first.weight
            self.collector.add_connection(first.place, fields)

    def _credential(self, place: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
        name = params.get("litellm_credential_name")
        if name is None:
            return {}
        if str(name) not in self.credentials:
            self.collector.leave(
                f"{place}.litellm_params.litellm_credential_name", "", f"credential_list has no {name}"
            )
        return self.credentials.get(str(name), {})

    def _fields(self, place: str, told: Mapping[str, Any], provider: Provider, name: str) -> dict[str, Any] | None:
        """The fields of the connection but its name and models; None without an address."""
        given = told.get("api_base") or told.get("base_url")
        url = self._text(given) if given else self._anywhere(provider.address) or provider.base_url
        if not url:
            self.collector.leave(
                f"{place}.api_base",
                given,
                "it has no address: write it into the file, or set the variable",
            )
            return None
        try:
            parse_base_url(url)
        except ValueError as error:
            self.collector.leave(f"{place}.api_base", url, str(error))
            return None
        fields: dict[str, Any] = {"kind": provider.kind, "base_url": url}
        if provider.flavour is not None:
            fields["flavour"] = provider.flavour
        key = self._secret(f"LITELLM_{name}_KEY", told.get("api_key"))
        if key is None and provider.key and not told.get("api_key") and (not given or self._known(provider.key)):
            key = self._secret(provider.key, f"{_ENVIRONMENT}{provider.key}")
        if key is not None:
            fields["api_keys"] = [key]
        headers = self._headers(place, told)
        if headers:
            fields["headers"] = headers
        limits = self._limits(place, told)
        if limits:
            fields["limits"] = limits
        order = number(told.get("order"))
        if order:
            fields["priority"] = max(-1000, -order)
        timeout = self._seconds(f"{place}.timeout", told.get("timeout")) or self.timeout
        if timeout:
            fields["timeouts"] = {"first_byte": timeout}
        return fields

    def _headers(self, place: str, told: Mapping[str, Any]) -> dict[str, str]:
        headers = {}
        for group in ("headers", "extra_headers"):
            given = told.get(group)
            for name, value in given.items() if isinstance(given, Mapping) else ():
                secret = self._secret(f"LITELLM_HEADER_{name}", value if isinstance(value, str) else None)
                if secret is None:
                    self.collector.leave(f"{place}.{group}.{name}", "", "a header has one fixed text here")
                else:
                    headers[name] = secret
        organization = told.get("organization")
        if isinstance(organization, str) and organization:
            headers["OpenAI-Organization"] = self._secret("LITELLM_ORGANIZATION", organization) or organization
        elif organization:
            self.collector.leave(f"{place}.organization", organization, "add a connection for each organization")
        return headers

    def _limits(self, place: str, told: Mapping[str, Any]) -> dict[str, int]:
        limits = {}
        for theirs, ours in (("rpm", "rpm"), ("tpm", "tpm"), ("max_parallel_requests", "concurrency")):
            value = number(told.get(theirs))
            if value:
                limits[ours] = value
            elif told.get(theirs) is not None:
                self.collector.leave(f"{place}.{theirs}", told[theirs], _LIMIT)
        if not limits and self.parallel:
            limits["concurrency"] = self.parallel
        return limits

    def _params(self, place: str, told: Mapping[str, Any]) -> dict[str, Any]:
        params = {name: told[name] for name in told if name in _PARAMETERS and told[name] is not None}
        if isinstance(told.get("extra_body"), Mapping):
            params |= told["extra_body"]
        for name in sorted(told.keys() - _PARAMETERS - _READ):
            if told[name] is not None:
                self.collector.leave(f"{place}.{name}", told[name], _WHY.get(name, "there is no such setting here"))
        return params

    def _timeout(self) -> float | None:
        """What the file says for all calls."""
        found = self._seconds("router_settings.timeout", self._setting("router_settings", "timeout"))
        place, told = "litellm_settings.request_timeout", self._setting("litellm_settings", "request_timeout")
        other = self._seconds(place, told)
        if found is not None and other not in (None, found):
            self.collector.leave(place, told, "router_settings.timeout holds for all calls")
        return found or other

    def _parallel(self) -> int | None:
        """`default_max_parallel_requests`: LiteLLM takes it for deployments without rpm, tpm and a number of their own."""
        told = self._setting("router_settings", "default_max_parallel_requests")
        if told is not None and number(told) is None:
            self.collector.leave("router_settings.default_max_parallel_requests", told, _LIMIT)
        return number(told)

    def _defaults(self) -> dict[str, Any]:
        """`default_litellm_params`, as far as they are parameters of requests."""
        told = self._setting("router_settings", "default_litellm_params")
        given = told if isinstance(told, Mapping) else {}
        for name in given:
            if name not in _PARAMETERS:
                place = f"router_settings.default_litellm_params.{name}"
                self.collector.leave(place, given[name], "set it at each deployment")
        return {name: value for name, value in given.items() if name in _PARAMETERS}

    def _setting(self, section: str, name: str) -> Any:
        settings = self.config.get(section)
        return settings.get(name) if isinstance(settings, Mapping) else None

    def _seconds(self, place: str, value: Any) -> float | None:
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 86_400:
            self.collector.leave(place, value, "a waiting time is a number of seconds, at most a day")
            return None
        return float(value)

    def _known(self, name: str) -> str | None:
        value = self.environment.get(name)
        if not isinstance(value, str) or not value:
            return None
        self.used.add(name)
        return value

    def _anywhere(self, name: str | None) -> str | None:
        """A variable of the file, else of the environment around."""
        return None if name is None else self._known(name) or self.around.get(name) or None

    def _text(self, value: Any) -> str | None:
        """A text of the file, which may stand in the environment."""
        if not isinstance(value, str):
            return None
        return self._anywhere(value.removeprefix(_ENVIRONMENT)) if value.startswith(_ENVIRONMENT) else value

    def _secret(self, name: str, value: Any) -> str | None:
        """`${NAME}` for a secret of the file or of its environment; None when there is none."""
        if not isinstance(value, str) or not value.strip() or value in ("none", "None", "not-needed", "dummy"):
            return None
        if not value.startswith(_ENVIRONMENT):
            return self.collector.secret(name, value)
        name = value.removeprefix(_ENVIRONMENT)
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            return None
        told = self._known(name)
        if told is not None:
            self.collector.secrets[name] = told
        return f"${{{name}}}"


def number(value: Any) -> int | None:
    """A whole number above 0, however YAML spells it."""
    try:
        found = int(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if 0 < found <= 10**9 and not isinstance(value, bool) else None


def _free_name(one: Deployment, taken: set[str]) -> str:
    """A name of its own that is the same at every import."""
    host = urlsplit(one.fields["base_url"]).netloc
    alone = one.prefix or one.fields.get("limits")
    name = free = f"litellm {host} {one.group}"[:90] if alone else f"litellm {host}"[:90]
    counted = 1
    while free in taken:
        counted += 1
        free = f"{name} ({counted})"
    taken.add(free)
    return free
