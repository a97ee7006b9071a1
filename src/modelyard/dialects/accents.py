"""What a target's accent makes of a request that was written for it."""

from typing import Any

from modelyard.canonical.snapshot import Accent
from modelyard.dialects.reading import note


def in_accent(body: dict[str, Any], accent: Accent, losses: list[str]) -> dict[str, Any]:
    """The body without what the target refuses (these names go to `losses`), and under its own names."""
    spoken = {}
    for name, value in body.items():
        if name in accent.refuses:
            note(losses, name)
        else:
            spoken[accent.renames.get(name, name)] = value
    return spoken
