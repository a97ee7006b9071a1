"""Requests of Ollama's callers, read into the hub's vocabulary (api.md: chat, generate)."""

import base64
import binascii
from collections import deque
from collections.abc import Mapping
from typing import Any

import msgspec

from modelyard.canonical.chat import (
    ASSISTANT,
    IMAGE,
    MAX_PARTS,
    SYSTEM,
    USER,
    Block,
    ChatRequest,
    Media,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
)
from modelyard.core.errors import Kind, Problem
from modelyard.core.raw import Fields, Raw
from modelyard.dialects.media_types import told_type
from modelyard.dialects.ollama.parameters import read_controls
from modelyard.dialects.reading import (
    NULL,
    decoded_in,
    is_empty_list,
    is_null,
    is_object,
    note,
    schema_of,
    too_many,
    value_in,
    wrong,
)

NO_ARGUMENTS = Raw(b"{}")

_HEAD = 24  # characters of base64 that tell whether it is any

_DATA = "data:"


class _Function(msgspec.Struct):
    name: str
    arguments: Raw = NO_ARGUMENTS


class _Call(msgspec.Struct):
    function: _Function
    id: str | None = None


class _Message(msgspec.Struct):
    role: str
    content: str | None = None
    thinking: str | None = None
    images: list[str] | None = None
    tool_calls: list[_Call] | None = None
    tool_name: str | None = None
    tool_call_id: str | None = None
    name: str | None = None  # what early examples called `tool_name`


class _ToolFunction(msgspec.Struct):
    name: str
    description: str | None = None
    parameters: Raw = NULL
    strict: bool | None = None


class _Tool(msgspec.Struct):
    type: str | None = None
    function: _ToolFunction | None = None


_messages = msgspec.json.Decoder(list[_Message] | None)
_tools = msgspec.json.Decoder(list[_Tool] | None)
_images = msgspec.json.Decoder(list[str] | None)

_COMMON = frozenset({"model", "stream", "options", "format", "think"})
_CHAT = _COMMON | {"messages", "tools"}
_GENERATE = _COMMON | {"prompt", "images", "system"}

# What changes nothing where it stands.
_DEFAULTS: Mapping[str, tuple[bytes, ...]] = {
    "shift": (b"true",),
    "raw": (b"false",),
    "template": (b'""',),
    "context": (b"[]",),
    "width": (b"0",),
    "height": (b"0",),
    "steps": (b"0",),
    "_debug_render_only": (b"false",),
}


def read_chat(fields: Fields) -> ChatRequest:
    """A request of /api/chat. Raises Problem INVALID_REQUEST."""
    messages: list[_Message] = _field(_messages, fields, "messages") or []
    if not messages:
        raise _nothing_to_say("messages")
    controls, unread = read_controls(fields, _CHAT)
    unread = _lost(unread, fields)
    tools = _read_tools(fields, unread)
    conversation = _Conversation()
    for index, message in enumerate(messages):
        conversation.add(message, f"messages[{index}]")
    if conversation.parts + len(tools) > MAX_PARTS:
        raise too_many("messages")
    return ChatRequest(
        turns=conversation.turns,
        system=conversation.system,
        tools=tools,
        controls=controls,
        stream=reads_stream(fields),
        unread=unread,
    )


def read_generate(fields: Fields) -> ChatRequest:
    """A request of /api/generate: one user turn with the prompt. Raises Problem INVALID_REQUEST."""
    prompt, system = _text(fields, "prompt"), _text(fields, "system")
    images: list[str] = _field(_images, fields, "images") or []
    if not prompt and not images:
        raise _nothing_to_say("prompt")
    if len(images) > MAX_PARTS:
        raise too_many("images", "images")
    controls, unread = read_controls(fields, _GENERATE)
    blocks: list[Block] = [Text(text=prompt)] if prompt else []
    blocks += [_image(data, f"images[{index}]") for index, data in enumerate(images)]
    return ChatRequest(
        turns=[Turn(role=USER, blocks=blocks)],
        system=[Text(text=system)] if system else [],
        controls=controls,
        stream=reads_stream(fields),
        completion=True,
        unread=_lost(unread, fields),
    )


def reads_stream(fields: Fields) -> bool:
    """Ollama streams unless told not to. Raises Problem INVALID_REQUEST."""
    value = bytes(fields.get("stream", NULL))
    if value not in (b"true", b"false", b"null"):
        raise wrong("stream", "true or false")
    return value != b"false"


def _text(fields: Fields, name: str) -> str:
    value = fields.get(name)
    text = None if value is None else value_in(value, name)
    if text is not None and not isinstance(text, str):
        raise wrong(name, "a string")
    return text or ""


def _lost(unread: list[str], fields: Fields) -> list[str]:
    return [name for name in unread if name not in _DEFAULTS or bytes(fields[name]) not in _DEFAULTS[name]]


def _nothing_to_say(field: str) -> Problem:
    return Problem(
        Kind.INVALID_REQUEST,
        f"`{field}` is empty: that loads or unloads a model, which only an Ollama backend can do.",
        param=field,
    )


def _field(decoder: "msgspec.json.Decoder[Any]", fields: Fields, name: str) -> Any:
    """A field, decoded; None without it. What is wrong in it is told by its place."""
    value = fields.get(name)
    return None if value is None else decoded_in(decoder, value, name)


class _Conversation:
    """Messages as turns. Tool calls and results are paired by id, else by the tool's name, else by their order."""

    __slots__ = ("_calls", "_open", "_waiting", "parts", "system", "turns")

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self.system: list[Text] = []
        self.parts = 0
        self._calls = 0
        self._open: dict[str, str] = {}
        """Ids of calls that no result has answered yet, each with its tool's name."""
        self._waiting: dict[str | None, deque[str]] = {}
        """The same ids in their order by tool, under None those of all; some have been answered since."""

    def add(self, message: _Message, place: str) -> None:
        role = message.role.lower()
        self.parts += 1 + len(message.images or ()) + len(message.tool_calls or ())
        match role:
            case "system" | "developer":
                self._add_system(message, place)
            case "tool":
                self._add_result(message, place)
            case "user":
                self.turns.append(Turn(role=USER, blocks=_blocks(message, place)))
            case "assistant":
                self._add_answer(message, place)
            case _:
                raise wrong(f"{place}.role", "one of `system`, `user`, `assistant`, `tool`")

    def _add_system(self, message: _Message, place: str) -> None:
        if not self.turns and not message.images:
            self.system.append(Text(text=message.content or ""))
        else:
            self.turns.append(Turn(role=SYSTEM, blocks=_blocks(message, place)))

    def _add_answer(self, message: _Message, place: str) -> None:
        blocks: list[Block] = [Thinking(text=message.thinking)] if message.thinking else []
        if message.content or message.images or not (message.thinking or message.tool_calls):
            blocks += _blocks(message, place)
        for index, call in enumerate(message.tool_calls or ()):
            call_id = call.id or f"call_{self._calls}"
            self._calls += 1
            arguments = _arguments(call.function.arguments, f"{place}.tool_calls[{index}].function.arguments")
            blocks.append(ToolCall(id=call_id, name=call.function.name, arguments=arguments))
            self._open[call_id] = call.function.name
            for tool in (call.function.name, None):
                self._waiting.setdefault(tool, deque()).append(call_id)
        self.turns.append(Turn(role=ASSISTANT, blocks=blocks))

    def _add_result(self, message: _Message, place: str) -> None:
        name = message.tool_name or message.name
        call_id = message.tool_call_id or self._answered(name)
        known = self._open.pop(call_id, None)
        content: list[Text | Media] = [Text(text=message.content or "")]
        content += _pictures(message, place)
        result = ToolResult(call_id=call_id, content=content, name=name or known)
        last = self.turns[-1] if self.turns else None
        if last is not None and last.role == USER and isinstance(last.blocks[-1], ToolResult):
            last.blocks.append(result)
        else:
            self.turns.append(Turn(role=USER, blocks=[result]))

    def _answered(self, name: str | None) -> str:
        for tool in (name, None):
            waiting = self._waiting.get(tool)
            while waiting:
                call_id = waiting.popleft()
                if call_id in self._open and tool in (None, self._open[call_id]):
                    return call_id
        self._calls += 1
        return f"call_{self._calls - 1}"  # a result that nobody asked for


def _blocks(message: _Message, place: str) -> list[Block]:
    """Text and images of a message; never empty."""
    pictures: list[Block] = [*_pictures(message, place)]
    return [Text(text=message.content or ""), *pictures] if message.content or not pictures else pictures


def _pictures(message: _Message, place: str) -> list[Media]:
    return [_image(data, f"{place}.images[{index}]") for index, data in enumerate(message.images or ())]


def _arguments(value: Raw, place: str) -> str:
    """The text of the arguments. A string that holds it, as in OpenAI's dialect, is taken too."""
    data = bytes(value)
    if data[:1] == b'"':
        return str(value_in(value, place))
    if data == b"null":
        return ""
    if not is_object(value):
        raise wrong(place, "an object")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise wrong(place, "valid UTF-8") from None


def _image(data: str, place: str) -> Media:
    """One image in base64; a `data:` URL is taken too. Its type is told by its first bytes."""
    if data.startswith(_DATA):
        data = data.partition(",")[2]
    head = data[:_HEAD]
    try:
        first = base64.b64decode(head, validate=True)
    except (binascii.Error, ValueError):
        first = b""
    if not first:
        raise wrong(place, "an image in base64")
    return Media(kind=IMAGE, data=data, media_type=told_type(data))


def _read_tools(fields: Fields, unread: list[str]) -> list[Tool]:
    tools: list[_Tool] = _field(_tools, fields, "tools") or []
    read = []
    for index, tool in enumerate(tools):
        if tool.type not in (None, "", "function"):
            note(unread, f"tools.{tool.type}")
            continue
        if tool.function is None:
            raise wrong(f"tools[{index}].function", "an object with a name")
        function = tool.function
        schema = schema_of(function.parameters, f"tools[{index}].function.parameters")
        read.append(Tool(name=function.name, description=function.description, schema=schema, strict=function.strict))
    return read


def is_empty(value: Raw | None) -> bool:
    """True for a field that is absent, null, or an empty list or string, whatever white space is in it."""
    return value is None or is_null(value) or is_empty_list(value) or bytes(memoryview(value)[:3]) == b'""'
