"""Tools of a request, read and written (API reference, "Create a model response", `tools` and `tool_choice`)."""

from typing import Any

import msgspec

from modelyard.canonical.chat import AUTO, MAX_PARTS, NONE, ONE, REQUIRED, ChatRequest, Tool, ToolChoice
from modelyard.core.raw import Fields
from modelyard.dialects.openai.responses.items import decode_each
from modelyard.dialects.reading import MALFORMED, NULL, note, schema_of, too_many, wrong

Raw = msgspec.Raw


class _Tool(msgspec.Struct):
    type: str | None = None
    name: str | None = None
    description: str | None = None
    parameters: Raw = NULL
    strict: bool | None = None
    defer_loading: Raw = NULL
    allowed_callers: Raw = NULL
    output_schema: Raw = NULL


class _Choice(msgspec.Struct):
    type: str = ""
    name: str | None = None
    mode: str | None = None
    tools: Raw = NULL


_tools = msgspec.json.Decoder(list[_Tool] | None)
_choice = msgspec.json.Decoder(str | _Choice | None)
_allowed = msgspec.json.Decoder(list[_Tool])

_FUNCTION: frozenset[str | None] = frozenset({"function"})
_MODES = {"auto": AUTO, "none": NONE, "required": REQUIRED}
_UNCARRIED = ("defer_loading", "allowed_callers", "output_schema")
_NOTHING = (b"null", b"false", b'["direct"]')
NO_ARGUMENTS = Raw(b'{"type":"object","properties":{}}')


def read_tools(fields: Fields, unread: list[str]) -> tuple[list[Tool], ToolChoice | None]:
    """`tools` and `tool_choice`. Raises INVALID_REQUEST."""
    tools: list[Tool] = []
    value = fields.get("tools")
    if value is not None:
        try:
            found = _tools.decode(value) or []
        except MALFORMED:
            found = decode_each(_Tool, _FUNCTION, value, "tools")
        if len(found) > MAX_PARTS:
            raise too_many("tools")
        tools = [
            _tool(tool, f"tools[{index}]", unread) for index, tool in enumerate(found) if _is_function(tool, unread)
        ]
    value = fields.get("tool_choice")
    if value is None:
        return tools, None
    try:
        choice = _choice.decode(value)
    except MALFORMED:
        raise wrong("tool_choice", "auto, none, required or an object that names a tool") from None
    return _chosen(tools, choice, unread)


def _is_function(tool: _Tool, unread: list[str]) -> bool:
    if tool.type == "function":
        return True
    note(unread, f"tools.{(tool.type or 'unknown')[:64]}")
    return False


def _tool(tool: _Tool, place: str, unread: list[str]) -> Tool:
    if not tool.name:
        raise wrong(f"{place}.name", "the function's name")
    for name in _UNCARRIED:
        told = getattr(tool, name)
        if len(told) > len(b"null") and bytes(told) not in _NOTHING:
            note(unread, f"tools.{name}")
    return Tool(
        name=tool.name,
        description=tool.description,
        schema=schema_of(tool.parameters, f"{place}.parameters"),
        strict=tool.strict,
    )


def _chosen(tools: list[Tool], choice: str | _Choice | None, unread: list[str]) -> tuple[list[Tool], ToolChoice | None]:
    if isinstance(choice, str):
        if choice not in _MODES:
            raise wrong("tool_choice", "auto, none, required or an object that names a tool")
        wish = ToolChoice(mode=_MODES[choice])
    elif choice is None:
        return tools, None
    elif choice.type == "function":
        if not choice.name:
            raise wrong("tool_choice.name", "the function's name")
        wish = ToolChoice(mode=ONE, name=choice.name)
    elif choice.type == "allowed_tools":
        if choice.mode not in _MODES:
            raise wrong("tool_choice.mode", "auto or required")
        wish = ToolChoice(mode=_MODES[choice.mode])
        tools = _only(tools, choice.tools)
    else:
        note(unread, "tool_choice")  # a tool that the server would run itself
        return tools, None
    if not tools and wish.mode in (REQUIRED, ONE):
        note(unread, "tool_choice")  # what it asked for is not there
        return tools, None
    return tools, wish


def _only(tools: list[Tool], value: Raw) -> list[Tool]:
    """The tools that the model may choose from."""
    try:
        names = {tool.name for tool in _allowed.decode(value)}
    except MALFORMED:
        raise wrong("tool_choice.tools", "an array of objects that name tools") from None
    return [tool for tool in tools if tool.name in names]


def write_tools(request: ChatRequest, fields: dict[str, Any], losses: list[str]) -> None:
    """Sets `tools`, `tool_choice` and `parallel_tool_calls`."""
    choice = request.tool_choice
    if not request.tools:
        # The API takes no choice where there is nothing to choose from; only a demand for a call is lost with it.
        if choice is not None and choice.mode in (REQUIRED, ONE):
            note(losses, "tool_choice")
        return
    fields["tools"] = [_written(tool, losses) for tool in request.tools]
    if choice is not None:
        fields["tool_choice"] = {"type": "function", "name": choice.name} if choice.mode == ONE else choice.mode
    if request.parallel_tools is False:
        fields["parallel_tool_calls"] = False


def _written(tool: Tool, losses: list[str]) -> dict[str, Any]:
    written: dict[str, Any] = {"type": "function", "name": tool.name}
    if tool.description is not None:
        written["description"] = tool.description
    written["parameters"] = tool.schema if tool.schema is not None else NO_ARGUMENTS
    written["strict"] = bool(tool.strict)  # left out it would mean true here, other than in the other APIs
    if tool.cache is not None:
        note(losses, "cache_control")
    return written
