"""Slows down guessing: after a few failures an address, or an account, waits. In memory, bounded."""

import time
from collections import OrderedDict

from modelyard.core.errors import Kind, Problem

FREE_ATTEMPTS = 5
FIRST_WAIT_SECONDS = 2.0
LONGEST_WAIT_SECONDS = 300.0
FORGET_SECONDS = 3600.0
MAX_ENTRIES = 10_000


class SignInThrottle:
    """Counts attempts per account and per address. Waits double from two seconds up to five minutes.

    Each of several workers counts for itself and gives out its part of the free attempts.
    """

    def __init__(self, workers: int = 1) -> None:
        self._free = -(-FREE_ATTEMPTS // workers)
        self._attempts: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def attempt(self, *subjects: str) -> None:
        """Count one attempt before it is tried, so that many at once count as many.

        Subjects are an account, an address, or what else waits. Raises Problem RATE_LIMITED while any has to wait.
        `succeeded` takes the attempts back.
        """
        moment = time.monotonic()
        for subject in subjects:
            count, last = self._attempts.get(subject, (0, 0.0))
            if count < self._free or moment - last > FORGET_SECONDS:
                continue
            wait = min(FIRST_WAIT_SECONDS * 2 ** min(count - self._free, 20), LONGEST_WAIT_SECONDS)
            if moment < last + wait:
                raise Problem(
                    Kind.RATE_LIMITED,
                    "Too many failed attempts. Wait and try again.",
                    retry_after=last + wait - moment,
                )
        for subject in subjects:
            count, last = self._attempts.pop(subject, (0, moment))
            self._attempts[subject] = (1 if moment - last > FORGET_SECONDS else count + 1, moment)
        while len(self._attempts) > MAX_ENTRIES:
            self._attempts.popitem(last=False)

    def succeeded(self, *subjects: str) -> None:
        """The attempt was a good one: none of them has to wait."""
        for subject in subjects:
            self._attempts.pop(subject, None)
