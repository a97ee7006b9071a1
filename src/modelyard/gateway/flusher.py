"""Moves settled calls from the journal to the ledger, in batches, each exactly once.

It reads the journal's own files behind the writer, so a slow or absent database costs disk, not memory. The ledger
ignores a call id that it has, so a batch that is sent twice counts once.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from modelyard.core import log
from modelyard.gateway.journal import Journal, Segment, settlement, settlements
from modelyard.gateway.replay import left_behind, replay

_log = log.get(__name__)

FLUSH_SECONDS = 0.2
RETRY_SECONDS = 1.0
BATCH_BYTES = 512 * 1024
REPLAY_ROWS = 1000
ROTATE_SECONDS = 60.0

# Takes settlement lines; a call whose id the ledger has is passed over.
Insert = Callable[[Sequence[bytes]], Awaitable[None]]


class Flusher:
    """Runs for the life of the server; `drain` empties the journal once more at the end."""

    def __init__(self, journal: Journal, folder: Path, insert: Insert, *, sync_seconds: float | None = None) -> None:
        self._journal = journal
        self._folder = folder
        self._insert = insert
        self._busy = asyncio.Lock()
        self._sync_seconds = sync_seconds
        self._rotated = 0.0
        self._synced = 0.0

    async def replay(self) -> int:
        """Bring in what earlier processes left. The number of calls found."""
        with left_behind(self._folder) as segments:
            records = replay(segments.values())
            for start in range(0, len(records), REPLAY_ROWS):
                await self._insert([settlement(record) for record in records[start : start + REPLAY_ROWS]])
            for path in segments:
                path.unlink(missing_ok=True)
        return len(records)

    async def run(self) -> None:
        """Flush every 200 ms, for ever."""
        loop = asyncio.get_running_loop()
        self._rotated = loop.time()
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            try:
                await self.drain()
            except Exception as error:  # noqa: BLE001 - whatever it is, the journal keeps the calls until it is over
                _log.error("the ledger cannot be written; calls wait in the journal", error=repr(error))
                await asyncio.sleep(RETRY_SECONDS)
            if self._sync_seconds is not None and loop.time() - self._synced >= self._sync_seconds:
                self._synced = loop.time()
                await asyncio.to_thread(self._journal.sync)
            if loop.time() - self._rotated >= ROTATE_SECONDS:
                self._rotated = loop.time()
                self._journal.rotate()

    async def finish(self) -> None:
        """The last drain: what the disk would not take goes to the ledger from memory."""
        await self.drain()
        lines = self._journal.unwritten()
        if lines:
            await self._insert(lines)

    async def drain(self) -> None:
        """Move everything that is settled now."""
        async with self._busy:
            self._journal.write()
            for segment in list(self._journal.segments):
                while segment.flushed < segment.size:
                    await self._move(segment)
                if segment.spent and not self._journal.waiting:
                    segment.delete()
                    self._journal.segments.remove(segment)

    async def _move(self, segment: Segment) -> None:
        data = await asyncio.to_thread(_read, segment.path, segment.flushed, segment.size)
        lines = settlements(data)
        if lines:
            await self._insert(lines)
        segment.flushed += len(data)


def _read(path: Path, start: int, end: int) -> bytes:
    """Whole lines from `start`, about a batch of them."""
    with path.open("rb") as file:
        data = os.pread(file.fileno(), min(BATCH_BYTES, end - start), start)
    whole = data.rfind(b"\n") + 1
    if whole or end - start <= BATCH_BYTES:
        return data[:whole]
    with path.open("rb") as file:  # one line longer than a batch
        return os.pread(file.fileno(), end - start, start)
