"""Requests of the Responses API, read into the hub's vocabulary and written from it.

API reference, "Create a model response".
"""

from typing import Any

import msgspec

from modelyard.canonical.chat import MAX_PARTS, ChatRequest, Controls, OutputFormat, Text
from modelyard.canonical.snapshot import Accent
from modelyard.core import raw
from modelyard.core.errors import Kind, Problem
from modelyard.core.raw import Fields
from modelyard.dialects.accents import in_accent
from modelyard.dialects.dialect import Head, Recipient, Written
from modelyard.dialects.openai.parameters import DEFAULTS, read_controls, read_parameter
from modelyard.dialects.openai.responses.asked_items import Asked
from modelyard.dialects.openai.responses.told_items import write_input
from modelyard.dialects.openai.responses.tools import read_tools, write_tools
from modelyard.dialects.openai.steering import word_of
from modelyard.dialects.reading import MALFORMED, NULL, is_null, note, schema_of, too_many, wrong

Raw = msgspec.Raw

LOGPROBS = "message.output_text.logprobs"
ENCRYPTED = "reasoning.encrypted_content"

# Read here. `store` and `previous_response_id` are the gateway's business: it keeps answers itself.
_KNOWN = frozenset(
    {
        "model", "input", "instructions", "stream", "stream_options", "tools", "tool_choice", "parallel_tool_calls",
        "max_output_tokens", "text", "include", "truncation", "background", "conversation", "previous_response_id",
        "store",
    }
)  # fmt: skip

_string = msgspec.json.Decoder(str | None)
_flag = msgspec.json.Decoder(bool | None)
_strings = msgspec.json.Decoder(list[str] | None)


class _Format(msgspec.Struct):
    type: str
    name: str | None = None
    description: str | None = None
    schema: Raw = NULL
    strict: bool | None = None


class _TextWish(msgspec.Struct):
    format: _Format | None = None
    verbosity: str | None = None


_text = msgspec.json.Decoder(_TextWish | None)


def _read(decoder: msgspec.json.Decoder[Any], fields: Fields, name: str, expected: str) -> Any:
    value = fields.get(name)
    if value is None:
        return None
    try:
        return decoder.decode(value)
    except MALFORMED:
        raise wrong(name, expected) from None


def _is_given(fields: Fields, name: str) -> bool:
    value = fields.get(name)
    return value is not None and bytes(value) != b"null"


def read_head(fields: Fields) -> Head:
    """Read model, stream and the output bound, and check `input`. Raises INVALID_REQUEST."""
    value = fields.get("input")
    if value is None or is_null(value):
        if not any(_is_given(fields, name) for name in ("previous_response_id", "prompt", "conversation")):
            raise Problem(
                Kind.INVALID_REQUEST, "`input` is missing: it must be a string or an array of items.", param="input"
            )
    elif bytes(memoryview(value)[:1]) not in b'"[':
        raise wrong("input", "a string or an array of items")
    if _read(_flag, fields, "background", "true or false"):
        raise Problem(
            Kind.INVALID_REQUEST,
            "`background` is not supported: leave it out, and set `stream` for an answer that takes long.",
            param="background",
        )
    return Head(
        model=_read(_string, fields, "model", "a string") or None,
        stream=bool(_read(_flag, fields, "stream", "true or false")),
        output_bound=_output_bound(fields),
    )


def _output_bound(fields: Fields) -> int | None:
    value = fields.get("max_output_tokens")
    bound = None if value is None else read_parameter("max_tokens", value, "max_output_tokens")
    return bound if bound is not None and bound >= 0 else None  # below 0: how some servers spell "no bound"


def read_request(fields: Fields) -> ChatRequest:
    """Raises INVALID_REQUEST with the place of what is wrong."""
    for name, advice in _REFUSED.items():
        if _is_given(fields, name):
            raise Problem(Kind.INVALID_REQUEST, f"`{name}` {advice}", param=name)
    head = read_head(fields)
    controls, unread = read_controls(fields, _KNOWN)
    if head.output_bound is not None:
        controls.params["max_tokens"] = head.output_bound
    _read_text(fields, controls, unread)
    _read_include(fields, controls, unread)
    _read_truncation(fields, controls)
    value = fields.get("input")
    if value is None or bytes(memoryview(value)[:1]) not in b'"[':
        raise wrong("input", "a string or an array of items")
    asked = Asked(unread)
    asked.read(value)
    instructions = _read(_string, fields, "instructions", "a string")
    if instructions:
        asked.system.insert(0, Text(text=instructions))
    tools, choice = read_tools(fields, unread)
    if len(tools) + len(asked.turns) > MAX_PARTS:
        raise too_many("input")
    return ChatRequest(
        turns=asked.turns,
        system=asked.system,
        tools=tools,
        tool_choice=choice,
        parallel_tools=_read(_flag, fields, "parallel_tool_calls", "true or false"),
        controls=controls,
        stream=head.stream,
        unread=unread,
    )


_REFUSED = {
    "conversation": "is not kept here: send the conversation's items in `input`, or a `previous_response_id`.",
    "previous_response_id": "names no response that is kept here: send the whole conversation in `input`.",
}


def _read_text(fields: Fields, controls: Controls, unread: list[str]) -> None:
    wish = _read(_text, fields, "text", 'an object with a "format", which has a "type"')
    if wish is None:
        return
    if wish.verbosity is not None:
        controls.params["verbosity"] = wish.verbosity
    match wish.format:
        case None | _Format(type="text"):
            pass
        case _Format(type="json_object"):
            controls.output = OutputFormat()
        case _Format(type="json_schema") as told:
            schema = schema_of(told.schema, "text.format.schema")
            if schema is None:
                raise wrong("text.format.schema", "a JSON schema (an object)")
            controls.output = OutputFormat(
                schema=schema, name=told.name, description=told.description, strict=told.strict
            )
        case _:
            note(unread, "response_format")


def _read_include(fields: Fields, controls: Controls, unread: list[str]) -> None:
    for wish in _read(_strings, fields, "include", "an array of strings") or []:
        if wish == LOGPROBS:
            controls.params["logprobs"] = True
        elif wish != ENCRYPTED:  # that is in every answer
            note(unread, "include")
    if controls.params.get("top_logprobs"):
        controls.params["logprobs"] = True


def _read_truncation(fields: Fields, controls: Controls) -> None:
    match _read(_string, fields, "truncation", "auto or disabled"):
        case None | "disabled":
            pass  # the API's default
        case "auto":
            controls.params["truncate"] = True
        case _:
            raise wrong("truncation", "auto or disabled")


# The hub's name of a parameter, and the API's.
PARAMETERS_HERE = {
    "temperature": "temperature",
    "top_p": "top_p",
    "max_tokens": "max_output_tokens",
    "top_logprobs": "top_logprobs",
    "user": "user",
    "service_tier": "service_tier",
    "metadata": "metadata",
    "prompt_cache_key": "prompt_cache_key",
}

_SWITCHES = {"truncate": ("truncation", "auto"), "logprobs": ("include", (LOGPROBS,))}


def write_request(request: ChatRequest, recipient: Recipient) -> Written:
    """The request for a target that serves the Responses API."""
    target = recipient.target
    accent = target.accent
    losses: list[str] = []
    fields: dict[str, Any] = {"model": target.upstream_model}
    if request.system:
        fields["instructions"] = "\n\n".join([text.text for text in request.system])
        if any(text.cache for text in request.system):
            note(losses, "cache_control")
    fields["input"], signed = write_input(request.turns, accent, losses)
    write_tools(request, fields, losses)
    write_steering(request.controls, accent, fields, losses)
    if (signed or "reasoning" in fields) and fields.get("reasoning", {}).get("effort") != "none":
        fields["include"] = [*fields.get("include", ()), ENCRYPTED]
    fields["store"] = request.controls.params.get("store") is True
    if request.stream:
        fields["stream"] = True
    for name, value in request.controls.extras.items():
        fields.setdefault(name, value)
    if accent.refuses or accent.renames:
        fields = in_accent(fields, accent, losses)
    return Written(raw.encode(fields), losses)


def write_steering(controls: Controls, accent: Accent, fields: dict[str, Any], losses: list[str]) -> None:
    """Sets the parameters, `text`, `reasoning` and `include`."""
    text: dict[str, Any] = {}
    for name, value in controls.params.items():
        if name in PARAMETERS_HERE:
            # Anthropic's word for the usual tier is its own.
            fields[PARAMETERS_HERE[name]] = "default" if value == "standard_only" and name == "service_tier" else value
        elif name == "verbosity":
            text["verbosity"] = value
        elif name in _SWITCHES:
            if value:
                field, word = _SWITCHES[name]
                fields[field] = word
        elif name != "store" and not (name in DEFAULTS and value == DEFAULTS[name]):
            losses.append(name)
    if controls.output is not None:
        text["format"] = write_format(controls.output, accent, losses)
    if text:
        fields["text"] = text
    if controls.reasoning is not None:
        fields["reasoning"] = {"effort": word_of(controls.reasoning)}
        if controls.reasoning.summary in ("auto", "concise", "detailed"):
            fields["reasoning"]["summary"] = controls.reasoning.summary


def write_format(output: OutputFormat, accent: Accent, losses: list[str]) -> dict[str, Any]:
    """`text.format`."""
    if output.schema is None or not accent.json_schema:
        if output.schema is not None:
            note(losses, "response_format")
        return {"type": "json_object"}
    told: dict[str, Any] = {"type": "json_schema", "name": output.name or "answer", "schema": output.schema}
    if output.description is not None:
        told["description"] = output.description
    if output.strict is not None:
        told["strict"] = output.strict
    return told
