"""Requests for an Ollama target, written from the hub's vocabulary (api.md of Ollama: chat, generate)."""

import base64
import binascii
from collections.abc import Sequence
from typing import Any

from modelyard.canonical.chat import (
    ASSISTANT,
    DOCUMENT,
    IMAGE,
    NONE,
    ONE,
    REQUIRED,
    Block,
    ChatRequest,
    Media,
    Redacted,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
)
from modelyard.core.raw import Raw
from modelyard.dialects.dialect import Recipient, Written
from modelyard.dialects.ollama.parameters import Placed, place
from modelyard.dialects.ollama.words import object_of
from modelyard.dialects.reading import note
from modelyard.dialects.writing import encoded

NO_SCHEMA = Raw(b'{"type":"object","properties":{}}')


def write_chat(request: ChatRequest, recipient: Recipient) -> Written:
    """A request of /api/chat."""
    losses: list[str] = []
    body: dict[str, Any] = {
        "model": recipient.target.upstream_model,
        "messages": _messages(request, losses),
        "stream": request.stream,
    }
    tools = _tools(request, losses)
    if tools:
        body["tools"] = tools
    placed = place(request.controls)
    for name in placed.losses:
        note(losses, name)
    return _written(body, placed, losses)


def write_generate(request: ChatRequest, recipient: Recipient) -> Written:
    """A request of /api/generate: for a bare prompt, with what comes after the gap when that is asked for."""
    losses: list[str] = []
    messages = _messages(request, losses)
    told = [message for message in messages if message["role"] != "system"]
    body: dict[str, Any] = {
        "model": recipient.target.upstream_model,
        "prompt": "\n\n".join(message["content"] for message in told),
        "stream": request.stream,
    }
    system = "\n".join(message["content"] for message in messages if message["role"] == "system")
    if system:
        body["system"] = system
    images = [image for message in messages for image in message.get("images", ())]
    if images:
        body["images"] = images
    if request.tools:
        note(losses, "tools")
    placed = place(request.controls)
    for name in placed.losses:
        if name == "suffix":
            body["suffix"] = request.controls.params["suffix"]
        else:
            note(losses, name)
    return _written(body, placed, losses)


def _written(body: dict[str, Any], placed: Placed, losses: list[str]) -> Written:
    body.update(placed.root)
    if placed.options:
        body["options"] = placed.options
    return Written(encoded(body), losses)


def _messages(request: ChatRequest, losses: list[str]) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    if request.system:
        if any(text.cache for text in request.system):
            note(losses, "cache_control")
        messages.append({"role": "system", "content": "\n".join([text.text for text in request.system])})
    names: dict[str, str] = {}
    for turn in request.turns:
        _add_turn(messages, turn, names, losses)
    return messages


def _add_turn(messages: list[dict[str, Any]], turn: Turn, names: dict[str, str], losses: list[str]) -> None:
    """One turn as messages: each tool result one of its own, before the rest. `names` are the tools of earlier calls."""
    if turn.name is not None:
        note(losses, "messages.name")
    blocks = turn.blocks
    if len(blocks) == 1 and isinstance(blocks[0], Text):
        if blocks[0].cache is not None:
            note(losses, "cache_control")
        messages.append({"role": turn.role, "content": blocks[0].text})
        return
    results = [block for block in blocks if isinstance(block, ToolResult)]
    messages += [_result(result, names, losses) for result in results]
    if results and len(results) == len(blocks):
        return
    message: dict[str, Any] = {"role": turn.role, "content": ""}
    _fill(message, blocks, losses)
    calls = [block for block in blocks if isinstance(block, ToolCall)]
    if calls:
        names.update((call.id, call.name) for call in calls)
        message["tool_calls"] = [_call(index, call, losses) for index, call in enumerate(calls)]
    if turn.role == ASSISTANT:
        thoughts = [block.text for block in blocks if isinstance(block, Thinking) and block.text]
        if thoughts:
            message["thinking"] = "\n".join(thoughts)
    messages.append(message)


def _fill(message: dict[str, Any], blocks: Sequence[Block], losses: list[str]) -> None:
    """Content and images of a message. Several texts are put together without anything between, and trimmed."""
    texts: list[str] = []
    images: list[str] = []
    for block in blocks:
        match block:
            case Text(text=text) | Refusal(text=text):
                texts.append(text)
            case Media():
                _add_media(block, texts, images, losses)
            case Redacted() | Thinking(text=""):
                note(losses, "messages.thinking")
                continue
            case _:
                continue
        if not isinstance(block, Refusal) and block.cache is not None:
            note(losses, "cache_control")
    message["content"] = texts[0] if len(texts) == 1 and len(blocks) == 1 else "".join(texts).strip()
    if images:
        message["images"] = images


def _add_media(media: Media, texts: list[str], images: list[str], losses: list[str]) -> None:
    if media.kind == IMAGE:
        if media.data is None:
            note(losses, "messages.image")
            return
        images.append(media.data)
        if media.detail not in (None, "auto"):
            note(losses, "messages.image.detail")
        return
    text = _plain(media) if media.kind == DOCUMENT else None
    if text is None:
        note(losses, f"messages.{media.kind}")
    else:
        texts.append(text)


def _plain(document: Media) -> str | None:
    """The text of a document that is text, None for any other."""
    if document.text is not None or document.data is None or not (document.media_type or "").startswith("text/"):
        return document.text
    try:
        return base64.b64decode(document.data).decode()
    except (binascii.Error, ValueError):
        return None


def _result(result: ToolResult, names: dict[str, str], losses: list[str]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "tool", "content": ""}
    _fill(message, result.content, losses)
    name = result.name or names.get(result.call_id)
    if name:
        message["tool_name"] = name
    if result.call_id:
        message["tool_call_id"] = result.call_id
    if result.is_error:
        note(losses, "messages.is_error")
    if result.cache is not None:
        note(losses, "cache_control")
    return message


def _call(index: int, call: ToolCall, losses: list[str]) -> dict[str, Any]:
    if call.cache is not None:
        note(losses, "cache_control")
    function = {"index": index, "name": call.name, "arguments": object_of(call.arguments)}
    return {"id": call.id, "function": function} if call.id else {"function": function}


def _tools(request: ChatRequest, losses: list[str]) -> list[dict[str, Any]]:
    choice = request.tool_choice
    if not request.tools or (choice is not None and choice.mode == NONE):
        return []
    if choice is not None and choice.mode in (REQUIRED, ONE):
        note(losses, "tool_choice")
    if request.parallel_tools is False:
        note(losses, "parallel_tool_calls")
    return [_tool(tool, losses) for tool in request.tools]


def _tool(tool: Tool, losses: list[str]) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    function["parameters"] = NO_SCHEMA if tool.schema is None else tool.schema
    if tool.strict:
        note(losses, "tools.strict")
    if tool.cache is not None:
        note(losses, "cache_control")
    return {"type": "function", "function": function}
