"""The tasks that live as long as the server. A request never starts one here."""

import asyncio
from collections.abc import Awaitable, Callable

from modelyard.core import log

_log = log.get(__name__)

RESTART_SECONDS = 1.0
REMIND_SECONDS = 60.0  # The same fault is logged again after this, not every second.


class Background:
    """Named background loops. One that fails is logged and started again; none takes the server down with it."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run `work` until `stop`. When it returns it is over; when it raises it runs again after a second."""
        self._tasks.append(asyncio.get_running_loop().create_task(self._keep_running(name, work), name=name))

    async def stop(self) -> None:
        """Cancel all and wait until they have ended."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    async def _keep_running(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        told, told_at = "", 0.0
        while True:
            try:
                await work()
                return
            except Exception as error:  # noqa: BLE001 - a loop of the server must survive any fault of one round
                moment = asyncio.get_running_loop().time()
                if repr(error) != told or moment - told_at >= REMIND_SECONDS:
                    told, told_at = repr(error), moment
                    _log.error("a background task failed and is tried again every second", task=name, error=told)
                await asyncio.sleep(RESTART_SECONDS)
