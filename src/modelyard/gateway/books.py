"""The books of one call: opened before it leaves, closed once, however it ends."""

import time

from modelyard.canonical.record import ERROR, OK, CallRecord
from modelyard.canonical.usage import Usage
from modelyard.core.errors import Problem
from modelyard.gateway.journal import PROGRESS_SECONDS, Journal, Segment
from modelyard.gateway.limits import Item, Limiter, Refusal, Reservation


class OpenBooks:
    """What a running call has reserved and written down. `close` settles both and may be called again without effect."""

    __slots__ = ("_closed", "_held", "_journal", "_limiter", "_noted", "_place", "_segment", "_started", "record")

    def __init__(
        self, record: CallRecord, started: float, journal: Journal, limiter: Limiter, held: list[Reservation]
    ) -> None:
        self.record = record
        self._started = started
        self._journal = journal
        self._limiter = limiter
        self._held = held
        self._place: list[Reservation] = []
        self._segment: Segment | None = None
        self._noted = started
        self._closed = False

    def hold(self, item: Item) -> Refusal | None:
        """Reserve what one more limit asks for, until `release` or the end of the call. None when there is room."""
        held = self._limiter.reserve([item], time.monotonic())
        if isinstance(held, Refusal):
            return held
        self._place.extend(held)
        return None

    def release(self) -> None:
        """Give back what was held for a backend that did not answer."""
        self._limiter.settle(self._place, 0)

    async def leaves(self) -> None:
        """The call is about to leave: returns when its intent is in the journal, before anything is sent."""
        self.record.attempts += 1
        if self._segment is None:
            self._segment = self._journal.intent(self.record)
            await self._journal.written()

    def first_byte(self) -> None:
        """The backend has begun to answer."""
        self.record.first_byte_ms = round((time.monotonic() - self._started) * 1000)

    def progress(self, deltas: int) -> None:
        """Note how far a stream has come, at most every 250 ms."""
        now = time.monotonic()
        if now - self._noted >= PROGRESS_SECONDS:
            self._noted = now
            self._journal.progress(self.record.id, deltas)

    def close(self, status: str, usage: Usage | None, deltas: int = 0, error: Problem | None = None) -> None:
        """The call is over. Without the backend's usage the prompt estimate and the passed deltas stand in for it."""
        if self._closed:
            return
        self._closed = True
        record, segment = self.record, self._segment
        if usage is not None:
            record.input, record.cached_input, record.cache_write = usage.input, usage.cached_input, usage.cache_write
            record.cache_write_1h, record.output, record.reasoning = usage.cache_write_1h, usage.output, usage.reasoning
            record.audio_input, record.audio_output = usage.audio_input, usage.audio_output
            record.estimated = False
            if status != OK and deltas > usage.all_output:
                # What was told before the end: Anthropic's backends count from one at the beginning.
                record.output, record.estimated = deltas - record.reasoning - record.audio_output, True
        elif status == ERROR and deltas == 0:
            record.input = 0  # nothing was produced: the backend refused or failed before its first token
        else:
            record.output = deltas
            record.estimated = True
        self._held += self._place
        if self._held:
            self._limiter.settle(self._held, _tokens(record))
        if segment is None:
            return
        record.status = status
        record.error = error.kind.code if error is not None else ""
        record.ended_at = record.started_at + round((time.monotonic() - self._started) * 1000)
        self._journal.settle(record, segment)


def _tokens(record: CallRecord) -> int:
    """All tokens of a call, in and out."""
    entry = record.input + record.cached_input + record.cache_write + record.cache_write_1h + record.audio_input
    return entry + record.output + record.reasoning + record.audio_output
