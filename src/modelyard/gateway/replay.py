"""What processes that are gone left in their journals."""

import contextlib
import fcntl
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from modelyard.canonical.record import CUT, CallRecord


class Line(msgspec.Struct):
    """Any line, read back."""

    i: CallRecord | None = None
    p: tuple[str, int] | None = None
    s: CallRecord | None = None


_decode = msgspec.json.Decoder(Line).decode


@contextlib.contextmanager
def left_behind(folder: Path) -> Iterator[dict[Path, bytes]]:
    """The segments of processes that are gone, oldest first, locked meanwhile so that nobody else replays them."""
    found: dict[Path, bytes] = {}
    with contextlib.ExitStack() as locks:
        _clear_away(folder)
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
            size = os.fstat(descriptor).st_size
            if os.fstat(descriptor).st_nlink:  # else another process replayed it between our look and our lock
                found[path] = os.pread(descriptor, size, 0)
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
        except (msgspec.DecodeError, UnicodeDecodeError):
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


def _clear_away(folder: Path) -> None:
    """Remove the spare files of processes that are gone."""
    for spare in folder.glob("spare-*"):
        try:
            os.kill(int(spare.name.removeprefix("spare-")), 0)
        except (ProcessLookupError, ValueError):
            spare.unlink(missing_ok=True)
        except PermissionError:
            pass  # it lives, under another user
