"""OpenAI requests as raw fields: what is read of them, and the few fields that are set before they go on."""

from collections.abc import Mapping

import msgspec

from modelyard.canonical.snapshot import Preset, Target
from modelyard.core import raw
from modelyard.core.errors import Kind, Problem
from modelyard.core.raw import Fields
from modelyard.dialects.dialect import Head

OPERATIONS: Mapping[str, str] = {
    "chat": "/chat/completions",
    "completions": "/completions",
    "embeddings": "/embeddings",
}

REQUIRED: Mapping[str, tuple[str, bytes, str]] = {
    "chat": ("messages", b"[", "an array of messages"),
    "completions": ("prompt", b'"[', "a string or an array"),
    "embeddings": ("input", b'"[', "a string or an array"),
}

# Two spellings of one parameter: who sets one of them has set both.
ALIASES: Mapping[str, str] = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}

TRUE = msgspec.Raw(b"true")
USAGE_WANTED = msgspec.Raw(b'{"include_usage":true}')

SHORT = 100  # bytes; an array longer than this has something in it, or is refused when its first message is looked for

_string = msgspec.json.Decoder(str)
_BOOLEANS = {b"true": True, b"false": False, b"null": False}


def _wrong(field: str, expected: str) -> Problem:
    return Problem(Kind.INVALID_REQUEST, f"`{field}` must be {expected}.", param=field)


def read_head(operation: str, fields: Fields) -> Head:
    """Read model, stream and the output bound, and check the one field that the operation cannot do without."""
    field, openings, expected = REQUIRED[operation]
    value = fields.get(field)
    if value is None:
        raise Problem(Kind.INVALID_REQUEST, f"`{field}` is missing: it must be {expected}.", param=field)
    if bytes(memoryview(value)[:1]) not in (openings[:1], openings[1:]) or _is_empty(value):
        raise _wrong(field, expected if openings == b'"[' else f"{expected} with at least one in it")
    return Head(model=_model(fields), stream=_stream(fields), output_bound=_output_bound(fields))


def _is_empty(value: msgspec.Raw) -> bool:
    """True for `[]`, whatever white space is in it."""
    return len(value) < SHORT and bytes(value)[:1] == b"[" and not bytes(value)[1:-1].strip()


def _model(fields: Fields) -> str | None:
    value = fields.get("model")
    if value is None or bytes(value) == b"null":
        return None
    try:
        return _string.decode(value) or None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise _wrong("model", "a string") from None


def _stream(fields: Fields) -> bool:
    value = fields.get("stream")
    if value is None:
        return False
    try:
        return _BOOLEANS[bytes(value)]
    except KeyError:
        raise _wrong("stream", "true or false") from None


def _output_bound(fields: Fields) -> int | None:
    for name in ("max_completion_tokens", "max_tokens"):
        value = fields.get(name)
        if value is None or bytes(value) == b"null":
            continue
        bound = _number(name, value)
        if not isinstance(bound, int) or isinstance(bound, bool):
            raise _wrong(name, "a whole number")
        if bound < 0:
            return None  # how some servers spell "no bound"
        choices = fields.get("n")
        count = _number("n", choices) if choices is not None else 1
        return bound * (count if isinstance(count, int) and count > 0 else 1)
    return None


def _number(name: str, value: msgspec.Raw) -> object:
    try:
        return raw.value_of(value)
    except raw.NotJson:
        raise _wrong(name, "a number") from None


def overlay(operation: str, fields: Fields, preset: Preset, system: str | None) -> list[str]:
    """Lay a preset over a request: parameters that the caller left open or the preset locks, and the system prompt."""
    losses = []
    if operation != "embeddings":
        for name, value in preset.params.items():
            alias = ALIASES.get(name)
            if name in preset.locked:
                if alias is not None:
                    fields.pop(alias, None)
            elif name in fields or (alias is not None and alias in fields):
                continue
            fields[name] = raw.raw_of(value)
    if system is not None:
        if operation == "chat":
            fields["messages"] = _with_system(fields["messages"], system)
        else:
            losses.append("system")
    return losses


class _Message(msgspec.Struct):
    role: str = ""
    content: msgspec.Raw = msgspec.Raw(b"null")


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
    except (raw.NotJson, msgspec.DecodeError, UnicodeDecodeError, IndexError):
        raise _wrong("messages", "an array of objects with a role and content") from None
    if isinstance(content, list):
        parts = raw.split_list(first.content)
        message["content"] = raw.join_list([raw.raw_of({"type": "text", "text": system}), *parts])
    elif content is None or isinstance(content, str):
        message["content"] = raw.raw_of(f"{system}\n{content}" if content else system)
    else:
        raise _wrong("messages", "an array of objects whose content is a string or a list of parts")
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
    """The body for one target: its own name of the model and, for the books, the wish for a usage event."""
    body = dict(fields)
    body["model"] = target.upstream_model
    if ask_for_usage:
        options = body.get("stream_options")
        if options is None or bytes(options) == b"null":
            body["stream_options"] = USAGE_WANTED
        else:
            try:
                inner = raw.split(bytes(options))
            except raw.NotJson:
                raise _wrong("stream_options", "an object") from None
            inner["include_usage"] = TRUE
            body["stream_options"] = msgspec.Raw(raw.join(inner))
    return raw.join(body)
