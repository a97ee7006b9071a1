"""Where the hub's parameters stand in an Ollama request, both ways (api.md, "Parameters"; modelfile.md, "PARAMETER").

Sampling and loading go into `options`, under the hub's own names but for `num_predict`; `format`, `think`,
`keep_alive`, `truncate` and the log probabilities stand at the root. Ollama passes over an option that it does not know.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from modelyard.canonical.chat import PARAMETERS, Controls, OutputFormat, Reasoning
from modelyard.core import raw
from modelyard.core.raw import Fields, Raw
from modelyard.dialects.neutral import says_nothing
from modelyard.dialects.reading import is_object, parameter_in, value_in, wrong
from modelyard.dialects.reasoning import thinks

# The hub's parameters that go into `options`, each with its name there.
OPTIONS: Mapping[str, str] = {
    "max_tokens": "num_predict",
    **{
        name: name
        for name in (
            "temperature", "top_p", "top_k", "min_p", "typical_p", "tfs_z", "stop", "seed", "frequency_penalty",
            "presence_penalty", "repeat_penalty", "repeat_last_n", "logit_bias", "mirostat", "mirostat_eta",
            "mirostat_tau", "num_ctx", "num_batch", "num_keep", "num_gpu", "main_gpu", "num_thread", "use_mmap",
            "use_mlock",
        )
    },
}  # fmt: skip
# The specified mapping puts it among the options, where Ollama leaves it out of account.
IGNORED = frozenset({"logit_bias"})

ROOT = frozenset({"keep_alive", "truncate", "logprobs", "top_logprobs"})

# What loads a model, and so matters to embeddings too. The rest steers how text is written.
LOADING = frozenset(
    {
        "num_ctx", "num_batch", "num_keep", "num_gpu", "main_gpu", "num_thread", "use_mmap", "use_mlock", "keep_alive",
        "truncate",
    }
)  # fmt: skip

# Other names that callers have for one of the hub's.
ALIASES: Mapping[str, str] = {"num_predict": "max_tokens", "max_completion_tokens": "max_tokens"}

# A name of the wire and the name by which a preset locks it.
LOCKS: Mapping[str, str] = {"num_predict": "max_tokens", "format": "response_format", "think": "reasoning_effort"}

LEVELS: Mapping[str, str] = {
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "high",
    "max": "high",
}
_USUAL_TIERS = ("auto", "default")

# Parameters that are off, or empty, unless a caller says otherwise.
_OFF = frozenset({"logprobs", "top_logprobs", "suffix", "user", "store"})

_THINK = frozenset({"low", "medium", "high", "max"})


class Placed(NamedTuple):
    """Controls in Ollama's places: what stands at the root, what in `options`, and what has no place."""

    root: dict[str, Any]
    options: dict[str, Any]
    losses: list[str]


def place(controls: Controls) -> Placed:
    """Controls of a chat or a generation. A suffix is among the losses: only a generation takes one."""
    root: dict[str, Any] = {}
    options: dict[str, Any] = {}
    losses: list[str] = []
    for name, value in controls.params.items():
        option = OPTIONS.get(name)
        if option is not None:
            if value != {}:
                options[option] = value
                if name in IGNORED:
                    losses.append(name)
        elif name == "keep_alive":
            root[name] = _duration(value)
        elif _is_usual(name, value):
            continue
        elif name in ROOT:
            root[name] = value
        else:
            losses.append(name)
    for name, value in controls.extras.items():
        options.setdefault(name, value)
    if controls.output is not None:
        schema = controls.output.schema
        root["format"] = "json" if schema is None else schema
    if controls.reasoning is not None:
        root["think"] = think_of(controls.reasoning)
    return Placed(root, options, losses)


def _is_usual(name: str, value: Any) -> bool:
    return says_nothing(name, value) or (name == "service_tier" and value in _USUAL_TIERS)


def place_loading(controls: Controls) -> Placed:
    """Controls of an embedding: only what loads the model. How it would write text is a loss."""
    params = {name: value for name, value in controls.params.items() if name in LOADING}
    root, options, _ = place(Controls(params=params, extras=controls.extras))
    losses = [name for name, value in controls.params.items() if name not in LOADING and not _is_usual(name, value)]
    losses += ["response_format"] if controls.output is not None else []
    losses += ["reasoning_effort"] if controls.reasoning is not None else []
    return Placed(root, options, losses)


def _duration(value: Any) -> Any:
    """`keep_alive`: text that is a number becomes one, because Ollama wants a unit in text."""
    if isinstance(value, str):
        try:
            parsed = raw.value_of(Raw(value.encode("utf-8", "replace")))
        except raw.NotJson:
            return value
        return parsed if isinstance(parsed, (int, float)) and not isinstance(parsed, bool) else value
    return value


def think_of(reasoning: Reasoning) -> bool | str:
    """Ollama's `think`: yes, no, or a level. A budget is a mere yes: many models and older servers know no levels."""
    if not thinks(reasoning):
        return False
    return True if reasoning.effort is None else LEVELS.get(reasoning.effort, "medium")


def read_controls(fields: Fields, own: frozenset[str]) -> tuple[Controls, list[str]]:
    """A caller's controls, and the names of what the hub cannot carry. `own` are fields that are read elsewhere.

    Raises Problem INVALID_REQUEST.
    """
    params: dict[str, Any] = {}
    unread: list[str] = []
    for name, value in fields.items():
        if name in own or bytes(value) == b"null":
            continue
        canonical = ALIASES.get(name, name)
        if canonical in PARAMETERS:
            _set(params, canonical, value_in(value, name), name)
        else:
            unread.append(name)
    options = fields.get("options")
    if options is not None:
        _read_options(options, params, unread)
    return Controls(params=params, output=_output(fields), reasoning=_reasoning(fields)), unread


def _read_options(value: Raw, params: dict[str, Any], unread: list[str]) -> None:
    options = value_in(value, "options")
    if options is None:
        return
    if not isinstance(options, dict):
        raise wrong("options", "an object")
    for name, option in options.items():
        if option is None:
            continue
        canonical = ALIASES.get(name, name)
        if canonical in PARAMETERS:
            _set(params, canonical, option, f"options.{name}")
        else:
            unread.append(f"options.{name}")


def _set(params: dict[str, Any], name: str, value: Any, param: str) -> None:
    if PARAMETERS[name] is int and isinstance(value, float) and math.isfinite(value):
        value = int(value)  # Ollama cuts the fraction off a number that must be whole; so do we
    value = parameter_in(name, value, param)
    if PARAMETERS[name] is float:
        value = float(value)
    if name == "max_tokens" and value <= 0:
        params.pop(name, None)  # -1 and -2: without a bound
    elif (name == "truncate" and value) or (name in _OFF and not value):
        params.pop(name, None)  # as if it were not said
    else:
        params[name] = value


def _output(fields: Fields) -> OutputFormat | None:
    value = fields.get("format")
    if value is None or bytes(value) in (b"null", b'""'):
        return None
    if bytes(value) == b'"json"':
        return OutputFormat()
    if not is_object(value):
        raise wrong("format", "`json` or a JSON schema")
    return OutputFormat(schema=value)


def _reasoning(fields: Fields) -> Reasoning | None:
    value = fields.get("think")
    think = None if value is None else value_in(value, "think")
    if think is None or think == "":
        return None
    if isinstance(think, bool):
        return Reasoning(enabled=think)
    if isinstance(think, str) and think in _THINK:
        return Reasoning(effort=think)
    raise wrong("think", "true, false, or one of `low`, `medium`, `high`")
