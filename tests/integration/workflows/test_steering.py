"""Workflows and their subtrees, cancelled and retried as a whole."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tenure import Backoff, Dead, JobCancelled, JobFailed
from tenure.errors import IllegalTransition
from tests.fix_waiting import has_status
from tests.invariants import assert_invariants


async def test_cancelling_a_subtree(open_app, app, step, eventually, raw_postgres, migrated_schema):
    """Waiting, ready and running jobs in one transaction; what is beside it goes on."""
    started = asyncio.Event()

    @app.job()
    async def hang() -> None:
        started.set()
        await asyncio.sleep(60)

    await open_app(app)
    flow = app.workflow()
    root = flow.add(step.request("root"))
    left = flow.add(hang.request(), after=[root])
    under = [flow.add(step.request(), after=[left], on_failure="run") for _ in range(5)]
    deep = flow.add(step.request(), after=under)
    right = flow.add(step.request("right"), after=[root])
    done = await flow.enqueue()
    async with app.worker():
        await asyncio.wait_for(started.wait(), 10)
        assert await done.job(left).cancel(descendants=True) == "PROCESSING"
        for handle in (*under, deep):
            assert await done.job(handle).status() == "CANCELLED"
        assert await done.result(right, 10) == "right"
        await eventually(lambda: has_status(done.job(left), "CANCELLED"))
        state = await done.wait(10)
        assert (state.status, state.jobs) == ("CANCELLED", {"COMPLETED": 2, "CANCELLED": 7})
        with pytest.raises(IllegalTransition, match="nothing is left"):
            await done.job(left).cancel(descendants=True)
    await assert_invariants(raw_postgres, migrated_schema)


async def test_cancelling_a_workflow_still_tells_of_its_end(open_app, app, step, tell):
    await open_app(app)
    flow = app.workflow()
    root = flow.add(step.options(delay=3600).request())
    for _ in range(600):
        flow.add(step.request(), after=[root])
    told = flow.on_complete(tell.request(flow))
    outside = step.options(depends_on=[root.job_id], on_failure="run")
    done = await flow.enqueue()
    beside = await outside.enqueue("outside")
    assert set((await done.cancel()).values()) == {"CANCELLED"}
    async with app.worker():
        assert await done.result(told, 10) == {"CANCELLED": 601}
        assert await beside.result(10) == "outside"
    assert (await done.status()).status == "CANCELLED"
    assert await done.cancel() == {}


async def test_retrying_a_workflow(open_app, app, tell):
    """What failed comes back, what was cancelled with it waits for it again, what completed stays; the callback, which
    still waits, waits for those that came back.
    """
    broken = True
    ran: list[str] = []

    @app.job(max_retries=0)
    async def mend(name: str) -> object:
        ran.append(name)
        return Dead() if broken and name.startswith("bad") else name

    await open_app(app)
    flow = app.workflow(on_failure="cancel")
    good, bad = flow.add(mend.request("good")), flow.add(mend.request("bad"))
    both = flow.add(mend.request("both"), after=[good, bad])
    after = flow.add(mend.request("after"), after=[both])
    slow = flow.add(mend.options(delay=3600).request("slow"))
    told = flow.on_complete(tell.request(flow))
    done = await flow.enqueue()
    async with app.worker():
        with pytest.raises(JobCancelled):
            await done.result(after, 10)
        assert await done.job(told).status() == "BLOCKED"
        broken = False
        assert await done.retry() == {
            bad.job_id: "PENDING",
            both.job_id: "BLOCKED",
            after.job_id: "BLOCKED",
        }
        assert await done.result(after, 10) == "after"
        assert await done.job(told).status() == "BLOCKED"
        await done.job(slow).retry()
        assert await done.result(told, 10) == {"COMPLETED": 5}
    assert sorted(ran) == ["after", "bad", "bad", "both", "good", "slow"]
    assert await app.admin.dead_letters() == []


async def test_retrying_a_subtree(open_app, app, step, raw_postgres, migrated_schema):
    await open_app(app)
    root = await step.options(delay=3600).enqueue("root")
    middle = await step.options(depends_on=[root]).enqueue("middle")
    leaf = await step.options(depends_on=[middle, root]).enqueue("leaf")
    assert await root.cancel(descendants=True) == "CANCELLED"
    # alone it could not come back: what it waits for did not complete
    with pytest.raises(IllegalTransition):
        await middle.retry()
    assert await middle.retry(descendants=True) == "CANCELLED"
    assert [await job.status() for job in (root, middle, leaf)] == ["CANCELLED", "BLOCKED", "BLOCKED"]
    assert await root.retry() == "CANCELLED"
    async with app.worker():
        assert await leaf.result(10) == "leaf"
    with pytest.raises(IllegalTransition, match="nothing is to be"):
        await root.retry(descendants=True)
    await assert_invariants(raw_postgres, migrated_schema, jobs=3)


async def test_a_retried_parent_is_waited_for_again(open_app, app, step):
    """By whoever still waits, also where its bad end had counted as an end."""
    await open_app(app)
    other = await step.options(delay=3600).enqueue()
    async with app.worker():
        parent = await step.enqueue(fail=True)
        child = await step.options(depends_on=[parent, other], on_failure="run").enqueue("child")
        with pytest.raises(JobFailed):
            await parent.result(10)
    assert (await child.info()).pending_dependencies == 1
    await app.admin.requeue_dead_letters(job_ids=[parent.id])
    assert (await child.info()).pending_dependencies == 2
    await other.cancel()
    assert await child.status() == "BLOCKED"
    await parent.cancel()
    assert await child.status() == "PENDING"


async def test_races_of_cancel_retry_and_settle_lose_no_wake_up(open_app, app, raw_postgres, migrated_schema):
    """Whatever comes first: every job ends, and none waits for something that has ended."""

    @app.job(max_retries=1, backoff=Backoff(base=0.01, jitter="none"))
    async def touch(number: int) -> int:
        await asyncio.sleep(0.001 * (number % 5))
        return number

    await open_app(app)
    flows = []
    for _ in range(6):
        flow = app.workflow(on_failure="cancel")
        row = [flow.add(touch.request(number)) for number in range(5)]
        for _ in range(4):
            row = [flow.add(touch.request(number), after=row) for number in range(5)]
        flows.append(await flow.enqueue())

    async def disturb(one: Any, number: int) -> None:
        for turn in range(3):
            await asyncio.sleep(0.005 * (number + turn))
            await one.cancel()
            await one.retry()

    async with app.worker(concurrency=10), app.worker(concurrency=10):
        await asyncio.gather(*(disturb(one, number) for number, one in enumerate(flows)))
        for one in flows:
            state = await one.wait(30)
            assert state.status != "HELD", state
            await one.retry()
            assert (await one.wait(30)).status == "COMPLETED"
    s = migrated_schema
    once = f"SELECT count(DISTINCT job_id), count(*) FROM {s}.job_executions WHERE status = 'COMPLETED'"
    assert tuple(await raw_postgres.fetchrow(once)) == (150, 150)
    early = f"""SELECT count(*) FROM {s}.job_dependencies AS d
        JOIN {s}.jobs AS p ON p.job_id = d.depends_on_job_id
        JOIN {s}.jobs AS c ON c.job_id = d.job_id
        WHERE d.satisfied_at IS NULL OR c.started_at < p.completed_at"""
    assert await raw_postgres.fetchval(early) == 0
