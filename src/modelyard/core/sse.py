"""Server-sent events, sans I/O: bytes in, whole events out, each with the bytes it came in (WHATWG HTML, section 9.2)."""

import re

# A blank line ends an event. A lone CR at the very end of the buffer may be half of a CRLF: wait for the next byte.
_END = re.compile(rb"(?:\r\n|\n|\r(?=[^\n]))(?:\r\n|\n|\r(?=[^\n]))")
_LINE = re.compile(rb"\r\n|\n|\r")

MAX_EVENT_BYTES = 32 * 1024 * 1024


class EventTooLarge(ValueError):
    """One event is larger than MAX_EVENT_BYTES."""


class EventSplitter:
    """Cuts a byte stream into events, however it was split on its way. `rest` is what has not ended yet."""

    __slots__ = ("_parts", "_size", "_tail")

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self._tail = b""

    @property
    def rest(self) -> bytes:
        """The bytes of an event that has begun and not ended."""
        return b"".join(self._parts)

    def feed(self, chunk: bytes) -> list[bytes]:
        """The events that this chunk completes, each with its closing blank line."""
        if self._parts:
            # An event's end may straddle the border, so look three bytes back; joining once per event, not per chunk,
            # keeps one huge event from costing the square of its size.
            seam = self._tail + chunk
            if _END.search(seam) is None:
                self._keep(chunk, seam)
                return []
            self._parts.append(chunk)
            chunk = b"".join(self._parts)
            self._parts = []
            self._size = 0
        if b"\r" not in chunk:
            pieces = chunk.split(b"\n\n")
            rest = pieces.pop()
            events = [piece + b"\n\n" for piece in pieces]
        else:
            events, start = [], 0
            for end in _END.finditer(chunk):
                events.append(chunk[start : end.end()])
                start = end.end()
            rest = chunk[start:]
        if rest:
            self._keep(rest, rest)
        return events

    def _keep(self, chunk: bytes, seam: bytes) -> None:
        self._parts.append(chunk)
        self._size += len(chunk)
        self._tail = seam[-3:]
        if self._size > MAX_EVENT_BYTES:
            raise EventTooLarge(f"one event is larger than {MAX_EVENT_BYTES} bytes")


def data_of(event: bytes) -> bytes:
    """The data of one event: its `data:` lines joined by a line feed, without the field name. Empty for a comment."""
    if event.startswith(b"data: ") and event.find(b"\n", 0, -2) < 0 and b"\r" not in event:
        return event[6:-2]
    fields = [line[5:] for line in _LINE.split(event) if line.startswith(b"data:") or line == b"data"]
    return b"\n".join([field.removeprefix(b" ") for field in fields])
