"""What workflows and inherited priorities cost: a lift, beside the same enqueue without one; how long an inversion
lasts once somebody waits; batches with a callback.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from bench.seed import Dependents, Row, row_of, timed
from tenure._engine import NoGeneration
from tenure.bench.errors import NotAsPromised
from tenure.bench.fleet import fleet, ready
from tenure.bench.payload import arguments

if TYPE_CHECKING:
    from bench.space import Space
    from tenure import Tenure
    from tenure.job import Job

_CHAIN = 10
_CROWD = 1000


async def inheritance(here: Space, count: int) -> list[Row]:
    """Enqueue a job behind a chain of ten that waits, while nobody works: no lower than it, so that nothing is lifted,
    then lower, so that all ten are; and end it again, with and without a fall.
    """
    async with here.producer() as app:
        await _chain(app, 3)  # the first calls are slower
        rows = []
        for name, own in (("equal", 3), ("lifting", 1)):
            enqueued, cancelled = [], []
            for number in range(count):
                last = (await _chain(app, own))[-1]
                bound = app.job_types["before"].options(depends_on=[last], priority=3, inherit_priority=False)
                began = time.perf_counter()
                job = await bound.enqueue(**arguments(number))
                enqueued.append(time.perf_counter() - began)
                cancelled.append(await timed(job.cancel()))
            rows.append(row_of(f"Priority inheritance, enqueue, {name}, chain of {_CHAIN}", enqueued, "not stated"))
            rows.append(row_of(f"Priority inheritance, cancel, {name}, chain of {_CHAIN}", cancelled, "not stated"))
    return rows


async def inversion(here: Space, count: int) -> list[Row]:
    """From the return of an urgent job's enqueue until what it waits for, low and behind a crowd, is the next to be
    leased; from then on nothing else is.
    """
    async with here.producer() as app, here.engine() as engine:
        before = app.job_types["before"]
        crowd = [before.options(priority=3).request(**arguments(number)) for number in range(_CROWD)]
        await app.enqueue_many(crowd)
        times, inverted = [], 0
        for number in range(count):
            low = await before.options(priority=1).enqueue(**arguments(number))
            await app._open().publisher.drained()  # noqa: SLF001 - it is to stand in Redis before it is lifted
            await before.options(priority=5, depends_on=[low]).enqueue(**arguments(number))
            began = time.perf_counter()
            await app._open().publisher.drained()  # noqa: SLF001 - the push of the lift
            times.append(time.perf_counter() - began)
            while True:
                try:
                    leases = (await engine.lease(here.queue, 1)).leases
                except NoGeneration:
                    continue
                if leases[0].job_id == low.id:
                    break
                inverted += 1
    if inverted:
        raise NotAsPromised(f"jobs of lower priority that were leased before a lifted one: {inverted}")
    return [row_of("Priority inversion after the enqueue returned", times, "0")]


async def batch(here: Space, width: int, *, callback: bool) -> Dependents:
    """Jobs that do not depend on each other, in one workflow, with or without a job that is told of their end."""
    with fleet(here, 1, 100) as workers:
        await ready(here, workers)
        async with here.producer() as app:
            before = app.job_types["before"]
            flow = app.workflow()
            for number in range(width):
                flow.add(before.request(**arguments(number)))
            if callback:
                flow.on_complete(before.request(**arguments(width)))
            enqueue = await timed(flow.enqueue())
            await here.all_completed(width + callback)
            [state] = await app.admin.workflows.list()
            look = await timed(app.admin.workflows.show(state.workflow_id))
    async with here.connection() as connection:
        query = f"SELECT extract(epoch FROM max(completed_at) - min(created_at))::float8 FROM {here.name}.jobs"
        done = await connection.fetchval(query)
    if state.jobs != {"COMPLETED": width}:
        raise NotAsPromised(f"a workflow whose jobs are all completed: {state.jobs}")
    name = f"Batch of {width:,}{' with a callback' if callback else ''}, state counted in {look * 1000:.1f} ms"
    return Dependents(
        name=name,
        jobs=width + callback,
        enqueue_ms=round(enqueue * 1000, 2),
        done_ms=round(done * 1000, 2),
        per_job_ms=round(done / width * 1000, 3),
    )


async def _chain(app: Tenure, priority: int) -> list[Job]:
    """Jobs of which each waits for the one before."""
    bound: Any = app.job_types["before"].options(priority=priority)
    flow = app.workflow()
    handle = flow.add(bound.request(**arguments(0)))
    for number in range(1, _CHAIN):
        handle = flow.add(bound.request(**arguments(number)), after=[handle])
    return (await flow.enqueue()).jobs
