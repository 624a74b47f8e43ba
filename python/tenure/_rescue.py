"""Taking back expired leases: PostgreSQL decides what becomes of each before anything is queued again."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from typing import TYPE_CHECKING, Final, TypeVar

from tenure._dependencies import release_dependents
from tenure._engine import new_ids
from tenure.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tenure._database import Connection, Database, Row
    from tenure._engine import Engine
    from tenure._publish import Publisher

logger = logging.getLogger("tenure.rescue")

_GRACE_MS: Final = 3000  # how long another rescuer leaves a taken-back lease alone
_PATIENCE: Final = 2.0  # seconds of it, in which a decision that was cut off is asked for again
_LONGEST_PAUSE: Final = 1.0
_WAITING: Final = ("PENDING", "SCHEDULED")

T = TypeVar("T")


async def rescue(
    database: Database, engine: Engine, publisher: Publisher, queue: str, limit: int, poison_after: int
) -> list[tuple[str, int]]:
    """Take back up to `limit` expired leases (job id, fence) of a queue.

    If this process dies half-way, another rescuer is given the same leases after the grace time, and PostgreSQL,
    which has either committed or not, decides again. The same holds for a job whose row somebody keeps locked.
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
        recorded = [row for row in decided if row["recorded"]]
        if recorded:
            keys = [row["job_id"] for row in recorded], [row["fence"] for row in recorded]
            await database.fetch("lost", *keys, connection=connection)
        ended = [
            (str(row["job_id"]), row["status"])
            for row in decided
            if row["has_dependents"] and row["status"] not in _WAITING
        ]
        return decided, *(await release_dependents(database, ended, connection))

    (rows, ready, cancelled), uncertain = await _decided(database, decide)
    states = {(str(row["job_id"]), row["fence"]): row["status"] for row in rows}
    dead = [key for key, status in states.items() if status == "FAILED"]
    # What PostgreSQL did not return has ended or moved on: its lease is only forgotten. Unless somebody held its row:
    # then it is asked about again after the grace time.
    held = await _held(database, [key for key in expired if key not in states])
    over = [key for key in expired if states.get(key, "ended") not in (*_WAITING, "FAILED") and key not in held]
    over += [(job_id, fence) for parent_queue, job_id, fence in cancelled if parent_queue == queue]
    if dead:
        await engine.bury(queue, dead)
    if over:
        await engine.acknowledge(queue, over)
    again = [job_id for (job_id, _), status in states.items() if status in _WAITING]
    # What a try committed whose answer was lost is not returned by the next one: whatever waits is pushed.
    await publisher.requeue_ids((job_ids if uncertain else again) + ready)
    logger.warning(
        "leases rescued: %s: %d, lost attempts %d, dead letters %d",
        queue,
        count,
        sum(row["ran"] for row in rows),
        len(dead),
    )
    return expired


async def _held(database: Database, passed_over: list[tuple[str, int]]) -> set[tuple[str, int]]:
    """Those of these leases that are still to be decided."""
    if not passed_over:
        return set()
    keys = [job_id for job_id, _ in passed_over], [fence for _, fence in passed_over]
    return {(str(row["job_id"]), row["fence"]) for row in await database.fetch("rescue_held", *keys)}


async def _decided(database: Database, decide: Callable[[Connection], Awaitable[T]]) -> tuple[T, bool]:
    """PostgreSQL's decision, and whether an earlier try may have been committed too.

    Asked again at once where a session was cut: for as long as the grace lasts, nobody else can take these leases back.
    """
    give_up = time.monotonic() + _PATIENCE
    pause, uncertain = 0.02, False
    while True:
        try:
            return await database.atomically(decide), uncertain
        except StoreUnavailable as error:
            if time.monotonic() + pause > give_up:
                raise
            logger.warning("postgresql is away, a rescue waits: %s", error)
            uncertain = True
            await asyncio.sleep(random.uniform(pause / 2, pause))  # noqa: S311 - not a secret
            pause = min(pause * 2, _LONGEST_PAUSE)
