"""Comparing PostgreSQL with Redis, a bounded slice at a time, and bringing Redis after it."""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from tenure._descriptors import load_descriptors, load_running
from tenure._pauses import follow
from tenure._policy import follow_policy, load_policy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tenure._database import Database, Row
    from tenure._engine import Engine

logger = logging.getLogger("tenure.reconcile")

PAGE: Final = 1000
FIRST_ID: Final = "00000000-0000-0000-0000-000000000000"
MOST_RECENT: Final = 50_000
# A push follows its commit within milliseconds. What is younger than this is left to it: pushed again after it was
# leased and settled, the job would be leased once more, and refused by PostgreSQL only after it ran where starts are
# recorded behind.
_ON_ITS_WAY: Final = timedelta(seconds=2)
NOT_AT_ALL: Final = timedelta(0)
EVERY: Final = 5.0  # seconds between two looks
_YOUNG: Final = 15.0  # seconds since its id was made
_RECENT: Final = 30.0
# Looks at all that is live read every index entry of jobs that ended, until vacuum may remove them. Where somebody
# holds a transaction open that is millions, and seconds: so they may take a fiftieth of the time and no more.
_SHARE: Final = 50


async def restore(
    database: Database, engine: Engine, queue: str, rows: Sequence[Row], *, laned: bool, rebuilding: bool = False
) -> int:
    """Give those of these rows that run, and have no lease in Redis, one of full length; how many run.

    What they hold of limits is counted again: of those with attributes, or, where the queue has a policy (`laned`), of
    all.
    """
    running = [row for row in rows if row["status"] == "PROCESSING"]
    counted = [str(row["job_id"]) for row in running if laned or row["attributed"]]
    plain = [(str(row["job_id"]), row["fence"]) for row in running if not (laned or row["attributed"])]
    if counted:
        await restore_counted(database, engine, queue, counted, rebuilding=rebuilding)
    if plain:
        await engine.restore(queue, plain, rebuilding=rebuilding)
    return len(running)


async def restore_counted(
    database: Database, engine: Engine, queue: str, job_ids: Sequence[str], *, rebuilding: bool = False
) -> None:
    """The same for those of these jobs that run, with what they hold."""
    if lanes := await load_running(database, job_ids):
        await engine.restore(queue, [], lanes=lanes, rebuilding=rebuilding)


async def mend(database: Database, engine: Engine, queue: str, rows: Sequence[Row], *, laned: bool) -> int:
    """Push those of these live jobs that Redis lacks, or has ready at another priority; give running ones without a
    lease one. How many were pushed.

    Rows that changed since they were read do no harm: an entry whose fence is stale can never start, and a lease
    given to a job that has ended is forgotten when it expires.
    """
    waiting = [(str(row["job_id"]), row["fence"]) for row in rows if row["status"] != "PROCESSING"]
    missing = await engine.missing(queue, waiting) if waiting else []
    # What others wait for may have been lifted, or let go, by somebody whose push did not come through.
    movable = [
        (str(row["job_id"]), row["priority"]) for row in rows if row["has_dependents"] and row["status"] != "PROCESSING"
    ]
    if movable:
        missing += await engine.astray(queue, movable)
    pushed = 0
    for descriptors in (await load_descriptors(database, missing)).values():
        pushed += len(descriptors)
        await engine.requeue(queue, descriptors)
    await restore(database, engine, queue, rows, laned=laned)
    return pushed


async def mend_recent(
    database: Database,
    engine: Engine,
    queue: str,
    seconds: float,
    spare: timedelta = _ON_ITS_WAY,
    first_id: str = FIRST_ID,
    *,
    laned: bool,
) -> int:
    """Mend what changed within the last seconds, but not what is younger than `spare`, nor what has an id before
    `first_id`; how many were pushed.
    """
    rows = await database.fetch("live_since", queue, timedelta(seconds=seconds), spare, MOST_RECENT, first_id)
    return sum([await mend(database, engine, queue, page, laned=laned) for page in pages(rows)])


def pages(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Rows in pieces that one call of Redis can take."""
    return (rows[start : start + PAGE] for start in range(0, len(rows), PAGE))


async def mend_page(database: Database, engine: Engine, queue: str, after: str, *, laned: bool) -> tuple[int, str]:
    """Mend one page of a queue's live jobs behind the id `after`; how many were pushed, and where the next page
    begins.
    """
    rows = await database.fetch("live_page", queue, after, PAGE, _ON_ITS_WAY)
    pushed = await mend(database, engine, queue, [row for row in rows if row["settled_down"]], laned=laned)
    return pushed, str(rows[-1]["job_id"]) if len(rows) == PAGE else FIRST_ID


def first_id_since(seconds: float) -> str:
    """The smallest id (UUIDv7) that can have been made within the last seconds, by this process's clock."""
    made = format(round((time.time() - seconds) * 1000), "012x")
    return f"{made[:8]}-{made[8:]}-7000-8000-000000000000"


class Reconciler:
    """Looks at one queue again and again: at young jobs each time, at what changed lately and a page of the rest as
    often as their cost allows.
    """

    def __init__(
        self, database: Database, engine: Engine, queue: str, rebuild: Callable[[str], None] = lambda _: None
    ) -> None:
        """Prepare; the stores must be open at the first look. `rebuild` is told of a queue to be built again."""
        self._database = database
        self._engine = engine
        self._queue = queue
        self._rebuild = rebuild
        self._page = FIRST_ID
        self._looked = time.monotonic()
        self._again = 0.0

    async def look(self) -> int:
        """Mend what is found; how many jobs were pushed.

        Raises:
            NoGeneration: the queue is to be rebuilt.
            StoreUnavailable: a store is away.
        """
        began = time.monotonic()
        await self._database.fetch("adopt_tenants", self._queue)
        policy = await load_policy(self._database, self._queue)
        if not await follow_policy(self._engine, self._queue, policy):
            logger.info("a queue is built again under another policy: %s", self._queue)
            self._rebuild(self._queue)
            return 0
        await follow(self._database, self._engine, self._queue)
        laned = bool(policy)
        if began < self._again:
            pushed = await mend_recent(
                self._database, self._engine, self._queue, _RECENT, first_id=first_id_since(_YOUNG), laned=laned
            )
        else:
            seconds = began - self._looked + _RECENT
            pushed = await mend_recent(self._database, self._engine, self._queue, seconds, laned=laned)
            more, self._page = await mend_page(self._database, self._engine, self._queue, self._page, laned=laned)
            pushed += more
            self._looked = began
            self._again = time.monotonic() + _SHARE * (time.monotonic() - began)
        if pushed:
            logger.info("reconciled, jobs pushed again: %s: %d", self._queue, pushed)
        return pushed
