"""What all parts of this dialect use: its name, and a reader for what only decorates an answer."""

from typing import Any

import msgspec

from modelyard.core import raw
from modelyard.dialects.reading import MALFORMED

NAME = "anthropic"

_any = msgspec.json.Decoder()


def loose(value: raw.Raw) -> Any:
    """The decoded value of a part of an answer, None for one that cannot be decoded."""
    try:
        return _any.decode(value)
    except MALFORMED:
        return None
