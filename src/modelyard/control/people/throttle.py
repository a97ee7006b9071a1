"""Slows down guessing: after a few failures an address, or an account, waits. In memory, bounded."""

import time
from collections import OrderedDict

from modelyard.core.errors import Kind, Problem

FREE_FAILURES = 5
FIRST_WAIT_SECONDS = 2.0
LONGEST_WAIT_SECONDS = 300.0
FORGET_SECONDS = 3600.0
MAX_ENTRIES = 10_000


class SignInThrottle:
    """Counts failures per account and per address. Waits double from two seconds up to five minutes."""

    def __init__(self) -> None:
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def check(self, email: str, address: str) -> None:
        """Raises Problem RATE_LIMITED while either has to wait."""
        moment = time.monotonic()
        for subject in (email, address):
            count, last = self._failures.get(subject, (0, 0.0))
            if count < FREE_FAILURES or moment - last > FORGET_SECONDS:
                continue
            wait = min(FIRST_WAIT_SECONDS * 2 ** min(count - FREE_FAILURES, 20), LONGEST_WAIT_SECONDS)
            if moment < last + wait:
                raise Problem(
                    Kind.RATE_LIMITED, "Too many failed attempts to sign in. Wait and try again.",
                    retry_after=last + wait - moment,
                )  # fmt: skip

    def failed(self, email: str, address: str) -> None:
        moment = time.monotonic()
        for subject in (email, address):
            count, last = self._failures.pop(subject, (0, moment))
            self._failures[subject] = (1 if moment - last > FORGET_SECONDS else count + 1, moment)
        while len(self._failures) > MAX_ENTRIES:
            self._failures.popitem(last=False)

    def succeeded(self, email: str, address: str) -> None:
        self._failures.pop(email, None)
        self._failures.pop(address, None)
