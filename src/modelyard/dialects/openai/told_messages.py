"""The turns of the hub as messages of a chat completions request (API reference, "Create chat completion")."""

from typing import Any

from modelyard.canonical.chat import (
    ASSISTANT,
    SYSTEM,
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
from modelyard.canonical.snapshot import Accent
from modelyard.dialects.openai.attachments import write_media
from modelyard.dialects.reading import note

# Between texts that stood apart and are told in one string.
APART = "\n\n"


def write_messages(request: ChatRequest, accent: Accent, losses: list[str]) -> list[dict[str, Any]]:
    """The messages of a request; names of what they cannot hold are added to `losses`."""
    writer = _MessageWriter(accent, losses)
    if request.system:
        writer.add(SYSTEM, writer.text_of(request.system))
    for turn in request.turns:
        if turn.role == ASSISTANT:
            writer.answer(turn)
        else:
            writer.asked(turn)
    return writer.messages


class _MessageWriter:
    def __init__(self, accent: Accent, losses: list[str]) -> None:
        self.messages: list[dict[str, Any]] = []
        self._accent = accent
        self._losses = losses

    def add(self, role: str, content: Any, name: str | None = None) -> dict[str, Any]:
        """Add a message, its role by the word that the server has for it."""
        message = {"role": self._accent.roles.get(role, role), "content": content}
        if name is not None:
            message["name"] = name
        self.messages.append(message)
        return message

    def text_of(self, texts: list[Text]) -> str:
        """Texts as one string: many servers take nothing else in a system prompt or a tool's result."""
        for text in texts:
            self._marker(text.cache)
        return APART.join([text.text for text in texts])

    def _marker(self, cache: str | None) -> None:
        if cache is not None:
            note(self._losses, "cache_control")

    def asked(self, turn: Turn) -> None:
        """A user's or a system's turn: the results of tools have messages of their own, before the rest."""
        said: list[Any] = []
        shown: list[Media] = []
        for block in turn.blocks:
            if isinstance(block, ToolResult):
                shown += self._result(block)
            elif isinstance(block, (Text, Media)):
                said.append(block)
            elif isinstance(block, Refusal):
                said.append(Text(text=block.text))
            elif isinstance(block, (Thinking, Redacted)):
                note(self._losses, "messages.thinking")
        # A tool message holds text alone: what a tool has to show follows in the user's name.
        content = [*shown, *said]
        if content:
            self.add(turn.role, self._content(content), turn.name)

    def _result(self, result: ToolResult) -> list[Media]:
        self._marker(result.cache)
        if result.is_error:
            note(self._losses, "messages.is_error")
        texts = [part for part in result.content if isinstance(part, Text)]
        message = self.add("tool", self.text_of(texts))
        message["tool_call_id"] = result.call_id
        return [part for part in result.content if isinstance(part, Media)]

    def _content(self, blocks: list[Any]) -> str | list[dict[str, Any]]:
        if all(isinstance(block, Text) for block in blocks):
            return self.text_of(blocks)
        parts = []
        for block in blocks:
            self._marker(block.cache)
            if isinstance(block, Text):
                parts.append({"type": "text", "text": block.text})
                continue
            part = write_media(block)
            if part is None:
                note(self._losses, f"messages.{block.kind}")
            else:
                parts.append(part)
        return parts or ""

    def answer(self, turn: Turn) -> None:
        """An assistant's turn."""
        # A whole answer's texts are pieces of one; they join as a stream's deltas do.
        content = "".join([block.text for block in turn.blocks if isinstance(block, Text)])
        refusal = "".join([block.text for block in turn.blocks if isinstance(block, Refusal)])
        calls = [_call(block) for block in turn.blocks if isinstance(block, ToolCall)]
        message = self.add(ASSISTANT, content if content or not (calls or refusal) else None, turn.name)
        if refusal:
            message["refusal"] = refusal
        if calls:
            message["tool_calls"] = calls
        # Thoughts go under the name that the server has for them; it may have none.
        field = self._accent.reasoning
        thoughts = []
        for block in turn.blocks:
            if isinstance(block, (Text, ToolCall)):
                self._marker(block.cache)
            elif isinstance(block, Media):
                note(self._losses, f"messages.{block.kind}")
            elif isinstance(block, Thinking) and block.text and field:
                thoughts.append(block.text)
            elif isinstance(block, (Thinking, Redacted)):
                note(self._losses, "messages.thinking")
        if thoughts and field:
            message[field] = APART.join(thoughts)


def _call(call: ToolCall) -> dict[str, Any]:
    # Servers read the arguments as JSON: none are an empty object.
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments or "{}"},
    }
