"""Text completions, the API's oldest, to and from the hub's vocabulary (API reference, "Create completion").

Callers still use it. The hub asks targets for chats; the way to a target is here so that the dialect is whole.
"""

from typing import Any

import msgspec

from modelyard.canonical.chat import (
    USER,
    ChatReply,
    ChatRequest,
    Refusal,
    Text,
    Turn,
    reply_usage,
)
from modelyard.canonical.events import Event, Finish, Start, TextDelta
from modelyard.canonical.usage import NOTHING
from modelyard.core import raw
from modelyard.core.errors import Problem
from modelyard.core.raw import Fields
from modelyard.dialects.dialect import Asker, Recipient, Written
from modelyard.dialects.openai.chat_answer import FINISHES
from modelyard.dialects.openai.chat_request import finish_request
from modelyard.dialects.openai.chat_writer import DONE, head_of
from modelyard.dialects.openai.errors import write_error
from modelyard.dialects.openai.figures import write_usage
from modelyard.dialects.openai.parameters import read_controls
from modelyard.dialects.openai.request import asked_for_usage
from modelyard.dialects.reading import MALFORMED, note, read_stream, wrong

Raw = msgspec.Raw

KNOWN = frozenset({"model", "prompt", "stream", "stream_options", "logprobs", "echo", "best_of"})

_prompt = msgspec.json.Decoder(str | list[str])
_count = msgspec.json.Decoder(int | None)
_any = msgspec.json.Decoder()
_encode = msgspec.json.Encoder().encode


def read_request(fields: Fields) -> ChatRequest:
    """Read a caller's request. Raises Problem INVALID_REQUEST: of several prompts a translated target takes one."""
    controls, unread = read_controls(fields, KNOWN)
    _read_logprobs(fields, controls.params)
    for name, default in (("echo", False), ("best_of", 1)):
        if name in fields and _value(fields[name], name) not in (None, default):
            unread.append(name)
    turn = Turn(role=USER, blocks=[Text(text=_read_prompt(fields))])
    return ChatRequest(turns=[turn], controls=controls, stream=read_stream(fields), completion=True, unread=unread)


def _read_prompt(fields: Fields) -> str:
    try:
        prompt: str | list[str] = _prompt.decode(fields.get("prompt", Raw(b"null")))
    except MALFORMED:
        raise wrong("prompt", "a string (this model takes no token ids)") from None
    if isinstance(prompt, str):
        return prompt
    if len(prompt) != 1:
        raise wrong("prompt", "one string (this model takes one prompt in a request)")
    return prompt[0]


def _read_logprobs(fields: Fields, params: dict[str, Any]) -> None:
    """Here `logprobs` is how many tokens to tell beside the one that was taken."""
    value = fields.get("logprobs")
    if value is None or bytes(value) == b"false":
        return
    try:
        told = _count.decode(value)
    except MALFORMED:
        raise wrong("logprobs", "a whole number") from None
    if told is not None:
        params["logprobs"] = True
        params["top_logprobs"] = told


def _value(value: Raw, name: str) -> Any:
    try:
        return _any.decode(value)
    except MALFORMED:
        raise wrong(name, "a plain value") from None


def write_request(request: ChatRequest, recipient: Recipient) -> Written:
    """Write a request for a target that completes texts: all that was said, as one text."""
    losses: list[str] = []
    if request.tools:
        note(losses, "tools")
    texts = [text.text for text in request.system]
    for turn in request.turns:
        for block in turn.blocks:
            if isinstance(block, Text):
                texts.append(block.text)
            else:
                note(losses, f"messages.{getattr(block, 'kind', type(block).__name__.lower())}")
    accent = recipient.target.accent
    body = {"model": recipient.target.upstream_model, "prompt": "\n\n".join(texts)}
    params = request.controls.params
    plain = msgspec.structs.replace(
        request.controls,
        params={name: value for name, value in params.items() if name not in ("suffix", "logprobs", "top_logprobs")},
    )
    if "suffix" in params:
        body["suffix"] = params["suffix"]
    if params.get("logprobs"):
        body["logprobs"] = params.get("top_logprobs", 0)
    written = msgspec.structs.replace(request, controls=plain)
    return finish_request(written, body, accent, losses)


def write_reply(reply: ChatReply, asker: Asker) -> bytes:
    """Write an answer for a caller: its text. Thoughts and tool calls have no place in one."""
    text = "".join([block.text for block in reply.blocks if isinstance(block, (Text, Refusal))])
    return raw.encode(
        {
            "id": f"cmpl-{asker.call_id}",
            "object": "text_completion",
            "created": asker.created,
            "model": asker.model,
            "choices": [
                {
                    "text": text,
                    "index": 0,
                    "logprobs": _columns(reply.logprobs, 0),
                    "finish_reason": _finish(reply.finish),
                }
            ],
            "usage": write_usage(reply_usage(reply), reply.timings),
        }
    )


def _finish(reason: str) -> str:
    finish = FINISHES.get(reason, "stop")
    return finish if finish in ("stop", "length", "content_filter") else "stop"


def _columns(rows: list[Any] | None, offset: int) -> dict[str, Any] | None:
    """Log probabilities as text completions tell them. `offset`: characters of text before these tokens."""
    if rows is None:
        return None
    offsets = []
    for row in rows:
        offsets.append(offset)
        offset += len(row["token"])
    return {
        "tokens": [row["token"] for row in rows],
        "token_logprobs": [row["logprob"] for row in rows],
        "top_logprobs": [{top["token"]: top["logprob"] for top in row.get("top_logprobs") or ()} for row in rows],
        "text_offset": offsets,
    }


class TextWriter:
    """Writes the stream of a text completion. See `dialects.dialect.EventWriter`."""

    __slots__ = ("_end", "_head", "_length", "_plain", "_wants_usage")

    def __init__(self, asker: Asker) -> None:
        self._wants_usage = asked_for_usage(asker.fields)
        self._head = head_of(asker, "cmpl", "text_completion")
        self._end = b',"usage":null}\n\n' if self._wants_usage else b"}\n\n"
        self._plain = b',"index":0,"logprobs":null,"finish_reason":null}]' + self._end
        self._length = 0

    def write(self, events: list[Event]) -> bytes:
        """The chunks for these events; b"" where there is nothing to show."""
        return b"".join([self._one(event) for event in events])

    def fail(self, problem: Problem) -> bytes:
        """The error event that ends the stream instead of `[DONE]`."""
        return b"data: " + write_error(problem) + b"\n\n"

    def _one(self, event: Event) -> bytes:
        if isinstance(event, TextDelta):
            head = self._head + b',"choices":[{"text":' + _encode(event.text)
            offset, self._length = self._length, self._length + len(event.text)
            if event.logprobs is None:
                return head + self._plain
            columns = _encode(_columns(event.logprobs, offset))
            return head + b',"index":0,"logprobs":' + columns + b',"finish_reason":null}]' + self._end
        if isinstance(event, Start):
            return self._head + b',"choices":[{"text":""' + self._plain
        return self._last(event) if isinstance(event, Finish) else b""

    def _last(self, event: Finish) -> bytes:
        reason = _finish(event.reason).encode()
        choice = b',"choices":[{"text":"","index":0,"logprobs":null,"finish_reason":"' + reason + b'"}]'
        last = self._head + choice + self._end
        if self._wants_usage:
            usage = _encode(write_usage(event.usage or NOTHING, event.timings))
            last += self._head + b',"choices":[],"usage":' + usage + b"}\n\n"
        return last + DONE
