"""Requests for a target of this dialect, written from the hub's vocabulary (API reference, "Create a Message")."""

from typing import Any

from modelyard.canonical.chat import ChatRequest, Text
from modelyard.dialects.accents import in_accent
from modelyard.dialects.anthropic.parameters import place
from modelyard.dialects.anthropic.thinking import ADAPTIVE, USUAL_OUTPUT, can_think, give_way, think
from modelyard.dialects.anthropic.told_messages import write_messages, write_system
from modelyard.dialects.anthropic.tools import write_tools
from modelyard.dialects.dialect import Recipient, Written
from modelyard.dialects.reading import note
from modelyard.dialects.reasoning import thinks
from modelyard.dialects.writing import encoded


def write_request(request: ChatRequest, recipient: Recipient) -> Written:
    """Write a request. Raises Problem INVALID_REQUEST for what the API can take in no form (see `told_messages`)."""
    target, limit = recipient
    placed = place(request.controls)
    losses = placed.losses
    bound = placed.fields.pop("max_tokens", None)
    body: dict[str, Any] = {"model": target.upstream_model, "max_tokens": limit or USUAL_OUTPUT}
    if bound is not None:
        body["max_tokens"] = bound
    texts = request.system
    if placed.instruction is not None:
        texts = [*texts, Text(text=placed.instruction)]
    system = write_system(texts)
    if system is not None:
        body["system"] = system
    body["messages"], called = write_messages(request, losses)
    body.update(placed.fields)
    write_tools(request, called, body, losses)
    if request.controls.reasoning is not None:
        _write_thinking(request, body, recipient, bound, losses)
    if request.stream:
        body["stream"] = True
    if target.accent.renames or target.accent.refuses:
        body = in_accent(body, target.accent, losses)
    return Written(encoded(body), losses)


def _write_thinking(
    request: ChatRequest, body: dict[str, Any], recipient: Recipient, bound: int | None, losses: list[str]
) -> None:
    """Sets `thinking`, and what must change with it."""
    reasoning = request.controls.reasoning
    assert reasoning is not None
    if not thinks(reasoning):
        body["thinking"] = {"type": "disabled"}
        return
    adaptive = recipient.target.accent.reasoning == ADAPTIVE
    thought = think(reasoning, bound, recipient.output_limit, adaptive=adaptive)
    if thought.thinking is None or not can_think(body["messages"]):
        note(losses, "reasoning_effort")
        return
    body["thinking"] = thought.thinking
    body["max_tokens"] = thought.max_tokens
    if thought.effort is not None:
        body.setdefault("output_config", {})["effort"] = thought.effort
    give_way(body, losses)
