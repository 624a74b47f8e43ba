"""Keeping the slots of a worker full: leasing when there is room and work, sleeping when there is not."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import TYPE_CHECKING, Final

from tenure._engine import NoGeneration
from tenure.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tenure._engine import Engine, Lease
    from tenure._rebuild import Rebuilder

logger = logging.getLogger("tenure.feed")

_MOST: Final = 500  # leases of one call
# Wake-ups come by message; this bounds the wait where one was lost with its connection.
_IDLE_POLL: Final = 5.0
_LONGEST_PAUSE: Final = 2.0


class Feed:
    """Leases into free slots.

    A lease call that exhausts the queue enters the worker as idle, and the enqueue that brings work wakes it. So an
    idle worker asks once, then sleeps.
    """

    def __init__(
        self,
        engine: Engine,
        queues: Sequence[str],
        free_slots: Callable[[], int],
        take: Callable[[list[Lease]], None],
        rebuilder: Rebuilder,
        offers: Callable[[], str],
    ) -> None:
        """Prepare; `take` is given leases, never more than `free_slots` said, nor what `offers` does not offer."""
        self._engine = engine
        self._queues = list(queues)
        self._free_slots = free_slots
        self._take = take
        self._rebuilder = rebuilder
        self._offers = offers
        self._signal = asyncio.Event()
        self._woken = True
        self._task: asyncio.Task[None] | None = None
        self._quiet = False
        # Queues in which this worker is entered as idle, as far as it knows.
        self._idle_in: set[str] = set()
        self._passing: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin to lease."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Lease no more. A lease under way is waited for and taken, for its jobs are this worker's already."""
        task, self._task = self._task, None
        if task is not None:
            self._signal.set()
            await task

    def cancel(self) -> None:
        """End at once; a lease under way is nobody's and expires."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
        for passing in self._passing:
            passing.cancel()

    def wake(self) -> None:
        """There may be work."""
        self._woken = True
        self._signal.set()

    def woken_for(self, queue: str) -> None:
        """A queue got work while this worker was entered as idle; one that leases nothing passes it on, for nobody else
        was told.
        """
        self._idle_in.discard(queue)
        if self._task is not None and not self._quiet:
            self.wake()
            return
        passing = asyncio.get_running_loop().create_task(self._pass_on(queue))
        self._passing.add(passing)
        passing.add_done_callback(self._passing.discard)

    def quiet(self) -> None:
        """Lease nothing until told otherwise."""
        self._quiet = True

    def resume(self) -> None:
        """Lease again."""
        self._quiet = False
        self.wake()

    def slot_freed(self) -> None:
        """There is room; nobody needs to know while there is no work."""
        if self._woken:
            self._signal.set()

    async def _run(self) -> None:
        pause = 0.05
        while self._task is not None:
            self._signal.clear()
            if not self._woken or self._quiet or self._free_slots() <= 0:
                await self._sleep()
                continue
            try:
                await self._lease_round()
            except NoGeneration as error:
                self._rebuilder.request(error.args[0])
                await self._rebuilder.settled()
            except StoreUnavailable as error:
                logger.warning("redis is away, leasing waits: %s", error)
                await asyncio.sleep(random.uniform(pause / 2, pause))  # noqa: S311 - not a secret
                pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                pause = 0.05

    async def _lease_round(self) -> None:
        """Ask each queue once. Stays awake while any of them had all that was asked for."""
        self._woken = False
        for queue in self._queues:
            want = min(self._free_slots(), _MOST)
            if want <= 0:
                self._woken = True
                break
            try:
                batch = await self._engine.lease(queue, want, self._offers())
            except (NoGeneration, StoreUnavailable):
                self._woken = True
                raise
            if batch.leases:
                self._take(batch.leases)
            if batch.exhausted:
                self._idle_in.add(queue)
            else:
                self._idle_in.discard(queue)
                self._woken = True
        # The next round begins with another queue, so that a full one does not starve the rest.
        self._queues.append(self._queues.pop(0))

    async def others_idle(self, queue: str) -> int:
        """How many other workers wait for jobs of this queue, as far as Redis knows. Where there are any, this one is
        woken for the queue no more until it leases again: what it gives back is for them.

        Raises:
            StoreUnavailable: Redis cannot be asked.
        """
        idle = (await self._engine.depths(queue)).idle
        if idle <= (queue in self._idle_in):
            return 0
        self._idle_in.discard(queue)
        return idle - await self._engine.pass_over(queue, [self._engine.worker_id])

    async def _pass_on(self, queue: str) -> None:
        try:
            await self._engine.rouse(queue, [])
        except (NoGeneration, StoreUnavailable) as error:
            # Idle workers look by themselves every few seconds.
            logger.warning("a wake-up was not passed on: %s: %s", queue, error)

    async def _sleep(self) -> None:
        # A timer of our own: `wait_for` would put a task between the wake-up and the lease.
        poll = _IDLE_POLL * random.uniform(0.8, 1.2)  # noqa: S311 - not a secret
        timer = asyncio.get_running_loop().call_later(poll, self.wake)
        try:
            await self._signal.wait()
        finally:
            timer.cancel()
