"""Tools and the choice between them, read and written (API reference, "Create a Message", `tools` and `tool_choice`)."""

import re
from typing import Any

import msgspec

from modelyard.canonical.chat import AUTO, MAX_PARTS, NONE, ONE, REQUIRED, ChatRequest, Tool, ToolChoice
from modelyard.core import raw
from modelyard.core.errors import Kind, Problem
from modelyard.core.raw import Fields
from modelyard.dialects.anthropic.schemas import NO_ARGUMENTS, of_arguments
from modelyard.dialects.reading import MALFORMED, NULL, CacheMarker, cache_of, note, schema_of, too_many, wrong

Raw = msgspec.Raw

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_DATE = re.compile(r"_\d{8}$")


class _Tool(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    type: str | None = None
    description: str | None = None
    input_schema: Raw = NULL
    cache_control: CacheMarker | None = None
    strict: bool | None = None


class _Kind(msgspec.Struct):
    type: str | None = None


class _Choice(msgspec.Struct):
    type: str
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


_tools = msgspec.json.Decoder(list[_Tool] | None)
_tool = msgspec.json.Decoder(_Tool)
_kind = msgspec.json.Decoder(_Kind)
_choice = msgspec.json.Decoder(_Choice | None)

_OWN = (None, "custom")
_MODES = {"auto": AUTO, "any": REQUIRED, "none": NONE, "tool": ONE}
_WORDS = {AUTO: "auto", REQUIRED: "any", NONE: "none"}
# Values of further fields that say what holds anyway.
_NEUTRAL = (b"null", b"false", b"[]", b'["direct"]')


def read_tools(fields: Fields, unread: list[str]) -> list[Tool]:
    """`tools`. Those of the server's own cannot be carried: they are named by their type, without its date.

    Raises INVALID_REQUEST.
    """
    value = fields.get("tools")
    if value is None:
        return []
    try:
        told = _tools.decode(value) or []
    except MALFORMED:
        told = _one_by_one(value, unread)
    tools = []
    for index, tool in enumerate(told):
        if tool is None:
            continue
        if tool.type not in _OWN:
            note(unread, _served(tool.type))
            continue
        tools.append(_read(tool, f"tools[{index}]", unread))
    return tools


def _served(kind: str | None) -> str:
    return f"tools.{_DATE.sub('', kind or '')}"


def _one_by_one(value: Raw, unread: list[str]) -> list[_Tool | None]:
    """Tools with fields that we do not know, without those; None for a tool of the server's own."""
    tools: list[_Tool | None] = []
    try:
        items = raw.split_list(value)
    except raw.NotJson:
        raise wrong("tools", "an array of tools") from None
    if len(items) > MAX_PARTS:
        raise too_many("tools")
    for index, item in enumerate(items):
        try:
            kind = _kind.decode(item).type
            if kind not in _OWN:
                note(unread, _served(kind))
                tools.append(None)
                continue
            fields = raw.split(bytes(item))
            for name in [name for name in fields if name not in _Tool.__struct_fields__]:
                if bytes(fields.pop(name)) not in _NEUTRAL:
                    note(unread, f"tools.{name}")
            tools.append(_tool.decode(raw.join(fields)))
        except (raw.NotJson, *MALFORMED) as error:
            param = f"tools[{index}]"
            raise Problem(Kind.INVALID_REQUEST, f"`{param}` is not as it must be: {error}.", param=param) from None
    return tools


def _read(tool: _Tool, param: str, unread: list[str]) -> Tool:
    if not tool.name:
        raise wrong(f"{param}.name", "the tool's name")
    return Tool(
        name=tool.name,
        description=tool.description,
        schema=schema_of(tool.input_schema, f"{param}.input_schema"),
        strict=tool.strict,
        cache=cache_of(tool.cache_control, unread),
    )


def read_choice(fields: Fields, tools: list[Tool], unread: list[str]) -> tuple[ToolChoice | None, bool | None]:
    """(`tool_choice`, whether several calls at once are fine). Raises INVALID_REQUEST."""
    value = fields.get("tool_choice")
    if value is None:
        return None, None
    try:
        choice = _choice.decode(value)
    except MALFORMED:
        raise wrong("tool_choice", 'an object with a "type"') from None
    if choice is None:
        return None, None
    parallel = None if choice.disable_parallel_tool_use is None else not choice.disable_parallel_tool_use
    mode = _MODES.get(choice.type)
    if mode is None:
        raise wrong("tool_choice.type", "auto, any, tool or none")
    if mode != ONE:
        return ToolChoice(mode=mode), parallel
    if not choice.name:
        raise wrong("tool_choice.name", "the name of a tool")
    if all(tool.name != choice.name for tool in tools) and any(name.startswith("tools.") for name in unread):
        note(unread, "tool_choice")  # the tool was one of the server's own
        return None, parallel
    return ToolChoice(mode=ONE, name=choice.name), parallel


# Writing


def marker(cache: str) -> dict[str, str]:
    """`cache_control` of a block that is kept for so long."""
    return {"type": "ephemeral"} if cache == "5m" else {"type": "ephemeral", "ttl": cache}


def legal_name(name: str, param: str) -> str:
    """A tool's name as the API takes it. An answer names the tool, so another one cannot stand for it."""
    if _NAME.fullmatch(name):
        return name
    raise wrong(
        param, "1 to 128 letters, digits, underscores and hyphens, because this model's API takes no other name"
    )


def write_tools(request: ChatRequest, called: set[str], fields: dict[str, Any], losses: list[str]) -> None:
    """Sets `tools` and `tool_choice`. `called` are the tools that the conversation has calls of.

    Raises INVALID_REQUEST for a name that the API refuses.
    """
    choice = request.tool_choice
    if not request.tools:
        if choice is not None and choice.mode in (REQUIRED, ONE):
            note(losses, "tool_choice")
        if called:
            # Calls in the conversation want their tools declared; nobody asks for another call of them.
            fields["tools"] = [{"name": name, "input_schema": NO_ARGUMENTS} for name in sorted(called)]
            fields["tool_choice"] = {"type": "none"}
        return
    fields["tools"] = [_written(tool, f"tools[{index}].name") for index, tool in enumerate(request.tools)]
    told: dict[str, Any] = {}
    if choice is not None:
        told = {"type": "tool", "name": choice.name} if choice.mode == ONE else {"type": _WORDS[choice.mode]}
    if request.parallel_tools is False and told.get("type") != "none":
        told.setdefault("type", "auto")
        told["disable_parallel_tool_use"] = True
    if told:
        fields["tool_choice"] = told


def _written(tool: Tool, param: str) -> dict[str, Any]:
    fields: dict[str, Any] = {"name": legal_name(tool.name, param)}
    if tool.description:
        fields["description"] = tool.description
    fields["input_schema"] = of_arguments(tool.schema)
    if tool.strict:
        fields["strict"] = True
    if tool.cache is not None:
        fields["cache_control"] = marker(tool.cache)
    return fields
