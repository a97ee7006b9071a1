"""What the scripted upstream can do: one table of scripts, and the pure functions that make their answers.

A script is chosen by the name of the model. `name?delay_ms=5&events=400` changes its two parameters.
"""

import base64
import hashlib
import itertools
import re
import struct
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any

import msgspec

LOREM = [
    *("lorem", "ipsum", "dolor", "sit", "amet", "consectetur", "adipiscing", "elit", "sed", "do", "eiusmod", "tempor"),
    *("incididunt", "ut", "labore", "et", "dolore", "magna", "aliqua", "ut", "enim", "ad", "minim", "veniam", "quis"),
]
HUGE = 20_000_000
# U+2028 ends a line for str.splitlines but not in SSE; the emoji is joined from four; the é is e + combining accent.
UNICODE = ["Grüße, ", "日本語 ", "👩\u200d👩\u200d👧 ", "e\u0301 ", "line\u2028separator ", "\x85 ", "العربية ", "𝄞"]
VECTOR = 64


class Act(Enum):
    """What goes wrong, or ends differently."""

    NOTHING = "all is well"
    CUT_FIRST = "close the connection before the head"
    STALL_FIRST = "never send a byte"
    CUT = "close the connection after n events, the chunked body not terminated (one JSON: in its middle)"
    STALL = "send nothing more after n events (one JSON: from its middle on) until the client leaves"
    BROKEN_LINE = "after n events a data line that is no JSON, then go on (one JSON: cut off, but complete for HTTP)"
    ERROR_EVENT = "after n events an error as an event, and the end (one JSON: status 200 with an error)"
    EMPTY = "status 200 and an empty body"
    NO_DONE = "a finish_reason, but no [DONE]"
    TRUNCATED = "a clean end of the body, but no finish_reason and no [DONE]"


class Pace(Enum):
    """Where the delay goes."""

    HEAD = "once, before the head"
    EVENTS = "between events; one JSON comes when its last event would"
    BODY = "after the head, before each event; one JSON comes in n pieces"


class Call(msgspec.Struct, frozen=True):
    """One request, as far as answers depend on it."""

    endpoint: str  # "chat", "text" or "embeddings"
    body: dict[str, Any]
    identifier: str
    created: int
    credential: str
    events: int
    delay: float  # seconds

    @property
    def stream(self) -> bool:
        return self.body.get("stream") is True and self.endpoint != "embeddings"

    @property
    def include_usage(self) -> bool:
        options = self.body.get("stream_options")
        return isinstance(options, dict) and options.get("include_usage") is True


class Reply(msgspec.Struct, frozen=True):
    """A whole answer that is the same for a stream and for one JSON."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


def _text_of(content: object) -> str:
    """The text of a message's content, or of a prompt: a string or a list of strings or of typed parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(_text_of(part.get("text") if isinstance(part, dict) else part) for part in content)
    return ""


def _messages(call: Call) -> list[dict[str, Any]]:
    messages = call.body.get("messages")
    return [message for message in messages if isinstance(message, dict)] if isinstance(messages, list) else []


def _prompt(call: Call) -> str:
    if call.endpoint == "chat":
        return "\n".join(_text_of(message.get("content")) for message in _messages(call))
    return _text_of(call.body.get("prompt"))


def _words(text: str) -> list[str]:
    return re.findall(r"\s*\S+|\s+$", text)


def echo(call: Call) -> list[str]:
    """The last user message (or the prompt), word by word."""
    if call.endpoint == "text":
        return _words(_prompt(call))
    said = [message for message in _messages(call) if message.get("role") == "user"]
    return _words(_text_of(said[-1].get("content"))) if said else []


def lorem(call: Call) -> list[str]:
    """As many words as the script has events."""
    return [f"{word} " for word in itertools.islice(itertools.cycle(LOREM), call.events)]


def lorem_past_the_fault(call: Call) -> list[str]:
    """Enough words for a fault after n events to have something behind it."""
    return [f"{word} " for word in itertools.islice(itertools.cycle(LOREM), call.events + 8)]


def arguments(call: Call) -> list[str]:
    """A tool call's arguments in fragments, which split tokens and strings."""
    return ['{"ci', 'ty": "Zür', 'ich", "da', 'ys": ', "3}"]


def error_body(message: str, kind: str, param: str | None = None, code: str | None = None) -> bytes:
    """An error in the shape of OpenAI's."""
    return msgspec.json.encode({"error": {"message": message, "type": kind, "param": param, "code": code}})


def _rate_limited(call: Call) -> Reply:
    body = error_body(
        "Rate limit reached for requests. Please try again in 7s.", "requests", None, "rate_limit_exceeded"
    )
    return Reply(429, body, headers=(("retry-after", "7"),))


def _error_500(call: Call) -> Reply:
    return Reply(500, error_body("The server had an error while processing your request.", "server_error"))


def _error_400(call: Call) -> Reply:
    message = "This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens."
    return Reply(400, error_body(message, "invalid_request_error", "messages", "context_length_exceeded"))


def _error_401(call: Call) -> Reply:
    message = f"Incorrect API key provided: {call.credential}. You can find your API key at https://example.com/keys."
    return Reply(401, error_body(message, "invalid_request_error", None, "invalid_api_key"))


HTML = b"<!DOCTYPE html>\n<html><head><title>Bad gateway</title></head><body><h1>Bad gateway</h1></body></html>\n"


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """How one model behaves. `events` and `delay_ms` are the defaults of the two parameters."""

    pieces: Callable[[Call], list[str]] = echo  # the text of the answer, one string per delta
    reply: Callable[[Call], Reply] | None = None  # answers this instead
    act: Act = Act.NOTHING
    events: int = 3
    delay_ms: int = 0
    pace: Pace = Pace.EVENTS
    tool: bool = False  # the pieces are the arguments of a tool call
    null_usage: bool = False  # chunks have "usage": null even if usage was not asked for
    newline: bytes = b"\n"
    write: int = 0  # bytes per write, 0: an event per write
    content_type: str | None = None  # instead of the right one


SCRIPTS: dict[str, Script] = {
    # Answers
    "echo": Script(),
    "lorem": Script(pieces=lorem, events=64, delay_ms=20),
    "slow": Script(delay_ms=2000, pace=Pace.HEAD),
    "slow-body": Script(pieces=lorem, events=4, delay_ms=500, pace=Pace.BODY),
    "huge": Script(pieces=lambda call: ["x" * HUGE]),
    "tool-call": Script(pieces=arguments, tool=True),
    "unicode": Script(pieces=lambda call: UNICODE, newline=b"\r\n", write=7),
    "null-usage": Script(null_usage=True),
    "no-done": Script(act=Act.NO_DONE),
    # Refusals
    "rate-limited": Script(reply=_rate_limited),
    "error-400": Script(reply=_error_400),
    "error-401": Script(reply=_error_401),
    "error-500": Script(reply=_error_500),
    # Connections that break or hang
    "cut": Script(pieces=lorem_past_the_fault, act=Act.CUT),
    "cut-before-headers": Script(act=Act.CUT_FIRST),
    "stall": Script(pieces=lorem_past_the_fault, act=Act.STALL),
    "stall-first": Script(act=Act.STALL_FIRST),
    # Answers that are not what they should be
    "html": Script(reply=lambda call: Reply(200, HTML, "text/html; charset=utf-8")),
    "html-502": Script(reply=lambda call: Reply(502, HTML, "text/html; charset=utf-8")),
    "wrong-type": Script(content_type="text/plain; charset=utf-8"),
    "broken-line": Script(pieces=lorem_past_the_fault, act=Act.BROKEN_LINE),
    "error-event": Script(pieces=lorem_past_the_fault, act=Act.ERROR_EVENT),
    "empty-stream": Script(act=Act.EMPTY),
    "truncated": Script(act=Act.TRUNCATED),
}

BROKEN_DATA = b'{"id":"chatcmpl-broken","choices":[{"index":0,"delta":{"content":"never clo'
ERROR_DATA = error_body("The engine failed while it was generating.", "server_error", None, "engine_failed")


def _answer(script: Script, call: Call) -> tuple[list[str], str, dict[str, Any]]:
    """The pieces of the answer, its finish_reason and its usage. A word or piece counts as one token."""
    pieces, finish = script.pieces(call), "tool_calls" if script.tool and call.endpoint == "chat" else "stop"
    limit = call.body.get("max_completion_tokens") or call.body.get("max_tokens")
    if isinstance(limit, int) and 0 < limit < len(pieces):
        pieces, finish = pieces[:limit], "length"
    before, after = len(_words(_prompt(call))), len(pieces)
    usage = {"prompt_tokens": before, "completion_tokens": after, "total_tokens": before + after}
    return pieces, finish, usage


def _tool(call: Call, arguments: str) -> dict[str, Any]:
    """A call of the first tool on offer."""
    try:
        name = call.body["tools"][0]["function"]["name"]
    except (LookupError, TypeError):
        name = "get_weather"
    return {"id": f"call_{call.identifier}", "type": "function", "function": {"name": name, "arguments": arguments}}


def events(script: Script, call: Call) -> Iterator[bytes]:
    """The data of each event of a stream that goes well, up to its usage; [DONE] is the caller's."""
    pieces, finish, usage = _answer(script, call)
    chat = call.endpoint == "chat"
    common: dict[str, Any] = {
        "id": f"{'chatcmpl' if chat else 'cmpl'}-{call.identifier}",
        "object": "chat.completion.chunk" if chat else "text_completion",
        "created": call.created,
        "model": call.body.get("model"),
    }
    # OpenAI: with include_usage every chunk has a null usage but the last one, which has it and no choices.
    usage_field = {"usage": None} if call.include_usage or script.null_usage else {}

    def chunk(delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
        part = {"delta": delta} if chat else {"text": delta.get("content", "")}
        choice = {"index": 0, **part, "logprobs": None, "finish_reason": finish_reason}
        return msgspec.json.encode({**common, "choices": [choice], **usage_field})

    if script.tool and chat:
        yield chunk({"role": "assistant", "content": None, "tool_calls": [{"index": 0, **_tool(call, "")}]})
        for piece in pieces:
            yield chunk({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
    else:
        if chat:
            yield chunk({"role": "assistant", "content": "", "refusal": None})
        for piece in pieces:
            yield chunk({"content": piece})
    if script.act is Act.TRUNCATED:
        return
    yield chunk({}, finish)
    if call.include_usage:
        yield msgspec.json.encode({**common, "choices": [], "usage": usage})


def whole(script: Script, call: Call) -> tuple[bytes, int]:
    """The answer as one JSON, and how many events it would have been."""
    if call.endpoint == "embeddings":
        return _embeddings(call), 1
    pieces, reason, usage = _answer(script, call)
    finish = None if script.act is Act.TRUNCATED else reason
    text = "".join(pieces)
    if call.endpoint == "text":
        choice: dict[str, Any] = {"index": 0, "text": text, "logprobs": None, "finish_reason": finish}
    else:
        message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
        if script.tool:
            message |= {"content": None, "tool_calls": [_tool(call, text)]}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
    chat = call.endpoint == "chat"
    answer = {
        "id": f"{'chatcmpl' if chat else 'cmpl'}-{call.identifier}",
        "object": "chat.completion" if chat else "text_completion",
        "created": call.created,
        "model": call.body.get("model"),
        "choices": [choice],
        "usage": usage,
    }
    return msgspec.json.encode(answer), len(pieces)


def _embeddings(call: Call) -> bytes:
    given = call.body.get("input")
    tokens = isinstance(given, list) and bool(given) and isinstance(given[0], int)
    inputs = given if isinstance(given, list) and not tokens else [given]
    wanted = call.body.get("dimensions")
    dimensions = wanted if isinstance(wanted, int) and 0 < wanted <= 4096 else VECTOR
    data: list[dict[str, Any]] = []
    count = 0
    for index, value in enumerate(inputs):
        count += len(_words(value)) if isinstance(value, str) else len(value) if isinstance(value, list) else 0
        numbers = vector(value, dimensions)
        as_text = call.body.get("encoding_format") == "base64"
        packed = base64.b64encode(struct.pack(f"<{dimensions}f", *numbers)).decode() if as_text else numbers
        data.append({"object": "embedding", "index": index, "embedding": packed})
    usage = {"prompt_tokens": count, "total_tokens": count}
    return msgspec.json.encode({"object": "list", "data": data, "model": call.body.get("model"), "usage": usage})


def vector(value: object, dimensions: int) -> list[float]:
    """A vector of length 1 that depends on nothing but the value."""
    raw = hashlib.shake_256(msgspec.json.encode(value)).digest(2 * dimensions)
    numbers = [number / 32768 for number in struct.unpack(f"<{dimensions}h", raw)]
    length = sum(number * number for number in numbers) ** 0.5 or 1.0
    # As 32-bit floats, so that both encoding formats say the same.
    return list(struct.unpack(f"<{dimensions}f", struct.pack(f"<{dimensions}f", *(n / length for n in numbers))))
