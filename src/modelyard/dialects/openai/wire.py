"""What backends answer, as records that forgive: fields that only decorate an answer may be of any type.

API reference, "The chat completion object", "The chat completion chunk object" and, for `text`, "The completion object".
"""

import json
import re
from typing import Any

import msgspec

from modelyard.canonical.chat import LENGTH, REFUSED, STOP, STOP_SEQUENCE, TOOL_CALLS
from modelyard.core import raw
from modelyard.dialects.faults import upstream_failed
from modelyard.dialects.reading import MALFORMED
from modelyard.dialects.writing import lenient, whole

Raw = msgspec.Raw


class WirePart(msgspec.Struct):
    """A part of content that is a list; Mistral's thoughts are lists of texts within one."""

    type: str = "text"
    text: str | None = None
    thinking: "str | list[WirePart] | None" = None
    refusal: str | None = None


class WireFunction(msgspec.Struct):
    name: str | None = None
    arguments: str | dict[str, Raw] | None = None


class WireCall(msgspec.Struct):
    function: WireFunction | None = None
    id: str | None = None
    index: int | None = None


class WireThought(msgspec.Struct):
    type: str = "thinking"
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None


class WireMessage(msgspec.Struct):
    """A message, or the part of one that a chunk adds."""

    content: str | list[WirePart] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    thinking_blocks: list[WireThought] | None = None
    refusal: str | None = None
    tool_calls: list[WireCall] | None = None
    function_call: WireFunction | None = None


class WireChoice(msgspec.Struct):
    delta: WireMessage | None = None
    message: WireMessage | None = None
    text: str | None = None
    finish_reason: str | None = None
    index: Any = None
    logprobs: Any = None
    # vLLM: the stop sequence that it met.
    stop_reason: Any = None


class WireAnswer(msgspec.Struct):
    """A whole answer or one chunk."""

    choices: list[WireChoice] | None = None
    usage: Any = None
    error: Any = None
    timings: Any = None
    id: Any = None
    model: Any = None
    object: Any = None


decoder = msgspec.json.Decoder(WireAnswer)


def mended(data: bytes, broken: str, half: str = "") -> tuple[WireAnswer, str]:
    """Read what msgspec refuses: half a surrogate pair, which a token's border may leave, and a NaN.

    `half` is what the chunk before left of a pair; the second value is what this one leaves. Raises Problem
    UPSTREAM_FAILED with the message `broken` when it is no answer for all that.
    """
    try:
        value = lenient(data)
        half = _join_halves(value, half)
        text = json.dumps(value, ensure_ascii=False)
        return decoder.decode(whole(text)), half
    except (ValueError, *MALFORMED):
        raise upstream_failed(broken) from None


def _join_halves(chunk: Any, half: str) -> str:
    """Put `half` before the chunk's text, and take off half a pair at its end."""
    try:
        delta = chunk["choices"][0]["delta"]
        text = half + delta["content"]
    except (KeyError, IndexError, TypeError):
        return half
    last = text[-1:]
    cut = "\ud800" <= last <= "\udbff"
    delta["content"] = text[:-1] if cut else text
    return last if cut else ""


FINISHES = {
    "stop": STOP,
    "length": LENGTH,
    "max_tokens": LENGTH,
    "model_length": LENGTH,
    "tool_calls": TOOL_CALLS,
    "function_call": TOOL_CALLS,
    "content_filter": REFUSED,
}


def finish_of(reason: str, stop_reason: Any, *, called: bool) -> tuple[str, str | None]:
    """(why the answer ended, the stop sequence that ended it). `called`: there are tool calls in it."""
    finish = FINISHES.get(reason, STOP)
    if finish == STOP and called:
        return TOOL_CALLS, None
    if finish == STOP and isinstance(stop_reason, str) and stop_reason:
        return STOP_SEQUENCE, stop_reason
    return finish, None


_NO_WORD = re.compile(r"[^0-9A-Za-z_-]")


def made_id(answer_id: Any, number: int) -> str:
    """An id for a call that came without one, of the answer's own; "" where that has none either."""
    known = _NO_WORD.sub("", answer_id)[-24:] if isinstance(answer_id, str) else ""
    return f"call_{known}_{number}" if known else ""


def arguments_of(function: WireFunction) -> str:
    """The arguments as text; some servers send them as an object."""
    arguments = function.arguments
    return raw.join(arguments).decode() if isinstance(arguments, dict) else arguments or ""


def logprobs_of(wire: Any) -> list[Any] | None:
    """{token, logprob, bytes, top_logprobs} of each token, or None. Rows that are not of that form are left out.

    Text completions tell them in columns: {tokens, token_logprobs, top_logprobs}.
    """
    if not isinstance(wire, dict):
        return None
    rows = wire.get("content")
    if rows is None and isinstance(wire.get("tokens"), list):
        rows = _rows(wire)
    if not isinstance(rows, list):
        return None
    return [row for row in map(_row, rows) if row is not None] or None


MOST = 1e300  # no logarithm of a probability; and NaN is not below it


def _row(row: Any) -> dict[str, Any] | None:
    if not isinstance(row, dict):
        return None
    token, logprob, told, top = row.get("token"), row.get("logprob"), row.get("bytes"), row.get("top_logprobs")
    if not isinstance(token, str) or not isinstance(logprob, (int, float)) or not abs(logprob) < MOST:
        return None
    if not isinstance(told, list) or not all(type(byte) is int for byte in told):
        told = None
    others = [other for other in map(_row, top) if other is not None] if isinstance(top, list) else []
    for other in others:
        del other["top_logprobs"]
    return {"token": token, "logprob": float(logprob), "bytes": told, "top_logprobs": others}


def _rows(columns: dict[str, Any]) -> list[Any]:
    values, tops = columns.get("token_logprobs"), columns.get("top_logprobs")
    values = values if isinstance(values, list) else []
    tops = tops if isinstance(tops, list) else []
    rows = []
    for index, (token, value) in enumerate(zip(columns["tokens"], values, strict=False)):
        top = tops[index] if index < len(tops) and isinstance(tops[index], dict) else {}
        others = [{"token": other, "logprob": logprob} for other, logprob in top.items()]
        rows.append({"token": token, "logprob": value, "top_logprobs": others})
    return rows


def words_of(parts: str | list[WirePart] | None) -> str:
    """Thoughts as one text."""
    return "".join([part.text or "" for part in parts]) if isinstance(parts, list) else parts or ""
