"""What steers an answer, in the OpenAI dialect (API reference, "Create chat completion") and back.

Beside OpenAI's own names a caller may use every name of the hub (`top_k`, `num_ctx` ...) and the spellings of common
servers: Ollama's `num_predict`, `format`, `think` and `options`, OpenRouter's `reasoning`, the vendors' `thinking`.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import msgspec

from modelyard.canonical.chat import PARAMETERS, Controls
from modelyard.canonical.snapshot import Accent
from modelyard.core import raw
from modelyard.core.errors import Problem
from modelyard.core.raw import Fields
from modelyard.dialects.openai import steering
from modelyard.dialects.reading import EXPECTED, MALFORMED, wrong

Raw = msgspec.Raw

# Another name of the same thing; an earlier one of two that stand for the same wins over a later one.
ALIASES: Mapping[str, str] = {
    "max_completion_tokens": "max_tokens",
    "max_tokens": "max_tokens",
    "num_predict": "max_tokens",
    "user": "user",
    "safety_identifier": "user",
}

# A value that changes nothing where it stands is nobody's loss, and is not sent.
DEFAULTS: Mapping[str, object] = {"n": 1, "logprobs": False, "store": False}

_WIRE: Mapping[object, Any] = {
    float: float | None,
    int: int | None,
    bool: bool | None,
    str: str | None,
    dict: dict[str, Any] | None,
    list: str | list[str] | None,
    (str, int, float): str | int | float | None,
}
_DECODERS = {
    name: msgspec.json.Decoder(dict[str, int | float] | None if name == "logit_bias" else _WIRE[kind])
    for name, kind in PARAMETERS.items()
}
_float = msgspec.json.Decoder(float)
_options = msgspec.json.Decoder(dict[str, Raw] | None)
_modalities = msgspec.json.Decoder(list[str] | None)


def read_parameter(name: str, value: Raw, field: str) -> Any:
    """The value of one of PARAMETERS, None for null. `field` is the caller's name for it. Raises INVALID_REQUEST."""
    try:
        read = _DECODERS[name].decode(value)
    except MALFORMED:
        if PARAMETERS[name] is not int:
            raise wrong(field, EXPECTED[PARAMETERS[name]]) from None
        read = _whole(value, field)
    return [read] if name == "stop" and isinstance(read, str) else read


def _whole(value: Raw, field: str) -> int:
    """A whole number in the spelling 5.0."""
    try:
        number = _float.decode(value)
    except MALFORMED:
        number = 0.5
    if not number.is_integer():
        raise wrong(field, EXPECTED[int])
    return int(number)


def read_controls(fields: Fields, known: Collection[str]) -> tuple[Controls, list[str]]:
    """The controls in `fields`, and the names that are neither a parameter nor in `known`: what the hub cannot carry.

    Raises Problem INVALID_REQUEST for a parameter of the wrong type.
    """
    params: dict[str, Any] = {}
    special: Fields = {}
    unread: list[str] = []
    for name, value in fields.items():
        if name in known:
            continue
        if name in ALIASES or name in _SPECIAL:
            special[name] = value
        elif name in _DECODERS:
            read = read_parameter(name, value, name)
            if read is not None:
                params[name] = read
        elif bytes(value) != b"null":
            unread.append(name)
    controls = Controls(params=params)
    if special:
        _read_aliases(special, params, "")
        for name, reader in _SPECIAL.items():
            if name in special:
                unread += reader(special[name], controls)
    return controls, unread


def _read_aliases(fields: Fields, params: dict[str, Any], where: str) -> None:
    for name, canonical in ALIASES.items():
        if name in fields and canonical not in params:
            read = read_parameter(canonical, fields[name], where + name)
            # A negative bound is how some servers spell "no bound".
            if read is not None and not (canonical == "max_tokens" and read < 0):
                params[canonical] = read


def _read_options(value: Raw, controls: Controls) -> list[str]:
    """Ollama's `options`: they yield to what stands beside them."""
    try:
        options = _options.decode(value) or {}
    except MALFORMED:
        raise wrong("options", "an object") from None
    unread = []
    _read_aliases(options, controls.params, "options.")
    for name, option in options.items():
        if name in ALIASES:
            continue
        if name not in _DECODERS:
            unread.append(f"options.{name}")
        elif name not in controls.params:
            read = read_parameter(name, option, f"options.{name}")
            if read is not None:
                controls.params[name] = read
    return unread


def _read_modalities(value: Raw, controls: Controls) -> list[str]:
    """Text is what every answer is made of; any other kind of output the hub cannot carry."""
    try:
        wanted = _modalities.decode(value)
    except MALFORMED:
        raise wrong("modalities", "an array of strings") from None
    return [] if not wanted or wanted == ["text"] else ["modalities"]


# In the order of their weight: of two that say the same thing the earlier one stands.
_SPECIAL: Mapping[str, Callable[[Raw, Controls], list[str]]] = {
    "response_format": steering.read_response_format,
    "format": steering.read_format,
    "reasoning": steering.read_reasoning,
    "reasoning_effort": steering.read_effort,
    "thinking": steering.read_thinking,
    "think": steering.read_think,
    "modalities": _read_modalities,
    "options": _read_options,
}


def preset_controls(params: Mapping[str, object]) -> Controls:
    """A preset's stored parameters. What is no parameter of the hub, or not of its type, becomes one of `extras`.

    Never raises: values that are not JSON are left out, nothing could be done with them.
    """
    flat = dict(params)
    options = flat.pop("options", None)
    if isinstance(options, Mapping):
        flat = {**options, **flat}
    elif options is not None:
        flat["options"] = options
    fields: Fields = {}
    extras: dict[str, Any] = {}
    for name, value in flat.items():
        try:
            field = raw.raw_of(value)
            _, unread = read_controls({name: field}, ())
        except Problem:
            extras[name] = value
        except (TypeError, ValueError, OverflowError, RecursionError):
            continue
        else:
            fields[name] = field
            for part in unread:
                _put_back(part, name, value, extras)
    controls, _ = read_controls(fields, ())
    controls.extras = extras
    return controls


def _put_back(unread: str, name: str, value: Any, extras: dict[str, Any]) -> None:
    """What could not be read of a stored parameter goes to the backend under the name that it had."""
    _, _, inner = unread.partition(f"{name}.")
    if inner and isinstance(value, Mapping):
        extras.setdefault(name, {})[inner] = value[inner]
    else:
        extras[name] = value


def write_controls(controls: Controls, accent: Accent) -> tuple[dict[str, Any], list[str]]:
    """The controls as fields of a chat completions request, without `extras`; and what cannot be said in one."""
    fields: dict[str, Any] = {}
    losses: list[str] = []
    for name, value in controls.params.items():
        if name in DEFAULTS and value == DEFAULTS[name]:
            continue
        if name in _NOT_CHAT:
            losses.append(name)
        elif name == "service_tier" and value == "standard_only":  # Anthropic's word for it
            fields[name] = "default"
        else:
            fields[name] = value
    if "metadata" in fields and fields.get("store") is not True:
        # OpenAI keeps it with a stored answer, and refuses it for any other.
        del fields["metadata"]
        losses.append("metadata")
    if controls.output is not None:
        losses += steering.write_output(controls.output, accent, fields)
    if controls.reasoning is not None:
        losses += steering.write_reasoning(controls.reasoning, fields)
    return fields, losses


# The hub has one answer for each request, and a conversation has no text after the gap.
_NOT_CHAT = frozenset({"n", "suffix"})
