"""Taking back expired leases: PostgreSQL decides what becomes of each before anything is queued again."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from tenure._dependencies import release_dependents
from tenure._engine import new_ids

if TYPE_CHECKING:
    from tenure._database import Connection, Database, Row
    from tenure._engine import Engine
    from tenure._publish import Publisher

logger = logging.getLogger("tenure.rescue")

_GRACE_MS: Final = 10_000  # how long another rescuer leaves a taken-back lease alone
_WAITING: Final = ("PENDING", "SCHEDULED")


async def rescue(
    database: Database, engine: Engine, publisher: Publisher, queue: str, limit: int, poison_after: int
) -> list[tuple[str, int]]:
    """Take back up to `limit` expired leases (job id, fence) of a queue.

    If this process dies half-way, another rescuer is given the same leases after the grace time, and PostgreSQL,
    which has either committed or not, decides again.
    """
    expired = await engine.rescue(queue, limit, _GRACE_MS)
    if not expired:
        return []
    job_ids = [job_id for job_id, _ in expired]
    fences = [fence for _, fence in expired]
    count = len(expired)

    async def decide(connection: Connection) -> tuple[list[Row], list[str], list[tuple[str, str, int]]]:
        decided = await database.fetch(
            "rescue", job_ids, fences, new_ids(count), new_ids(count), poison_after, connection=connection
        )
        ended = [
            (str(row["job_id"]), row["status"])
            for row in decided
            if row["has_dependents"] and row["status"] not in _WAITING
        ]
        return decided, *(await release_dependents(database, ended, connection))

    rows, ready, cancelled = await database.atomically(decide)
    states = {(str(row["job_id"]), row["fence"]): row["status"] for row in rows}
    dead = [key for key, status in states.items() if status == "FAILED"]
    # What PostgreSQL did not return has ended or moved on: its lease is only forgotten.
    over = [key for key in expired if states.get(key, "ended") not in (*_WAITING, "FAILED")]
    over += [(job_id, fence) for parent_queue, job_id, fence in cancelled if parent_queue == queue]
    if dead:
        await engine.bury(queue, dead)
    if over:
        await engine.acknowledge(queue, over)
    await publisher.requeue_ids([job_id for (job_id, _), status in states.items() if status in _WAITING] + ready)
    logger.warning(
        "leases rescued: %s: %d, lost attempts %d, dead letters %d",
        queue,
        count,
        sum(row["ran"] for row in rows),
        len(dead),
    )
    return expired
