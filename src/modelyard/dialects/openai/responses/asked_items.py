"""`input` of a request, read into turns (API reference, "Create a model response", `input`)."""

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
    Refusal,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from modelyard.core.errors import Kind, Problem
from modelyard.dialects.openai.attachments import read_media
from modelyard.dialects.openai.responses.items import KINDS, Item, Part, decode_each, thought_of
from modelyard.dialects.reading import MALFORMED, note, too_many, wrong

Raw = msgspec.Raw

_items = msgspec.json.Decoder(list[Item])
_string = msgspec.json.Decoder(str)

_TEXTS = frozenset({"input_text", "output_text", "text"})


class Asked:
    """The conversation in `input`: what stands before it as system messages, and its turns."""

    __slots__ = ("_open", "_parts", "system", "turns", "unread")

    def __init__(self, unread: list[str]) -> None:
        self.system: list[Text] = []
        self.turns: list[Turn] = []
        self.unread = unread
        self._parts = 0
        self._open = ""  # the kind of turn that the next item may go on with: "assistant", "results" or ""

    def read(self, value: Raw) -> None:
        """Raises INVALID_REQUEST."""
        if bytes(memoryview(value)[:1]) == b'"':
            try:
                self.turns.append(Turn(role=USER, blocks=[Text(text=_string.decode(value))]))
            except MALFORMED:
                raise wrong("input", "valid text") from None
            return
        try:
            items = _items.decode(value)
        except MALFORMED:
            items = decode_each(Item, KINDS, value, "input")
        if not items:
            raise wrong("input", "a string or an array with at least one item")
        self._count(len(items), "input")
        for index, item in enumerate(items):
            self._add(item, f"input[{index}]")

    def _count(self, more: int, param: str) -> None:
        self._parts += more
        if self._parts > MAX_PARTS:
            raise too_many(param)

    def _add(self, item: Item, place: str) -> None:
        match item.type:
            case "function_call":
                self._assistant([_call(item, place)])
            case "function_call_output":
                self._result(item, place)
            case "reasoning":
                block = thought_of(item)
                if block is not None:
                    self._assistant([block])
            case "message" | None if item.role is not None or item.type is not None or item.id is None:
                self._message(item, place)
            case "item_reference" | None:
                raise Problem(
                    Kind.INVALID_REQUEST,
                    f"`{place}` refers to an item by its id, which is not kept here: send the item itself.",
                    param=place,
                )
            case _:
                note(self.unread, f"input.{item.type[:64]}")

    def _assistant(self, blocks: list[Block]) -> None:
        if self._open == ASSISTANT:
            self.turns[-1].blocks += blocks
        else:
            self.turns.append(Turn(role=ASSISTANT, blocks=blocks))
            self._open = ASSISTANT

    def _result(self, item: Item, place: str) -> None:
        if not item.call_id:
            raise wrong(f"{place}.call_id", "the id of the call that this is the output of")
        if item.output is None:
            raise wrong(f"{place}.output", "a string or an array of parts")
        content = self._content(item.output, f"{place}.output")
        block = ToolResult(call_id=item.call_id, content=content, name=item.name)
        if self._open == "results":
            self.turns[-1].blocks.append(block)
        else:
            self.turns.append(Turn(role=USER, blocks=[block]))
            self._open = "results"

    def _message(self, item: Item, place: str) -> None:
        if item.content is None:
            raise wrong(f"{place}.content", "a string or an array of parts")
        match item.role:
            case "user":
                blocks: list[Block] = [*self._content(item.content, f"{place}.content")]
                if not blocks:
                    raise wrong(f"{place}.content", "a string or an array with at least one part")
                self.turns.append(Turn(role=USER, blocks=blocks))
                self._open = ""
            case "assistant":
                if item.phase is not None:
                    note(self.unread, "messages.phase")
                said = self._said(item.content, f"{place}.content")
                if said:
                    self._assistant(said)
            case "system" | "developer":
                self._instruct(self._content(item.content, f"{place}.content"))
            case _:
                raise wrong(f"{place}.role", "user, assistant, system or developer")

    def _instruct(self, content: list[Text | Media]) -> None:
        texts = [block for block in content if isinstance(block, Text)]
        if not self.turns and len(texts) == len(content):
            self.system += texts
        elif content:
            self.turns.append(Turn(role=SYSTEM, blocks=[*content]))
            self._open = ""

    def _content(self, content: str | list[Part], place: str) -> list[Text | Media]:
        """What a user, the system or a tool says."""
        if isinstance(content, str):
            return [Text(text=content)]
        self._count(len(content), place)
        return [self._part(part, f"{place}[{index}]") for index, part in enumerate(content)]

    def _part(self, part: Part, place: str) -> Text | Media:
        cache = None
        if len(part.prompt_cache_breakpoint) > len(b"null"):
            # The API knows 30 minutes and 12 hours, the hub the lifetimes nearest to them.
            cache = "1h" if b'"12h"' in bytes(part.prompt_cache_breakpoint) else "5m"
        if part.type in _TEXTS:
            if part.text is None:
                raise wrong(f"{place}.text", "a string")
            return Text(text=part.text, cache=cache)
        media = _media(part, place)
        if media is None:
            raise wrong(f"{place}.type", "input_text, input_image, input_file or input_audio, with what belongs to it")
        media.cache = cache
        return media

    def _said(self, content: str | list[Part], place: str) -> list[Block]:
        """What the assistant said."""
        if isinstance(content, str):
            return [Text(text=content)] if content else []
        self._count(len(content), place)
        blocks: list[Block] = []
        for index, part in enumerate(content):
            if part.type == "refusal" and part.refusal is not None:
                blocks.append(Refusal(text=part.refusal))
            elif part.type in _TEXTS and part.text is not None:
                blocks.append(Text(text=part.text))
            else:
                raise wrong(f"{place}[{index}]", "an output_text part with a text, or a refusal")
        return blocks


def _call(item: Item, place: str) -> ToolCall:
    if not item.call_id:
        raise wrong(f"{place}.call_id", "a string")
    if not item.name:
        raise wrong(f"{place}.name", "the function's name")
    return ToolCall(id=item.call_id, name=item.name, arguments=item.arguments or "")


def _media(part: Part, place: str) -> Media | None:
    detail = None if part.detail == "auto" else part.detail
    if part.type == "input_image":
        if part.image_url is not None:
            return read_media(IMAGE, part.image_url, f"{place}.image_url", detail=detail)
        return None if part.file_id is None else Media(kind=IMAGE, file_id=part.file_id, detail=detail)
    if part.type == "input_file":
        for name in ("file_data", "file_url"):
            address = getattr(part, name)
            if address is not None:
                return read_media(DOCUMENT, address, f"{place}.{name}", name=part.filename, detail=detail)
        if part.file_id is not None:
            return Media(kind=DOCUMENT, file_id=part.file_id, name=part.filename, detail=detail)
    elif part.type == "input_audio" and part.input_audio is not None:
        heard = part.input_audio
        media_type = "audio/mpeg" if heard.format == "mp3" else f"audio/{heard.format}"
        return Media(kind=AUDIO, media_type=media_type, data=heard.data)
    return None
