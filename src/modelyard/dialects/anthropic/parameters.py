"""What steers an answer, in Anthropic's dialect (API reference, "Create a Message") and back.

Beside the API's own fields a caller may use every name of the hub (`seed`, `min_p`, `num_ctx` ...).
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from modelyard.canonical.chat import PARAMETERS, Controls, OutputFormat, Reasoning
from modelyard.core.raw import Fields, Raw
from modelyard.dialects.anthropic.schemas import closed
from modelyard.dialects.neutral import says_nothing
from modelyard.dialects.reading import (
    NULL,
    is_null,
    is_object,
    note,
    number_of,
    object_in,
    parameter_in,
    value_in,
    wrong,
)
from modelyard.dialects.reasoning import EFFORTS

# Fields that are read elsewhere, or (the model) by the pipeline.
ELSEWHERE = frozenset({"model", "messages", "system", "tools", "tool_choice", "stream", "cache_control"})

# What no parameter of a preset may stand for.
_OURS = frozenset({"model", "messages", "system", "stream"})

# Fields that the hub has no word for, with the values by which they say what holds anyway.
_NEUTRAL: Mapping[str, tuple[bytes, ...]] = {
    "speed": (b'"standard"',),
    "mcp_servers": (b"[]",),
    "betas": (b"[]",),
    "context_management": (b"{}", b'{"edits":[]}'),
    "stream_options": (b"{}",),
}

_SAME = frozenset({"top_p", "top_k", "max_tokens"})
_TIERS: Mapping[str, str] = {
    "auto": "auto",
    "default": "standard_only",
    "standard": "standard_only",
    "standard_only": "standard_only",
}

# A field of the wire and the name by which a preset locks it.
LOCKS: Mapping[str, str] = {
    "stop_sequences": "stop",
    "metadata": "user",
    "thinking": "reasoning_effort",
    "output_config": "response_format",
}

HOTTEST = 1.0
ANY_JSON = "Answer with one JSON object and nothing else: no other text, no code fence."


class Placed(NamedTuple):
    """Controls as fields of a request, but for thinking (see `thinking`); what has no place; and what can be said to
    the model only in words."""

    fields: dict[str, Any]
    losses: list[str]
    instruction: str | None


def place(controls: Controls) -> Placed:
    """Where the hub's controls stand in a request."""
    fields: dict[str, Any] = {}
    losses: list[str] = []
    for name, value in controls.params.items():
        if says_nothing(name, value) or (name == "truncate" and value):
            continue
        if name in _SAME:
            fields[name] = value
        elif name in _PLACES:
            _PLACES[name](value, fields, losses)
        else:
            note(losses, name)
    instruction = None
    if controls.output is not None:
        if controls.output.schema is None:
            note(losses, "response_format")
            instruction = ANY_JSON
        else:
            schema = closed(controls.output.schema)
            fields["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
    for name, value in controls.extras.items():
        if name not in _OURS:
            fields.setdefault(name, value)
    return Placed(fields, losses, instruction)


def _place_temperature(value: float, fields: dict[str, Any], losses: list[str]) -> None:
    """The API's scale ends at 1, others' at 2."""
    if value > HOTTEST:
        note(losses, "temperature")
    fields["temperature"] = min(value, HOTTEST)


def _place_stop(value: list[str], fields: dict[str, Any], losses: list[str]) -> None:
    """The API refuses a sequence that is nothing but white space."""
    sequences = [text for text in value if text.strip()]
    if len(sequences) < len(value):
        note(losses, "stop")
    if sequences:
        fields["stop_sequences"] = sequences


def _place_user(value: str, fields: dict[str, Any], losses: list[str]) -> None:
    fields["metadata"] = {"user_id": value}


def _place_tier(value: str, fields: dict[str, Any], losses: list[str]) -> None:
    tier = _TIERS.get(value)
    if tier is None:
        note(losses, "service_tier")
    else:
        fields["service_tier"] = tier


_PLACES: Mapping[str, Callable[[Any, dict[str, Any], list[str]], None]] = {
    "temperature": _place_temperature,
    "stop": _place_stop,
    "user": _place_user,
    "service_tier": _place_tier,
}


# Reading


def read_controls(fields: Fields) -> tuple[Controls, list[str]]:
    """A caller's controls, and the names of what the hub cannot carry. Raises Problem INVALID_REQUEST."""
    controls = Controls(params={})
    params = controls.params
    unread: list[str] = []
    special = False
    for name, value in fields.items():
        if name in ELSEWHERE:
            continue
        if name in _SPECIAL:
            special = True
        elif is_null(value):
            continue
        elif name in PARAMETERS:
            params[name] = parameter_in(name, value_in(value, name), name)
        elif bytes(value) not in _NEUTRAL.get(name, ()):
            note(unread, name)
    if special:
        for name, reader in _SPECIAL.items():
            if name in fields and not is_null(fields[name]):
                reader(fields[name], controls, unread)
    return controls, unread


def _read_stop(value: Raw, controls: Controls, unread: list[str]) -> None:
    controls.params["stop"] = parameter_in("stop", value_in(value, "stop_sequences"), "stop_sequences")


def _read_metadata(value: Raw, controls: Controls, unread: list[str]) -> None:
    for name, inner in object_in(value, "metadata").items():
        if is_null(inner):
            continue
        if name == "user_id":
            controls.params["user"] = parameter_in("user", value_in(inner, "metadata.user_id"), "metadata.user_id")
        else:
            note(unread, f"metadata.{name}")


# How thoughts are shown, in the hub's words.
_DISPLAYS: Mapping[str, str] = {"summarized": "auto", "omitted": "omitted"}


def _read_thinking(value: Raw, controls: Controls, unread: list[str]) -> None:
    reasoning = Reasoning()
    fields = object_in(value, "thinking")
    kind = value_in(fields.get("type", NULL), "thinking.type")
    if kind not in ("enabled", "adaptive", "disabled", "between_tools"):
        raise wrong("thinking.type", "enabled, adaptive or disabled")
    if kind == "between_tools":
        note(unread, "thinking.type")
    reasoning.enabled = kind != "disabled"
    for name, inner in fields.items():
        if name == "type" or is_null(inner):
            continue
        told = value_in(inner, f"thinking.{name}")
        if name == "budget_tokens":
            budget = int(number_of(told, "thinking.budget_tokens", whole=True))
            reasoning.budget = budget if reasoning.enabled else None
        elif name == "display" and isinstance(told, str) and told in _DISPLAYS:
            reasoning.summary = _DISPLAYS[told]
        else:
            note(unread, f"thinking.{name}")
    controls.reasoning = reasoning


def _read_output_config(value: Raw, controls: Controls, unread: list[str]) -> None:
    for name, inner in object_in(value, "output_config").items():
        if is_null(inner):
            continue
        if name == "effort":
            _read_effort(inner, controls, unread, "output_config.effort")
        elif name == "format":
            _read_format(inner, controls, unread, "output_config.format")
        else:
            note(unread, f"output_config.{name}")


def _read_effort(value: Raw, controls: Controls, unread: list[str], param: str = "reasoning_effort") -> None:
    effort = value_in(value, param)
    if not isinstance(effort, str):
        raise wrong(param, "a string")
    if effort not in EFFORTS:
        note(unread, param)
        return
    reasoning = controls.reasoning
    if reasoning is None:
        controls.reasoning = Reasoning(enabled=effort != "none", effort=effort)
    elif reasoning.enabled:
        reasoning.effort = reasoning.effort or effort
    else:
        note(unread, param)


def _read_format(value: Raw, controls: Controls, unread: list[str], param: str = "output_format") -> None:
    fields = object_in(value, param)
    kind = value_in(fields.pop("type", NULL), f"{param}.type")
    if kind == "text":
        return
    if kind != "json_schema":
        note(unread, param)
        return
    schema = fields.pop("schema", NULL)
    if not is_object(schema):
        raise wrong(f"{param}.schema", "a JSON schema (an object)")
    controls.output = OutputFormat(schema=schema)
    for name, inner in fields.items():
        if not is_null(inner):
            note(unread, f"{param}.{name}")


# In the order of their weight: of two that say the same thing the earlier one stands.
_SPECIAL: Mapping[str, Callable[[Raw, Controls, list[str]], None]] = {
    "stop_sequences": _read_stop,
    "metadata": _read_metadata,
    "thinking": _read_thinking,
    "output_format": _read_format,
    "output_config": _read_output_config,
    "reasoning_effort": _read_effort,
}
