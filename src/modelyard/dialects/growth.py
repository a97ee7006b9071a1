"""How much a stream may hold: readers and writers keep parts of it, and a backend may not fill our memory."""

from modelyard.canonical.chat import MAX_PARTS
from modelyard.dialects.faults import upstream_failed

MOST_TEXT = 64 * 1024 * 1024
"""Characters of one streamed answer, names and ids included."""

_PIECE = 16  # what a piece counts besides its characters: millions of tiny ones are large as well


class Growth:
    """Counts what a stream brings. Both methods raise Problem UPSTREAM_FAILED when it is too much."""

    __slots__ = ("_blocks", "_size")

    def __init__(self) -> None:
        self._blocks = 0
        self._size = 0

    def piece(self, size: int) -> None:
        """More of a block, in characters."""
        self._size += size + _PIECE
        if self._size > MOST_TEXT:
            raise upstream_failed(f"The backend's stream holds more than {MOST_TEXT} characters.")

    def block(self, size: int = 0) -> None:
        """Another block begins; `size` is what comes with its beginning, in characters."""
        self._blocks += 1
        if self._blocks > MAX_PARTS:
            raise upstream_failed(f"The backend's stream holds more than {MAX_PARTS} texts and tool calls.")
        self.piece(size)
