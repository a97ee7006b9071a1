"""The turns of the hub as messages of a request (API reference, "Create a Message", `messages`).

The API wants: roles that alternate, beginning with the user; results of tools first in their message; no text that is
empty; no white space at the end of an answer that the model is to go on with.
"""

import base64
import binascii
import re
import zlib
from typing import Any

from modelyard.canonical.chat import (
    ASSISTANT,
    AUDIO,
    DOCUMENT,
    IMAGE,
    SYSTEM,
    USER,
    Block,
    ChatRequest,
    Media,
    Redacted,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
)
from modelyard.core import raw
from modelyard.core.errors import Kind, Problem
from modelyard.dialects.anthropic.tools import legal_name, marker
from modelyard.dialects.anthropic.words import NAME
from modelyard.dialects.media_types import media_type_of
from modelyard.dialects.reading import note

NOTHING_SAID = "."
"""What the user says where a conversation has no words, or begins with an answer: the API wants something there."""

_ID = re.compile(r"[a-zA-Z0-9_-]+")
_NOT_ID = re.compile(r"[^a-zA-Z0-9_-]")

_PDF = "application/pdf"
_PDF_SIGN = "JVBERi"


def legal_id(call_id: str) -> str:
    """A call's id in the API's alphabet, the same one for the same id; different ids stay different."""
    if _ID.fullmatch(call_id):
        return call_id
    data = call_id.encode("utf-8", "surrogatepass")
    return f"{_NOT_ID.sub('_', call_id)[:64]}_{zlib.crc32(data):08x}"


def write_system(texts: list[Text]) -> str | list[dict[str, Any]] | None:
    """`system`: a string where nothing needs blocks; None without any."""
    blocks = [_text(text.text, text.cache) for text in texts if text.text.strip()]
    if not blocks:
        return None
    return blocks[0]["text"] if len(blocks) == 1 and len(blocks[0]) == 2 else blocks


def write_messages(request: ChatRequest, losses: list[str]) -> tuple[list[dict[str, Any]], set[str]]:
    """(the messages, the names of the tools that are called in them). Names of what cannot be said go to `losses`.

    Raises Problem INVALID_REQUEST for a call whose arguments are no object, or whose tool has a name that is refused.
    """
    writer = _Writer(losses)
    for turn in request.turns:
        writer.add(turn)
    return writer.messages(), writer.called


def _text(text: str, cache: str | None) -> dict[str, Any]:
    return _marked({"type": "text", "text": text}, cache)


def _marked(block: dict[str, Any], cache: str | None) -> dict[str, Any]:
    if cache is not None:
        block["cache_control"] = marker(cache)
    return block


class _Message:
    """One message as it grows: results of tools stand before everything else."""

    __slots__ = ("results", "role", "said")

    def __init__(self, role: str) -> None:
        self.role = role
        self.results: list[dict[str, Any]] = []
        self.said: list[dict[str, Any]] = []


class _Writer:
    def __init__(self, losses: list[str]) -> None:
        self.called: set[str] = set()
        self._losses = losses
        self._messages: list[_Message] = []

    def messages(self) -> list[dict[str, Any]]:
        """What was added, in the API's form."""
        last = self._messages[-1] if self._messages else None
        if last is not None and last.role == ASSISTANT:
            _trim(last)
        kept = [message for message in self._messages if message.results or message.said]
        if not kept or kept[0].role == ASSISTANT:
            kept.insert(0, _said(NOTHING_SAID))
        return [{"role": message.role, "content": _content(message)} for message in kept]

    def add(self, turn: Turn) -> None:
        """One turn; it goes into the message before it where that has the same role."""
        role = ASSISTANT if turn.role == ASSISTANT else USER
        if not self._messages or self._messages[-1].role != role:
            self._messages.append(_Message(role))
        message = self._messages[-1]
        if turn.name is not None:
            note(self._losses, "messages.name")
        if turn.role == SYSTEM:
            # Only the newest models take a system turn within a conversation.
            text = "\n\n".join([block.text for block in turn.blocks if isinstance(block, Text)])
            if text.strip():
                message.said.append(_text(f"<system>\n{text}\n</system>", _last_cache(turn)))
        else:
            for block in turn.blocks:
                self._block(block, message)
        if not (message.said or message.results):
            self._messages.pop()

    def _block(self, block: Block, message: _Message) -> None:
        if isinstance(block, ToolResult):
            message.results.append(self._result(block))
        elif isinstance(block, ToolCall):
            message.said.append(self._call(block))
        elif isinstance(block, (Thinking, Redacted)):
            self._thought(block, message.said)
        else:
            self._show(block, message.said)

    def _show(self, block: Text | Refusal | Media, blocks: list[dict[str, Any]]) -> None:
        """What may stand in a message as in a tool's result."""
        if isinstance(block, Media):
            shown = self._media(block)
            if shown is None:
                note(self._losses, f"messages.{block.kind}")
            else:
                blocks.append(_marked(shown, block.cache))
            return
        cache = block.cache if isinstance(block, Text) else None
        if block.text.strip():
            blocks.append(_text(block.text, cache))
        elif cache is not None:
            note(self._losses, "cache_control")

    def _result(self, result: ToolResult) -> dict[str, Any]:
        content: list[dict[str, Any]] = []
        for part in result.content:
            self._show(part, content)
        told: dict[str, Any] = {"type": "tool_result", "tool_use_id": legal_id(result.call_id)}
        if content:
            alone = len(content) == 1 and content[0]["type"] == "text" and len(content[0]) == 2
            told["content"] = content[0]["text"] if alone else content
        if result.is_error:
            told["is_error"] = True
        return _marked(told, result.cache)

    def _call(self, call: ToolCall) -> dict[str, Any]:
        arguments = call.arguments
        if not arguments.strip():
            given = raw.Raw(b"{}")
        else:
            try:
                data = arguments.encode()
                raw.split(data)
            except (raw.NotJson, UnicodeEncodeError):
                raise Problem(
                    Kind.INVALID_REQUEST,
                    f"The arguments of the call `{call.id}` of the tool `{call.name}` in `messages` must be a JSON object.",
                    param="messages",
                ) from None
            given = raw.Raw(data)
        self.called.add(call.name)
        name = legal_name(call.name, "messages")
        return _marked({"type": "tool_use", "id": legal_id(call.id), "name": name, "input": given}, call.cache)

    def _thought(self, block: Thinking | Redacted, blocks: list[dict[str, Any]]) -> None:
        """Only thoughts that an Anthropic model has signed may come back to one."""
        if isinstance(block, Redacted):
            blocks.append({"type": "redacted_thinking", "data": block.data})
        elif block.signature and block.origin == NAME:
            blocks.append({"type": "thinking", "thinking": block.text, "signature": block.signature})
        else:
            note(self._losses, "messages.thinking")

    def _media(self, media: Media) -> dict[str, Any] | None:
        if media.kind == AUDIO:
            return None
        source = _source(media)
        if source is None:
            return None
        if media.kind == IMAGE:
            if media.detail not in (None, "auto"):
                note(self._losses, "messages.image.detail")
            return {"type": "image", "source": source}
        document: dict[str, Any] = {"type": "document", "source": source}
        if media.name:
            document["title"] = media.name
        return document


def _said(text: str) -> _Message:
    message = _Message(USER)
    message.said.append(_text(text, None))
    return message


def _last_cache(turn: Turn) -> str | None:
    return next((block.cache for block in reversed(turn.blocks) if isinstance(block, Text) and block.cache), None)


def _content(message: _Message) -> str | list[dict[str, Any]]:
    """A single text is a string, as people write it."""
    blocks = [*message.results, *message.said]
    alone = len(blocks) == 1 and blocks[0]["type"] == "text" and len(blocks[0]) == 2
    return blocks[0]["text"] if alone else blocks


def _trim(message: _Message) -> None:
    """Take the white space from the end of an answer that the model is to go on with."""
    if message.said and message.said[-1]["type"] == "text":
        message.said[-1]["text"] = message.said[-1]["text"].rstrip()


def _source(media: Media) -> dict[str, Any] | None:
    if media.text is not None:
        plain = media.kind == DOCUMENT and media.text.strip()
        return {"type": "text", "media_type": "text/plain", "data": media.text} if plain else None
    if media.url is not None:
        return {"type": "url", "url": media.url}
    if media.file_id is not None:
        return {"type": "file", "file_id": media.file_id}
    if media.data is None:
        return None
    if media.kind == IMAGE:
        return {
            "type": "base64",
            "media_type": media.media_type or media_type_of(media.data, IMAGE),
            "data": media.data,
        }
    return _document_source(media.data, media.media_type)


def _document_source(data: str, media_type: str | None) -> dict[str, Any] | None:
    """A PDF as it is, and anything that is text as text; the API takes no other document."""
    if media_type == _PDF or data.startswith(_PDF_SIGN):
        return {"type": "base64", "media_type": _PDF, "data": data}
    if media_type is not None and not media_type.startswith("text/") and media_type != "application/json":
        return None
    try:
        text = base64.b64decode(data, validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    return {"type": "text", "media_type": "text/plain", "data": text} if text.strip() else None
