"""Many rows by few statements."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

SLICE = 100

T = TypeVar("T")


def slices(items: Sequence[T], size: int = SLICE) -> Iterator[Sequence[T]]:
    """The items in parts that one statement can take; between two statements others get their turn."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
