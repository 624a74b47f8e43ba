"""The rows of the document that the system was asked for in, under its names: single jobs, dependencies, life cycles.

`seed` is what that document expected; it had no dependencies or life cycles among its figures.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tenure._engine import new_ids
from tenure.bench.errors import NotAsPromised
from tenure.bench.fleet import fleet, ready
from tenure.bench.payload import arguments

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bench.space import Space
    from tenure import Tenure
    from tenure.job_type import JobType

_PARENTS = (1, 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Milliseconds of one thing done `count` times, one after the other."""

    name: str
    count: int
    median_ms: float
    p99_ms: float
    seed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependents:
    """Jobs that wait for others, all enqueued in one call, on workers that are up.

    Attributes:
        enqueue_ms: the call, jobs and edges committed.
        done_ms: from the end of the first parent to the end of the last job, by PostgreSQL's clock.
    """

    name: str
    jobs: int
    enqueue_ms: float
    done_ms: float
    per_job_ms: float


async def creation(here: Space, count: int) -> list[Row]:
    """Enqueue, with and without dependencies, while nobody works."""
    async with here.producer() as app:
        before: JobType[..., Any] = app.job_types["before"]
        await before.enqueue(**arguments(0))
        alone = [await timed(before.enqueue(**arguments(number))) for number in range(count)]
        rows = [row_of("Job creation", alone, "2-5 ms")]
        for parents in _PARENTS:
            ids = [(await before.enqueue(**arguments(number))).id for number in range(parents)]
            waiting = before.options(depends_on=ids)
            times = [await timed(waiting.enqueue(**arguments(number))) for number in range(count)]
            rows.append(row_of(f"Job creation with dependencies, {parents}", times, "not stated"))
    found = await here.statuses()
    if found != {"PENDING": 1 + count + sum(_PARENTS), "BLOCKED": count * len(_PARENTS)}:
        raise NotAsPromised(f"jobs that wait, and jobs that wait for others: {found}")
    return rows


async def life(here: Space, count: int) -> list[Row]:
    """Single jobs on an idle worker of this very process, whose clock all moments are read from."""
    app = here.producer()
    began, ended = {}, {}

    async def stamped(number: int, sent: float, user: str, template: str, pad: str) -> int:  # noqa: ARG001 - payload
        began[number] = ended[number] = time.perf_counter()
        return number

    job_type = app.job(name="stamped", queue=here.queue)(stamped)
    created, acquired, completed, lived = [], [], [], []
    async with app, app.worker(concurrency=10):
        for number in range(-10, count):  # the first ones warm up
            called = time.perf_counter()
            job = await job_type.enqueue(**arguments(number))
            returned = time.perf_counter()
            await job.result(30.0)
            known = time.perf_counter()
            if number >= 0:
                created.append(returned - called)
                acquired.append(max(0.0, began[number] - returned))
                completed.append(known - ended[number])
                lived.append(known - called)
    await here.all_completed(count + 10)
    return [
        # From the commit to the call of the handler: push, wake-up, lease, start recorded.
        row_of("Job acquisition", acquired, "5-10 ms"),
        # From the handler's return until the enqueuer has the result: commit, acknowledgement, message, result read.
        row_of("Job completion", completed, "3-7 ms"),
        row_of("Job life cycle", lived, "not stated"),
    ]


async def cascade(here: Space, depth: int) -> Dependents:
    """Each job waits for the one before."""
    ids = new_ids(depth)
    edges = [(job_id, ids[place - 1 : place]) for place, job_id in enumerate(ids)]
    return await _run(here, f"Dependency cascade, depth {depth}", edges)


async def fan_out(here: Space, width: int) -> Dependents:
    """Many jobs wait for one."""
    parent, *children = new_ids(width + 1)
    return await _run(
        here, f"Dependency fan-out, {width:,}", [(parent, []), *((child, [parent]) for child in children)]
    )


async def _run(here: Space, name: str, edges: list[tuple[str, list[str]]]) -> Dependents:
    with fleet(here, 1, 100) as workers:
        await ready(here, workers)
        async with here.producer() as app:
            enqueue = await timed(_enqueue(app, edges))
            await here.all_completed(len(edges))
    async with here.connection() as connection:
        query = f"SELECT extract(epoch FROM max(completed_at) - min(completed_at))::float8 FROM {here.name}.jobs"
        done = await connection.fetchval(query)
        order = await connection.fetchval(
            f"SELECT count(*) FROM {here.name}.job_dependencies AS d"
            f" JOIN {here.name}.jobs AS parent ON parent.job_id = d.depends_on_job_id"
            f" JOIN {here.name}.jobs AS child ON child.job_id = d.job_id"
            " WHERE child.started_at < parent.completed_at"
        )
    if (found := await here.executions()) != {"COMPLETED": len(edges)}:
        raise NotAsPromised(f"attempts that should all be completed, one of each of {len(edges)} jobs: {found}")
    if order:
        raise NotAsPromised(f"jobs that started before what they depend on had ended: {order}")
    waiting = len(edges) - 1
    return Dependents(
        name=name,
        jobs=len(edges),
        enqueue_ms=round(enqueue * 1000, 2),
        done_ms=round(done * 1000, 2),
        per_job_ms=round(done / waiting * 1000, 3),
    )


async def _enqueue(app: Tenure, edges: list[tuple[str, list[str]]]) -> None:
    before = app.job_types["before"]
    await app.enqueue_many(
        [
            before.options(job_id=job_id, depends_on=parents).request(**arguments(number))
            for number, (job_id, parents) in enumerate(edges)
        ]
    )


async def timed(call: Any) -> float:
    """Seconds that a call takes."""
    began = time.perf_counter()
    await call
    return time.perf_counter() - began


def row_of(name: str, seconds: Iterable[float], seed: str) -> Row:
    """The figures of as many times."""
    times = sorted(seconds)
    return Row(
        name=name,
        count=len(times),
        median_ms=round(statistics.median(times) * 1000, 3),
        p99_ms=round(times[min(len(times) - 1, int(len(times) * 0.99))] * 1000, 3),
        seed=seed,
    )
