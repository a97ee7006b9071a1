"""Long work on the event loop, in slices so short that no call notices them."""

import asyncio
import time

SLICE_SECONDS = 0.002


class Pace:
    """Asked after each small piece of work: `if pace.is_due: await pace.rest()`."""

    __slots__ = ("_until",)

    def __init__(self) -> None:
        self._until = time.perf_counter() + SLICE_SECONDS

    @property
    def is_due(self) -> bool:
        """True when this slice is used up."""
        return time.perf_counter() >= self._until

    async def rest(self) -> None:
        """Let everything else that is ready run once."""
        await asyncio.sleep(0)
        self._until = time.perf_counter() + SLICE_SECONDS
