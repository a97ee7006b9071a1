"""What is read of a caller's untrusted fields in every dialect, and what is said about those that are not as they must be."""

import math
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from modelyard.canonical.chat import MAX_PARTS, PARAMETERS
from modelyard.canonical.usage import count
from modelyard.core import raw
from modelyard.core.errors import Kind, Problem
from modelyard.core.raw import Fields, Raw

NULL = Raw(b"null")

MALFORMED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""All that msgspec says no with."""

MOST_NAMES = 100  # that are told apart; a request with more of them is made to hurt

SHORT = 100  # bytes; an array longer than this has something in it, or is refused when its first item is looked for

# What a parameter must be, by its type in PARAMETERS.
EXPECTED: Mapping[object, str] = {
    float: "a number",
    int: "a whole number",
    bool: "true or false",
    str: "a string",
    dict: "an object",
    list: "a string or an array of strings",
    (str, int, float): "a string or a number",
}

_WHOLE = 2**63
_PLACE = re.compile(r" - at `\$(?P<path>[^`]*)`$")

_string = msgspec.json.Decoder(str)
_flag = msgspec.json.Decoder(bool | None)


def note(names: list[str], name: str) -> None:
    """Add the name of a loss, or of a field that cannot be carried, once."""
    if len(names) < MOST_NAMES and name not in names:
        names.append(name)


# What is wrong


def wrong(param: str, expected: str) -> Problem:
    """A field of a request that is not what it must be."""
    return Problem(Kind.INVALID_REQUEST, f"`{param}` must be {expected}.", param=param)


def too_many(param: str, what: str = "parts") -> Problem:
    """The request holds more messages, parts and tools (or more of `what`) than anybody means."""
    return Problem(
        Kind.INVALID_REQUEST, f"`{param}` holds too much: at most {MAX_PARTS} {what} are taken.", param=param
    )


def misplaced(error: msgspec.ValidationError, param: str) -> Problem:
    """A field whose inner part is not as it must be: msgspec says where."""
    text = str(error)
    place = _PLACE.search(text)
    told = text[: place.start()] if place else text
    param += place["path"] if place else ""
    return Problem(Kind.INVALID_REQUEST, f"`{param}` is not as it must be: {told}.", param=param)


def unreadable(error: Exception, param: str) -> Problem:
    """A field that is JSON to the eye and cannot be decoded."""
    told = "it is nested too deeply" if isinstance(error, RecursionError) else "a string in it is not valid text"
    return Problem(Kind.INVALID_REQUEST, f"`{param}` cannot be read: {told}.", param=param)


# Raw fields


def is_null(value: Raw) -> bool:
    """True for a field that is there and says nothing."""
    return bytes(memoryview(value)[:5]) == b"null"


def is_object(value: Raw) -> bool:
    """True for a JSON object."""
    return bytes(memoryview(value)[:1]) == b"{"


def is_empty_list(value: Raw) -> bool:
    """True for `[]`, whatever white space is in it."""
    return len(value) < SHORT and bytes(value)[:1] == b"[" and not bytes(value)[1:-1].strip()


def value_in(value: Raw, param: str) -> Any:
    """The decoded value of a caller's field. Raises Problem INVALID_REQUEST."""
    try:
        return raw.value_of(value)
    except raw.NotJson as error:
        raise Problem(Kind.INVALID_REQUEST, f"`{param}` cannot be read: {error}.", param=param) from None


def object_in(value: Raw, param: str) -> Fields:
    """A caller's object as raw fields. Raises Problem INVALID_REQUEST."""
    try:
        return raw.split(bytes(value))
    except raw.NotJson:
        raise wrong(param, "an object") from None


def decoded_in(decoder: "msgspec.json.Decoder[Any]", value: Raw, param: str) -> Any:
    """A caller's field, decoded. Raises Problem INVALID_REQUEST with the place of what is wrong in it."""
    try:
        return decoder.decode(value)
    except msgspec.ValidationError as error:
        raise misplaced(error, param) from None
    except MALFORMED as error:
        raise unreadable(error, param) from None


# Fields that several dialects have


def read_model(fields: Fields) -> str | None:
    """The model that the caller names, None for none. Raises Problem INVALID_REQUEST."""
    value = fields.get("model")
    if value is None or is_null(value):
        return None
    try:
        return _string.decode(value) or None
    except MALFORMED:
        raise wrong("model", "a string") from None


def read_stream(fields: Fields) -> bool:
    """True when the caller asks for a stream. Raises Problem INVALID_REQUEST."""
    value = fields.get("stream")
    try:
        return value is not None and bool(_flag.decode(value))
    except MALFORMED:
        raise wrong("stream", "true or false") from None


def schema_of(value: Raw, param: str) -> Raw | None:
    """A JSON schema, its bytes untouched; None for null. Raises Problem INVALID_REQUEST when it is not an object."""
    if is_object(value):
        return value
    if is_null(value):
        return None
    raise wrong(param, "a JSON schema (an object)")


class CacheMarker(msgspec.Struct, gc=False):
    """A mark for the prompt cache: Anthropic's, which LiteLLM and OpenRouter take beside OpenAI's fields too."""

    type: str = "ephemeral"
    ttl: str | None = None


def cache_of(marker: CacheMarker | None, unread: list[str]) -> str | None:
    """The lifetime of a marker, None without one."""
    if marker is None:
        return None
    if marker.ttl in (None, "5m", "1h"):
        return marker.ttl or "5m"
    note(unread, "cache_control")
    return None


# Decoded values


def parameter_in(name: str, value: Any, param: str) -> Any:
    """The value of one of PARAMETERS, of the type that stands there. Raises Problem INVALID_REQUEST."""
    expected: Any = PARAMETERS[name]
    if expected is float or expected is int:
        return number_of(value, param, whole=expected is int)
    if expected is list:
        items = [value] if isinstance(value, str) else value
        if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
            raise wrong(param, EXPECTED[list])
        return items
    if not isinstance(value, expected) or (expected is not bool and isinstance(value, bool)):
        raise wrong(param, EXPECTED[expected])
    if name == "logit_bias":
        return {token: number_of(bias, param, whole=False) for token, bias in value.items()}
    return value


def number_of(value: Any, param: str, *, whole: bool) -> int | float:
    """A number that every backend can read. Raises Problem INVALID_REQUEST; 5.0 is a whole number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise wrong(param, EXPECTED[int if whole else float])
    if not math.isfinite(value) if isinstance(value, float) else not -_WHOLE <= value < _WHOLE:
        raise wrong(param, "a number of at most 64 bits")
    if whole and isinstance(value, float):
        if not value.is_integer() or abs(value) >= _WHOLE:
            raise wrong(param, EXPECTED[int])
        return int(value)
    return value


def count_in(table: Any, *names: str) -> int:
    """The first of these entries that is a number, as one that the books can hold; 0 where there is none."""
    if isinstance(table, dict):
        for name in names:
            value = table.get(name)
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                return count(value)
    return 0
