"""Dead letters: listed, shown, requeued, purged, pruned."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tenure import Dead, JobFailed
from tenure.errors import JobNotFound


@pytest.fixture
async def dead(open_app, app):
    """Five dead letters, and a switch that mends their handler."""
    state = {"broken": True}

    @app.job(max_retries=0)
    async def mend(number: int) -> object:
        return Dead(f"broken {number}") if state["broken"] else number

    await open_app(app)
    async with app.worker():
        jobs = await app.enqueue_many([mend.request(n) for n in range(5)])
        for job in jobs:
            with pytest.raises(JobFailed):
                await job.result(timeout=5)
        state["broken"] = False
        yield jobs


async def test_listed_and_shown(app, dead, raw_redis, settings):
    letters = await app.admin.dead_letters(job_type="mend")
    assert {letter.job_id for letter in letters} == {job.id for job in dead}
    assert (await app.admin.dead_letter(dead[3].id)).payload == {"number": 3}
    assert await app.admin.dead_letters(queue="other") == []
    assert raw_redis.zcard(f"{settings.prefix}:{{default}}:dead-letter-queue") == 5


async def test_requeued_ones_live_again_under_a_new_fence(app, dead):
    assert await app.admin.requeue_dead_letters(job_ids=[dead[0].id]) == 1
    assert await dead[0].result(timeout=5) == 0
    assert [one.fence for one in await dead[0].executions()] == [1, 2]
    assert await app.admin.requeue_dead_letters() == 4
    assert [await job.result(timeout=5) for job in dead[1:]] == [1, 2, 3, 4]


async def test_purged_ones_are_gone_their_jobs_stay(app, dead, raw_redis, settings):
    assert await app.admin.purge_dead_letters(job_ids=[dead[0].id]) == 1
    with pytest.raises(JobNotFound):
        await app.admin.dead_letter(dead[0].id)
    assert await dead[0].status() == "FAILED"
    assert await app.admin.purge_dead_letters() == 4
    assert raw_redis.zcard(f"{settings.prefix}:{{default}}:dead-letter-queue") == 0


async def test_old_ones_are_pruned(app, dead, raw_postgres, migrated_schema):
    await raw_postgres.execute(
        f"UPDATE {migrated_schema}.dead_letter_queue SET created_at = now() - interval '31 days' "
        "WHERE original_job_id = $1",
        dead[0].id,
    )
    rows = await app._open().database.fetch("prune_dead_letters", timedelta(days=30), 100)
    # the worker prunes too, and may have come first
    assert [str(row["original_job_id"]) for row in rows] in ([], [dead[0].id])
    assert {letter.job_id for letter in await app.admin.dead_letters()} == {job.id for job in dead[1:]}
