"""Comparing PostgreSQL with Redis, a bounded slice at a time, and bringing Redis after it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from tenure._publish import load_descriptors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tenure._database import Database, Row
    from tenure._engine import Engine

PAGE: Final = 1000
FIRST_ID: Final = "00000000-0000-0000-0000-000000000000"
MOST_RECENT: Final = 50_000
# A push follows its commit within milliseconds. What is younger than this is left to it: pushed again after it was
# leased and settled, the job would be leased once more, and refused by PostgreSQL only after it ran where starts are
# recorded behind.
_ON_ITS_WAY: Final = timedelta(seconds=2)
NOT_AT_ALL: Final = timedelta(0)


async def mend(database: Database, engine: Engine, queue: str, rows: Sequence[Row]) -> int:
    """Push those of these live jobs that Redis lacks; give running ones without a lease one. How many were pushed.

    Rows that changed since they were read do no harm: an entry whose fence is stale can never start, and a lease
    given to a job that has ended is forgotten when it expires.
    """
    waiting = [(str(row["job_id"]), row["fence"]) for row in rows if row["status"] != "PROCESSING"]
    running = [(str(row["job_id"]), row["fence"]) for row in rows if row["status"] == "PROCESSING"]
    missing = await engine.missing(queue, waiting) if waiting else []
    pushed = 0
    for descriptors in (await load_descriptors(database, missing)).values():
        pushed += len(descriptors)
        await engine.requeue(queue, descriptors)
    if running:
        await engine.restore(queue, running)
    return pushed


async def mend_recent(
    database: Database, engine: Engine, queue: str, seconds: float, spare: timedelta = _ON_ITS_WAY
) -> int:
    """Mend what changed within the last seconds, but not what is younger than `spare`; how many were pushed."""
    rows = await database.fetch("live_since", queue, timedelta(seconds=seconds), spare, MOST_RECENT)
    return sum([await mend(database, engine, queue, page) for page in pages(rows)])


def pages(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Rows in pieces that one call of Redis can take."""
    return (rows[start : start + PAGE] for start in range(0, len(rows), PAGE))


async def mend_page(database: Database, engine: Engine, queue: str, after: str) -> tuple[int, str]:
    """Mend one page of a queue's live jobs behind the id `after`; how many were pushed, and where the next page
    begins.
    """
    rows = await database.fetch("live_page", queue, after, PAGE, _ON_ITS_WAY)
    pushed = await mend(database, engine, queue, [row for row in rows if row["settled_down"]])
    return pushed, str(rows[-1]["job_id"]) if len(rows) == PAGE else FIRST_ID
