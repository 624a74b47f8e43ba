"""Ending waiting jobs whose time is over; PostgreSQL decides by its own clock which ones are."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from tenure._dependencies import release_dependents
from tenure._engine import NoGeneration, new_ids
from tenure.errors import StoreUnavailable, TenureError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tenure._database import Connection, Database, Row
    from tenure._engine import Engine, Lease
    from tenure._publish import Publisher

logger = logging.getLogger("tenure.expiry")

_BATCH: Final = 500


class Expiry:
    """Cancels jobs that have not started in time, and buries those whose deadline passed between two attempts.

    A job that nobody leases is found by the sweep. One that is leased late is refused its start by PostgreSQL, and
    ended at once by the worker that was refused.
    """

    def __init__(self, database: Database, engine: Engine, publisher: Publisher) -> None:
        """Prepare; the stores must be open when it is first asked."""
        self._database = database
        self._engine = engine
        self._publisher = publisher
        self._tasks: set[asyncio.Task[None]] = set()

    async def sweep(self) -> None:
        """End all whose time is over, of whatever queue, in batches.

        Raises:
            StoreUnavailable: PostgreSQL cannot be asked.
        """
        while await self._end(None) == _BATCH:
            pass

    def refused(self, leases: Sequence[Lease]) -> None:
        """Look, soon, whether the time of these leases, whose starts were refused, is over. Most were only stale."""
        task = asyncio.get_running_loop().create_task(self._look(list(leases)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Give up what is under way: the sweep finds it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _look(self, leases: list[Lease]) -> None:
        try:
            await self._end([lease.job_id for lease in leases])
        except TenureError as error:
            logger.warning("expired jobs wait for the next sweep: %s", error)

    async def _end(self, job_ids: list[str] | None) -> int:
        async def work(connection: Connection) -> tuple[list[Row], list[str], list[tuple[str, str, int]]]:
            rows = await self._database.fetch("expire", job_ids, _BATCH, new_ids(_BATCH), connection=connection)
            ended = [(str(row["job_id"]), row["status"]) for row in rows if row["has_dependents"]]
            stopped = [str(row["job_id"]) for row in rows if row["waited"]]
            return rows, *(await release_dependents(self._database, ended, connection, stopped))

        rows, ready, cancelled = await self._database.atomically(work)
        gone: dict[str, list[str]] = defaultdict(list)
        dead: dict[str, list[tuple[str, int]]] = defaultdict(list)
        for row in rows:
            gone[row["queue"]].append(str(row["job_id"]))
            if row["status"] == "FAILED":
                dead[row["queue"]].append((str(row["job_id"]), row["fence"]))
        for queue, job_id, _ in cancelled:
            gone[queue].append(job_id)
        if rows:
            logger.info("jobs expired: %d", len(rows))
        await self._tell_redis(gone, dead)
        if ready:
            await self._publisher.requeue_ids(ready)
        return len(rows)

    async def _tell_redis(self, gone: dict[str, list[str]], dead: dict[str, list[tuple[str, int]]]) -> None:
        for queue, job_ids in gone.items():
            try:
                await self._engine.cancel_queued(queue, job_ids)
                if queue in dead:
                    await self._engine.bury(queue, dead[queue])
            except (NoGeneration, StoreUnavailable):
                continue  # an entry that stays behind can never start: PostgreSQL has the job as ended
