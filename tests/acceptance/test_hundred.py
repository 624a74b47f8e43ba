"""A hundred workers under a supervisor drain ten thousand jobs while a quarter of them is killed at random."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from dataclasses import replace

import pytest

from tests.handlers import app as handlers
from tests.invariants import assert_invariants

PROCESSES, EACH, JOBS, KILLED = 8, 13, 10_000, 2
FLEET = f"""
[groups.hundred]
app = "tests.handlers:app"
processes = {PROCESSES}
workers_per_process = {EACH}
queues = ["default"]
concurrency = 5
log_level = "warning"
"""


@pytest.fixture
def settings(settings):
    """Leases that a busy machine keeps: what is lost here is lost by a death."""
    return replace(settings, lease_seconds=5.0, heartbeat_seconds=1.0, heartbeat_ttl_seconds=10.0)


@pytest.mark.timeout(180)
async def test_nothing_is_lost_and_every_job_has_one_outcome(
    fleet_up, app, open_app, raw_postgres, settings, eventually
):
    await open_app(app)
    work = app.job(name="work", max_retries=5)(handlers.job_types["work"].handler)
    up = fleet_up(FLEET, TENURE_POSTGRES_CONNECTIONS="4")
    workers, jobs = f"{settings.schema}.workers", f"{settings.schema}.jobs"

    async def count(status: str) -> int:
        return await raw_postgres.fetchval(f"SELECT count(*) FROM {workers} WHERE status = $1", status)

    async def done() -> int:
        return await raw_postgres.fetchval(f"SELECT count(*) FROM {jobs} WHERE status = 'COMPLETED'")

    async def whole() -> bool:
        return await count("ACTIVE") == PROCESSES * EACH

    await eventually(whole, timeout=60)
    first = up.pids
    ledger = str(up.path.with_name("ledger"))
    requests = [work.request(ledger=ledger, seconds=0.2) for _ in range(JOBS)]
    enqueuing = asyncio.create_task(app.enqueue_many(requests))
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")  # noqa: T201 - pytest shows it where the test fails
    chance = random.Random(seed)
    killed = chance.sample(sorted(first), KILLED)
    # each at a moment of its own, somewhere in the first half
    for victim, share in zip(killed, sorted(chance.uniform(0.02, 0.5) for _ in killed), strict=True):
        while await done() < share * JOBS:
            await asyncio.sleep(0.02)
        os.kill(victim, signal.SIGKILL)
    enqueued = await enqueuing

    async def drained() -> bool:
        return await done() == JOBS

    await eventually(drained, timeout=90)
    await eventually(whole, timeout=60)
    assert len({job.id for job in enqueued}) == JOBS
    assert len(up.pids) == PROCESSES
    assert len(up.pids - first) == KILLED
    rows = await raw_postgres.fetch(f"SELECT pid, status, count(*) FROM {workers} GROUP BY pid, status")
    assert sorted((row["pid"], row["count"]) for row in rows if row["status"] == "FAILED") == sorted(
        (pid, EACH) for pid in killed
    )
    # the killed held jobs, which others ran: a death that cost nothing would have shown nothing
    lost = await raw_postgres.fetchval(f"SELECT count(*) FROM {settings.schema}.job_executions WHERE status = 'LOST'")
    assert lost > 0
    await assert_invariants(raw_postgres, settings.schema, jobs=JOBS)
    assert up.stop() == 0
