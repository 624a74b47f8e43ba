"""Expired leases: PostgreSQL decides what becomes of each."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from tenure import JobCancelled, JobContext, JobFailed, StoreUnavailable
from tenure._attempt import Attempt
from tenure._database import Database
from tenure._identity import Identity
from tenure._rescue import rescue
from tests.invariants import assert_invariants


def begun(lease) -> Attempt:
    """An attempt whose handler has been called, and will never say anything."""
    attempt = Attempt(lease)
    attempt.begun = True
    return attempt


@pytest.fixture
async def lose(open_app, app, raw_redis, settings, eventually):
    """Leases jobs to a worker that never comes back, and expires the leases."""

    async def lose(jobs) -> None:
        ghost = app.worker(concurrency=len(jobs))
        await ghost._engine.open()
        row = Identity(name="ghost", queues=("default",), concurrency=len(jobs)).row(ghost.worker_id)
        await ghost._database.fetch("register_workers", json.dumps([row]))
        rebuilder = ghost._rebuilder
        rebuilder.request("default")
        await rebuilder.settled()
        leases = []

        async def leased() -> bool:
            leases.extend((await ghost._engine.lease("default", len(jobs) - len(leases))).leases)
            return len(leases) == len(jobs)

        await eventually(leased)
        assert all(await asyncio.gather(*(begun(lease).ensure_recorded(ghost._runner._starter) for lease in leases)))
        ghost._engine.close()
        key = f"{settings.prefix}:{{default}}:processing-queue"
        raw_redis.zadd(key, dict.fromkeys(raw_redis.zrange(key, 0, -1), 1))

    await open_app(app)
    return lose


async def test_lost_jobs_run_again_under_a_higher_fence(app, lose, raw_postgres, migrated_schema):
    @app.job()
    async def fence(context: JobContext) -> list[int]:
        return [context.attempt, context.fence]

    jobs = await app.enqueue_many([fence.request() for _ in range(50)])
    await lose(jobs)
    async with app.worker(concurrency=50):
        assert [await job.result(timeout=10) for job in jobs] == [[2, 2]] * 50
    assert [(one.fence, one.status) for one in await jobs[7].executions()] == [(1, "LOST"), (2, "COMPLETED")]
    await assert_invariants(raw_postgres, migrated_schema, jobs=50)


async def test_an_attempt_that_was_the_last_is_a_dead_letter(app, lose, raw_postgres, migrated_schema):
    @app.job(max_retries=0)
    async def once() -> None:
        raise AssertionError("a second run")

    job = await once.enqueue()
    await lose([job])
    async with app.worker():
        with pytest.raises(JobFailed, match="the worker was lost"):
            await job.result(timeout=10)
    letter = await app.admin.dead_letter(job.id)
    assert (letter.reason, letter.attempts) == ("exhausted", 1)
    await assert_invariants(raw_postgres, migrated_schema, jobs=1)


async def test_a_lost_job_whose_cancellation_was_asked_for_does_not_come_back(app, lose, raw_postgres, migrated_schema):
    @app.job()
    async def unwanted() -> None:
        raise AssertionError("a second run")

    job = await unwanted.enqueue()
    child = await unwanted.options(depends_on=[job], on_failure="cancel").enqueue()
    await lose([job])
    assert await job.cancel() == "PROCESSING"
    async with app.worker():
        for cancelled in (job, child):
            with pytest.raises(JobCancelled):
                await cancelled.result(timeout=10)
    await assert_invariants(raw_postgres, migrated_schema, jobs=2)


async def test_poison_takes_its_dependents_along_as_their_policy_says(app, lose, raw_postgres, migrated_schema):
    @app.job(max_retries=100)
    async def poison(fine: bool = False) -> str:
        if not fine:
            raise AssertionError("a fourth run")
        return "ran"

    job = await poison.enqueue()
    after = await poison.options(depends_on=[job], on_failure="run").enqueue(fine=True)
    stores = app._open()
    for crash in range(3):
        await lose([job])
        # by hand, so that no worker leases it meanwhile
        await rescue(stores.database, stores.engine, stores.publisher, "default", 100, poison_after=3)
        assert await job.status() == ("PENDING" if crash < 2 else "FAILED")
    assert (await app.admin.dead_letter(job.id)).reason == "poison"
    async with app.worker():
        assert await after.result(timeout=10) == "ran"
    await assert_invariants(raw_postgres, migrated_schema, jobs=2)


@pytest.mark.parametrize("committed", [False, True], ids=["rolled back", "committed"])
async def test_a_rescue_that_is_cut_off_is_decided_again_at_once(
    app, lose, raw_postgres, migrated_schema, monkeypatch, committed
):
    """Not after the grace of ten seconds, in which nobody else is given its leases."""

    @app.job()
    async def fence(context: JobContext) -> int:
        return context.fence

    jobs = await app.enqueue_many([fence.request() for _ in range(5)])
    await lose(jobs)
    original, cut = Database.atomically, []

    async def atomically(self, work):
        if work.__qualname__.startswith("rescue.") and not cut:
            if committed:
                await original(self, work)
            cut.append(time.monotonic())
            raise StoreUnavailable("the session was cut")
        return await original(self, work)

    monkeypatch.setattr(Database, "atomically", atomically)
    async with app.worker(concurrency=5):
        assert [await job.result(timeout=10) for job in jobs] == [2] * 5
    assert time.monotonic() - cut[0] < 4.0
    await assert_invariants(raw_postgres, migrated_schema, jobs=5)


async def test_a_start_in_an_open_transaction_holds_up_no_other_rescue(
    app, lose, raw_postgres, migrated_schema, eventually
):
    """A process stopped in the middle of a statement keeps its rows; once it goes on, its attempts are lost too."""

    @app.job()
    async def fence(context: JobContext) -> int:
        return context.fence

    stuck, other = await app.enqueue_many([fence.request() for _ in range(2)])
    await lose([stuck, other])
    # as if the start of the first were not committed yet
    attempts = f"{migrated_schema}.job_executions"
    kept = await raw_postgres.fetchrow(f"DELETE FROM {attempts} WHERE job_id = $1 RETURNING *", stuck.id)
    jobs = f"{migrated_schema}.jobs"
    await raw_postgres.execute(
        f"UPDATE {jobs} SET status = 'PENDING', fence = 0, attempts = 0, worker_id = NULL WHERE job_id = $1", stuck.id
    )
    transaction = raw_postgres.transaction()
    await transaction.start()
    await raw_postgres.execute(
        f"UPDATE {jobs} SET status = 'PROCESSING', fence = 1, attempts = 1, worker_id = $2 WHERE job_id = $1",
        stuck.id,
        kept["worker_id"],
    )
    async with app.worker(concurrency=5):
        assert await other.result(timeout=5) == 2
        places = ", ".join(f"${n + 1}" for n in range(len(kept)))
        await raw_postgres.execute(
            f"INSERT INTO {attempts} ({', '.join(kept.keys())}) VALUES ({places})", *kept.values()
        )
        await transaction.commit()
        assert await stuck.result(timeout=10) == 2
    assert [(one.fence, one.status) for one in await stuck.executions()] == [(1, "LOST"), (2, "COMPLETED")]
    await assert_invariants(raw_postgres, migrated_schema, jobs=2)
