"""What bounds a system that is recovering: rescues in batches, retries within their budget, typed refusals."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tenure import Backoff, JobContext, JobFailed, StoreUnavailable
from tenure.errors import Backpressure

if TYPE_CHECKING:
    from datetime import datetime


async def test_a_mass_of_lost_leases_comes_back_in_batches(stage, measured):
    """A fleet dies at once: what is left takes the leases back at most 500 at a time, and its own work goes on."""
    dying = stage.spawn(4, concurrency=300)
    await stage.ready()
    gate = stage.directory / "gate"
    doomed = [await stage.enqueue("until", str(gate)) for _ in range(1200)]
    await stage.eventually(lambda: len(stage.lines("start")) == 1200, "they run", 30)
    gate.touch()
    for process in dying:
        process.send_signal(signal.SIGSTOP)
    (left,) = stage.spawn(concurrency=20)
    # not by the registry: to it those that stand still are soon suspect
    await stage.eventually(lambda: "worker started" in stage.log(left), "the one that is left has started", 30)
    for process in dying:
        process.kill()
        process.send_signal(signal.SIGCONT)
    killed = time.monotonic()
    waits = []
    while time.monotonic() - killed < 4:
        asked = time.monotonic()
        await (await stage.enqueue("work", priority=5)).result(timeout=10)
        waits.append(time.monotonic() - asked)
        await asyncio.sleep(0.1)
    await asyncio.gather(*(job.result(timeout=30) for job in doomed))
    measured("1,200 leases lost at once, all jobs done again after", time.monotonic() - killed)
    measured("the longest that other work waited meanwhile", max(waits))
    assert max(waits) < 5
    counts = [
        int(line.split("default: ")[1].split(",")[0]) for line in stage.log(left).splitlines() if "rescued:" in line
    ]
    assert max(counts, default=0) <= 500
    await stage.proven()


async def test_retries_stay_within_their_budget_while_everything_fails(open_app, app, raw_postgres, migrated_schema):
    """A dependency is away: each job is tried so often and no more, spread by its jitter, and dies only after that."""
    runs: Counter[int] = Counter()
    times: list[float] = []

    @app.job(max_retries=3, backoff=Backoff(base=0.3, factor=2.0, cap=1.0, jitter="full"))
    async def fails(number: int) -> None:
        runs[number] += 1
        times.append(time.monotonic())
        raise ConnectionError("the dependency is away")

    await open_app(app)
    async with app.worker(concurrency=50):
        jobs = await app.enqueue_many([fails.request(number) for number in range(200)])
        outcomes = await asyncio.gather(*(job.result(timeout=20) for job in jobs), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {JobFailed}
    assert set(runs.values()) == {4}, "four runs each: the first and three retries"
    audit = await raw_postgres.fetch(
        f"SELECT attempt, count(*) FROM {migrated_schema}.job_executions GROUP BY 1 ORDER BY 1"
    )
    assert [tuple(row) for row in audit] == [(1, 200), (2, 200), (3, 200), (4, 200)]
    retries = sorted(times)[200:]
    busiest = max(sum(begin <= at < begin + 0.1 for at in retries) for begin in retries)
    assert busiest < 300, "retries come in a herd"


async def test_retries_above_their_share_wait_longest_and_lose_nothing(open_app, app, raw_postgres, migrated_schema):
    """While everything fails, the budget lets a share of the retries come soon; the others keep all their attempts."""
    due: dict[str, list[datetime]] = defaultdict(list)

    @app.job(max_retries=1, backoff=Backoff(base=0.001, cap=2.0, jitter="none", budget=0.1, burst=10))
    async def fails(context: JobContext) -> None:
        due[context.job_id].append((await app.job_handle(context.job_id).info()).run_at)
        raise ConnectionError("the dependency is away")

    await open_app(app)
    async with app.worker(concurrency=50):
        jobs = await app.enqueue_many([fails.request() for _ in range(100)])
        outcomes = await asyncio.gather(*(job.result(timeout=20) for job in jobs), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {JobFailed}
    assert [len(times) for times in due.values()] == [2] * 100
    # the delays that were given: when the retries ran says how busy the machine was
    first = f"SELECT job_id::text, completed_at FROM {migrated_schema}.job_executions WHERE attempt = 1"
    delays = [due[job_id][1] - failed for job_id, failed in await raw_postgres.fetch(first)]
    assert len(delays) == 100
    soon = sum(delay < timedelta(seconds=1) for delay in delays)
    assert 10 <= soon <= 10 + 0.1 * 200, "a burst of 10, and a tenth of all attempts"


@pytest.mark.parametrize("store", ["full", "away"])
async def test_a_store_that_cannot_take_more_is_one_typed_error_in_bounded_time(stage, store):
    began = time.monotonic()
    if store == "away":
        stage.postgres.refuse()
        with pytest.raises(StoreUnavailable, match="postgresql cannot be asked"):
            await stage.enqueue("work")
    else:
        # a role that may have no connection is told what one is told that comes when all are taken
        role = f"limited_{stage.direct.schema}"
        await stage.sql.execute(f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 0")
        try:
            url = stage.direct.postgres_url.replace("postgres@", f"{role}@")
            with pytest.raises(Backpressure, match="refuses more work"):
                await stage.app(replace(stage.direct, postgres_url=url)).__aenter__()
        finally:
            await stage.sql.execute(f"DROP ROLE {role}")
    assert time.monotonic() - began < 5


async def test_nothing_is_trusted_past_the_workers_own_clock(stage):
    """Redis hangs with every lease in it: the worker's monotonic clock ends its trust, a margin before the lease."""
    (worker,) = stage.spawn()
    await stage.ready()
    gate = stage.directory / "gate"
    for _ in range(5):
        await stage.enqueue("until", str(gate))
    await stage.eventually(lambda: len(stage.lines("start")) == 5, "they run")
    stage.server.pause()
    paused = time.monotonic()
    try:
        await stage.eventually(lambda: len(stage.lines("cancelled")) == 5, "it gives them up")
        trusted = max(line["at"] for line in stage.lines("cancelled")) - paused
        # the last beat was at most 0.3 s old; a lease is 2 s, its margin 0.2 s, and a look every 0.1 s
        assert 1.2 < trusted < 2.1
    finally:
        stage.server.cont()
    gate.touch()
    assert worker.poll() is None
    await stage.proven()
