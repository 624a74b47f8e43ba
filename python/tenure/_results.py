"""Waiting for ends: one subscription and one statement per process, however many wait."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from tenure._coalesce import Coalescer
from tenure.errors import ResultTimeout, StoreUnavailable, TenureError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tenure._database import Database, Row
    from tenure._engine import Engine, Event
    from tenure.job import Job

logger = logging.getLogger("tenure.results")

_MOST: Final = 1000
# Messages tell of ends at once; this looks after those whose message was lost with a connection.
_SWEEP: Final = 2.0


class Results:
    """The waiters of one process.

    A waiter is entered first and PostgreSQL is asked second, so an end between the two is not missed. Redis only ever
    says "look now"; what the end is, PostgreSQL says.
    """

    def __init__(self, database: Database, engine: Engine) -> None:
        """Prepare; the stores must be open when the first waiter comes."""
        self._database = database
        self._engine = engine
        self._waiters: dict[str, list[asyncio.Future[Row]]] = defaultdict(list)
        self._looks: Coalescer[str] = Coalescer(self._look, most=_MOST, in_flight=1)
        self._sweeper: asyncio.Task[None] | None = None

    async def wait(self, job: Job, timeout: float | None) -> Row:  # noqa: ASYNC109 - part of the API
        """The row of `results.sql` once the job has ended.

        Raises:
            ResultTimeout: it has not ended in time.
        """
        done: asyncio.Future[Row] = asyncio.get_running_loop().create_future()
        self._waiters[job.id].append(done)
        self._engine.core.watch(job.queue, job.id)
        self._looks.add(job.id)
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().create_task(self._sweep())
        try:
            async with asyncio.timeout(timeout):
                return await done
        except TimeoutError as error:
            raise ResultTimeout(job.id, f"job has not ended within {timeout:g} s") from error
        finally:
            self._leave(job, done)

    def on_event(self, event: Event) -> None:
        """Look at once where a message says that a job ended, or where messages may have been missed."""
        if event.kind == "settled":
            self._looks.add(event.job_id)
        elif event.kind == "reconnected":
            self._looks.extend(list(self._waiters))

    async def stop(self) -> None:
        """Fail those who still wait."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)
        self._fail(self._waiters, StoreUnavailable("the app was closed while a result was awaited"))

    def _leave(self, job: Job, done: asyncio.Future[Row]) -> None:
        waiters = self._waiters[job.id]
        waiters.remove(done)
        if not waiters:
            del self._waiters[job.id]
            self._engine.core.unwatch(job.queue, job.id)

    async def _look(self, job_ids: list[str]) -> None:
        try:
            rows = await self._database.fetch("results", list(dict.fromkeys(job_ids)))
        except StoreUnavailable as error:
            logger.warning("results are not to be had now: %s", error)
            return
        except TenureError as error:
            # No later look would fare better, a role that may not read results for one: those who wait are told.
            self._fail(job_ids, error)
            return
        for row in rows:
            for done in self._waiters.get(str(row["job_id"]), ()):
                if not done.done():
                    done.set_result(row)

    def _fail(self, job_ids: Iterable[str], error: TenureError) -> None:
        for job_id in job_ids:
            for done in self._waiters.get(job_id, ()):
                if not done.done():
                    done.set_exception(error)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP)
            self._looks.extend(list(self._waiters))
