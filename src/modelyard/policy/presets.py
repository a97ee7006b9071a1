"""What a preset lays over a request: stored parameters read once, at compile time, into values ready to be set.

Casts and names are those of the parameters that clients of Open WebUI's API store with a model. The request wins over
the preset unless the preset locks the parameter; with the setting `preset_wins` it is the other way round.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import msgspec

from modelyard.canonical.chat import ChatRequest, Controls, Text
from modelyard.canonical.embeddings import EmbeddingRequest
from modelyard.canonical.snapshot import Preset, Principal
from modelyard.core import raw

# Settings of the chat application, and what only the caller may say: never sent to an upstream from a preset.
APPLICATION_ONLY = frozenset(
    {
        "stream_response", "stream_delta_chunk_size", "function_calling", "reasoning_tags", "system", "custom_params",
        "compact_token_threshold", "note_id", "tool_approval_mode", "model_controls", "locked", "strict",
        "model", "messages", "prompt", "input", "stream", "stream_options",
    }
)  # fmt: skip


def _strings(value: Any) -> list[str]:
    items = value if isinstance(value, list) else [value]
    return [str(item) for item in items]


def _truth(value: Any) -> bool:
    return value.strip().lower() == "true" if isinstance(value, str) else bool(value)


CASTS: Mapping[str, Callable[[Any], Any]] = {
    **dict.fromkeys(
        (
            "temperature", "top_p", "min_p", "frequency_penalty", "presence_penalty", "mirostat_eta", "mirostat_tau",
            "repeat_penalty",
        ),
        float,
    ),
    **dict.fromkeys(
        (
            "max_tokens", "num_predict", "mirostat", "num_ctx", "num_batch", "num_keep", "repeat_last_n", "top_k",
            "num_gpu", "num_thread",
        ),
        int,
    ),
    **dict.fromkeys(("use_mmap", "use_mlock"), _truth),
    "reasoning_effort": str,
    "stop": _strings,
}  # fmt: skip


class BadParameter(ValueError):
    """A stored parameter has a value that its type refuses."""


def read_preset(params: Mapping[str, Any], *, preset_wins: bool = False) -> Preset:
    """The overlay of a catalogue row's `params`. Raises BadParameter."""
    given, locked = params.get("custom_params") or {}, params.get("locked") or []
    if not isinstance(given, Mapping):
        raise BadParameter("params.custom_params must be an object")
    if not isinstance(locked, list) or not all(isinstance(name, str) for name in locked):
        raise BadParameter("params.locked must be a list of names of parameters")
    custom = {name: _parsed(value) for name, value in given.items() if name not in APPLICATION_ONLY}
    merged = _deep_merge({name: value for name, value in params.items() if name not in APPLICATION_ONLY}, custom)
    values = {name: _cast(name, value) for name, value in merged.items() if value is not None}
    system = params.get("system")
    return Preset(
        params=values,
        locked=frozenset(values) if preset_wins else frozenset(locked),
        system=system if isinstance(system, str) and system.strip() else None,
        strict=params.get("strict") is True,
    )


def lay_under(request: ChatRequest | EmbeddingRequest, preset: Preset, system: str | None) -> None:
    """Lay a preset under a request in the hub's vocabulary: what the caller left open or the preset locks."""
    under, over, locked = preset.controls, request.controls, preset.locked_controls
    for name, value in under.params.items():
        if name in locked or name not in over.params:
            over.params[name] = value
    for name, value in under.extras.items():
        if name in locked or name not in over.extras:
            over.extras[name] = value
    if under.output is not None and (over.output is None or "response_format" in locked):
        over.output = under.output
    if under.reasoning is not None and (over.reasoning is None or "reasoning_effort" in locked):
        over.reasoning = under.reasoning
    if system is not None:
        if isinstance(request, ChatRequest):
            # In front of the caller's own, with a line's end between.
            own = request.system[:1]
            joined = [Text(text=f"{system}\n{text.text}", cache=text.cache) for text in own] or [Text(text=system)]
            request.system = [*joined, *request.system[1:]]
        else:
            request.unread = [*request.unread, "system"]


# Parameters that go by several names, and the one that the hub has for them.
ONE_NAME: Mapping[str, str] = {
    "max_completion_tokens": "max_tokens",
    "max_output_tokens": "max_tokens",
    "num_predict": "max_tokens",
    "format": "response_format",
    "think": "reasoning_effort",
    "reasoning": "reasoning_effort",
}


def in_hub(preset: Preset, controls: Controls) -> Preset:
    """The preset with its parameters in the hub's vocabulary too, as `controls` (read by the OpenAI dialect)."""
    locked = frozenset(ONE_NAME.get(name, name) for name in preset.locked)
    return replace(preset, controls=controls, locked_controls=locked)


def _cast(name: str, value: Any) -> Any:
    cast = CASTS.get(name)
    try:
        value = value if cast is None else cast(value)
        raw.raw_of(value)
    except (TypeError, ValueError, OverflowError):
        raise BadParameter(f"params.{name} cannot be {value!r:.100}") from None
    if isinstance(value, float) and not math.isfinite(value):
        raise BadParameter(f"params.{name} cannot be {value!r}")
    return value


def _parsed(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return raw.value_of(msgspec.Raw(value.encode()))
    except (raw.NotJson, UnicodeEncodeError):
        return value


def _deep_merge(under: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for name, value in over.items():
        below = merged.get(name)
        merged[name] = _deep_merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


_VARIABLE = re.compile(r"\{\{\s*([A-Z_]+)\s*\}\}")

VARIABLES: Mapping[str, Callable[[Principal, datetime], str]] = {
    "CURRENT_DATE": lambda principal, now: f"{now:%Y-%m-%d}",
    "CURRENT_TIME": lambda principal, now: f"{now:%I:%M:%S %p}",
    "CURRENT_DATETIME": lambda principal, now: f"{now:%Y-%m-%d %I:%M:%S %p}",
    "CURRENT_WEEKDAY": lambda principal, now: f"{now:%A}",
    "CURRENT_TIMEZONE": lambda principal, now: f"{now:%Z}",
    "USER_NAME": lambda principal, now: principal.name or "Unknown",
    "USER_EMAIL": lambda principal, now: principal.email or "Unknown",
    # Accounts do not hold these; clients know an empty field by this word.
    **dict.fromkeys(
        ("USER_BIO", "USER_GENDER", "USER_BIRTH_DATE", "USER_AGE", "USER_LOCATION"), lambda principal, now: "None"
    ),
}


def fill_in(text: str, principal: Principal, now: datetime) -> str:
    """A system prompt with its variables filled in: a closed set, anything else stays as it was written."""

    def value(match: re.Match[str]) -> str:
        variable = VARIABLES.get(match[1])
        return match[0] if variable is None else variable(principal, now)

    return _VARIABLE.sub(value, text) if "{{" in text else text
