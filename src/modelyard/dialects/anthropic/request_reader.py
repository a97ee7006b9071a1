"""Requests of callers, read into the hub's vocabulary (API reference, "Create a Message")."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import msgspec

from modelyard.canonical.chat import (
    ASSISTANT,
    DOCUMENT,
    IMAGE,
    MAX_PARTS,
    SYSTEM,
    USER,
    Block,
    ChatRequest,
    Media,
    Redacted,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
    read_signature,
)
from modelyard.core.errors import Kind, Problem
from modelyard.core.raw import Fields
from modelyard.dialects.anthropic.parameters import read_controls
from modelyard.dialects.anthropic.parts import (
    DocumentPart,
    ImagePart,
    Message,
    RedactedPart,
    SearchResultPart,
    Source,
    TextPart,
    ThinkingPart,
    ToolResultPart,
    ToolUsePart,
    decode_messages,
    decode_system,
)
from modelyard.dialects.anthropic.tools import read_choice, read_tools
from modelyard.dialects.anthropic.words import NAME
from modelyard.dialects.reading import (
    MALFORMED,
    NULL,
    CacheMarker,
    cache_of,
    is_null,
    note,
    read_stream,
    too_many,
    wrong,
)

Raw = msgspec.Raw

_marker = msgspec.json.Decoder(CacheMarker | None)

_NOT_CITED = (b"null", b"[]", b"{}", b'{"enabled":false}', b'{"enabled": false}')
_ITSELF = (b"null", b'{"type":"direct"}', b'{"type": "direct"}')


def read_request(fields: Fields) -> ChatRequest:
    """Read a caller's request. Raises Problem INVALID_REQUEST, its `param` says where."""
    controls, unread = read_controls(fields)
    messages = fields.get("messages")
    if messages is None:
        raise wrong("messages", "an array of messages")
    reader = _Reader(unread)
    if "system" in fields:
        reader.read_system(fields["system"])
    reader.read_messages(messages)
    tools = read_tools(fields, unread)
    if reader.parts + len(tools) > MAX_PARTS:
        raise too_many("tools")
    if "cache_control" in fields:
        reader.mark_last(fields["cache_control"])
    choice, parallel = read_choice(fields, tools, unread)
    return ChatRequest(
        turns=reader.turns,
        system=reader.system,
        tools=tools,
        tool_choice=choice,
        parallel_tools=parallel,
        controls=controls,
        stream=read_stream(fields),
        unread=unread,
    )


class _Reader:
    """Reads one request into `system` and `turns`; `unread` gets the names of what the hub cannot carry."""

    def __init__(self, unread: list[str]) -> None:
        self.system: list[Text] = []
        self.turns: list[Turn] = []
        self.parts = 0
        self._unread = unread

    def _count(self, number: int, param: str) -> None:
        self.parts += number
        if self.parts > MAX_PARTS:
            raise too_many(param)

    def read_system(self, value: Raw) -> None:
        """Read `system`: a string or blocks of text."""
        told = decode_system(value, self._unread)
        if isinstance(told, str):
            told = [TextPart(text=told)] if told else []
        told = told or []
        self._count(len(told), "system")
        self.system += [self._text(part) for part in told]

    def read_messages(self, value: Raw) -> None:
        """Read `messages`. Raises INVALID_REQUEST with the place of what is wrong."""
        messages = decode_messages(value, self._unread)
        self._count(len(messages), "messages")
        if not messages:
            raise wrong("messages", "an array with at least one message in it")
        for index, message in enumerate(messages):
            if message.role not in (USER, ASSISTANT, SYSTEM):
                raise wrong(f"messages[{index}].role", "user, assistant or system")
            blocks = self._blocks(message, index)
            if message.role != SYSTEM:
                self.turns.append(Turn(role=message.role, blocks=blocks or [Text(text="")]))
            elif self.turns:
                self.turns.append(Turn(role=SYSTEM, blocks=blocks))
            else:
                self.system += [block for block in blocks if isinstance(block, Text)]

    def mark_last(self, value: Raw) -> None:
        """`cache_control` of the whole request is a marker behind the last block that can have one."""
        try:
            marker = _marker.decode(value)
        except MALFORMED:
            raise wrong("cache_control", "an object with a type") from None
        lifetime = cache_of(marker, self._unread)
        if lifetime is None:
            return
        last: list[Any] = list(self.turns[-1].blocks if self.turns else self.system)
        for block in reversed(last):
            if isinstance(block, (Text, Media, ToolCall, ToolResult)):
                block.cache = block.cache or lifetime
                return
        note(self._unread, "cache_control")

    def _blocks(self, message: Message, index: int) -> list[Block]:
        content = message.content
        if isinstance(content, str):
            return [Text(text=content)]
        self._count(len(content), "messages")
        said: list[Block] = []
        results: list[Block] = []
        for number, part in enumerate(content):
            if part is None:
                continue
            role = _SAYS.get(type(part))
            if message.role != role and (role is not None or (message.role == SYSTEM and type(part) is not TextPart)):
                place = f"messages[{index}].content[{number}]"
                told = f"A block of this type may not stand in a message of the {message.role}: `{place}`."
                raise Problem(Kind.INVALID_REQUEST, told, param=place)
            if isinstance(part, ToolResultPart):
                results.append(self._result(part, f"messages[{index}].content[{number}]"))
            else:
                self._READERS[type(part)](self, part, said, f"messages[{index}].content[{number}]")
        return results + said if results else said

    def _cache(self, marker: CacheMarker | None) -> str | None:
        return None if marker is None else cache_of(marker, self._unread)

    def _text(self, part: TextPart) -> Text:
        if part.citations is not NULL and bytes(part.citations) not in _NOT_CITED:
            note(self._unread, "messages.text.citations")
        return Text(text=part.text, cache=self._cache(part.cache_control))

    def _add_text(self, part: TextPart, blocks: list[Any], place: str) -> None:
        blocks.append(self._text(part))

    def _add_image(self, part: ImagePart, blocks: list[Any], place: str) -> None:
        if not is_null(part.transformations) and bytes(part.transformations) != b"{}":
            note(self._unread, "messages.image.transformations")
        media = _media(IMAGE, part.source, f"{place}.source")
        media.cache = self._cache(part.cache_control)
        blocks.append(media)

    def _add_document(self, part: DocumentPart, blocks: list[Any], place: str) -> None:
        if part.context:
            note(self._unread, "messages.document.context")
        if bytes(part.citations) not in _NOT_CITED:
            note(self._unread, "messages.document.citations")
        source = part.source
        if source.type == "content":
            self._add_content(part, blocks, f"{place}.source")
            return
        media = _media(DOCUMENT, source, f"{place}.source")
        media.name = part.title
        media.cache = self._cache(part.cache_control)
        blocks.append(media)

    def _add_content(self, part: DocumentPart, blocks: list[Any], place: str) -> None:
        """A document made of texts and images: its text, then the images."""
        content = part.source.content
        if content is None:
            raise wrong(f"{place}.content", "a string or an array of blocks")
        inner = [TextPart(text=content)] if isinstance(content, str) else content
        self._count(len(inner), "messages")
        texts = [one.text for one in inner if isinstance(one, TextPart)]
        cache = self._cache(part.cache_control)
        text = "\n\n".join(texts)
        blocks.append(Media(kind=DOCUMENT, media_type="text/plain", text=text, name=part.title, cache=cache))
        for number, one in enumerate(inner):
            if isinstance(one, ImagePart):
                self._add_image(one, blocks, f"{place}.content[{number}]")

    def _add_search_result(self, part: SearchResultPart, blocks: list[Any], place: str) -> None:
        """The model reads the same when title and source stand above the text."""
        if bytes(part.citations) not in _NOT_CITED:
            note(self._unread, "messages.search_result.citations")
        self._count(len(part.content), "messages")
        head = f"{part.title}\n{part.source}"
        text = "\n\n".join([head, *(one.text for one in part.content)])
        blocks.append(Text(text=text, cache=self._cache(part.cache_control)))

    def _add_call(self, part: ToolUsePart, blocks: list[Any], place: str) -> None:
        if bytes(part.caller) not in _ITSELF:
            note(self._unread, "messages.tool_use.caller")
        if part.toolset_name is not None:
            note(self._unread, "messages.tool_use.toolset_name")
        if not part.name:
            raise wrong(f"{place}.name", "the tool's name")
        arguments = "" if is_null(part.input) else bytes(part.input).decode()
        if arguments and arguments[0] != "{":
            raise wrong(f"{place}.input", "an object")
        call = ToolCall(id=part.id, name=part.name, arguments=arguments, cache=self._cache(part.cache_control))
        blocks.append(call)

    def _result(self, part: ToolResultPart, place: str) -> ToolResult:
        content = part.content
        blocks: list[Any] = []
        if isinstance(content, str):
            blocks.append(Text(text=content))
        elif content is not None:
            self._count(len(content), "messages")
            for number, inner in enumerate(content):
                self._READERS[type(inner)](self, inner, blocks, f"{place}.content[{number}]")
        return ToolResult(
            call_id=part.tool_use_id,
            content=blocks,
            is_error=part.is_error is True,
            cache=self._cache(part.cache_control),
        )

    def _add_thinking(self, part: ThinkingPart, blocks: list[Any], place: str) -> None:
        signature, origin = read_signature(part.signature or None, NAME)
        blocks.append(Thinking(text=part.thinking, signature=signature, origin=origin))

    def _add_redacted(self, part: RedactedPart, blocks: list[Any], place: str) -> None:
        blocks.append(Redacted(data=part.data))

    _READERS: ClassVar[Mapping[type, Callable[["_Reader", Any, list[Any], str], None]]] = {
        TextPart: _add_text,
        ImagePart: _add_image,
        DocumentPart: _add_document,
        SearchResultPart: _add_search_result,
        ToolUsePart: _add_call,
        ThinkingPart: _add_thinking,
        RedactedPart: _add_redacted,
    }


# Who alone may say a block of this type.
_SAYS: Mapping[type, str] = {
    ToolResultPart: USER,
    ToolUsePart: ASSISTANT,
    ThinkingPart: ASSISTANT,
    RedactedPart: ASSISTANT,
}


def _media(kind: str, source: Source, place: str) -> Media:
    """An image or a document by its source. Raises INVALID_REQUEST."""
    media_type = source.media_type.lower() if source.media_type else None
    if source.type == "base64" and source.data is not None:
        return Media(kind=kind, media_type=media_type, data=source.data)
    if source.type == "text" and source.data is not None and kind == DOCUMENT:
        return Media(kind=kind, media_type=media_type or "text/plain", text=source.data)
    if source.type == "url" and source.url:
        return Media(kind=kind, url=source.url)
    if source.type == "file" and source.file_id:
        return Media(kind=kind, file_id=source.file_id)
    raise wrong(place, "a source with what its type names: base64 and text have `data`, url a `url`, file a `file_id`")
