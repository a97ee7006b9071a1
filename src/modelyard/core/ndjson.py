"""Newline-delimited JSON, sans I/O: bytes in, whole lines out."""

MAX_LINE_BYTES = 32 * 1024 * 1024


class LineTooLarge(ValueError):
    """One line is larger than MAX_LINE_BYTES."""


class LineSplitter:
    """Cuts a byte stream into lines, however it was split on its way. `rest` is what has not ended yet."""

    __slots__ = ("_parts", "_size")

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    @property
    def rest(self) -> bytes:
        """The bytes of a line that has begun and not ended."""
        return b"".join(self._parts)

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that this chunk completes, each with its line feed; empty lines are left out."""
        if b"\n" not in chunk:
            self._keep(chunk)
            return []
        if self._parts:
            chunk = b"".join(self._parts) + chunk
            self._parts, self._size = [], 0
        lines = chunk.split(b"\n")
        rest = lines.pop()
        if rest:
            self._keep(rest)
        return [line + b"\n" for line in lines if line.strip()]

    def _keep(self, part: bytes) -> None:
        self._parts.append(part)
        self._size += len(part)
        if self._size > MAX_LINE_BYTES:
            raise LineTooLarge(f"one line is larger than {MAX_LINE_BYTES} bytes")
