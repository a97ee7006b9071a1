"""Limits in this process: reserve before a call leaves, settle with the real figures after it.

    reserve(items, now) -> None | Refusal        all of them or none
    settle(holds, tokens)                        once for each reservation

`rpm: N` means at most N calls in any 60 seconds: a sliding log, not a bucket that refills. Tokens reserve an upper
bound and settle to the truth. Times are monotonic seconds, so a stepped wall clock changes nothing.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from modelyard.canonical.snapshot import Limits

WINDOW_SECONDS = 60.0
RETRY_WHEN_BUSY = 1.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """Which limit was reached and in how many seconds a retry may succeed; None: this call can never fit."""

    which: str
    limit: int
    retry_after: float | None
    subject: str = ""


# A subject with this many entries in its window shares one among calls that begin within SHARED_SECONDS of each other, so
# that a key of a million calls a minute costs kilobytes. The shared entry ends with its last call: never too early.
EXACT_ENTRIES = 1000
SHARED_SECONDS = 0.01


class Entry:
    """Calls of a subject that began at the same moment (or nearly), and their tokens. `at` is the last one's time."""

    __slots__ = ("at", "calls", "first", "forgotten", "tokens")

    def __init__(self, at: float) -> None:
        self.first = at
        self.at = at
        self.calls = 0
        self.tokens = 0
        self.forgotten = False


class SubjectLog:
    """What one subject (a key, a connection, the whole system) has used within the window and holds right now."""

    __slots__ = ("calls", "entries", "running", "tokens")

    def __init__(self) -> None:
        self.entries: deque[Entry] = deque()
        self.calls = 0
        self.tokens = 0
        self.running = 0

    def forget_before(self, horizon: float) -> None:
        """Take out what began at or before `horizon` (monotonic seconds): it is out of the window."""
        entries = self.entries
        while entries and entries[0].at <= horizon:
            entry = entries.popleft()
            entry.forgotten = True
            self.calls -= entry.calls
            self.tokens -= entry.tokens

    def refusal(self, limits: Limits, tokens: int, now: float) -> Refusal | None:
        """Why one more call of that size may not start, or None."""
        if limits.concurrency is not None and self.running >= limits.concurrency:
            return Refusal("concurrency", limits.concurrency, RETRY_WHEN_BUSY)
        if limits.rpm is not None and self.calls >= limits.rpm:
            return Refusal("rpm", limits.rpm, self._wait(now, calls=limits.rpm - 1))
        if limits.tpm is not None and self.tokens + tokens > limits.tpm:
            fits = tokens <= limits.tpm
            return Refusal("tpm", limits.tpm, self._wait(now, tokens=limits.tpm - tokens) if fits else None)
        return None

    def _wait(self, now: float, *, calls: int | None = None, tokens: int | None = None) -> float:
        """Seconds until no more than that many calls, or tokens, are left in the window."""
        called, spent = self.calls, self.tokens
        for entry in self.entries:
            called -= entry.calls
            spent -= entry.tokens
            if (calls is None or called <= calls) and (tokens is None or spent <= tokens):
                return entry.at + WINDOW_SECONDS - now
        return WINDOW_SECONDS

    def admit(self, tokens: int, now: float) -> Entry:
        """Count one more call."""
        entries = self.entries
        if len(entries) >= EXACT_ENTRIES and now - entries[-1].first < SHARED_SECONDS:
            entry = entries[-1]
            entry.at = now
        else:
            entry = Entry(now)
            entries.append(entry)
        entry.calls += 1
        entry.tokens += tokens
        self.calls += 1
        self.tokens += tokens
        return entry

    @property
    def idle(self) -> bool:
        return not (self.running or self.entries)


class Reservation:
    """What one call holds of one subject: its tokens are an upper bound until settled."""

    __slots__ = ("entry", "log", "tokens")

    def __init__(self, log: SubjectLog, entry: Entry | None, tokens: int) -> None:
        self.log = log
        self.entry = entry
        self.tokens = tokens

    def settle(self, tokens: int) -> None:
        """The call is over and took that many tokens. What the window has forgotten is not counted again."""
        self.log.running -= 1
        if self.entry is not None and not self.entry.forgotten:
            self.entry.tokens += tokens - self.tokens
            self.log.tokens += tokens - self.tokens


class Item(NamedTuple):
    """One subject's limits and the tokens that this call may take of them."""

    subject: str
    limits: Limits
    tokens: int


class Limiter:
    """All subjects of this process. One owner, touched only between awaits: no lock.

    Each of several workers gives out its part of a limit.
    """

    # Subjects that have been quiet for a window are dropped when this many are known, and again at each doubling.
    SWEEP_AT = 10_000

    def __init__(self, worker: int = 0, workers: int = 1) -> None:
        self._worker = worker
        self._workers = workers
        self._logs: dict[str, SubjectLog] = {}
        self._sweep_at = self.SWEEP_AT

    def reserve(self, items: Sequence[Item], now: float) -> list[Reservation] | Refusal:
        """Take all items or none."""
        horizon = now - WINDOW_SECONDS
        if len(self._logs) >= self._sweep_at:
            self._sweep(horizon)
        logs = []
        for item in items:
            log = self._logs.get(item.subject)
            if log is None:
                log = self._logs[item.subject] = SubjectLog()
            log.forget_before(horizon)
            limits = share(item.limits, self._worker, self._workers)
            refusal = log.refusal(limits, item.tokens, now)
            if refusal is not None:
                # The caller is told of the key's limit, not of this worker's part of it.
                return replace(refusal, subject=item.subject, limit=getattr(item.limits, refusal.which))
            logs.append(log)
        held = []
        for log, item in zip(logs, items, strict=True):
            log.running += 1
            windowed = item.limits.rpm is not None or item.limits.tpm is not None
            entry = log.admit(item.tokens if item.limits.tpm is not None else 0, now) if windowed else None
            held.append(Reservation(log, entry if item.limits.tpm is not None else None, item.tokens))
        return held

    def settle(self, held: list[Reservation], tokens: int) -> None:
        """A call is over and took that many tokens."""
        for reservation in held:
            reservation.settle(tokens)
        held.clear()

    def _sweep(self, horizon: float) -> None:
        for log in self._logs.values():
            log.forget_before(horizon)
        self._logs = {name: log for name, log in self._logs.items() if not log.idle}
        self._sweep_at = max(self.SWEEP_AT, 2 * len(self._logs))


def share(limits: Limits, worker: int, workers: int) -> Limits:
    """The part of a limit that one of several workers may give out, so that together they never exceed it.

    The remainder goes to the first workers; a limit below the number of workers leaves some with nothing.
    """
    if workers == 1:
        return limits

    def part(limit: int | None) -> int | None:
        return None if limit is None else limit // workers + (1 if worker < limit % workers else 0)

    return Limits(rpm=part(limits.rpm), tpm=part(limits.tpm), concurrency=part(limits.concurrency))
