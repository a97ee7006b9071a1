"""Tools of a chat completions request, read and written (API reference, "Create chat completion", `tools`)."""

from typing import Any

import msgspec

from modelyard.canonical.chat import AUTO, NONE, ONE, REQUIRED, ChatRequest, Tool, ToolChoice
from modelyard.core import raw
from modelyard.core.raw import Fields
from modelyard.dialects.openai.decoding import decode_list
from modelyard.dialects.reading import MALFORMED, NULL, CacheMarker, cache_of, note, schema_of, wrong

Raw = msgspec.Raw


class _Function(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    description: str | None = None
    parameters: Raw = NULL
    strict: bool | None = None


class _Tool(msgspec.Struct, forbid_unknown_fields=True):
    type: str = "function"
    function: _Function | None = None
    custom: Raw = NULL
    cache_control: CacheMarker | None = None


class _Kind(msgspec.Struct):
    type: str = "function"


class _Named(msgspec.Struct):
    name: str


class _Choice(msgspec.Struct):
    type: str = "function"
    function: _Named | None = None
    allowed_tools: Raw = NULL


class _Allowed(msgspec.Struct):
    mode: str = "auto"


_tools = msgspec.json.Decoder(list[_Tool] | None)
_kinds = msgspec.json.Decoder(list[_Kind])
_functions = msgspec.json.Decoder(list[_Function] | None)
_choice = msgspec.json.Decoder(str | _Choice | None)
_old_choice = msgspec.json.Decoder(str | _Named | None)
_allowed = msgspec.json.Decoder(_Allowed)
_flag = msgspec.json.Decoder(bool | None)

# Mistral says "any".
_MODES = {"auto": AUTO, "none": NONE, "required": REQUIRED, "any": REQUIRED}


def read_tools(fields: Fields, unread: list[str]) -> list[Tool]:
    """`tools`, and `functions` as they were called first. Raises INVALID_REQUEST."""
    tools: list[Tool] = []
    value = fields.get("tools")
    if value is not None:
        for index, tool in enumerate(_decode_tools(value, unread)):
            if tool.type != "function":
                note(unread, f"tools.{tool.type}")
                continue
            if tool.function is None:
                raise wrong(f"tools[{index}].function", "an object with the function's name")
            tools.append(_tool(tool.function, f"tools[{index}].function", cache_of(tool.cache_control, unread)))
    value = fields.get("functions")
    if value is not None:
        old = decode_list(_functions, value, "functions", {"": _Function}, unread) or []
        tools += [_tool(function, f"functions[{index}]", None) for index, function in enumerate(old)]
    return tools


def _decode_tools(value: Raw, unread: list[str]) -> list[_Tool]:
    try:
        return _tools.decode(value) or []
    except MALFORMED:
        pass
    try:
        kinds = [tool.type for tool in _kinds.decode(value)]
    except MALFORMED:
        kinds = []
    if any(kind != "function" for kind in kinds):
        # Tools of the backend's own have fields of their own: only the functions are read.
        items = [
            item if kind == "function" else raw.raw_of({"type": kind})
            for kind, item in zip(kinds, raw.split_list(value), strict=True)
        ]
        value = raw.join_list(items)
    return decode_list(_tools, value, "tools", {"": _Tool, "function": _Function}, unread) or []


def _tool(function: _Function, param: str, cache: str | None) -> Tool:
    if not function.name:
        raise wrong(f"{param}.name", "the function's name")
    return Tool(
        name=function.name,
        description=function.description,
        schema=schema_of(function.parameters, f"{param}.parameters"),
        strict=function.strict,
        cache=cache,
    )


def read_choice(fields: Fields, unread: list[str]) -> ToolChoice | None:
    """`tool_choice`, or the older `function_call`. Raises INVALID_REQUEST."""
    value = fields.get("tool_choice")
    if value is not None:
        try:
            choice = _choice.decode(value)
        except MALFORMED:
            raise wrong("tool_choice", 'a string or an object with a "type"') from None
        if choice is not None:
            return _mode(choice, "tool_choice") if isinstance(choice, str) else _chosen(choice, unread)
    value = fields.get("function_call")
    if value is None:
        return None
    try:
        old = _old_choice.decode(value)
    except MALFORMED:
        raise wrong("function_call", "a string or an object with a name") from None
    if isinstance(old, str):
        return _mode(old, "function_call")
    return None if old is None else ToolChoice(mode=ONE, name=old.name)


def _mode(word: str, param: str) -> ToolChoice:
    if word not in _MODES:
        raise wrong(param, "auto, none, required or an object that names a function")
    return ToolChoice(mode=_MODES[word])


def _chosen(choice: _Choice, unread: list[str]) -> ToolChoice | None:
    if choice.type == "function":
        if choice.function is None:
            raise wrong("tool_choice.function", "an object with the function's name")
        return ToolChoice(mode=ONE, name=choice.function.name)
    if choice.type in _MODES:
        return ToolChoice(mode=_MODES[choice.type])
    note(unread, "tool_choice")
    if choice.type != "allowed_tools":
        return None
    try:
        return _mode(_allowed.decode(choice.allowed_tools).mode, "tool_choice.allowed_tools.mode")
    except MALFORMED:
        raise wrong("tool_choice.allowed_tools", "an object with a mode and tools") from None


def read_parallel(fields: Fields) -> bool | None:
    """`parallel_tool_calls`."""
    value = fields.get("parallel_tool_calls")
    try:
        return None if value is None else _flag.decode(value)
    except MALFORMED:
        raise wrong("parallel_tool_calls", "true or false") from None


def write_tools(request: ChatRequest, fields: dict[str, Any], losses: list[str]) -> None:
    """Sets `tools`, `tool_choice` and `parallel_tool_calls`."""
    if not request.tools:
        # The API takes no choice where there is nothing to choose from; only a demand for a call is lost with it.
        if request.tool_choice is not None and request.tool_choice.mode in (REQUIRED, ONE):
            note(losses, "tool_choice")
        return
    fields["tools"] = [_written(tool, losses) for tool in request.tools]
    choice = request.tool_choice
    if choice is not None:
        named = {"type": "function", "function": {"name": choice.name}}
        fields["tool_choice"] = named if choice.mode == ONE else choice.mode
    if request.parallel_tools is False:
        fields["parallel_tool_calls"] = False


def _written(tool: Tool, losses: list[str]) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.schema is not None:
        function["parameters"] = tool.schema
    if tool.strict is not None:
        function["strict"] = tool.strict
    if tool.cache is not None:
        note(losses, "cache_control")
    return {"type": "function", "function": function}
