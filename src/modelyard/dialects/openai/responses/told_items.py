"""Turns, written as `input` of a request to a server of the Responses API."""

from typing import Any

from modelyard.canonical.chat import (
    ASSISTANT,
    Block,
    Media,
    Redacted,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
)
from modelyard.canonical.snapshot import Accent
from modelyard.dialects.media_types import data_uri, file_name
from modelyard.dialects.openai.responses.items import OWN
from modelyard.dialects.reading import note


def write_input(turns: list[Turn], accent: Accent, losses: list[str]) -> tuple[list[dict[str, Any]], bool]:
    """The items, and whether there is reasoning among them that only the server can read."""
    items: list[dict[str, Any]] = []
    signed = False
    for turn in turns:
        if turn.name is not None:
            note(losses, "messages.name")
        if turn.role == ASSISTANT:
            signed = _assistant(turn.blocks, accent, items, losses) or signed
        else:
            _asked(turn, accent, items, losses)
    return items, signed


def _asked(turn: Turn, accent: Accent, items: list[dict[str, Any]], losses: list[str]) -> None:
    """A user's turn or one of the system's: the results of tools, then what else is said."""
    parts: list[dict[str, Any]] = []
    for block in turn.blocks:
        if isinstance(block, ToolResult):
            items.append(_result(block, losses))
        elif isinstance(block, (Text, Media)):
            part = _part(block, losses)
            if part is not None:
                parts.append(part)
    if not parts:
        return
    bare = len(parts) == 1 and parts[0]["type"] == "input_text"
    items.append(
        {
            "type": "message",
            "role": accent.roles.get(turn.role, turn.role),
            "content": parts[0]["text"] if bare else parts,
        }
    )


def _result(block: ToolResult, losses: list[str]) -> dict[str, Any]:
    if block.is_error:
        note(losses, "messages.is_error")
    if block.cache is not None:
        note(losses, "cache_control")
    parts = [part for part in (_part(inner, losses) for inner in block.content) if part is not None]
    output: Any = parts
    if len(parts) <= 1 and all(part["type"] == "input_text" for part in parts):
        output = parts[0]["text"] if parts else ""
    return {"type": "function_call_output", "call_id": block.call_id, "output": output}


def _part(block: Text | Media, losses: list[str]) -> dict[str, Any] | None:
    if block.cache is not None:
        note(losses, "cache_control")
    if isinstance(block, Text):
        return {"type": "input_text", "text": block.text}
    part = _media(block)
    if part is None:
        note(losses, f"messages.{block.kind}")
    elif block.detail is not None:
        part["detail"] = block.detail
    return part


def _media(media: Media) -> dict[str, Any] | None:
    match media.kind:
        case "image":
            return _image(media)
        case "document":
            return _document(media)
        case _:
            return None


def _image(media: Media) -> dict[str, Any] | None:
    address = media.url if media.data is None else data_uri(media)
    if address is not None:
        return {"type": "input_image", "image_url": address, "detail": "auto"}
    return None if media.file_id is None else {"type": "input_image", "file_id": media.file_id, "detail": "auto"}


def _document(media: Media) -> dict[str, Any] | None:
    if media.text is not None:
        return {"type": "input_text", "text": f"{media.name}\n\n{media.text}" if media.name else media.text}
    if media.data is not None:
        return {"type": "input_file", "filename": file_name(media), "file_data": data_uri(media)}
    if media.url is not None:
        return {"type": "input_file", "file_url": media.url}
    return None if media.file_id is None else {"type": "input_file", "file_id": media.file_id}


def _assistant(blocks: list[Block], accent: Accent, items: list[dict[str, Any]], losses: list[str]) -> bool:
    signed = False
    said: list[dict[str, Any]] | None = None  # the parts of the message that the next text belongs to
    for block in blocks:
        if isinstance(block, (Text, ToolCall)) and block.cache is not None:
            note(losses, "cache_control")
        if isinstance(block, (Text, Refusal)):
            if said is None:
                said = []
                # Some servers want the id of a message that was said, any id that is unique.
                items.append({"type": "message", "id": f"msg_{len(items)}", "role": ASSISTANT, "status": "completed"})
                items[-1]["content"] = said
            said.append(_said(block))
            continue
        said = None
        item = _item(block, accent, len(items))
        if item is not None:
            items.append(item)
            signed = signed or "encrypted_content" in item
        elif isinstance(block, (Thinking, Redacted)):
            note(losses, "messages.thinking")
        elif isinstance(block, Media):
            note(losses, f"messages.{block.kind}")
    return signed


def _said(block: Text | Refusal) -> dict[str, Any]:
    # A refusal in plain words: the model reads the same, and not every server takes a part of that type.
    return {"type": "output_text", "text": block.text, "annotations": []}


def _item(block: Block, accent: Accent, index: int) -> dict[str, Any] | None:
    """The item for a call or a thought, None when the server takes none."""
    match block:
        case ToolCall(id=call_id, name=name, arguments=arguments):
            return {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments or "{}"}
        case Thinking(text=text, signature=signature, origin=origin) if signature is not None and origin == OWN:
            # Without an id: the server would compare it with the one it gave.
            summary = [{"type": "summary_text", "text": text}] if text else []
            return {"type": "reasoning", "summary": summary, "encrypted_content": signature}
        case Thinking(text=text) if text and accent.reasoning:
            content = [{"type": "reasoning_text", "text": text}]
            return {"type": "reasoning", "id": f"rs_{index}", "summary": [], "content": content}
        case _:
            return None
