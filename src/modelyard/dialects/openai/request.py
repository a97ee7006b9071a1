"""OpenAI requests as raw fields: what is read of them, and the few fields that are set before they go on."""

from collections.abc import Collection, Mapping

import msgspec

from modelyard.canonical.snapshot import Accent, Preset, Target
from modelyard.core import raw
from modelyard.core.errors import Kind, Problem
from modelyard.core.raw import Fields
from modelyard.dialects.dialect import Head
from modelyard.dialects.reading import MALFORMED, NULL, is_empty_list, object_in, read_model, read_stream, wrong

# Two spellings of one parameter: who sets one of them has set both.
ALIASES: Mapping[str, str] = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}

# Of a preset's parameters, those that embeddings take.
EMBEDDING_PARAMETERS = frozenset({"dimensions", "encoding_format", "user"})

# Refused fields that nobody loses when they say what holds without them.
NEUTRAL: Mapping[str, tuple[bytes, ...]] = {
    "temperature": (b"1", b"1.0"),
    "top_p": (b"1", b"1.0"),
    "presence_penalty": (b"0", b"0.0"),
    "frequency_penalty": (b"0", b"0.0"),
    "logprobs": (b"false",),
    "store": (b"false",),
}

ARRAY = "an array with at least one item"
STRING_OR_ARRAY = "a string or an array"
STRING = "a string"
_OPENINGS: Mapping[str, bytes] = {ARRAY: b"[", STRING_OR_ARRAY: b'"[', STRING: b'"'}

TRUE = msgspec.Raw(b"true")
USAGE_WANTED = msgspec.Raw(b'{"include_usage":true}')


def read_chat_head(fields: Fields) -> Head:
    """The head of a chat completion. Raises Problem INVALID_REQUEST, as its neighbours do."""
    require(fields, "messages", ARRAY)
    return Head(model=read_model(fields), stream=read_stream(fields), output_bound=_output_bound(fields))


def read_completions_head(fields: Fields) -> Head:
    """The head of a legacy text completion."""
    require(fields, "prompt", STRING_OR_ARRAY)
    return Head(model=read_model(fields), stream=read_stream(fields), output_bound=_output_bound(fields))


def read_embeddings_head(fields: Fields) -> Head:
    """The head of a request for embeddings, which have no output to bound and do not stream."""
    require(fields, "input", STRING_OR_ARRAY)
    return Head(model=read_model(fields), stream=False, output_bound=None)


def require(fields: Fields, field: str, expected: str) -> None:
    """Check the one field that an operation cannot do without; `expected` is ARRAY, STRING_OR_ARRAY or STRING."""
    value = fields.get(field)
    if value is None:
        raise Problem(Kind.INVALID_REQUEST, f"`{field}` is missing: it must be {expected}.", param=field)
    if bytes(memoryview(value)[:1]) not in _OPENINGS[expected] or is_empty_list(value):
        raise wrong(field, expected)


def _output_bound(fields: Fields) -> int | None:
    """The largest bound of all spellings, times the answers: which of them a server keeps to is its own choice."""
    bounds = []
    for name in ALIASES:
        value = fields.get(name)
        if value is None or bytes(value) == b"null":
            continue
        bound = _number(name, value)
        if not isinstance(bound, int) or isinstance(bound, bool):
            raise wrong(name, "a whole number")
        if bound < 0:
            return None  # how some servers spell "no bound"
        bounds.append(bound)
    for bound in (_whole(fields, "num_predict"), _whole(_options(fields), "num_predict")):
        if bound is not None and bound < 0:
            return None
        if bound is not None:
            bounds.append(bound)
    if not bounds:
        return None
    return max(bounds) * max(_whole(fields, "n") or 1, _whole(fields, "best_of") or 1, 1)


def _whole(fields: Fields, name: str) -> int | None:
    """A whole number; None for a field that is none, which is the server's to refuse."""
    value = fields.get(name)
    number = None if value is None else _number(name, value)
    if isinstance(number, float) and number.is_integer():
        return int(number)
    return number if isinstance(number, int) else None


def _options(fields: Fields) -> Fields:
    value = fields.get("options")
    try:
        return {} if value is None else raw.split(bytes(value))
    except raw.NotJson:
        return {}  # the server's to refuse


def _number(name: str, value: msgspec.Raw) -> object:
    try:
        return raw.value_of(value)
    except raw.NotJson:
        raise wrong(name, "a number") from None


def overlay_chat(fields: Fields, preset: Preset, system: str | None) -> list[str]:
    """Lay a preset over a chat completion: what the caller left open or the preset locks, and the system prompt."""
    lay(fields, preset)
    if system is not None:
        fields["messages"] = _with_system(fields["messages"], system)
    return []


def overlay_text(fields: Fields, preset: Preset, system: str | None) -> list[str]:
    """Lay a preset over a text completion, which has no place for a system prompt."""
    lay(fields, preset)
    return [] if system is None else ["system"]


def overlay_embeddings(fields: Fields, preset: Preset, system: str | None) -> list[str]:
    """Lay a preset over a request for embeddings: most of what steers an answer means nothing there."""
    losses = lay(fields, preset, EMBEDDING_PARAMETERS)
    return losses if system is None else [*losses, "system"]


def lay(fields: Fields, preset: Preset, known: Collection[str] | None = None) -> list[str]:
    """Set a preset's parameters, by the names that it stores; those that are not in `known` are the losses."""
    losses = []
    for name, value in preset.params.items():
        if known is not None and name not in known:
            losses.append(name)
            continue
        alias = ALIASES.get(name)
        if name in preset.locked:
            if alias is not None:
                fields.pop(alias, None)
        elif name in fields or (alias is not None and alias in fields):
            continue
        fields[name] = raw.raw_of(value)
    return losses


class _Message(msgspec.Struct):
    role: str = ""
    content: msgspec.Raw = NULL


_message = msgspec.json.Decoder(_Message)


def _with_system(messages: msgspec.Raw, system: str) -> msgspec.Raw:
    """The preset's prompt goes before the caller's own system message, or in front of the conversation."""
    try:
        items = raw.split_list(messages)
        first = _message.decode(items[0])
        if first.role not in ("system", "developer"):
            return raw.join_list([raw.raw_of({"role": "system", "content": system}), *items])
        message = raw.split(bytes(items[0]))
        content = raw.value_of(first.content)
    except (raw.NotJson, *MALFORMED, IndexError):
        raise wrong("messages", "an array of objects with a role and content") from None
    if isinstance(content, list):
        parts = raw.split_list(first.content)
        message["content"] = raw.join_list([raw.raw_of({"type": "text", "text": system}), *parts])
    elif content is None or isinstance(content, str):
        message["content"] = raw.raw_of(f"{system}\n{content}" if content else system)
    else:
        raise wrong("messages", "an array of objects whose content is a string or a list of parts")
    return raw.join_list([msgspec.Raw(raw.join(message)), *items[1:]])


def asked_for_usage(fields: Fields) -> bool:
    """True when the caller wants the usage event (`stream_options.include_usage`)."""
    options = fields.get("stream_options")
    if options is None:
        return False
    try:
        value = raw.value_of(options)
    except raw.NotJson:
        return False
    return isinstance(value, dict) and value.get("include_usage") is True


def address(fields: Fields, target: Target, ask_for_usage: bool) -> bytes:
    """The body for one target: its own name of the model, its accent and, for the books, the wish for a usage event."""
    body = dict(fields)
    body["model"] = target.upstream_model
    accent = target.accent
    if accent.renames or accent.refuses or accent.roles:
        _speak(body, accent)
    if ask_for_usage:
        options = body.get("stream_options")
        if options is None or bytes(options) == b"null":
            body["stream_options"] = USAGE_WANTED
        else:
            inner = object_in(options, "stream_options")
            inner["include_usage"] = TRUE
            body["stream_options"] = msgspec.Raw(raw.join(inner))
    return raw.join(body)


_STREAMING = ("stream", "stream_options")


def address_embeddings(fields: Fields, target: Target, ask_for_usage: bool) -> bytes:
    """The same for embeddings: a stream, which the API does not have, is not asked for."""
    return address({name: value for name, value in fields.items() if name not in _STREAMING}, target, False)


def _speak(body: Fields, accent: Accent) -> None:
    for name in body.keys() & accent.refuses:
        del body[name]
    for theirs, own in accent.renames.items():
        value = body.pop(theirs, None)
        if value is not None and bytes(body.get(own, NULL)) == b"null":
            body[own] = value
    if accent.roles and "messages" in body:
        body["messages"] = _with_roles(body["messages"], accent.roles)


def _with_roles(messages: msgspec.Raw, roles: Mapping[str, str]) -> msgspec.Raw:
    """The messages with the target's names of the roles; untouched when none of the others occurs."""
    marks = [f'"{role}"'.encode() for role in roles]
    whole = bytes(messages)
    if not any(mark in whole for mark in marks):
        return messages
    try:
        items = raw.split_list(messages)
        for place, item in enumerate(items):
            written = bytes(item)
            if any(mark in written for mark in marks):
                own = roles.get(_message.decode(written).role)
                if own is not None:
                    message = raw.split(written)
                    message["role"] = raw.raw_of(own)
                    items[place] = msgspec.Raw(raw.join(message))
    except (raw.NotJson, *MALFORMED):
        raise wrong("messages", "an array of objects with a role and content") from None
    return raw.join_list(items)


def left_out(fields: Fields, target: Target) -> list[str]:
    """The fields of a request that `address` leaves out because the target refuses them."""
    refused = target.accent.refuses
    if not refused:
        return []
    return [name for name, value in fields.items() if name in refused and not _says_nothing(name, bytes(value))]


def _says_nothing(name: str, value: bytes) -> bool:
    return value == b"null" or name == "stream_options" or value in NEUTRAL.get(name, ())
