"""Whole answers of the Responses API, read into the hub's vocabulary and written from it."""

from typing import Any

import msgspec

from modelyard.canonical.chat import (
    LENGTH,
    REFUSED,
    STOP,
    TOOL_CALLS,
    Block,
    ChatReply,
    Redacted,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    reply_usage,
)
from modelyard.canonical.usage import Usage
from modelyard.core import raw
from modelyard.core.errors import Problem
from modelyard.dialects.dialect import Asker
from modelyard.dialects.faults import no_answer, upstream_failed
from modelyard.dialects.openai.responses.items import (
    KINDS,
    Item,
    decode_each,
    encrypted_of,
    thought_of,
    timings_in,
    told_by,
    usage_of,
)
from modelyard.dialects.openai.responses.shell import COMPLETED, INCOMPLETE, Shell
from modelyard.dialects.openai.wire import logprobs_of
from modelyard.dialects.reading import MALFORMED, NULL
from modelyard.dialects.writing import mended

Raw = msgspec.Raw


class _Incomplete(msgspec.Struct, gc=False):
    reason: str | None = None


class Answer(msgspec.Struct):
    """A response object, as far as it is read. `output` holds items."""

    id: str | None = None
    model: str | None = None
    status: str | None = None
    output: Raw = NULL
    incomplete_details: _Incomplete | None = None
    usage: Raw = NULL
    timings: Raw = NULL
    error: Raw = NULL


_answer = msgspec.json.Decoder(Answer)
_items = msgspec.json.Decoder(list[Item])

NOT_AN_ANSWER = no_answer("an answer of the Responses API")


def decode_answer(body: bytes | Raw, broken: str = NOT_AN_ANSWER) -> Answer:
    """Raises Problem UPSTREAM_FAILED with the message `broken`, or with the error that the answer tells."""
    try:
        answer = _answer.decode(body)
    except MALFORMED:
        try:
            answer = _answer.decode(mended(bytes(body)))
        except (ValueError, *MALFORMED):
            raise upstream_failed(broken) from None
    if len(answer.error) > len(b"null") or answer.status == "failed":
        raise told_by(answer.error, "")
    return answer


def items_of(answer: Answer, broken: str = NOT_AN_ANSWER) -> list[Item]:
    """The items of its `output`. Raises Problem UPSTREAM_FAILED."""
    try:
        return _items.decode(answer.output)
    except MALFORMED:
        pass
    try:
        # A tool that the server runs itself has items of its own form; half a surrogate pair is no reason to fail.
        return decode_each(Item, KINDS, Raw(mended(bytes(answer.output))), "output")
    except (ValueError, Problem, *MALFORMED):
        raise upstream_failed(broken) from None


def finish_of(answer: Answer, *, called: bool) -> str:
    """Why it ended. `called`: there are tool calls in it."""
    if answer.status == "incomplete":
        reason = answer.incomplete_details.reason if answer.incomplete_details is not None else None
        if reason == "content_filter":
            return REFUSED
        if reason in (None, "max_output_tokens"):
            return LENGTH
    return TOOL_CALLS if called else STOP


def usage_in(answer: Answer) -> Usage | None:
    """Its usage, None when it tells none."""
    return usage_of(answer.usage) if len(answer.usage) > len(b"null") else None


def read_reply(body: bytes) -> ChatReply:
    """Raises Problem UPSTREAM_FAILED when it is not an answer, or holds an error."""
    answer = decode_answer(body)
    if answer.status not in (None, "completed", "incomplete"):
        raise upstream_failed("The backend answered before its answer was complete.")
    blocks, logprobs = blocks_of(items_of(answer))
    return ChatReply(
        blocks=blocks,
        finish=finish_of(answer, called=any(isinstance(block, ToolCall) for block in blocks)),
        usage=usage_in(answer),
        model=answer.model or "",
        id=answer.id or "",
        logprobs=logprobs,
        timings=timings_in(answer.timings),
    )


def blocks_of(items: list[Item]) -> tuple[list[Block], list[Any] | None]:
    """The blocks of an answer, and its logprobs. Items of tools that the server ran itself hold nothing for the hub."""
    blocks: list[Block] = []
    logprobs: list[Any] = []
    for item in items:
        match item.type:
            case "function_call":
                blocks.append(
                    ToolCall(id=item.call_id or item.id or "", name=item.name or "", arguments=item.arguments or "")
                )
            case "reasoning":
                block = thought_of(item)
                if block is not None:
                    blocks.append(block)
            case "message":
                blocks += _said(item, logprobs)
            case _:
                pass
    return blocks, logprobs or None


def _said(item: Item, logprobs: list[Any]) -> list[Block]:
    if not isinstance(item.content, list):
        return [Text(text=item.content)] if item.content else []
    blocks: list[Block] = []
    for part in item.content:
        if part.type == "refusal":
            blocks.append(Refusal(text=part.refusal or ""))
        elif part.text is not None:
            blocks.append(Text(text=part.text))
            logprobs += read_logprobs(part.logprobs) or []
    return blocks


def read_logprobs(value: Raw) -> list[Any] | None:
    """The logprobs of a part or a delta in the hub's form, None when there are none."""
    if len(value) <= len(b"null"):
        return None
    try:
        return logprobs_of({"content": raw.value_of(value)})
    except raw.NotJson:
        return None


def read_usage(body: bytes) -> Usage | None:
    """Usage of a whole answer; None when it tells none. Raises Problem UPSTREAM_FAILED when it is not an answer."""
    try:
        answer = _answer.decode(body)
    except MALFORMED:
        # Valid JSON that is not quite as we know it is the caller's to read.
        try:
            told = raw.value_of(Raw(mended(body)))
        except ValueError:
            raise upstream_failed(NOT_AN_ANSWER) from None
        if not isinstance(told, dict):
            raise upstream_failed(NOT_AN_ANSWER) from None
        return None
    if len(answer.error) > len(b"null") or answer.status == "failed":
        raise told_by(answer.error, "")
    return usage_in(answer)


def write_reply(reply: ChatReply, asker: Asker) -> bytes:
    """The whole response object for a caller."""
    shell = Shell(asker)
    items = [raw.encode(item) for item in _items_for(reply, asker.call_id)]
    cut = reply.finish if reply.finish in (LENGTH, REFUSED) else None
    status = COMPLETED if cut is None else INCOMPLETE
    return shell.response(status, items, usage=reply_usage(reply), cut=cut)


def _items_for(reply: ChatReply, call_id: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    logprobs = told_logprobs(reply.logprobs)
    for block in reply.blocks:
        number = f"{call_id}_{len(items)}"
        match block:
            case Text() | Refusal():
                if not items or items[-1]["type"] != "message":
                    items.append(message_item(f"msg_{number}", "completed", []))
                items[-1]["content"].append(said_part(block, logprobs))
                logprobs = []
            case Thinking() | Redacted():
                text = block.text if isinstance(block, Thinking) else ""
                items.append(reasoning_item(f"rs_{number}", text, encrypted_of(block)))
            case ToolCall():
                items.append(call_item(f"fc_{number}", block, block.arguments or "{}", "completed"))
            case _:
                pass  # no answer holds any other
    if reply.finish in (LENGTH, REFUSED) and items and items[-1]["type"] == "message":
        items[-1]["status"] = "incomplete"
    return items


def told_logprobs(logprobs: list[Any] | None) -> list[Any]:
    """Logprobs as the API tells them: there `bytes` is never null."""
    return [
        {**row, "bytes": row.get("bytes") or [], "top_logprobs": _tops(row.get("top_logprobs"))}
        for row in logprobs or []
    ]


def _tops(rows: list[Any] | None) -> list[Any]:
    return [{**row, "bytes": row.get("bytes") or []} for row in rows or []]


def message_item(item_id: str, status: str, content: list[Any]) -> dict[str, Any]:
    """An item of what the assistant says."""
    return {"id": item_id, "type": "message", "status": status, "content": content, "role": "assistant"}


def said_part(block: Text | Refusal, logprobs: list[Any]) -> dict[str, Any]:
    """One part of it."""
    if isinstance(block, Refusal):
        return {"type": "refusal", "refusal": block.text}
    return {"type": "output_text", "annotations": [], "logprobs": logprobs, "text": block.text}


def reasoning_item(item_id: str, text: str, encrypted: str | None) -> dict[str, Any]:
    """An item of what the model thinks."""
    item: dict[str, Any] = {"id": item_id, "type": "reasoning", "summary": []}
    if text:
        item["summary"] = [{"type": "summary_text", "text": text}]
    if encrypted is not None:
        item["encrypted_content"] = encrypted
    return item


def call_item(item_id: str, call: ToolCall, arguments: str, status: str) -> dict[str, Any]:
    """An item that asks for a tool."""
    return {
        "id": item_id,
        "type": "function_call",
        "status": status,
        "arguments": arguments,
        "call_id": call.id,
        "name": call.name,
    }
