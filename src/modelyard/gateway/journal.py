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
import fcntl
import os
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


_encode = msgspec.json.Encoder().encode


class Segment:
    """One file of the journal, held open and locked by its writer. `open_calls` counts intents without settlement."""

    def __init__(self, path: Path) -> None:
        self.path = path
        unlocked = path.with_suffix(".new")
        self.descriptor = os.open(unlocked, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        unlocked.rename(path)  # under its name it is locked from the first moment: nobody takes it for an orphan
        self.size = 0
        self.open_calls = 0
        self.flushed = 0
        self.full = False

    @property
    def spent(self) -> bool:
        """True when everything in it is in the ledger and nothing more will come."""
        return self.full and self.open_calls == 0 and self.flushed == self.size

    def delete(self) -> None:
        """Remove the file: all of it is in the ledger."""
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
        self.ended: dict[str, int] = {OK: 0, ERROR: 0, LEFT: 0, CUT: 0}
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
            self._loop.call_soon(self._end_turn)

    def _end_turn(self) -> None:
        """What is due at the end of a turn of the loop. While the disk takes nothing only the flusher tries again."""
        if self._degraded:
            self._bound_memory()
            self._release()
        else:
            self.write()

    def write(self) -> None:
        """Write all waiting lines with one call, and let the calls go that wait for it.

        They go also when the disk takes nothing: a gateway that stops for its books helps nobody.
        """
        try:
            if self._lines:
                self._write_lines()
        finally:
            self._release()

    def _release(self) -> None:
        self._scheduled = False
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _write_lines(self) -> None:
        data = b"\n".join(self._lines) + b"\n"
        segment = self.segments[-1]
        if not self._write(segment, data):
            return
        segment.size += len(data)
        self._lines.clear()
        if segment.size >= SEGMENT_BYTES:
            self._begin_segment()

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
        self._bound_memory()
        return False

    def _bound_memory(self) -> None:
        lost = len(self._lines) - MEMORY_LINES
        if lost > 0:
            _log.error("the journal's memory is full; the oldest lines are lost", lost=lost)
            del self._lines[:lost]

    def unwritten(self) -> list[bytes]:
        """The settlements that the disk would not take."""
        return [line for line in self._lines if line.startswith(SETTLED)]

    def rotate(self) -> None:
        """Start a new segment, so that the present one can be emptied and deleted."""
        self.write()
        if self.segments[-1].size and not self._lines:
            self._begin_segment()

    def sync(self) -> None:
        """Force what is written to the disk itself."""
        for segment in self.segments:
            os.fdatasync(segment.descriptor)

    def close(self) -> None:
        """Write what waits and give up the locks. Segments that still hold something stay for the next start."""
        self.write()
        for segment in self.segments:
            if segment.flushed == segment.size and segment.open_calls == 0 and not self.waiting:
                segment.delete()
            else:
                os.close(segment.descriptor)
        self.segments.clear()
        self._spare.unlink(missing_ok=True)

    @property
    def waiting(self) -> bool:
        """True while lines are in memory only. What they settle must not be forgotten on disk meanwhile."""
        return bool(self._lines)

    def _begin_segment(self) -> None:
        try:
            segment = self._new_segment()
        except OSError as error:
            _log.error("the journal goes on in its present file, because no new one can be made", reason=repr(error))
            return
        self.segments[-1].full = True
        self.segments.append(segment)

    def _new_segment(self) -> Segment:
        return Segment(self._folder / f"{ids.call_id()}.jsonl")

    def _keep_spare(self) -> None:
        """A file that can be given up when the disk is full, for the lines that wait then."""
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
