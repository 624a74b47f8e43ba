"""Mixed work under mixed faults, witnessed by PostgreSQL and by a ledger that tenure does not know; and the checker
itself, shown broken rows.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
from collections import Counter
from typing import TYPE_CHECKING

import pytest
import redis

from tenure import StoreUnavailable, Tenure
from tenure._engine import new_ids
from tests.handlers import until, work
from tests.invariants import assert_invariants

if TYPE_CHECKING:
    from tenure import Job, JobRequest

SEEDS = [int(seed) for seed in os.environ.get("TENURE_TEST_SEEDS", "1").split(",")]


@pytest.fixture
async def client(settings, open_app):
    """An app that enqueues what the worker processes run."""
    app = Tenure(settings)
    for job_type in (work, until):
        app.job(name=job_type.name, max_retries=50)(job_type.handler)
    return await open_app(app)


@pytest.mark.parametrize("seed", SEEDS)
async def test_faults_lose_and_double_nothing(
    client, spawn_worker, tmp_path, eventually, settings, raw_postgres, redis_url, seed
):
    dice = random.Random(seed)
    ledger = tmp_path / "ledger"
    ledger.touch()

    def lines(event: str) -> list[dict]:
        return [one for one in map(json.loads, ledger.read_text().splitlines()) if one["event"] == event]

    workers = [spawn_worker("--concurrency", "10") for _ in range(2)]
    jobs = []

    async def resent(*requests: JobRequest) -> list[Job]:
        """Enqueue; what may or may not have happened is sent again, with the same ids."""
        while True:
            try:
                return await client.enqueue_many(requests)
            except StoreUnavailable:
                await asyncio.sleep(0.02)

    def request(name: str, *arguments: object, **options: object) -> JobRequest:
        return client.job_types[name].options(job_id=new_ids(1)[0], **options).request(str(ledger), *arguments)

    async def enqueue() -> None:
        for _ in range(30):
            batch = await resent(*(request("work", dice.uniform(0, 0.03)) for _ in range(9)))
            jobs.extend([*batch, *await resent(request("work", depends_on=batch, on_failure="run"))])
            await asyncio.sleep(0.02)

    enqueueing = asyncio.create_task(enqueue())
    await eventually(lambda: len(lines("end")) > 20, timeout=20)
    effects = Counter()
    keys = f"{settings.prefix}:*"
    with redis.from_url(redis_url) as stores:
        for _ in range(8):
            match dice.choice(["forget", "scripts", "cut"]):
                case "forget":  # FLUSHALL, but only of this test's keys: the server is shared
                    if found := list(stores.scan_iter(keys, 1000)):
                        effects["forgotten"] += stores.delete(*found)
                case "scripts":
                    stores.script_flush()
                    effects["scripts"] += 1
                case "cut":
                    effects["cut"] += await raw_postgres.fetchval(
                        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                        "WHERE application_name = 'tenure' AND query LIKE '%' || $1 || '%' AND pid <> pg_backend_pid()",
                        settings.schema,
                    )
            await asyncio.sleep(dice.uniform(0.02, 0.1))
    await enqueueing
    # both workers hold something, then one is stopped past its leases and one is killed
    gate = tmp_path / "gate"
    held = await resent(*(request("until", str(gate)) for _ in range(15)))
    jobs.extend(held)

    def holders() -> Counter:
        return Counter(line["pid"] for line in lines("start") if line["job"] in {job.id for job in held})

    await eventually(lambda: sum(holders().values()) >= 15 and len(holders()) == 2, timeout=20)
    workers[0].send_signal(signal.SIGSTOP)
    workers[1].kill()
    spawn_worker("--concurrency", "20")

    async def lost() -> int:
        count = f"SELECT count(*) FROM {settings.schema}.job_executions WHERE status = 'LOST'"
        return await raw_postgres.fetchval(count)

    async def all_lost() -> bool:
        return await lost() >= 15

    await eventually(all_lost, timeout=20)
    workers[0].send_signal(signal.SIGCONT)
    gate.touch()
    for job in jobs:
        await job.result(timeout=30)
    assert effects["forgotten"] + effects["cut"], f"no store's fault had an effect: {effects}"
    # the ledger: a lease starts one run, a job has no more runs than fences, and every one ended
    starts = Counter((line["job"], line["fence"]) for line in lines("start"))
    assert not [key for key, count in starts.items() if count > 1]
    assert {line["job"] for line in lines("end")} == {job.id for job in jobs}
    results = await client.admin.results([job.id for job in jobs])
    ended = {(line["job"], line["fence"]) for line in lines("end")}
    assert {(job_id, fence) for job_id, fence in results.items()} <= ended
    await assert_invariants(raw_postgres, settings.schema, jobs=315)


BREAKS = {
    "never ended: PENDING": ("I4", "UPDATE {s}.jobs SET status = 'PENDING', completed_at = NULL WHERE job_id = $1"),
    "attempt under fence 1 never ended": (
        "I4",
        "UPDATE {s}.job_executions SET status = 'PROCESSING', completed_at = NULL WHERE job_id = $1",
    ),
    "COMPLETED, with 0 completed attempts": ("I2", "DELETE FROM {s}.job_executions WHERE job_id = $1"),
    "its attempts have holes": ("I7", "UPDATE {s}.job_executions SET attempt = 2 WHERE job_id = $1"),
    "above its own": ("I6", "UPDATE {s}.job_executions SET fence = 9 WHERE job_id = $1"),
    "FAILED, and no dead letter": ("I9", "UPDATE {s}.jobs SET status = 'FAILED' WHERE job_id = $1"),
    "started before its parent": (
        "I11",
        """UPDATE {s}.jobs SET started_at = started_at - interval '1 hour'
        WHERE job_id IN (SELECT job_id FROM {s}.job_dependencies WHERE depends_on_job_id = $1)""",
    ),
}


@pytest.mark.parametrize("what", BREAKS)
async def test_the_checker_sees_what_is_broken(open_app, app, raw_postgres, migrated_schema, what):
    @app.job()
    async def idle() -> None: ...

    await open_app(app)
    parent = await idle.enqueue()
    child = await idle.options(depends_on=[parent]).enqueue()
    async with app.worker():
        await child.result(timeout=10)
    await assert_invariants(raw_postgres, migrated_schema, jobs=2)
    with pytest.raises(AssertionError):
        await assert_invariants(raw_postgres, migrated_schema, jobs=3)
    invariant, change = BREAKS[what]
    await raw_postgres.execute(change.replace("{s}", migrated_schema), parent.id)
    job_id = child.id if invariant == "I11" else parent.id
    with pytest.raises(AssertionError, match=f"'{invariant}'.*{job_id}: [^']*{what}"):
        await assert_invariants(raw_postgres, migrated_schema, jobs=2)
