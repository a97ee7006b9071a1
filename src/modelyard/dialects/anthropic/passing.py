"""Calls that pass to a target of this dialect: what is read of them, the few fields that are set, and the watching tap."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from modelyard.canonical.chat import Reasoning
from modelyard.canonical.snapshot import Preset, Target
from modelyard.canonical.usage import Usage
from modelyard.core import raw
from modelyard.core.raw import Fields, Raw
from modelyard.dialects.anthropic.errors import told_instead
from modelyard.dialects.anthropic.parameters import LOCKS, place
from modelyard.dialects.anthropic.thinking import USUAL_OUTPUT, can_think, conflicts, think
from modelyard.dialects.dialect import Head, refused
from modelyard.dialects.faults import upstream_failed
from modelyard.dialects.reading import (
    MALFORMED,
    NULL,
    is_empty_list,
    is_null,
    note,
    number_of,
    object_in,
    read_model,
    read_stream,
    value_in,
    wrong,
)
from modelyard.dialects.reasoning import thinks

NOT_NOW = Raw(b'{"type":"disabled"}')
USUAL_BOUND = Raw(b"%d" % USUAL_OUTPUT)


def read_head(fields: Fields) -> Head:
    """The head of a request for a message. `max_tokens` may be missing: the target's default is set then.

    Raises Problem INVALID_REQUEST.
    """
    _require_messages(fields)
    return Head(model=read_model(fields), stream=read_stream(fields), output_bound=_bound(fields))


def read_count_head(fields: Fields) -> Head:
    """The head of a request for the number of tokens: there is no output. Raises Problem INVALID_REQUEST."""
    _require_messages(fields)
    return Head(model=read_model(fields), stream=False, output_bound=None)


def _require_messages(fields: Fields) -> None:
    value = fields.get("messages")
    if value is None or bytes(memoryview(value)[:1]) != b"[" or is_empty_list(value):
        raise wrong("messages", "an array with at least one message in it")


def _bound(fields: Fields) -> int | None:
    value = fields.get("max_tokens")
    if value is None or is_null(value):
        return None
    bound = int(number_of(value_in(value, "max_tokens"), "max_tokens", whole=True))
    if bound < 0:
        raise wrong("max_tokens", "a whole number, 0 or more")
    return bound


# The preset's part


def overlay(fields: Fields, preset: Preset, system: str | None) -> list[str]:
    """Lay a preset over a request: what the caller left open or the preset locks, and the system prompt.

    Raises Problem INVALID_REQUEST for a caller's field that must be looked into and is of the wrong type.
    """
    locked = preset.locked_controls
    placed = place(preset.controls)
    losses = placed.losses
    if _asks_to_think(fields):
        for name in conflicts(placed.fields):
            note(losses, name)
            del placed.fields[name]
    for name, value in placed.fields.items():
        if name in ("metadata", "output_config") and isinstance(value, dict):
            _fill_object(fields, name, value, locks=LOCKS[name] in locked)
        elif LOCKS.get(name, name) in locked or is_null(fields.get(name, NULL)):
            fields[name] = raw.raw_of(value)
    if "max_tokens" in placed.fields and _asks_to_think(fields):
        _fit_thinking(fields, losses)
    if preset.controls.reasoning is not None:
        _lay_thinking(fields, preset, losses)
    prompts = [prompt for prompt in (system, placed.instruction) if prompt is not None]
    if prompts:
        _lay_system(fields, "\n".join(prompts))
    return losses


def overlay_count(fields: Fields, preset: Preset, system: str | None) -> list[str]:
    """Lay a preset over a request for the number of tokens: nothing else of it is counted, or accepted there."""
    if system is not None:
        _lay_system(fields, system)
    return []


def _fill_object(fields: Fields, name: str, value: Mapping[str, Any], *, locks: bool) -> None:
    """Set the members of an object that the caller may have set others of."""
    given = fields.get(name, NULL)
    if is_null(given):
        fields[name] = raw.raw_of(value)
        return
    members = object_in(given, name)
    for member, inner in value.items():
        if locks or is_null(members.get(member, NULL)):
            members[member] = raw.raw_of(inner)
    fields[name] = Raw(raw.join(members))


def _asks_to_think(fields: Fields) -> bool:
    value = fields.get("thinking")
    if value is None or is_null(value):
        return False
    return bytes(object_in(value, "thinking").get("type", NULL)) in (b'"enabled"', b'"adaptive"')


def _fit_thinking(fields: Fields, losses: list[str]) -> None:
    """The caller's budget must stay below the preset's `max_tokens`."""
    told = object_in(fields["thinking"], "thinking")
    given, bound = told.get("budget_tokens", NULL), _bound(fields)
    if is_null(given) or bound is None:
        return
    budget = int(number_of(value_in(given, "thinking.budget_tokens"), "thinking.budget_tokens", whole=True))
    if budget < bound:
        return
    fitted = think(Reasoning(budget=budget), bound, None).thinking
    if fitted is None:
        note(losses, "reasoning_effort")
        del fields["thinking"]
    else:
        told["budget_tokens"] = raw.raw_of(fitted["budget_tokens"])
        fields["thinking"] = Raw(raw.join(told))


def _lay_thinking(fields: Fields, preset: Preset, losses: list[str]) -> None:
    """Set `thinking` where nothing in the request forbids it, or the preset locks it."""
    locks = "reasoning_effort" in preset.locked_controls
    reasoning = preset.controls.reasoning
    assert reasoning is not None
    if not (locks or is_null(fields.get("thinking", NULL))):
        return
    if not thinks(reasoning):
        fields["thinking"] = NOT_NOW
        return
    thought = think(reasoning, _bound(fields), None)
    steering = {name: value_in(fields[name], name) for name in _STEERING if name in fields}
    forbidding = conflicts(steering)
    if thought.thinking is None or (forbidding and not locks) or not can_think(_last_two(fields["messages"])):
        note(losses, "reasoning_effort")
        return
    for name in forbidding:
        note(losses, name)
        del fields[name]
    fields["thinking"] = raw.raw_of(thought.thinking)
    fields["max_tokens"] = raw.raw_of(thought.max_tokens)


_STEERING = ("temperature", "top_k", "top_p", "tool_choice")


def _last_two(messages: Raw) -> list[Any]:
    try:
        return [raw.value_of(item) for item in raw.split_list(messages)[-2:]]
    except raw.NotJson as error:
        raise wrong("messages", f"an array of messages ({error})") from None


def _lay_system(fields: Fields, system: str) -> None:
    """The preset's prompt goes before the caller's own."""
    given = fields.get("system", NULL)
    if bytes(memoryview(given)[:1]) == b"[":
        block = raw.raw_of({"type": "text", "text": system})
        try:
            fields["system"] = raw.join_list([block, *raw.split_list(given)])
        except raw.NotJson:
            raise wrong("system", "a string or an array of blocks") from None
        return
    text = value_in(given, "system")
    if text is not None and not isinstance(text, str):
        raise wrong("system", "a string or an array of blocks")
    fields["system"] = raw.raw_of(f"{system}\n{text}" if text else system)


# A signature that no Anthropic model can read: none, or that of another dialect's model.
_FOREIGN = re.compile(rb'"signature"\s*:\s*"(?:"|modelyard:)')


def address(fields: Fields, target: Target, ask_for_usage: bool) -> bytes:
    """The body for one target: its own name of the model, and what the API requires. Usage comes unasked."""
    body = _addressed(fields, target)
    if is_null(body.get("max_tokens", NULL)):
        body["max_tokens"] = USUAL_BOUND
    return raw.join(body)


def address_count(fields: Fields, target: Target, ask_for_usage: bool) -> bytes:
    """The same for a request for the number of tokens."""
    return raw.join(_addressed(fields, target))


def _addressed(fields: Fields, target: Target) -> Fields:
    body = dict(fields)
    body["model"] = target.upstream_model
    accent = target.accent
    if accent.renames or accent.refuses:
        for name in body.keys() & accent.refuses:
            del body[name]
        for theirs, own in accent.renames.items():
            value = body.pop(theirs, None)
            if value is not None:
                body.setdefault(own, value)
    if _FOREIGN.search(body["messages"]) is not None:
        body["messages"] = _own_thoughts(body["messages"])
        if "thinking" in body and not can_think(_last_two(body["messages"])):
            # The calls that the answer goes on from have lost their thoughts.
            body["thinking"] = NOT_NOW
    return body


def left_out(fields: Fields, target: Target) -> list[str]:
    """What `address` leaves out: what the target refuses, and thoughts of models that are not Anthropic's."""
    names = refused(fields, target)
    messages = fields.get("messages", NULL)
    if _FOREIGN.search(messages) is not None and bytes(_own_thoughts(messages)) != raw.join_list(
        raw.split_list(messages)
    ):
        names.append("messages.thinking")
    return names


def _own_thoughts(messages: Raw) -> Raw:
    """The messages without the thoughts of other models: the API refuses a whole request for one of them."""
    try:
        items = raw.split_list(messages)
        for place_, item in enumerate(items):
            message = raw.split(bytes(item))
            content = message.get("content", NULL)
            if _FOREIGN.search(content) is None or bytes(memoryview(content)[:1]) != b"[":
                continue
            kept = [block for block in raw.split_list(content) if not _is_foreign(block)]
            message["content"] = raw.join_list(kept or [_UNSAID])
            items[place_] = Raw(raw.join(message))
    except raw.NotJson as error:
        raise wrong("messages", f"an array of messages ({error})") from None
    return raw.join_list(items)


_UNSAID = Raw(b'{"type":"text","text":"."}')


def _is_foreign(block: Raw) -> bool:
    if _FOREIGN.search(block) is None or bytes(memoryview(block)[:1]) != b"{":
        return False
    return bytes(raw.split(bytes(block)).get("type", NULL)) == b'"thinking"'


def asked_for_usage(fields: Fields) -> bool:
    """Usage stands in events that every caller gets: nothing has to be taken out again."""
    return True


# Answers


class _Count(msgspec.Struct):
    input_tokens: Any = None
    error: Any = None


_count = msgspec.json.Decoder(_Count)


def read_count(body: bytes) -> Usage | None:
    """A number of tokens costs nothing. Raises Problem UPSTREAM_FAILED when the answer is none."""
    try:
        count = _count.decode(body)
    except MALFORMED:
        count = _Count()
    if count.error is not None:
        raise told_instead({"error": count.error})
    if count.input_tokens is None:
        raise upstream_failed("The backend answered with something that is not a number of tokens.")
    return None
