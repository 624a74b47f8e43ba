"""A load that waits for nobody: each job is sent when the schedule says so, however slow the earlier ones are."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Final

from tenure._engine import Histogram

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_HEAD_START: Final = 0.5


class Offer:
    """Sends at a fixed rate and notes how late it was and how long each sending took, both from the planned moment.

    So coordinated omission is excluded: a stall delays what was planned during it, and is counted for all of it.
    """

    def __init__(self, send: Callable[[int, float], Awaitable[object]]) -> None:
        """Prepare; `send` is given a number and the planned moment (seconds since 1970)."""
        self._send = send
        self._tasks: set[asyncio.Task[None]] = set()
        self.acked = Histogram()
        self.lag = Histogram()

    async def run(self, rate: float, count: int, first: int) -> None:
        """Offer `count` sendings, numbered from `first`, at `rate` a second; returns when the last is done.

        The schedule is kept by a thread: a loop's own timer is late when the loop is busy.
        """
        loop = asyncio.get_running_loop()
        over = asyncio.Event()
        errors: list[BaseException] = []

        def go(number: int, planned: float) -> None:
            self.lag.record(max(0.0, time.time() - planned))
            task = loop.create_task(self._one(number, planned))
            self._tasks.add(task)
            task.add_done_callback(ended)

        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            if not task.cancelled() and (error := task.exception()) is not None:
                errors.append(error)

        def schedule() -> None:
            start = time.time() + _HEAD_START
            for index in range(count):
                planned = start + index / rate
                if (pause := planned - time.time()) > 0:
                    time.sleep(pause)
                if errors:
                    break
                loop.call_soon_threadsafe(go, first + index, planned)
            loop.call_soon_threadsafe(over.set)

        thread = threading.Thread(target=schedule, name="tenure-bench-schedule", daemon=True)
        thread.start()
        await over.wait()
        while self._tasks:
            await asyncio.wait(self._tasks)
        if errors:
            raise errors[0]

    async def _one(self, number: int, planned: float) -> None:
        await self._send(number, planned)
        self.acked.record(max(0.0, time.time() - planned))
