"""What Anthropic's API says to requests that it does not take: a gateway's translation must not make such ones."""

from collections.abc import Iterator, Mapping
from typing import Any

from modelyard.upstream.scripted.answers import REDACTED, sign
from modelyard.upstream.scripted.asked import field, objects
from modelyard.upstream.scripted.form import Fault

LEAST_BUDGET = 1024


def wrong(body: dict[str, Any], headers: Mapping[str, str]) -> Fault | None:
    """What is wrong with a request for a message."""
    return wrong_count(body, headers) or _first(_limits(body))


def wrong_count(body: dict[str, Any], headers: Mapping[str, str]) -> Fault | None:
    """What is wrong with a request for the number of tokens."""
    if "anthropic-version" not in headers:
        return Fault(status=400, message="anthropic-version: header is required")
    return _first(_messages(body.get("messages")))


def _first(complaints: Iterator[str]) -> Fault | None:
    message = next(complaints, None)
    return None if message is None else Fault(status=400, message=message)


def of(content: object, kind: str) -> list[dict[str, Any]]:
    """The blocks of this type."""
    return [block for block in objects(content) if block.get("type") == kind]


def _limits(body: dict[str, Any]) -> Iterator[str]:
    most, budget = body.get("max_tokens"), field(body, "thinking", "budget_tokens")
    if most is None:
        yield "max_tokens: Field required"
    elif not isinstance(most, int) or most < 1:
        yield "max_tokens: Input should be greater than or equal to 1"
    elif isinstance(budget, int):
        if budget < LEAST_BUDGET:
            yield f"thinking.enabled.budget_tokens: Input should be greater than or equal to {LEAST_BUDGET}"
        if budget >= most:
            yield "`max_tokens` must be greater than `thinking.budget_tokens`."


def _messages(messages: object) -> Iterator[str]:
    if not isinstance(messages, list):
        yield "messages: Field required"
        return
    if not messages:
        yield "messages: at least one message is required"
    called: set[object] = set()
    for at, message in enumerate(messages):
        role, content = field(message, "role"), field(message, "content")
        if role not in ("user", "assistant"):
            yield f"messages.{at}.role: Input should be 'user' or 'assistant'"
        if not isinstance(content, str | list):
            yield f"messages.{at}.content: Input should be a valid string or a valid list"
        if not content and at < len(messages) - 1:
            yield f"messages.{at}: all messages must have non-empty content except for the optional final one"
        yield from _results(f"messages.{at}", content, called)
        for number, block in enumerate(objects(content)):
            yield from _block(f"messages.{at}.content.{number}", block)
        called = {block.get("id") for block in of(content, "tool_use")}


def _results(where: str, content: object, called: set[object]) -> Iterator[str]:
    """`called` are the tool calls of the message before: each wants its result here, and no other may come."""
    returned = {block.get("tool_use_id") for block in of(content, "tool_result")}
    for identifier in sorted(map(str, returned - called)):
        yield f"{where}: unexpected `tool_use_id` found in `tool_result` blocks: {identifier}."
    if lost := ", ".join(sorted(map(str, called - returned))):
        yield f"{where}: `tool_use` ids were found without `tool_result` blocks immediately after: {lost}."


def _block(where: str, block: dict[str, Any]) -> Iterator[str]:
    match block.get("type"):
        case "text" if not block.get("text"):
            yield "messages: text content blocks must be non-empty"
        case "tool_use" if not isinstance(block.get("input"), dict):
            yield f"{where}.tool_use.input: Input should be a valid dictionary"
        case "thinking" if block.get("signature") != sign(str(block.get("thinking"))):
            yield f"{where}: Invalid `signature` in `thinking` block"
        case "redacted_thinking" if block.get("data") != REDACTED:
            yield f"{where}: Invalid `data` in `redacted_thinking` block"
        case _:
            pass
