"""The settings of a LiteLLM configuration: the few that are carried, and each of the others with the reason why not."""

from collections.abc import Collection, Mapping
from typing import Any

from modelyard.control.importers.carried import Collector
from modelyard.control.settings import table
from modelyard.control.settings.service import MAX_FALLBACKS
from modelyard.control.yard.document import YardKey, YardUser
from modelyard.policy.credentials import MIN_KEY_LENGTH, sendable_key
from modelyard.policy.routing import EVERY_MODEL

# The account that holds the master key's successor. It may call models and nothing else.
ACCOUNT = "litellm@import.local"
_ENVIRONMENT = "os.environ/"

_FALLBACK = "a fallback here does not ask why the first model failed: set models.fallbacks"
_LOGGING = "calls are in the usage report and the log"
_STORE = "one database holds everything here"
_CACHE = "answers are not kept"
_RETRY = "before the first byte a call goes on to the next key, host or fallback model by itself"
_LIMITS = "limits are set at each key: modelyard keys create"
_WHY: Mapping[str, str] = {
    **dict.fromkeys(("context_window_fallbacks", "content_policy_fallbacks"), _FALLBACK),
    **dict.fromkeys(("success_callback", "failure_callback", "callbacks", "service_callbacks", "set_verbose"), _LOGGING),
    **dict.fromkeys(("database_url", "redis_host", "redis_port", "redis_password", "redis_url", "store_model_in_db"), _STORE),
    **dict.fromkeys(("cache", "cache_params", "cache_responses", "cache_kwargs"), _CACHE),
    **dict.fromkeys(
        ("num_retries", "retry_after", "retry_policy", "model_group_retry_policy", "max_fallbacks", "allowed_fails",
         "allowed_fails_policy", "cooldown_time", "disable_cooldowns"),
        _RETRY,
    ),
    **dict.fromkeys(
        ("default_key_generate_params", "upperbound_key_generate_params", "default_internal_user_params",
         "default_team_settings", "max_budget", "budget_duration"),
        _LIMITS,
    ),
    "drop_params": "what a backend does not take is left out and told, always",
    **dict.fromkeys(("routing_strategy", "routing_strategy_args"), "a call goes by priority, then by weight"),
    "stream_timeout": "one waiting time holds for streams and others: set timeouts.first_byte of the connection",
    "enable_pre_call_checks": "a request that is too long is refused by its backend",
    "ssl_verify": "set tls.verify of the connection",
    "ssl_certificate": "set tls.client_cert of the connection",
    "max_parallel_requests": "set limits.concurrency of the connection",
    "global_max_parallel_requests": "set MAX_CONCURRENT_REQUESTS",
}  # fmt: skip

# Carried elsewhere, or what happens here by itself.
_SAID = {
    ("router_settings", "model_group_alias"),
    ("router_settings", "timeout"),
    ("router_settings", "default_max_parallel_requests"),
    ("router_settings", "default_litellm_params"),
    *(
        (section, name)
        for section in ("litellm_settings", "router_settings")
        for name in ("fallbacks", "default_fallbacks")
    ),
    ("litellm_settings", "request_timeout"),
    ("general_settings", "master_key"),
    ("general_settings", "completion_model"),
}


def leave_settings(collector: Collector, config: Mapping[str, Any], used: Collection[str]) -> None:
    """Carry the default model and the key; note the rest. `used` are variables of the file that were taken over."""
    for section, content in config.items():
        if section in ("model_list", "credential_list", "environment_variables"):
            continue
        if not isinstance(content, Mapping):
            if content is not None:
                collector.leave(str(section), content, "there is no such section here")
            continue
        for name, value in content.items():
            said = (section, name) in _SAID or (name == "routing_strategy" and value == "simple-shuffle")
            if not said and value not in (None, "", [], {}):
                why = _WHY.get(str(name), "there is no such setting here")
                collector.leave(f"{section}.{name}", value, why)
    general = config.get("general_settings")
    general = general if isinstance(general, Mapping) else {}
    if isinstance(general.get("completion_model"), str):
        collector.yard.settings[table.DEFAULT_MODELS] = [general["completion_model"]]
    _add_fallbacks(collector, config)
    _add_key(collector, config, general.get("master_key"))
    environment = config.get("environment_variables")
    for name in environment if isinstance(environment, Mapping) else ():
        if name not in used and name not in collector.secrets:
            collector.leave(f"environment_variables.{name}", "", "nothing that was carried refers to it")


def _add_fallbacks(collector: Collector, config: Mapping[str, Any]) -> None:
    """`fallbacks: [{model: [others]}]` and `default_fallbacks: [others]`, in either section."""
    found: dict[str, list[str]] = {}
    for section in ("litellm_settings", "router_settings"):
        content = config.get(section)
        settings: Mapping[str, Any] = content if isinstance(content, Mapping) else {}
        for name in ("fallbacks", "default_fallbacks"):
            told = settings.get(name)
            entries = [{EVERY_MODEL: told}] if name == "default_fallbacks" and told else told or []
            for place, entry in enumerate(entries if isinstance(entries, list) else [entries]):
                for model, others in entry.items() if isinstance(entry, Mapping) else [("", entry)]:
                    at = f"{section}.{name}[{place}]"
                    names = [one for one in others if isinstance(one, str)] if isinstance(others, list) else []
                    if isinstance(model, str) and model and names:
                        found.setdefault(model, []).extend(one for one in names if one not in found.get(model, ()))
                        for one in others:
                            if not isinstance(one, str):
                                collector.leave(at, one, "a fallback is the name of a model here, without parameters")
                    else:
                        collector.leave(at, entry, "it names no model with a list of others")
    for model, names in found.items():
        for one in names[MAX_FALLBACKS:]:
            collector.leave(f"fallbacks.{model}", one, f"at most {MAX_FALLBACKS} models are tried after one")
        del names[MAX_FALLBACKS:]
    if found:
        collector.yard.settings[table.FALLBACKS] = found


def _add_key(collector: Collector, config: Mapping[str, Any], master_key: Any) -> None:
    """The master key goes on as a key that calls models, so that callers need not change."""
    place = "general_settings.master_key"
    if master_key is None:
        return
    name, value = "LITELLM_MASTER_KEY", str(master_key)
    if value.startswith(_ENVIRONMENT):
        name = value.removeprefix(_ENVIRONMENT)
        told = config.get("environment_variables")
        if not isinstance(told, Mapping) or told.get(name) is None:
            collector.leave(
                place, f"${{{name}}}", "a key of the environment is not taken over: make one for the callers"
            )
            return
        value = str(told[name])
    try:
        sendable_key(value)
    except ValueError as error:
        collector.leave(place, value, str(error))
        return
    if len(value) < MIN_KEY_LENGTH:
        collector.leave(place, value, f"a key must have at least {MIN_KEY_LENGTH} characters: make a new one")
        return
    key = YardKey.model_construct(name="LiteLLM master key", key=collector.secret(name, value))
    collector.yard.users.append(YardUser(email=ACCOUNT, name="LiteLLM", kind="service", role="user", keys=[key]))
    collector.leave(place, value, f"carried as a key of {ACCOUNT}, which calls models and manages nothing")
