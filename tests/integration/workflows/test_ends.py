"""The end of a workflow: reached by any graph, told of once, in time."""

from __future__ import annotations

import asyncio

from tests.invariants import assert_invariants


async def test_a_batch_tells_of_its_end_once_whatever_came_of_it(
    open_app, app, step, tell, raw_postgres, migrated_schema
):
    await open_app(app)
    flow = app.workflow("batch")
    for number in range(40):
        flow.add(step.request(str(number), fail=number % 4 == 0))
    told = flow.on_complete(tell.request(flow))
    batch = await flow.enqueue()
    assert len(batch.jobs) == 40
    async with app.worker(concurrency=20), app.worker(concurrency=20):
        assert await batch.result(told, 20) == {"COMPLETED": 30, "FAILED": 10}
        state = await batch.wait(10)
    assert (state.status, state.callback_status, state.callback_job_id) == ("FAILED", "COMPLETED", told.job_id)
    late = f"""SELECT count(*) FROM {migrated_schema}.jobs AS j, {migrated_schema}.jobs AS c
        WHERE c.job_id = $1 AND j.job_id <> c.job_id AND j.completed_at > c.started_at"""
    assert await raw_postgres.fetchval(late, told.job_id) == 0
    assert len(await app.admin.executions(told.job_id)) == 1
    await assert_invariants(raw_postgres, migrated_schema, jobs=41)


async def test_ten_thousand_tell_of_their_end(open_app, app, step, tell):
    """One callback, 10,000 edges, one statement for each batch of ends."""
    await open_app(app)
    flow = app.workflow()
    root = flow.add(step.request())
    for _ in range(9_999):
        flow.add(step.request(), after=[root])
    told = flow.on_complete(tell.request(flow))
    batch = await flow.enqueue()
    async with app.worker(concurrency=300):
        assert await batch.result(told, 60) == {"COMPLETED": 10_000}


async def test_a_chain_of_ten_cascades(open_app, app, step, raw_postgres, migrated_schema):
    """Each is released by the end of the one before: nobody looks again and again."""
    await open_app(app)
    flow = app.workflow()
    handle = flow.add(step.request("0"))
    for number in range(1, 10):
        handle = flow.add(step.request(handle if number % 2 else str(number)), after=[handle])
    chain = await flow.enqueue()
    async with app.worker():
        assert await chain.result(handle, 20) == "8"
    await assert_invariants(raw_postgres, migrated_schema, jobs=10)


async def test_a_deadline_reaches_all_jobs_and_spares_the_callback(open_app, app, step, tell):
    @app.job()
    async def slow() -> None:
        await asyncio.sleep(60)

    await open_app(app)
    flow = app.workflow(deadline_in=1.0)
    first = flow.add(slow.request())
    own = flow.add(step.options(deadline_in=0.5, delay=3600).request())
    rest = flow.add(step.request(), after=[flow.add(step.request(), after=[first])])
    told = flow.on_complete(tell.request(flow))
    done = await flow.enqueue()
    infos = {job.id: await job.info() for job in done.jobs}
    assert all(info.deadline_at is not None for info in infos.values())
    assert infos[own.job_id].deadline_at < infos[first.job_id].deadline_at
    assert infos[rest.job_id].deadline_at == infos[first.job_id].deadline_at == (await done.status()).deadline_at
    assert done.callback is not None
    assert (await done.callback.info()).deadline_at is None
    async with app.worker():
        # a job that ran is dead by then, and those that never started are cancelled
        assert await done.result(told, 20) == {"FAILED": 1, "CANCELLED": 3}
