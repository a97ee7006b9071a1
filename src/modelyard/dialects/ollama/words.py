"""Text, tool arguments and times as one line of an Ollama answer holds them."""

from datetime import UTC, datetime

from modelyard.core import raw
from modelyard.dialects import writing
from modelyard.dialects.writing import UNPARSED, whole

_FEWEST_PRINTABLE = 0x20


def quoted(text: str) -> bytes:
    """A JSON string on one line."""
    return one_line(writing.quoted(text))


def one_line(data: bytes) -> bytes:
    """JSON without the characters that some readers end a line at (the official client does: NEL, LS and PS)."""
    if b"\xe2\x80" in data or b"\xc2\x85" in data:
        data = data.replace(b"\xe2\x80\xa8", b"\\u2028").replace(b"\xe2\x80\xa9", b"\\u2029")
        data = data.replace(b"\xc2\x85", b"\\u0085")
    return data


def object_of(arguments: str) -> raw.Raw:
    """The text of a tool call's arguments as a JSON object without line breaks. Never fails (see UNPARSED)."""
    if not arguments or arguments.isspace():
        return raw.Raw(b"{}")
    try:
        data = arguments.encode()
        value = raw.value_of(raw.Raw(data))
    except (raw.NotJson, UnicodeEncodeError):
        value, data = None, b""
    if not isinstance(value, dict):
        value, data = {UNPARSED: whole(arguments)}, b""
    if not data or min(data) < _FEWEST_PRINTABLE:
        data = raw.encode(value)  # what was written over several lines too: an answer has one
    return raw.Raw(one_line(data))


def moment(seconds: float) -> str:
    """Unix seconds as RFC 3339 in UTC, to the second."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"
