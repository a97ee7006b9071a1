"""The journal: an append-only local file that knows of every call before it leaves.

Three kinds of lines, JSON each:

    {"i": record}            intent: the call is about to leave; the record holds the prompt estimate
    {"p": [id, output]}      progress of a stream, at most every 250 ms
    {"s": record}            settlement: the whole truth, ready for the ledger

Lines are buffered within one turn of the event loop and written with one `write`; an intent is written before its call
leaves. A settlement holds the whole record, so the flusher (`gateway.flusher`) needs no memory of intents. Segments
are locked while their process lives: one that can be locked belonged to a process that is gone, and is replayed.
"""

import asyncio
import contextlib
import fcntl
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from modelyard.canonical.record import CUT, ERROR, LEFT, OK, CallRecord
from modelyard.core import ids, log

_log = log.get(__name__)

PROGRESS_SECONDS = 0.25
SEGMENT_BYTES = 16 * 1024 * 1024
SPARE_BYTES = 1024 * 1024
MEMORY_LINES = 100_000

SETTLED = b'{"s"'


class Intent(msgspec.Struct, frozen=True):
    i: CallRecord


class Progress(msgspec.Struct, frozen=True):
    p: tuple[str, int]


class Settlement(msgspec.Struct, frozen=True):
    s: CallRecord


class Line(msgspec.Struct):
    """Any line, read back."""

    i: CallRecord | None = None
    p: tuple[str, int] | None = None
    s: CallRecord | None = None


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Line).decode


class Segment:
    """One file of the journal, held open and locked by its writer. `open_calls` counts intents without settlement."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.size = 0
        self.open_calls = 0
        self.flushed = 0
        self.full = False

    @property
    def spent(self) -> bool:
        """True when everything in it is in the ledger and nothing more will come."""
        return self.full and self.open_calls == 0 and self.flushed == self.size

    def delete(self) -> None:
        self.path.unlink(missing_ok=True)
        os.close(self.descriptor)


class Journal:
    """One process's journal. Methods are synchronous and cheap; a full disk is survived in memory and reported."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._spare = folder / f"spare-{os.getpid()}"
        self._keep_spare()
        self._loop = asyncio.get_running_loop()
        self._lines: list[bytes] = []
        self._scheduled = False
        self._waiters: list[asyncio.Future[None]] = []
        self._degraded = False
        self.ended: dict[str, int] = {OK: 0, ERROR: 0, LEFT: 0}
        self.segments: list[Segment] = [self._new_segment()]

    @property
    def degraded(self) -> bool:
        """True while the disk takes nothing: new lines wait in memory."""
        return self._degraded

    @property
    def running(self) -> int:
        """Calls that have left and not ended."""
        return sum(segment.open_calls for segment in self.segments)

    def intent(self, record: CallRecord) -> Segment:
        """Note that a call is about to leave; it may when `written` is done. Give the segment back to `settle`."""
        segment = self.segments[-1]
        segment.open_calls += 1
        self._lines.append(_encode(Intent(record)))
        self._schedule()
        return segment

    def written(self) -> "asyncio.Future[None]":
        """Done when all lines so far are in the file: one write for all calls that begin in this turn of the loop."""
        waiter = self._loop.create_future()  # one each: a call that is cancelled must not cancel the others
        self._waiters.append(waiter)
        return waiter

    def progress(self, call_id: str, output: int) -> None:
        """Note how many output tokens a stream has passed on so far."""
        self._lines.append(_encode(Progress((call_id, output))))
        self._schedule()

    def settle(self, record: CallRecord, segment: Segment) -> None:
        """Note how the call ended. On disk before this turn of the loop is over."""
        segment.open_calls -= 1
        self.ended[record.status] += 1
        self._lines.append(settlement(record))
        self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self.write)

    def write(self) -> None:
        """Write all waiting lines with one call, and let the calls go that wait for it."""
        self._scheduled = False
        if self._lines:
            self._write_lines()
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _write_lines(self) -> None:
        data = b"\n".join(self._lines) + b"\n"
        segment = self.segments[-1]
        written = self._write(segment, data)
        if not written:
            return
        segment.size += len(data)
        self._lines.clear()
        if segment.size >= SEGMENT_BYTES:
            segment.full = True
            self.segments.append(self._new_segment())

    def _write(self, segment: Segment, data: bytes) -> bool:
        """True when all of it is in the file. A full disk makes `write` return short without an error."""
        try:
            written = os.write(segment.descriptor, data)
        except OSError as error:
            return self._disk_refused(segment, repr(error))
        if written == len(data):
            if self._degraded:
                self._degraded = False
                self._keep_spare()
                _log.warning("the journal is being written again")
            return True
        return self._disk_refused(segment, "the disk is full")

    def _disk_refused(self, segment: Segment, reason: str) -> bool:
        os.ftruncate(segment.descriptor, segment.size)  # no torn line
        if self._spare.exists():
            self._spare.unlink()  # room for the lines that wait, tried at the next write
        if not self._degraded:
            self._degraded = True
            _log.error("the journal cannot be written; calls go on and are kept in memory", reason=reason)
        if len(self._lines) > MEMORY_LINES:
            _log.error("the journal's memory is full; the oldest lines are lost", lost=len(self._lines) - MEMORY_LINES)
            del self._lines[: len(self._lines) - MEMORY_LINES]
        return False

    def rotate(self) -> None:
        """Start a new segment, so that the present one can be emptied and deleted."""
        self.write()
        if self.segments[-1].size:
            self.segments[-1].full = True
            self.segments.append(self._new_segment())

    def sync(self) -> None:
        """Force what is written to the disk itself."""
        for segment in self.segments:
            os.fdatasync(segment.descriptor)

    def close(self) -> None:
        """Write what waits and give up the locks. Segments that still hold something stay for the next start."""
        self.write()
        for segment in self.segments:
            if segment.flushed == segment.size and segment.open_calls == 0:
                segment.delete()
            else:
                os.close(segment.descriptor)
        self.segments.clear()
        self._spare.unlink(missing_ok=True)

    def _new_segment(self) -> Segment:
        return Segment(self._folder / f"{ids.call_id()}.jsonl")

    def _keep_spare(self) -> None:
        try:
            self._spare.write_bytes(b"\0" * SPARE_BYTES)
        except OSError:
            self._spare.unlink(missing_ok=True)


def settlements(data: bytes) -> list[bytes]:
    """The settlement lines among whole lines, as they are: the ledger reads them itself."""
    return [line for line in data.split(b"\n") if line.startswith(SETTLED)]


def settlement(record: CallRecord) -> bytes:
    """The settlement line of a record."""
    return _encode(Settlement(record))


@contextlib.contextmanager
def left_behind(folder: Path) -> Iterator[dict[Path, bytes]]:
    """The segments of processes that are gone, oldest first, locked meanwhile so that nobody else replays them."""
    found: dict[Path, bytes] = {}
    with contextlib.ExitStack() as locks:
        for path in sorted(folder.glob("*.jsonl")):
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            locks.callback(os.close, descriptor)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            found[path] = path.read_bytes()
        yield found


def replay(segments: Iterable[bytes]) -> list[CallRecord]:
    """Every call of these segments once: settled ones as they are, the others as `cut` with what was known.

    The segments are read together, because a long call's intent and settlement may be in different ones. A torn last
    line is ignored: what it said had not been acknowledged.
    """
    calls: dict[str, CallRecord] = {}
    settled: set[str] = set()
    for text in (text for data in segments for text in data.split(b"\n")):
        try:
            line = _decode(text)
        except msgspec.DecodeError:
            continue
        if line.s is not None:
            calls[line.s.id] = line.s
            settled.add(line.s.id)
        elif line.i is not None:
            calls.setdefault(line.i.id, line.i)
        elif line.p is not None and line.p[0] in calls and line.p[0] not in settled:
            calls[line.p[0]].output = line.p[1]
    for record in calls.values():
        if record.id not in settled:
            record.status = CUT
            record.estimated = True
            record.ended_at = record.ended_at or record.started_at
    return list(calls.values())
