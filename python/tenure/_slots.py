"""Running many short pieces of work in few tasks."""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections import deque
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")

# Seconds that handlers which never wait may keep the loop from everything else.
_TURN: Final = 0.002


class Slots(Generic[T]):
    """Runs each item to its end: one task after another where items never wait, one task each where they do.

    A task of its own for every item costs more than the rest of an empty attempt. So one task takes items as long as
    they end without waiting; as soon as one waits, tasks are made for all the others. An item may rely on its task as
    if it were alone in it: one that leaves a changed context or a cancellation behind gets no successor there.
    """

    def __init__(self, run: Callable[[T, asyncio.Task[None]], Coroutine[object, object, None]]) -> None:
        """Prepare; `run` is given each item and its task, in the context in which this object was made."""
        self._run = run
        self._context: Final = contextvars.copy_context()
        self._waiting: deque[T] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        # The task that takes items now: as long as it runs on, nobody else is needed.
        self._leader: asyncio.Task[None] | None = None
        self._spreading: asyncio.Handle | None = None

    def begin(self, items: list[T]) -> None:
        """Run these items, at once and in their order."""
        self._waiting += items
        if self._waiting and self._leader is None:
            self._lead()

    def withdraw(self) -> list[T]:
        """Take back what has not begun."""
        waiting = list(self._waiting)
        self._waiting.clear()
        return waiting

    async def drained(self) -> None:
        """Wait until every item taken so far has ended."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _lead(self) -> None:
        if self._spreading is not None:
            self._spreading.cancel()
        self._leader = self._spawn()
        # Queued behind the leader's first step: what it has not taken by then waits because an item does.
        self._spreading = asyncio.get_running_loop().call_soon(self._spread)

    def _spread(self) -> None:
        self._leader = self._spreading = None
        for _ in range(len(self._waiting)):
            self._spawn()

    def _spawn(self) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(self._take(), context=self._context.copy())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _take(self) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine of a task runs in one
        turn_ends = time.monotonic() + _TURN
        try:
            while self._waiting:
                await self._run(self._waiting.popleft(), task)
                if task.cancelling() or contextvars.copy_context() != self._context or time.monotonic() > turn_ends:
                    break
        finally:
            # What is left begins in a new task, behind whatever else the loop has to do.
            if self._waiting and self._leader in (None, task):
                self._lead()
