"""Whole answers of /api/chat and /api/generate, and what their lines have in common (api.md, "Response").

All figures stand in the one object, or line, that says `done`.
"""

import json
import re
from typing import Any

import msgspec

from modelyard.canonical.chat import (
    LENGTH,
    STOP,
    TOOL_CALLS,
    Block,
    ChatReply,
    Refusal,
    Text,
    Thinking,
    Timings,
    ToolCall,
    reply_usage,
)
from modelyard.canonical.usage import NOTHING, Usage, count
from modelyard.core import raw
from modelyard.core.errors import Problem
from modelyard.core.raw import Raw
from modelyard.dialects.dialect import Asker
from modelyard.dialects.faults import no_answer, upstream_failed
from modelyard.dialects.ollama.errors import told_instead
from modelyard.dialects.ollama.words import moment, object_of, one_line, quoted
from modelyard.dialects.reading import MALFORMED, NULL
from modelyard.dialects.writing import whole

NOT_AN_ANSWER = no_answer("an Ollama answer")

NO_ARGUMENTS = Raw(b"{}")

LOADED, UNLOADED = "load", "unload"
MOST_NANOSECONDS = 2**62

Number = int | float | None

_NO_DIGIT = re.compile(r"[^0-9]+")


class WireFunction(msgspec.Struct):
    """The function of a tool call. `arguments` is an object; some servers write the text of one."""

    name: str
    arguments: Raw = NO_ARGUMENTS


class WireCall(msgspec.Struct):
    """A tool call."""

    function: WireFunction
    id: str | None = None


class WireMessage(msgspec.Struct):
    """The message of a chat, or a part of it."""

    content: str | None = None
    thinking: str | None = None
    tool_calls: list[WireCall] | None = None


class Line(msgspec.Struct):
    """A line of a stream, or a whole answer, without its figures: of a chat (`message`) or a generation."""

    message: WireMessage | None = None
    response: str | None = None
    thinking: str | None = None
    tool_calls: list[WireCall] | None = None
    done: bool | None = None
    model: str | None = None
    # Not `Raw | None`: msgspec reads a union with Raw as the other member alone.
    error: Raw = NULL
    logprobs: Raw = NULL


class Figures(msgspec.Struct):
    """What the last line tells besides. Ollama leaves out what is 0."""

    done_reason: Any = None
    created_at: Any = None
    total_duration: Number = None
    load_duration: Number = None
    prompt_eval_count: Number = None
    prompt_eval_duration: Number = None
    eval_count: Number = None
    eval_duration: Number = None


line_decoder = msgspec.json.Decoder(Line)
figures_decoder = msgspec.json.Decoder(Figures)


def read_line(data: bytes) -> Line:
    """One object of an answer. Raises Problem UPSTREAM_FAILED when it is none, or holds an error."""
    try:
        line = line_decoder.decode(data)
    except MALFORMED:
        line = _reread(data)
    error = line.error
    if error is not NULL and bytes(error) not in (b"null", b'""'):
        raise told_instead(error)
    return line


def _reread(data: bytes) -> Line:
    """Once more, with every half of a surrogate pair replaced: msgspec refuses them, a token's border may leave them."""
    try:
        return line_decoder.decode(_mended(data))
    except (*MALFORMED, ValueError):
        raise upstream_failed(NOT_AN_ANSWER) from None


def _mended(data: bytes) -> bytes:
    """JSON with every half of a surrogate pair replaced. Raises ValueError (or RecursionError) when it is not JSON.

    Unlike `writing.mended` it takes no NaN for null: Ollama never writes one.
    """
    return whole(json.dumps(json.loads(data), ensure_ascii=False)).encode()


def read_figures(data: bytes) -> Figures:
    """The figures of a last line; none when they are not as they must be."""
    try:
        return figures_decoder.decode(data)
    except MALFORMED:
        return Figures()


def usage_of(figures: Figures) -> Usage | None:
    """What the call consumed, None when nothing tells. A model that was only loaded consumed nothing."""
    if figures.prompt_eval_count is None and figures.eval_count is None:
        return NOTHING if figures.done_reason in (LOADED, UNLOADED) else None
    return Usage(input=count(figures.prompt_eval_count), output=count(figures.eval_count))


def timings_of(figures: Figures) -> Timings | None:
    """How long it took, None when nothing tells."""
    if figures.total_duration is None:
        return None
    return Timings(
        total=_nanoseconds(figures.total_duration),
        load=_nanoseconds(figures.load_duration),
        prompt=_nanoseconds(figures.prompt_eval_duration),
        output=_nanoseconds(figures.eval_duration),
    )


def _nanoseconds(value: Number) -> int:
    return int(min(max(value or 0, 0), MOST_NANOSECONDS))


def finish_of(figures: Figures, calls: int) -> str:
    """Why the answer ended. Ollama says `stop` after tool calls too."""
    if figures.done_reason == LENGTH:
        return LENGTH
    return TOOL_CALLS if calls else STOP


def call_id_of(call: WireCall, number: int, data: bytes) -> str:
    """The call's id. Older servers give none: then one is made of the answer's own time and the call's place in it."""
    if call.id:
        return call.id
    created_at = read_figures(data).created_at
    digits = _NO_DIGIT.sub("", created_at) if isinstance(created_at, str) else ""
    return f"call_{digits[:23]}_{number}"


def arguments_of(call: WireCall) -> str:
    """The text of a call's arguments. Raises Problem UPSTREAM_FAILED when they are not text at all."""
    arguments = call.function.arguments
    data = bytes(arguments)
    try:
        return str(raw.value_of(arguments)) if data[:1] == b'"' else data.decode()
    except (raw.NotJson, UnicodeDecodeError):
        raise upstream_failed("The backend's answer holds a tool call with arguments that cannot be read.") from None


def logprobs_of(line: Line) -> list[Any] | None:
    """The log probabilities of a line's tokens, with the fields that Ollama leaves out when they are empty."""
    if line.logprobs is NULL:
        return None
    try:
        value = raw.value_of(line.logprobs)
    except raw.NotJson:
        return None
    if not isinstance(value, list) or not value:
        return None
    return [{"bytes": None, "top_logprobs": [], **entry} if isinstance(entry, dict) else entry for entry in value]


def read_reply(body: bytes) -> ChatReply:
    """A whole answer of either operation. Raises Problem UPSTREAM_FAILED."""
    line = read_line(body)
    message = line.message
    if message is None and line.response is None:
        raise upstream_failed(NOT_AN_ANSWER)
    if line.done is False:
        raise cut_short()
    if message is None:
        message = WireMessage(content=line.response, thinking=line.thinking, tool_calls=line.tool_calls)
    blocks: list[Block] = []
    if message.thinking:
        blocks.append(Thinking(text=message.thinking))
    if message.content:
        blocks.append(Text(text=message.content))
    calls = message.tool_calls or []
    for number, call in enumerate(calls):
        call_id = call_id_of(call, number, body)
        blocks.append(ToolCall(id=call_id, name=call.function.name, arguments=arguments_of(call)))
    figures = read_figures(body)
    return ChatReply(
        blocks=blocks,
        finish=finish_of(figures, len(calls)),
        usage=usage_of(figures),
        model=line.model or "",
        logprobs=logprobs_of(line),
        timings=timings_of(figures),
    )


def cut_short() -> Problem:
    """An answer that says itself that it is not done: Ollama ends one so that repeats itself without end."""
    return upstream_failed("The backend gave up before the answer was complete.")


# Writing


def opening(asker: Asker) -> bytes:
    """How every object of an answer begins, up to the first field of its own."""
    return b'{"model":%b,"created_at":"%b",' % (quoted(asker.model), moment(asker.created).encode())


def closing(reason: str, usage: Usage, timings: Timings | None) -> bytes:
    """What ends the last object: `done`, why, and the figures; without the brace. Unknown durations are left out."""
    told = b"length" if reason == LENGTH else b"stop"
    last = b'"done":true,"done_reason":"%b","prompt_eval_count":%d,"eval_count":%d' % (
        told,
        usage.all_input,
        usage.all_output,
    )
    if timings is None:
        return last
    return last + b',"total_duration":%d,"load_duration":%d,"prompt_eval_duration":%d,"eval_duration":%d' % (
        timings.total,
        timings.load,
        timings.prompt,
        timings.output,
    )


def call_json(index: int, call_id: str, name: str, arguments: str) -> bytes:
    """One tool call."""
    return b'{"id":%b,"function":{"index":%d,"name":%b,"arguments":%b}}' % (
        quoted(call_id),
        index,
        quoted(name),
        bytes(object_of(arguments)),
    )


def logprobs_json(logprobs: list[Any] | None) -> bytes:
    """The field of log probabilities with its comma in front, b"" without any."""
    if not logprobs:
        return b""
    try:
        return b',"logprobs":' + one_line(raw.encode(logprobs))
    except UnicodeEncodeError:
        return b""


def write_chat(reply: ChatReply, asker: Asker) -> bytes:
    """A whole answer of /api/chat."""
    content, rest = _parts(reply)
    return _whole(b'"message":{"role":"assistant","content":%b%b}' % (content, rest), reply, asker)


def write_generate(reply: ChatReply, asker: Asker) -> bytes:
    """A whole answer of /api/generate."""
    content, rest = _parts(reply)
    return _whole(b'"response":%b%b' % (content, rest), reply, asker)


def _whole(content: bytes, reply: ChatReply, asker: Asker) -> bytes:
    last = closing(reply.finish, reply_usage(reply), reply.timings)
    return b"%b%b,%b%b}" % (opening(asker), content, last, logprobs_json(reply.logprobs))


def _parts(reply: ChatReply) -> tuple[bytes, bytes]:
    """The content, and the further fields of the message with commas in front."""
    texts = [block.text for block in reply.blocks if isinstance(block, (Text, Refusal))]
    thoughts = [block.text for block in reply.blocks if isinstance(block, Thinking)]
    calls = [block for block in reply.blocks if isinstance(block, ToolCall)]
    rest = b',"thinking":' + quoted("".join(thoughts)) if any(thoughts) else b""
    if calls:
        written = [call_json(index, call.id, call.name, call.arguments) for index, call in enumerate(calls)]
        rest += b',"tool_calls":[' + b",".join(written) + b"]"
    return quoted("".join(texts)), rest


def write_loaded(operation: str, asker: Asker, *, unload: bool) -> bytes:
    """The answer to a request that only loads, or unloads, a model: for a backend that has nothing to load."""
    content = b'"message":{"role":"assistant","content":""}' if operation == "chat" else b'"response":""'
    reason = (UNLOADED if unload else LOADED).encode()
    return b'%b%b,"done":true,"done_reason":"%b"}' % (opening(asker), content, reason)
