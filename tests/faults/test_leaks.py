"""A soak of mixed work and small faults, after which everything is back at its baseline (`--minutes` for longer)."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import time

import psutil
import pytest

from tenure import StoreUnavailable

# What may stand in Redis for ever; all else is a job's, or has an end of its own.
LASTING = {f"gap006:{{default}}:{name}" for name in ("generation", "idle", "lane-idle", "dead-letter-queue")}


@pytest.fixture
def minutes(request: pytest.FixtureRequest) -> float:
    """How long."""
    return float(request.config.getoption("minutes"))


def levels(stage) -> dict[str, float]:
    """What a leak would raise, of this process and of the workers."""
    gc.collect()
    # each connection through a proxy has two ends in this process
    ours = psutil.Process().num_fds() - 2 * (stage.postgres.open + stage.redis.open)
    found: dict[str, float] = {"tasks": len(asyncio.all_tasks()), "own fds": ours}
    for number, worker in enumerate(stage.workers):
        process = psutil.Process(worker.pid)
        found[f"worker {number} fds"] = process.num_fds()
        found[f"worker {number} threads"] = process.num_threads()
        found[f"worker {number} MiB"] = process.memory_info().rss / 2**20
    return found


async def mixed(stage, seconds: float, dice: random.Random) -> int:
    """Work, failures, dependents, cancellations, waits given up, cuts and flushes; how many faults."""
    until, faults = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        try:
            jobs = await asyncio.gather(*(stage.enqueue("work", dice.choice([0.0, 0.01])) for _ in range(20)))
            child = await stage.enqueue("work", depends_on=jobs[:3])
            late = await stage.enqueue("work", delay=3600)
            waits = [asyncio.create_task(job.result(timeout=20)) for job in (*jobs, child)]
            for wait in waits[::4]:
                wait.cancel()
            await late.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
        except StoreUnavailable:
            stage.refused["StoreUnavailable"] += 1
        faults += 1
        match dice.randrange(12):
            case 0:
                stage.postgres.cut()
            case 1:
                stage.redis.cut()
            case 2:
                with stage.raw() as client:
                    client.flushall()
            case 3:
                with stage.raw() as client:
                    client.script_flush()
            case _:
                faults -= 1
    return faults


@pytest.mark.timeout(24 * 3600)
async def test_everything_is_back_at_its_baseline_after_a_soak(stage, minutes, measured):
    dice = random.Random(7)
    stage.spawn(2, concurrency=10)
    await stage.ready()
    # the first share fills pools, caches and the allocator's arenas
    await mixed(stage, max(6.0, minutes * 6), dice)
    await stage.proven()
    before = levels(stage)
    faults = await mixed(stage, minutes * 60, dice)
    assert faults > minutes * 4, "too few faults: this run says nothing"
    report = await stage.proven()
    assert report["acked"] > 1000 * minutes

    # Pools may be fuller than before: of ten connections, and the threads in which a handler looks for its gate.
    spare = {"fds": 9, "tasks": 2, "threads": (os.cpu_count() or 1) + 4}
    until = time.monotonic() + 20
    while above := {
        name: (before[name], level)
        for name, level in levels(stage).items()
        if "MiB" not in name and level > before[name] + spare[name.split()[-1]]
    }:
        assert time.monotonic() < until, f"these do not come back: {above}"
        await asyncio.sleep(0.2)
    after = levels(stage)
    for number in range(2):
        grown = after[f"worker {number} MiB"] - before[f"worker {number} MiB"]
        measured(f"soak of {minutes:g} minutes, worker {number} grew by", grown, "MiB")
        assert grown < 12 + 2 * minutes
    busy = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"

    async def none_open() -> bool:
        return await stage.sql.fetchval(busy) == 0

    await stage.eventually(none_open, "no transaction stays open", 15)
    with stage.raw() as client:

        def forgotten() -> bool:
            endless = {key.decode() for key in client.scan_iter() if client.ttl(key) == -1}
            return endless <= LASTING

        await stage.eventually(forgotten, "no key but those that may last", 15)
        # workers that are gone leave no more behind than one entry each, until a wake-up passes over it
        assert client.zcard("gap006:{default}:idle") <= 2
        assert client.zcard("gap006:{default}:lane-idle") <= 4
