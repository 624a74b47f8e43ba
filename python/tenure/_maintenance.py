"""The duties that keep a queue alive: promote, rescue, schedules, reconcile, prune. One holder per queue, never an
ordinary job.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from tenure._engine import NoGeneration
from tenure._reconcile import EVERY, Reconciler
from tenure._rescue import rescue
from tenure.errors import TenureError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from tenure._database import Database
    from tenure._engine import Engine
    from tenure._publish import Publisher
    from tenure.settings import Settings

logger = logging.getLogger("tenure.maintenance")

_DUTY_MS: Final = 3000
_LONGEST_SLEEP: Final = 0.2  # seconds a due job may wait for its promotion while every worker sleeps
_ASK_FOR_DUTY: Final = 1.0
_PRUNE: Final = 600.0
_EXPIRE: Final = 2.0  # seconds that a job whose time is over may stay, where nobody leases it
_BATCH: Final = 500


@dataclass(slots=True)
class _Clock:
    """When each duty of one queue is next due, by the monotonic clock."""

    duty: float = 0.0
    rescue: float = 0.0
    recurring: float = 0.0
    expire: float = 0.0
    prune: float = 0.0


class Maintenance:
    """Runs the duties of some queues while this process holds them.

    Every decision is PostgreSQL's, so two holders for a moment, after a pause of one of them, do no harm.
    """

    def __init__(
        self,
        database: Database,
        engine: Engine,
        publisher: Publisher,
        queues: Sequence[str],
        settings: Settings,
        on_rescued: Callable[[list[tuple[str, int]]], None],
        recur: Callable[[str], Awaitable[float]],
        expire: Callable[[], Awaitable[None]],
    ) -> None:
        """Prepare; the stores must be open when it starts.

        `on_rescued` is told which leases were taken back; `recur` enqueues what schedules say of a queue, and says in
        how many seconds it wants to be asked again; `expire` ends jobs whose time is over.
        """
        self._database = database
        self._engine = engine
        self._publisher = publisher
        self._queues = tuple(queues)
        self._settings = settings
        self._on_rescued = on_rescued
        self._recur = recur
        self._expire = expire
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to ask for the duties."""
        if not self._tasks:
            loop = asyncio.get_running_loop()
            for queue in self._queues:
                clock = _Clock()
                self._tasks.append(loop.create_task(self._run(queue, clock)))
                self._tasks.append(loop.create_task(self._reconcile(queue, clock)))

    async def stop(self) -> None:
        """Stop; the duties pass to somebody else when their hold expires."""
        tasks = self._tasks
        self.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def cancel(self) -> None:
        """Stop without waiting."""
        for task in self._tasks:
            task.cancel()
        self._tasks = []

    async def _run(self, queue: str, clock: _Clock) -> None:
        while True:
            try:
                held_elsewhere = await self._held_elsewhere(queue, clock)
                if held_elsewhere:
                    # Not all who wait for its end at once.
                    pause = held_elsewhere + _ASK_FOR_DUTY * random.uniform(0.0, 0.5)  # noqa: S311 - not a secret
                else:
                    pause = await self._serve(queue, clock)
            except NoGeneration:
                pause = _LONGEST_SLEEP  # whoever leases or pushes has the queue rebuilt
            except TenureError as error:
                logger.warning("maintenance waits: %s: %s", queue, error)
                pause = _ASK_FOR_DUTY
            except Exception:
                # A bug in one duty must not stop the others for good.
                logger.exception("maintenance failed: %s", queue)
                pause = _ASK_FOR_DUTY
            await asyncio.sleep(pause)

    async def _held_elsewhere(self, queue: str, clock: _Clock) -> float:
        """Seconds for which another process still holds the duty; 0 if this one does, renewed long before it ends."""
        now = time.monotonic()
        if now >= clock.duty:
            wait_ms = await self._engine.duty(queue, _DUTY_MS)
            clock.duty = 0.0 if wait_ms else now + _DUTY_MS / 3000
            return wait_ms / 1000
        return 0.0

    async def _serve(self, queue: str, clock: _Clock) -> float:
        """Do what is due; seconds until to look again."""
        promoted, next_due_ms = await self._engine.promote(queue, _BATCH)
        now = time.monotonic()
        if now >= clock.rescue:
            clock.rescue = now + self._settings.rescue_seconds
            while await self._rescue(queue) == _BATCH:
                pass
        if now >= clock.recurring:
            clock.recurring = now + await self._recur(queue)
        if now >= clock.expire:
            clock.expire = now + _EXPIRE
            await self._expire()
        if now >= clock.prune:
            clock.prune = now + _PRUNE
            await self._prune()
        if promoted == _BATCH:
            return 0.0
        if next_due_ms < 0:
            return _LONGEST_SLEEP
        # Redis' clock and this one may differ; the error only moves a look, never a promotion.
        return min(max(next_due_ms / 1000 - time.time(), 0.005), _LONGEST_SLEEP)

    async def _rescue(self, queue: str) -> int:
        leases = await rescue(self._database, self._engine, self._publisher, queue, _BATCH, self._settings.poison_after)
        self._on_rescued(leases)
        return len(leases)

    async def _reconcile(self, queue: str, clock: _Clock) -> None:
        """Beside the rest, which it would hold up: a look may take seconds."""
        reconciler = Reconciler(self._database, self._engine, queue, self._publisher.unbuilt)
        while True:
            pause = EVERY
            try:
                if clock.duty > time.monotonic():
                    await reconciler.look()
                else:
                    pause = _ASK_FOR_DUTY
            except NoGeneration:
                pass  # whoever leases or pushes has the queue rebuilt
            except TenureError as error:
                logger.warning("reconciliation waits: %s: %s", queue, error)
            except Exception:
                logger.exception("reconciliation failed: %s", queue)
            await asyncio.sleep(pause)

    async def _prune(self) -> None:
        """Forget dead letters past their keep."""
        while True:
            rows = await self._database.fetch(
                "prune_dead_letters", timedelta(days=self._settings.dead_letter_days), _BATCH
            )
            for queue in {row["queue"] for row in rows}:
                ids = [str(row["original_job_id"]) for row in rows if row["queue"] == queue]
                await self._engine.forget_dead(queue, ids)
            if len(rows) < _BATCH:
                return
