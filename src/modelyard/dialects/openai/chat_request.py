"""Chat completions requests to and from the hub's vocabulary (API reference, "Create chat completion")."""

from typing import Any

import msgspec

from modelyard.canonical.chat import MAX_PARTS, ChatRequest
from modelyard.canonical.snapshot import Accent
from modelyard.core import raw
from modelyard.core.raw import Fields
from modelyard.dialects.accents import in_accent
from modelyard.dialects.dialect import Recipient, Written
from modelyard.dialects.openai.asked_messages import MessageReader
from modelyard.dialects.openai.functions import read_choice, read_parallel, read_tools, write_tools
from modelyard.dialects.openai.parameters import read_controls, write_controls
from modelyard.dialects.openai.told_messages import write_messages
from modelyard.dialects.reading import note, read_stream, too_many, wrong

Raw = msgspec.Raw

# Fields that are no parameters: what they hold is read by name, or (the model) by the pipeline.
KNOWN = frozenset(
    {
        "model",
        "messages",
        "stream",
        "stream_options",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "functions",
        "function_call",
    }
)


def read_request(fields: Fields) -> ChatRequest:
    """Read a caller's request. Raises Problem INVALID_REQUEST, its `param` says where."""
    controls, unread = read_controls(fields, KNOWN)
    messages = fields.get("messages")
    if messages is None:
        raise wrong("messages", "an array of messages")
    reader = MessageReader(unread)
    reader.read(messages)
    tools = read_tools(fields, unread)
    if reader.parts + len(tools) > MAX_PARTS:
        raise too_many("tools")
    return ChatRequest(
        turns=reader.turns,
        system=reader.system,
        tools=tools,
        tool_choice=read_choice(fields, unread),
        parallel_tools=read_parallel(fields),
        controls=controls,
        stream=read_stream(fields),
        unread=unread,
    )


def write_request(request: ChatRequest, recipient: Recipient) -> Written:
    """Write a request for a target that speaks chat completions."""
    target = recipient.target
    accent = target.accent
    losses: list[str] = []
    body: dict[str, Any] = {
        "model": target.upstream_model,
        "messages": write_messages(request, accent, losses),
    }
    write_tools(request, body, losses)
    return finish_request(request, body, accent, losses)


def finish_request(request: ChatRequest, body: dict[str, Any], accent: Accent, losses: list[str]) -> Written:
    """Lay the controls over a body, then speak it in the target's accent."""
    if request.stream:
        body["stream"] = True
        if accent.stream_usage:
            body["stream_options"] = {"include_usage": True}
    fields, lost = write_controls(request.controls, accent)
    for name in lost:
        note(losses, name)
    body.update(fields)
    for name, value in request.controls.extras.items():
        body.setdefault(name, value)
    if accent.renames or accent.refuses:
        body = in_accent(body, accent, losses)
    return Written(raw.encode(body), losses)
