"""Building a queue in Redis from PostgreSQL: the first time, and whenever Redis was lost."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import deque
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from tenure._descriptors import load_descriptors
from tenure._engine import NoGeneration
from tenure._pauses import declare_built
from tenure._policy import Limited, follow_policy, load_policy
from tenure._reconcile import (
    FIRST_ID,
    MOST_RECENT,
    NOT_AT_ALL,
    PAGE,
    mend_recent,
    pages,
    restore,
    restore_counted,
)
from tenure.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Sequence

    from tenure._database import Database
    from tenure._engine import Engine

logger = logging.getLogger("tenure.rebuild")

_DUTY_MS: Final = 3000
_LONGEST_PAUSE: Final = 2.0
# What changed this long before an outage was noticed may have been lost with it.
_RECENT: Final = 30.0
_COMMITS_WITHIN: Final = 1.0  # seconds; a row's time of change is that of its transaction's beginning


class Rebuilder:
    """Rebuilds queues whose generation is missing, one rebuild per queue at a time in the whole fleet.

    Until the generation is set, every script answers NO_GENERATION, so nobody takes a queue that is half there for a
    short one.
    """

    def __init__(self, database: Database, engine: Engine) -> None:
        """Prepare; the stores must be open when the first request comes."""
        self._database = database
        self._engine = engine
        self._rebuilds: dict[str, asyncio.Task[None]] = {}
        self._rechecks: dict[str, asyncio.Task[None]] = {}
        self._unpushed: set[str] = set()
        self._stopped = False

    def request(self, queue: str) -> None:
        """Rebuild a queue, unless that is under way."""
        self._spawn(self._rebuilds, queue, self._rebuild(queue))

    def recheck(self, queue: str) -> None:
        """A push failed: compare what is recent as soon as Redis can be asked again."""
        self._unpushed.add(queue)
        self._spawn(self._rechecks, queue, self._recheck(queue))

    def recheck_all(self, queues: Iterable[str]) -> None:
        """Redis was away: what was sent meanwhile may have been lost."""
        for queue in {*queues, *self._unpushed}:
            self.recheck(queue)

    async def settled(self) -> None:
        """Wait until the rebuilds under way are over."""
        if self._rebuilds:
            await asyncio.wait(self._rebuilds.values())

    async def stop(self) -> None:
        """Give up what is under way; somebody else's next call finds the generation missing and goes on."""
        tasks = [*self._rebuilds.values(), *self._rechecks.values()]
        self.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def cancel(self) -> None:
        """Give it up without waiting, and take no more: on stores that are closed it would never end."""
        self._stopped = True
        for task in (*self._rebuilds.values(), *self._rechecks.values()):
            task.cancel()

    def _spawn(self, running: dict[str, asyncio.Task[None]], queue: str, work: Coroutine[None, None, None]) -> None:
        if self._stopped or queue in running:
            work.close()
            return
        task = asyncio.get_running_loop().create_task(work)
        running[queue] = task
        task.add_done_callback(lambda _: running.pop(queue, None))

    async def _rebuild(self, queue: str) -> None:
        pause = 0.05
        while True:
            try:
                if await self._engine.has_generation(queue):
                    return
                if await self._engine.duty(queue, _DUTY_MS) == 0:
                    await self._build(queue)
                    continue  # and if Redis was lost meanwhile, once more: requests for it found this one under way
            except NoGeneration:
                logger.warning("lost while it was rebuilt: %s", queue)
            except StoreUnavailable as error:
                logger.warning("rebuild waits: %s: %s", queue, error)
                pause = min(pause * 2, _LONGEST_PAUSE)
            # Another process rebuilds, or a store is away.
            await asyncio.sleep(random.uniform(pause / 2, pause))  # noqa: S311 - not a secret

    async def _build(self, queue: str) -> None:
        began = time.monotonic()
        policy = await load_policy(self._database, queue)
        pushed: deque[str] = deque(maxlen=MOST_RECENT)
        jobs, leases = await self._put_all(queue, policy, pushed)
        # Jobs that changed behind the page that has them stand there as they were, a retried one for its old time:
        # while nobody can lease, they are put where they belong.
        changed = timedelta(seconds=time.monotonic() - began + _COMMITS_WITHIN)
        for page in pages(await self._database.fetch("live_since", queue, changed, NOT_AT_ALL, MOST_RECENT, FIRST_ID)):
            ids = [str(row["job_id"]) for row in page if row["status"] != "PROCESSING"]
            for descriptors in (await load_descriptors(self._database, ids)).values():
                await self._engine.rebuild(queue, descriptors)
            pushed += ids
        if not await declare_built(self._database, self._engine, queue, policy):
            logger.warning("lost while it was rebuilt: %s", queue)
            return
        since = await load_policy(self._database, queue)
        # What was changed meanwhile was told to a queue that was not built. Forgotten by this, it is built again.
        if since != policy and not await follow_policy(self._engine, queue, since):
            return
        await self._forget_cancelled(queue, list(pushed))
        # Jobs committed behind the page that would have had them, whose pushes were refused.
        behind = time.monotonic() - began + _RECENT
        await mend_recent(self._database, self._engine, queue, behind, NOT_AT_ALL, laned=bool(since))
        # Who was idle is forgotten too: nobody would be woken until each looks by itself.
        workers = await self._database.fetch("workers_of_queue", queue)
        await self._engine.rouse(queue, [str(row["worker_id"]) for row in workers])
        seconds = time.monotonic() - began
        logger.info("queue rebuilt: %s, jobs %d, leases %d, %.3f s", queue, jobs, leases, seconds)

    async def _put_all(self, queue: str, policy: dict[str, str], pushed: deque[str]) -> tuple[int, int]:
        """Put every live job, page by page, under the queue's policy; how many wait, and how many run."""
        jobs, leases, after = 0, 0, FIRST_ID
        if policy:
            await self._engine.set_policy(queue, policy, building=True)
        limited = Limited.by(policy)
        while True:
            rows = await self._database.fetch("live_page", queue, after, PAGE, NOT_AT_ALL)
            waiting = [str(row["job_id"]) for row in rows if row["status"] != "PROCESSING"]
            if limited is not None and waiting:
                waiting = await self._raised(queue, waiting, limited)
            for descriptors in (await load_descriptors(self._database, waiting)).values():
                await self._engine.rebuild(queue, descriptors)
            # Their workers go on: they get a lease of full length, and whoever is dead does not extend it.
            leases += await restore(self._database, self._engine, queue, rows, laned=bool(policy), rebuilding=True)
            jobs += len(waiting)
            pushed += waiting
            if len(rows) < PAGE:
                return jobs, leases
            after = str(rows[-1]["job_id"])
            await self._engine.duty(queue, _DUTY_MS)

    async def _raised(self, queue: str, job_ids: list[str], limited: Limited) -> list[str]:
        """Raise the fences of waiting jobs under a limit, and say which still wait. A lease of one that was taken
        before Redis was lost, and not started, is dead by that; what has started meanwhile runs, and is counted.
        """
        rows = await self._database.fetch("raise_fences", job_ids, *msgspec.structs.astuple(limited))
        waiting = {str(row["job_id"]) for row in rows}
        if started := [job_id for job_id in job_ids if job_id not in waiting]:
            await restore_counted(self._database, self._engine, queue, started, rebuilding=True)
        return [job_id for job_id in job_ids if job_id in waiting]

    async def _forget_cancelled(self, queue: str, job_ids: Sequence[str]) -> None:
        """Take out what was cancelled behind the page that has it, whose cancellation a queue without generation
        refused: where starts are recorded behind the run, it would run.
        """
        for start in range(0, len(job_ids), PAGE):
            rows = await self._database.fetch("cancelled", job_ids[start : start + PAGE])
            gone = [str(row["job_id"]) for row in rows]
            if gone:
                await self._engine.cancel_queued(queue, gone)

    async def _recheck(self, queue: str) -> None:
        pause = 0.1
        while True:
            try:
                if not await self._engine.has_generation(queue):
                    self.request(queue)
                elif pushed := await self._mend(queue):
                    logger.info("jobs pushed again: %s: %d", queue, pushed)
            except StoreUnavailable:
                await asyncio.sleep(random.uniform(pause / 2, pause))  # noqa: S311 - not a secret
                pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                self._unpushed.discard(queue)
                return

    async def _mend(self, queue: str) -> int:
        laned = bool(await load_policy(self._database, queue))
        return await mend_recent(self._database, self._engine, queue, 10 * _RECENT, NOT_AT_ALL, laned=laned)
