"""Limits in this process: reserve before a call leaves, settle with the real figures after it.

    reserve(items, now) -> None | Refusal        all of them or none
    settle(holds, tokens)                        once for each reservation

`rpm: N` means at most N calls in any 60 seconds: a sliding log, not a bucket that refills. Tokens reserve an upper
bound and settle to the truth. Times are monotonic seconds, so a stepped wall clock changes nothing.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
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


class Reservation:
    """What one call holds: its tokens (an upper bound until settled), when, and whether tokens are limited at all."""

    __slots__ = ("at", "counted", "log", "tokens")

    def __init__(self, log: "SubjectLog", at: float, tokens: int, *, counted: bool) -> None:
        self.log = log
        self.at = at
        self.tokens = tokens
        self.counted = counted


class SubjectLog:
    """What one subject (a key, or the whole system) has used within the window and holds right now."""

    __slots__ = ("calls", "running", "spent", "tokens")

    def __init__(self) -> None:
        self.calls: deque[float] = deque()
        self.tokens: deque[Reservation] = deque()
        self.spent = 0
        self.running = 0

    def forget_before(self, horizon: float) -> None:
        while self.calls and self.calls[0] <= horizon:
            self.calls.popleft()
        while self.tokens and self.tokens[0].at <= horizon:
            self.spent -= self.tokens.popleft().tokens

    def refusal(self, limits: Limits, tokens: int, now: float) -> Refusal | None:
        """Why one more call of that size may not start, or None."""
        if limits.concurrency is not None and self.running >= limits.concurrency:
            return Refusal("concurrency", limits.concurrency, RETRY_WHEN_BUSY)
        if limits.rpm is not None and len(self.calls) >= limits.rpm:
            wait = self.calls[0] + WINDOW_SECONDS - now if self.calls else None
            return Refusal("rpm", limits.rpm, wait)
        if limits.tpm is not None and self.spent + tokens > limits.tpm:
            return Refusal("tpm", limits.tpm, self._wait_for(limits.tpm - tokens, now))
        return None

    def _wait_for(self, room: int, now: float) -> float | None:
        """Seconds until no more than `room` tokens are in the window; None when that never comes."""
        if room < 0:
            return None
        spent = self.spent
        for entry in self.tokens:
            spent -= entry.tokens
            if spent <= room:
                return entry.at + WINDOW_SECONDS - now
        return WINDOW_SECONDS

    @property
    def idle(self) -> bool:
        return not (self.running or self.calls or self.tokens)


class Item(NamedTuple):
    """One subject's limits and the tokens that this call may take of them."""

    subject: str
    limits: Limits
    tokens: int


class Limiter:
    """All subjects of this process. One owner, touched only between awaits: no lock."""

    # Subjects that have been quiet for a window are dropped when this many are known.
    SWEEP_AT = 10_000

    def __init__(self) -> None:
        self._logs: dict[str, SubjectLog] = {}

    def reserve(self, items: Sequence[Item], now: float) -> list[Reservation] | Refusal:
        """Take all items or none."""
        horizon = now - WINDOW_SECONDS
        logs = []
        for item in items:
            log = self._logs.get(item.subject)
            if log is None:
                log = self._add(item.subject, horizon)
            log.forget_before(horizon)
            refusal = log.refusal(item.limits, item.tokens, now)
            if refusal is not None:
                return refusal
            logs.append(log)
        held = []
        for log, item in zip(logs, items, strict=True):
            reservation = Reservation(log, now, item.tokens, counted=item.limits.tpm is not None)
            log.running += 1
            if item.limits.rpm is not None:
                log.calls.append(now)
            if reservation.counted:
                log.tokens.append(reservation)
                log.spent += item.tokens
            held.append(reservation)
        return held

    def settle(self, held: list[Reservation], tokens: int, now: float) -> None:
        """The call is over and took that many tokens."""
        for reservation in held:
            log = reservation.log
            log.running -= 1
            log.forget_before(now - WINDOW_SECONDS)
            if reservation.counted and reservation.at > now - WINDOW_SECONDS:
                log.spent += tokens - reservation.tokens
                reservation.tokens = tokens
        held.clear()

    def _add(self, subject: str, horizon: float) -> SubjectLog:
        if len(self._logs) >= self.SWEEP_AT:
            for log in self._logs.values():
                log.forget_before(horizon)
            self._logs = {name: log for name, log in self._logs.items() if not log.idle}
        log = self._logs[subject] = SubjectLog()
        return log


def share(limits: Limits, worker: int, workers: int) -> Limits:
    """The part of a limit that one of several workers may give out, so that together they never exceed it.

    The remainder goes to the first workers; a limit below the number of workers leaves some with nothing.
    """
    if workers == 1:
        return limits

    def part(limit: int | None) -> int | None:
        return None if limit is None else limit // workers + (1 if worker < limit % workers else 0)

    return Limits(rpm=part(limits.rpm), tpm=part(limits.tpm), concurrency=part(limits.concurrency))
