"""Turning many single calls into few batches, without a timer."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")


class Coalescer(Generic[T]):
    """Collects items and flushes them in batches; a batch is what piled up while others were under way.

    A lonely item waits for nothing but the end of the current turn of the loop; under load batches grow by themselves.
    The flush function must not raise: it owns what becomes of its items.
    """

    def __init__(
        self,
        flush: Callable[[list[T]], Awaitable[None]],
        *,
        most: int,
        in_flight: int,
        pace: float = 0.0,
        awaited: bool = False,
    ) -> None:
        """Prepare an empty coalescer.

        Args:
            flush: takes one batch.
            most: the most items of a batch.
            in_flight: the most batches under way at a time.
            pace: seconds between the beginnings of two batches, unless the later one is full: batches of few items
                cost nearly as much as large ones. The first after a pause of that length waits for nothing.
            awaited: who adds an item waits for its batch before adding another. So an item that comes alone, after a
                batch of one, is not held up: no company would come.
        """
        self._flush = flush
        self._most = most
        self._in_flight = in_flight
        self._pace = pace
        self._awaited = awaited
        self._began = -math.inf
        self._last = 0
        self._items: list[T] = []
        self._running = 0
        self._flushers: set[asyncio.Task[None]] = set()

    def add(self, item: T) -> None:
        """Take one item into the next batch."""
        self._items.append(item)
        if self._running < self._in_flight:
            self._spawn()

    def extend(self, items: list[T]) -> None:
        """Take several items."""
        self._items += items
        if self._items and self._running < self._in_flight:
            self._spawn()

    def __len__(self) -> int:
        """How many items wait for a batch."""
        return len(self._items)

    async def drained(self) -> None:
        """Wait until every item taken so far has been flushed."""
        while self._flushers:
            await asyncio.wait(self._flushers)

    async def abandon(self) -> None:
        """Give up what was taken and not flushed."""
        self._items = []
        for task in self._flushers:
            task.cancel()
        await asyncio.gather(*self._flushers, return_exceptions=True)

    def _spawn(self) -> None:
        self._running += 1
        task = asyncio.get_running_loop().create_task(self._run())
        self._flushers.add(task)
        task.add_done_callback(self._flushers.discard)

    async def _run(self) -> None:
        try:
            while self._items:
                if self._pace:
                    await self._keep_pace()
                    if not self._items:  # taken by another flusher meanwhile
                        break
                batch, self._items = self._items[: self._most], self._items[self._most :]
                self._last = len(batch)
                await self._flush(batch)
        finally:
            # Here, not when the task is seen to be done: an item that comes in between would find nobody to flush it.
            self._running -= 1

    async def _keep_pace(self) -> None:
        loop = asyncio.get_running_loop()
        wait = self._began + self._pace - loop.time()
        alone = self._awaited and self._last <= 1 and self._running == 1 and len(self._items) == 1
        if wait > 0 and not alone and len(self._items) < self._most:
            await asyncio.sleep(wait)
        self._began = loop.time()
