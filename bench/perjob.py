"""What a job costs the stores, by their own counters: commits, log, dead rows, commands, bytes."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import redis

from tenure.bench import sink
from tenure.bench.errors import NotAsPromised
from tenure.bench.fleet import check, fleet
from tenure.bench.payload import arguments

if TYPE_CHECKING:
    from bench.space import Space

_BATCH: Final = 1000
_WITHIN: Final = 120.0

# A connection's statistics are there when it ends: each look waits until none of tenure's connections is left.
_CONNECTIONS: Final = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tenure'"
_DATABASE: Final = """
SELECT d.xact_commit AS commits, pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0') AS wal_bytes
FROM pg_stat_database AS d WHERE d.datname = current_database()
"""
_TABLES: Final = """
SELECT COALESCE(sum(n_tup_upd + n_tup_del), 0) AS dead_rows, COALESCE(sum(n_tup_hot_upd), 0) AS dead_rows_hot
FROM pg_stat_user_tables WHERE schemaname = $1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PerJob:
    """Figures of one job; start-up and what idle connections do is in them, spread over all jobs.

    Attributes:
        dead_rows: versions of rows left for vacuum; `dead_rows_hot` of them without a new entry in any index.
        redis_commands: all that the server ran, those inside scripts too; `redis_scripts` of them were scripts.
        redis_bytes: in and out.
    """

    name: str
    mode: str
    jobs: int
    commits: float
    wal_bytes: float
    dead_rows: float
    dead_rows_hot: float
    redis_commands: float
    redis_scripts: float
    redis_bytes: float


async def per_job(here: Space, mode: str, jobs: int) -> list[PerJob]:
    """Enqueue in bulk, then work; the stores' counters before, between and after."""
    async with here.engine() as engine:
        await engine.set_generation(here.queue)  # else the first push would find nothing and cause a rebuild
    before = await _counters(here)
    async with here.producer() as app:
        job_type = app.job_types[mode]
        for first in range(0, jobs, _BATCH):
            numbers = range(first, min(first + _BATCH, jobs))
            await app.enqueue_many([job_type.request(**arguments(number)) for number in numbers])
    between = await _counters(here)
    with fleet(here, 1, 300) as workers:
        give_up = time.monotonic() + _WITHIN
        # Nothing is asked of the stores meanwhile: asking counts.
        while sink.count(here.sink) < jobs:
            check(here, workers)
            if time.monotonic() > give_up:
                raise NotAsPromised(f"jobs that should have run, {jobs}: {sink.count(here.sink)}")
            await asyncio.sleep(0.05)
    after = await _counters(here)
    await here.all_completed(jobs)
    return [
        _row("enqueue, 1,000 a call", mode, jobs, before, between),
        _row("lease, run, settle", mode, jobs, between, after),
    ]


async def _counters(here: Space) -> dict[str, float]:
    give_up = time.monotonic() + _WITHIN
    async with here.connection() as connection:
        while await connection.fetchval(_CONNECTIONS):
            if time.monotonic() > give_up:
                raise NotAsPromised("connections to postgresql that should be closed: application_name tenure")
            await asyncio.sleep(0.05)
        [database] = await connection.fetch(_DATABASE)
        [tables] = await connection.fetch(_TABLES, here.name)
        found: dict[str, Any] = {**database, **tables}
    with redis.from_url(here.servers.redis_url) as client:
        stats, commands = client.info("stats"), client.info("commandstats")
    found["redis_commands"] = sum(one["calls"] for one in commands.values())
    found["redis_scripts"] = commands.get("cmdstat_evalsha", {}).get("calls", 0)
    found["redis_bytes"] = stats["total_net_input_bytes"] + stats["total_net_output_bytes"]
    return {name: float(value) for name, value in found.items()}


def _row(name: str, mode: str, jobs: int, before: dict[str, float], after: dict[str, float]) -> PerJob:
    figures = {key: round((after[key] - value) / jobs, 4) for key, value in before.items()}
    return PerJob(name=name, mode=mode, jobs=jobs, **figures)
