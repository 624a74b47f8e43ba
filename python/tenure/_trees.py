"""Cancelling and retrying a job with all that waits for it, or a whole workflow: one transaction, however many jobs."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from tenure._database import KeyTakenError
from tenure._dependencies import release_dependents
from tenure._engine import NoGeneration
from tenure._priorities import compute
from tenure.errors import IllegalTransition, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tenure._database import Connection, Database, Row
    from tenure._engine import Engine
    from tenure._publish import Publisher

_ASKED_AT_ONCE: Final = 100


class Trees:
    """What `Admin` and `Workflows` do to many jobs at once."""

    def __init__(self, database: Database, engine: Engine, publisher: Publisher) -> None:
        """Prepare; the stores must be open when it is first asked."""
        self._database = database
        self._engine = engine
        self._publisher = publisher

    async def cancel(self, roots: Sequence[str], workflow_id: str | None = None) -> dict[str, str]:
        """Cancel these jobs and what waits for them, or a workflow's; the state that each which had not ended has now.

        Those that run are asked to stop. Others that wait for one of these fare by their edge's policy.
        """

        async def cancel(connection: Connection) -> tuple[list[Row], list[str], list[tuple[str, str, int]]]:
            rows = await self._database.fetch("cancel_tree", roots, workflow_id, connection=connection)
            over = [row for row in rows if row["status"] == "CANCELLED"]
            ended = [(str(row["job_id"]), "CANCELLED") for row in over if row["has_dependents"]]
            stopped = [str(row["job_id"]) for row in over if row["old_status"] == "BLOCKED"]
            return rows, *(await release_dependents(self._database, ended, connection, stopped))

        rows, ready, cancelled = await self._database.atomically(cancel)
        queued: dict[str, list[str]] = defaultdict(list)
        for row in rows:
            if row["status"] == "CANCELLED":
                queued[row["queue"]].append(str(row["job_id"]))
        for queue, job_id, _ in cancelled:
            queued[queue].append(job_id)
        await self.tell_redis(queued, [row for row in rows if row["status"] == "PROCESSING"])
        await self._publisher.requeue_ids(ready)
        return {str(row["job_id"]): row["status"] for row in rows}

    async def retry(self, roots: Sequence[str], workflow_id: str | None = None) -> dict[str, str]:
        """Bring those back to life that failed or were cancelled, of these jobs and what depends on them, or of a
        workflow; the state that each has now: ready, or waiting again for what comes back with it.

        Raises:
            IllegalTransition: another job has the unique key of one of them by now.
        """
        try:
            rows, changed = await self._database.atomically(lambda own: self._revive(roots, workflow_id, own))
        except KeyTakenError as error:
            raise IllegalTransition(f"not retried: {error}") from error
        by_queue: dict[str, list[str]] = defaultdict(list)
        for row in rows:
            by_queue[row["queue"]].append(str(row["job_id"]))
        for queue, job_ids in by_queue.items():
            try:
                await self._engine.forget_dead(queue, job_ids)
            except (NoGeneration, StoreUnavailable):
                continue  # an entry that stays behind is only counted, never run
        await self._publisher.requeue_ids(
            [*(str(row["job_id"]) for row in rows if row["status"] == "PENDING"), *changed]
        )
        return {str(row["job_id"]): row["status"] for row in rows}

    async def _revive(
        self, roots: Sequence[str], workflow_id: str | None, connection: Connection
    ) -> tuple[list[Row], list[str]]:
        over = await self._database.fetch("lock_tree", roots, workflow_id, connection=connection)
        if not over:
            return [], []
        job_ids = [str(row["job_id"]) for row in over]
        rows = await self._database.fetch("revive_tree", job_ids, connection=connection)
        return rows, await waited_for_again(self._database, job_ids, connection)

    async def tell_redis(self, queued: dict[str, list[str]], running: Sequence[Row]) -> None:
        """Take cancelled jobs out of their queues, and ask the workers of those that run to stop them."""
        try:
            for queue, job_ids in queued.items():
                await self._engine.cancel_queued(queue, job_ids)
            for start in range(0, len(running), _ASKED_AT_ONCE):
                await asyncio.gather(
                    *(
                        self._engine.cancel_running(
                            row["queue"], str(row["job_id"]), row["fence"], str(row["worker_id"])
                        )
                        for row in running[start : start + _ASKED_AT_ONCE]
                    )
                )
        except (NoGeneration, StoreUnavailable):
            # PostgreSQL has it: a queued entry can never start, and a running attempt ends as CANCELLED instead of
            # coming back.
            return


async def waited_for_again(database: Database, job_ids: Sequence[str], connection: Connection) -> list[str]:
    """Have those that still wait wait for these jobs, which came back to life; the ids of all whose priorities
    changed with it.
    """
    if not job_ids:
        return []
    await database.fetch("wait_again", job_ids, connection=connection)
    return await compute(database, job_ids, connection)
