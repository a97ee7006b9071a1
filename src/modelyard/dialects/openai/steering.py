"""How an answer is to look and how much the model may think: the spellings of both that OpenAI clients use."""

from typing import Any

import msgspec

from modelyard.canonical.chat import Controls, OutputFormat, Reasoning
from modelyard.canonical.snapshot import Accent
from modelyard.dialects.reading import MALFORMED, NULL, is_object, schema_of, wrong
from modelyard.dialects.reasoning import EFFORTS, effort_of

Raw = msgspec.Raw
# Words of single servers for "think, as much as you see fit" and "do not".
_ON = ("default", "auto", "on")
_OFF = ("off", "disabled")


class _Schema(msgspec.Struct):
    name: str | None = None
    description: str | None = None
    schema: Raw = NULL
    strict: bool | None = None


class _ResponseFormat(msgspec.Struct):
    type: str
    json_schema: _Schema | None = None
    # llama.cpp's spelling of a schema, beside `json_object`.
    schema: Raw = NULL


_response_format = msgspec.json.Decoder(_ResponseFormat | None)
_string = msgspec.json.Decoder(str | None)
_text_or_flag = msgspec.json.Decoder(str | bool | None)
_any = msgspec.json.Decoder()


def read_response_format(value: Raw, controls: Controls) -> list[str]:
    """`{"type": "text" | "json_object" | "json_schema", ...}`."""
    try:
        wanted = _response_format.decode(value)
    except MALFORMED:
        raise wrong("response_format", 'an object with a "type" and, for a schema, a "json_schema"') from None
    if wanted is None or wanted.type == "text":
        return []
    if wanted.type == "json_object":
        controls.output = OutputFormat(schema=schema_of(wanted.schema, "response_format.schema"))
        return []
    if wanted.type != "json_schema":
        return ["response_format"]  # a grammar, say: some servers have kinds of their own
    told = wanted.json_schema or _Schema(schema=wanted.schema)
    schema = schema_of(told.schema, "response_format.json_schema.schema")
    if schema is None:
        raise wrong("response_format.json_schema", 'an object with a "schema"')
    controls.output = OutputFormat(schema=schema, name=told.name, description=told.description, strict=told.strict)
    return []


def read_format(value: Raw, controls: Controls) -> list[str]:
    """Ollama's `format`: "json" or a schema."""
    if is_object(value):
        controls.output = controls.output or OutputFormat(schema=value)
        return []
    try:
        word = _string.decode(value)
    except MALFORMED:
        word = "?"
    if word == "json":
        controls.output = controls.output or OutputFormat()
    elif word:
        raise wrong("format", '"json" or a JSON schema')
    return []


def write_output(output: OutputFormat, accent: Accent, fields: dict[str, Any]) -> list[str]:
    """Sets `response_format`."""
    if output.schema is None or not accent.json_schema:
        fields["response_format"] = {"type": "json_object"}
        return [] if output.schema is None else ["response_format"]
    told: dict[str, Any] = {"name": output.name or "answer", "schema": output.schema}
    if output.description is not None:
        told["description"] = output.description
    if output.strict is not None:
        told["strict"] = output.strict
    fields["response_format"] = {"type": "json_schema", "json_schema": told}
    return []


def _add(controls: Controls, reasoning: Reasoning) -> None:
    """Two spellings of the same wish: the first one stands, the second may say what it left open."""
    first = controls.reasoning
    if first is None:
        controls.reasoning = reasoning
    elif first.enabled and reasoning.enabled:
        first.effort = first.effort or reasoning.effort
        first.budget = reasoning.budget if first.budget is None else first.budget


def of_effort(word: str, field: str) -> Reasoning:
    """What an effort in one word stands for. Raises INVALID_REQUEST for a word that nobody knows."""
    if word in EFFORTS:
        return Reasoning(enabled=word != "none", effort=word)
    if word in _ON:
        return Reasoning()
    if word in _OFF:
        return Reasoning(enabled=False)
    raise wrong(field, f"one of {', '.join(EFFORTS)}")


def read_effort(value: Raw, controls: Controls) -> list[str]:
    """`reasoning_effort`."""
    try:
        word = _string.decode(value)
    except MALFORMED:
        raise wrong("reasoning_effort", "a string") from None
    if word:
        _add(controls, of_effort(word, "reasoning_effort"))
    return []


def read_think(value: Raw, controls: Controls) -> list[str]:
    """Ollama's `think`: a boolean or an effort."""
    try:
        wish = _text_or_flag.decode(value)
    except MALFORMED:
        raise wrong("think", "true, false or an effort") from None
    if isinstance(wish, bool):
        _add(controls, Reasoning(enabled=wish))
    elif wish:
        _add(controls, of_effort(wish, "think"))
    return []


def read_reasoning(value: Raw, controls: Controls) -> list[str]:
    """OpenRouter's `reasoning`: {effort, max_tokens, enabled, exclude}, with the Responses API's `summary`."""
    wish = _object(value, "reasoning")
    if wish is None:
        return []
    effort, budget = _take(wish, "reasoning", "effort", str), _take(wish, "reasoning", "max_tokens", int)
    enabled, exclude = _take(wish, "reasoning", "enabled", bool), _take(wish, "reasoning", "exclude", bool)
    summary = _take(wish, "reasoning", "summary", str)
    reasoning = of_effort(effort, "reasoning.effort") if effort else Reasoning()
    reasoning.budget = budget
    reasoning.summary = "omitted" if exclude else summary
    if enabled is False:
        reasoning = Reasoning(enabled=False)
    if effort or budget is not None or enabled is not None:
        _add(controls, reasoning)
    elif reasoning.summary is not None:
        return [*_left(wish, "reasoning"), "reasoning.summary"]
    return _left(wish, "reasoning")


def read_thinking(value: Raw, controls: Controls) -> list[str]:
    """The vendors' `thinking`: {type: enabled | disabled | adaptive | auto, budget_tokens}."""
    wish = _object(value, "thinking")
    if wish is None:
        return []
    kind, budget = _take(wish, "thinking", "type", str), _take(wish, "thinking", "budget_tokens", int)
    if kind not in (None, "enabled", "disabled", "adaptive", "auto"):
        raise wrong("thinking.type", "enabled, disabled or adaptive")
    enabled = kind != "disabled"
    _add(controls, Reasoning(enabled=enabled, budget=budget if enabled else None))
    return _left(wish, "thinking")


def _object(value: Raw, field: str) -> dict[str, Any] | None:
    try:
        read = _any.decode(value)
    except MALFORMED:
        read = 0
    if read is None or isinstance(read, dict):
        return read
    raise wrong(field, "an object")


def _left(wish: dict[str, Any], field: str) -> list[str]:
    """Names of what nobody has taken out."""
    return [f"{field}.{name}" for name, value in wish.items() if value is not None]


def _take(wish: dict[str, Any], field: str, name: str, kind: type) -> Any:
    """Take one value out of an object; null is none."""
    value = wish.pop(name, None)
    if kind is int and isinstance(value, float) and value.is_integer():
        value = int(value)
    if value is None or type(value) is kind:
        return value
    raise wrong(f"{field}.{name}", {str: "a string", int: "a whole number", bool: "true or false"}[kind])


# OpenAI's scale ends one step earlier.
_NEAREST = {"max": "xhigh"}


def word_of(reasoning: Reasoning) -> str:
    """The effort in one word, as the API takes it: medium where no measure was named."""
    effort = effort_of(reasoning) or "medium"
    return _NEAREST.get(effort, effort)


def write_reasoning(reasoning: Reasoning, fields: dict[str, Any]) -> list[str]:
    """Sets `reasoning_effort`. Chat completions have no word for how thoughts are to be shown."""
    fields["reasoning_effort"] = word_of(reasoning)
    return ["reasoning.summary"] if reasoning.summary not in (None, "auto") else []
