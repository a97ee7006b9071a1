"""The messages of a chat completions request as turns of the hub (API reference, "Create chat completion")."""

from typing import Any

import msgspec

from modelyard.canonical.chat import (
    ASSISTANT,
    AUDIO,
    DOCUMENT,
    IMAGE,
    MAX_PARTS,
    SYSTEM,
    USER,
    Block,
    Media,
    Redacted,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
    read_signature,
)
from modelyard.core import raw
from modelyard.core.errors import Kind, Problem
from modelyard.dialects.openai.attachments import read_media
from modelyard.dialects.openai.decoding import Shape, decode_list
from modelyard.dialects.reading import NULL, CacheMarker, cache_of, note, too_many, wrong

Raw = msgspec.Raw


class ImageAddress(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    url: str
    detail: str | None = None


class Recording(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    data: str
    format: str | None = None


class File(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class WrittenPart(msgspec.Struct, gc=False):
    """A part within a part: Mistral's thoughts are a list of texts."""

    text: str = ""


class Part(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    text: str | None = None
    image_url: str | ImageAddress | None = None
    input_audio: Recording | None = None
    file: File | None = None
    refusal: str | None = None
    thinking: str | list[WrittenPart] | None = None
    signature: str | None = None
    data: str | None = None
    cache_control: CacheMarker | None = None


class CalledFunction(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    arguments: str | dict[str, Raw] | None = None


class Custom(msgspec.Struct):
    name: str
    input: str = ""


class Call(msgspec.Struct, forbid_unknown_fields=True):
    id: str | None = None
    type: str | None = None
    function: CalledFunction | None = None
    custom: Custom | None = None
    index: Raw = NULL


class ThinkingBlock(msgspec.Struct, forbid_unknown_fields=True):
    type: str = "thinking"
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    index: Raw = NULL


class Message(msgspec.Struct, forbid_unknown_fields=True):
    """One message of any role. `id`, `index` and `annotations` are what an answer says of itself; they mean nothing here."""

    role: str
    content: str | list[Part] | None = None
    name: str | None = None
    tool_calls: list[Call] | None = None
    tool_call_id: str | None = None
    function_call: CalledFunction | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    thinking_blocks: list[ThinkingBlock] | None = None
    cache_control: CacheMarker | None = None
    audio: Raw = NULL
    annotations: Raw = NULL
    id: Raw = NULL
    index: Raw = NULL


_messages = msgspec.json.Decoder(list[Message])
_SHAPE: Shape = {
    "": Message,
    "content": Part,
    "content.image_url": ImageAddress,
    "content.input_audio": Recording,
    "content.file": File,
    "tool_calls": Call,
    "tool_calls.function": CalledFunction,
    "function_call": CalledFunction,
    "thinking_blocks": ThinkingBlock,
}
_TEXTS = frozenset({"text", "input_text", "output_text"})


class MessageReader:
    """Reads one request's messages into `system` and `turns`. `unread` gets the names of what the hub cannot carry."""

    def __init__(self, unread: list[str]) -> None:
        self.system: list[Text] = []
        self.turns: list[Turn] = []
        self.parts = 0
        self._unread = unread
        self._unanswered: dict[str, str] = {}

    def read(self, value: Raw) -> None:
        """Read `messages`. Raises INVALID_REQUEST with the place of what is wrong."""
        messages: list[Message] = decode_list(_messages, value, "messages", _SHAPE, self._unread)
        self.parts = len(messages)
        if self.parts > MAX_PARTS:
            raise too_many("messages")
        if not messages:
            raise wrong("messages", "an array with at least one message in it")
        after_result = False
        for index, message in enumerate(messages):
            is_result = message.role in ("tool", "function")
            if message.role == "user":
                self._turn(USER, self._content(message, index), message)
            elif message.role == "assistant":
                self._turn(ASSISTANT, self._answer(message, index), message)
            elif message.role in ("system", "developer"):
                self._system(message, index)
            elif is_result:
                result = self._result(message, index)
                if after_result:
                    self.turns[-1].blocks.append(result)
                else:
                    self.turns.append(Turn(role=USER, blocks=[result]))
            else:
                raise wrong(f"messages[{index}].role", "system, developer, user, assistant or tool")
            after_result = is_result

    def _turn(self, role: str, blocks: list[Block], message: Message) -> None:
        if message.cache_control is not None:
            self._mark(blocks, message.cache_control)
        self.turns.append(Turn(role=role, blocks=blocks or [Text(text="")], name=message.name))

    def _mark(self, blocks: list[Any], marker: CacheMarker) -> None:
        """A marker on a message stands behind the last of its blocks that can have one."""
        lifetime = cache_of(marker, self._unread)
        for block in reversed(blocks):
            if isinstance(block, (Text, Media, ToolCall)):
                block.cache = lifetime
                return
        note(self._unread, "cache_control")

    def _system(self, message: Message, index: int) -> None:
        texts = [block for block in self._content(message, index) if isinstance(block, Text)]
        if self.turns:
            self._turn(SYSTEM, list(texts), message)
            return
        if message.cache_control is not None:
            self._mark(texts, message.cache_control)
        if message.name is not None:
            note(self._unread, "messages.name")
        self.system += texts

    def _content(self, message: Message, index: int) -> list[Block]:
        content = message.content
        if isinstance(content, str):
            return [Text(text=content)]
        if content is None:
            raise wrong(f"messages[{index}].content", "a string or an array of parts")
        return self._parts(content, index, message.role)

    def _parts(self, parts: list[Part], index: int, role: str) -> list[Block]:
        self.parts += len(parts)
        if self.parts > MAX_PARTS:
            raise too_many("messages")
        blocks: list[Block] = []
        for number, part in enumerate(parts):
            if part.type in _TEXTS and part.text is not None:
                cache = None if part.cache_control is None else cache_of(part.cache_control, self._unread)
                blocks.append(Text(text=part.text, cache=cache))
                continue
            block = self._part(part, f"messages[{index}].content[{number}]", role)
            if block is not None:
                blocks.append(block)
        return blocks

    def _part(self, part: Part, place: str, role: str) -> Block | None:
        if role == "assistant" and part.type in ("refusal", "thinking", "redacted_thinking"):
            return _thought(part)
        media = None if role in ("system", "developer") else _media(part, place)
        if media is None:
            missing = part.type in ("text", "image_url", "input_audio", "file") and getattr(part, part.type) is None
            if missing:
                raise Problem(Kind.INVALID_REQUEST, f"`{place}` has no `{part.type}`.", param=place)
            note(self._unread, f"messages.{_KINDS.get(part.type, part.type)}")
            return None
        if part.cache_control is not None:
            media.cache = cache_of(part.cache_control, self._unread)
        return media

    def _answer(self, message: Message, index: int) -> list[Block]:
        """An assistant's message: its thoughts, its words, its calls."""
        blocks = _thoughts(message)
        if isinstance(message.content, list):
            blocks += self._parts(message.content, index, "assistant")
        elif message.content:
            blocks.append(Text(text=message.content))
        if message.refusal:
            blocks.append(Refusal(text=message.refusal))
        if bytes(message.audio) != b"null":
            note(self._unread, "messages.audio")
        calls = self._calls(message, index)
        if calls:
            self._unanswered = {call.id: call.name for call in calls}
        blocks += calls
        return blocks

    def _calls(self, message: Message, index: int) -> list[ToolCall]:
        calls = []
        for number, call in enumerate(message.tool_calls or ()):
            if call.function is not None:
                name, arguments = call.function.name, _arguments(call.function)
            elif call.custom is not None:
                # The hub has no tools of free text; the call stays, so that the conversation is whole.
                note(self._unread, "tools.custom")
                name, arguments = call.custom.name, raw.encode({"input": call.custom.input}).decode()
            else:
                raise wrong(f"messages[{index}].tool_calls[{number}]", "an object with a `function`")
            calls.append(ToolCall(id=call.id or f"call_{index}_{number}", name=name, arguments=arguments))
        if message.function_call is not None:
            old = message.function_call
            calls.append(ToolCall(id=f"call_{index}", name=old.name, arguments=_arguments(old)))
        self.parts += len(calls)
        if self.parts > MAX_PARTS:
            raise too_many("messages")
        return calls

    def _result(self, message: Message, index: int) -> ToolResult:
        call_id = message.tool_call_id or self._call_answered(message.name)
        if call_id is None:
            raise wrong(f"messages[{index}].tool_call_id", "the id of the tool call that this message answers")
        self._unanswered.pop(call_id, None)
        content: list[Any] = [] if message.content is None else self._content(message, index)
        cache = None if message.cache_control is None else cache_of(message.cache_control, self._unread)
        return ToolResult(call_id=call_id, content=content, name=message.name, cache=cache)

    def _call_answered(self, name: str | None) -> str | None:
        """Which call a result without an id belongs to: the first open one, of that name where one is told."""
        return next((id_ for id_, called in self._unanswered.items() if name in (None, called)), None)


_KINDS = {"image_url": IMAGE, "input_audio": AUDIO, "file": DOCUMENT}


def _arguments(function: CalledFunction) -> str:
    arguments = function.arguments
    return raw.join(arguments).decode() if isinstance(arguments, dict) else arguments or ""


def _media(part: Part, place: str) -> Media | None:
    if part.type == "image_url" and part.image_url is not None:
        image = part.image_url
        if isinstance(image, str):
            return read_media(IMAGE, image, f"{place}.image_url")
        return read_media(IMAGE, image.url, f"{place}.image_url.url", detail=image.detail)
    if part.type == "input_audio" and part.input_audio is not None:
        audio = part.input_audio
        return Media(kind=AUDIO, media_type=f"audio/{audio.format or 'wav'}", data=audio.data)
    if part.type == "file" and part.file is not None:
        file = part.file
        if file.file_data is not None:
            return read_media(DOCUMENT, file.file_data, f"{place}.file.file_data", name=file.filename)
        if file.file_id is not None:
            return Media(kind=DOCUMENT, file_id=file.file_id, name=file.filename)
        raise Problem(Kind.INVALID_REQUEST, f"`{place}.file` needs `file_data` or `file_id`.", param=f"{place}.file")
    return None


def _thought(part: Part) -> Block:
    """A part of an assistant's message that is not said aloud."""
    if part.type == "refusal":
        return Refusal(text=part.refusal or "")
    if part.type == "redacted_thinking":
        return Redacted(data=part.data or "")
    return _thinking(words_of(part.thinking), part.signature)


def words_of(thinking: str | list[WrittenPart] | None) -> str:
    """Thoughts as one text."""
    return "".join(part.text for part in thinking) if isinstance(thinking, list) else thinking or ""


def _thinking(text: str, signature: str | None) -> Thinking:
    signature, origin = read_signature(signature or None, "openai")
    return Thinking(text=text, signature=signature, origin=origin)


def _thoughts(message: Message) -> list[Block]:
    """An assistant's thoughts: in blocks where they are signed, else as text under one of two names."""
    if message.thinking_blocks:
        return [
            Redacted(data=block.data or "")
            if block.type == "redacted_thinking"
            else _thinking(block.thinking or "", block.signature)
            for block in message.thinking_blocks
        ]
    text = message.reasoning_content or message.reasoning
    return [Thinking(text=text)] if text else []
