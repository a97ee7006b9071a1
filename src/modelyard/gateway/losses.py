"""What a target's dialect could not say, told to whom it concerns: the caller, the ledger, and a strict caller instead."""

from collections.abc import Iterable, Sequence

from modelyard.canonical.snapshot import Target
from modelyard.core.errors import Kind, Problem

# Names are fields of the caller's request: theirs to choose, so bounded in number and length.
MOST_NAMES = 32
LONGEST_NAME = 64

LOSSY = "lossy_translation"


def header_of(losses: Sequence[str]) -> bytes:
    """The value of `x-modelyard-loss`: names with commas between, in visible ASCII."""
    return b",".join(_ascii(name) for name in _bounded(losses))


def record_of(losses: Sequence[str]) -> str:
    """The same for the ledger."""
    return header_of(losses).decode() if losses else ""


def refused_loss(losses: Sequence[str], target: Target) -> Problem:
    """What a strict caller gets in place of an answer."""
    names = [_ascii(name).decode() for name in _bounded(losses)]
    listed = ", ".join(f"`{name}`" for name in names)
    return Problem(
        Kind.INVALID_REQUEST,
        f"The backend `{target.connection.name}` cannot be told {listed}. "
        "Leave that out, choose another model, or do not ask for a strict translation.",
        param=names[0],
        code=LOSSY,
    )


def _bounded(losses: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(losses))[:MOST_NAMES]


def _ascii(name: str) -> bytes:
    encoded = name[:LONGEST_NAME].encode("utf-8", "surrogatepass")
    return b"".join(bytes([byte]) if 0x20 < byte < 0x7F and byte not in b",%" else b"%%%02X" % byte for byte in encoded)
