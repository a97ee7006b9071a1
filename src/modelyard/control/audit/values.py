"""Values as the audit log keeps them: plain JSON that reads back as it was written, whatever a caller sent."""

import math
import re
from collections.abc import Mapping
from typing import Any

# A prompt of a book's length is in the history of its model; the log says that it changed and how it begins.
MOST_CHARACTERS = 20_000
MOST_DEPTH = 40
MOST_BITS = 1024  # of a whole number: more is no quantity, and Python refuses to spell it at some length

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def plain_text(text: str, most: int = MOST_CHARACTERS) -> str:
    """A text that every database can hold: a NUL and half a surrogate pair become escapes, a very long text is cut."""
    text = _UNSTORABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    return text if len(text) <= most else f"{text[:most]} ... ({len(text)} characters)"


def plain(value: Any, depth: int = 0) -> Any:
    """A value as null, boolean, number, text, list or object. What is none of these becomes text."""
    if isinstance(value, Mapping | list | tuple | set | frozenset):
        return _plain_container(value, depth + 1) if depth < MOST_DEPTH else "..."
    if isinstance(value, bool | None):
        return value
    if isinstance(value, int):
        return int(value) if value.bit_length() <= MOST_BITS else f"a number of {value.bit_length()} bits"
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    return plain_text(str(value))


def _plain_container(value: Any, depth: int) -> Any:
    if isinstance(value, Mapping):
        return {plain_text(str(name)): plain(inner, depth) for name, inner in value.items()}
    items = [plain(inner, depth) for inner in value]
    return items if isinstance(value, list | tuple) else sorted(items, key=str)
