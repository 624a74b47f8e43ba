"""Priorities inherited both ways: children take their parents', and an urgent job lifts what it waits for."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tenure import Backoff, Options, Unique
from tenure._database import Database
from tenure._engine import new_ids
from tenure._reconcile import mend_recent
from tests.fix_waiting import pushed

if TYPE_CHECKING:
    from tenure.job_type import JobType

_WORKER = "00000000-0000-7000-8000-00000000000f"
_MOVES = {"lift", "lifted_parents", "lock_ancestors", "inherit"}


@pytest.fixture
def step(app) -> JobType[..., Any]:
    @app.job(max_retries=0)
    async def step(name: str = "") -> str:
        return name

    return step


async def order(app: Any, want: int = 100) -> list[str]:
    """What Redis hands out, in its order."""
    stores = app._open()
    await pushed(app)
    batch = await stores.engine.lease("default", want)
    return [lease.job_id for lease in batch.leases]


async def priorities(*jobs: Any) -> list[int]:
    return [(await job.info()).priority for job in jobs]


async def test_a_child_takes_its_parents_highest(open_app, app, step):
    @app.job(inherit_priority=False)
    async def humble() -> None: ...

    await open_app(app)
    low, high = await step.options(priority=1).enqueue(), await step.options(priority=5).enqueue()
    child = await step.options(priority=2, depends_on=[low, high]).enqueue()
    grandchild = await step.options(priority=1, depends_on=[child]).enqueue()
    off = await step.options(priority=2, depends_on=[high], inherit_priority=False).enqueue()
    type_off = await humble.options(priority=1, depends_on=[high]).enqueue()
    assert await priorities(child, grandchild, off, type_off) == [5, 5, 2, 1]
    assert Options().inherit_priority
    # what a child inherited is its own: no end of its parent takes it away
    await high.cancel()
    assert await priorities(child) == [5]


async def test_an_urgent_job_lifts_all_that_it_waits_for(open_app, app, step):
    """Already queued or scheduled or waiting itself, and nothing beside it."""
    await open_app(app)
    root = await step.options(priority=1).enqueue()
    crowd = await app.enqueue_many([step.options(priority=3).request() for _ in range(20)])
    middle = await step.options(priority=2, depends_on=[root], inherit_priority=False).enqueue()
    beside = await step.options(priority=2, depends_on=[root]).enqueue()
    assert await priorities(root, middle, beside) == [2, 2, 2]
    urgent = await step.options(priority=5, depends_on=[middle]).enqueue()
    assert await priorities(root, middle, beside, urgent) == [5, 5, 2, 5]
    assert [(await job.info()).own_priority for job in (root, middle, beside, urgent)] == [1, 2, None, None]
    # who comes later takes what the parent is of itself, not what lifts it for now
    late = await step.options(priority=1, depends_on=[root]).enqueue()
    assert await priorities(late) == [1]
    assert (await order(app))[0] == root.id
    assert await priorities(*crowd[:2]) == [3, 3]


async def test_it_falls_back_when_nobody_urgent_waits_any_more(open_app, app, step):
    await open_app(app)
    root = await step.options(priority=1).enqueue()
    middle = await step.options(priority=1, depends_on=[root]).enqueue()
    urgent = [await step.options(priority=number, depends_on=[middle]).enqueue() for number in (5, 4, 5)]
    crowd = await step.options(priority=3).enqueue()
    assert await priorities(root, middle) == [5, 5]
    await urgent[0].cancel()
    assert await priorities(root, middle) == [5, 5]
    await urgent[2].cancel(descendants=True)
    assert await priorities(root, middle) == [4, 4]
    await urgent[1].cancel()
    assert await priorities(root, middle) == [1, 1]
    assert [(await job.info()).own_priority for job in (root, middle)] == [None, None]
    assert await order(app) == [crowd.id, root.id]


async def test_it_falls_back_when_the_urgent_one_expires_or_goes_with_another_parent(open_app, app, step, eventually):
    await open_app(app)
    root, other = await step.options(priority=1).enqueue(), await step.options(priority=1, delay=3600).enqueue()
    await step.options(priority=5, depends_on=[root], expires_in=0.05).enqueue()
    await step.options(priority=4, depends_on=[root, other], on_failure="cancel").enqueue()
    assert await priorities(root, other) == [5, 4]
    await app._open().admin.queues.pause("default")
    async with app.worker():

        async def fallen() -> bool:
            return await priorities(root) == [4]

        await eventually(fallen)
        await other.cancel()
        assert await priorities(root) == [1]


async def test_tenants_bound_what_is_inherited(open_app, app, step):
    """Both ways: what a tenant's job may be lifted to, and to what it may lift others."""
    await open_app(app)
    await app.admin.tenants.set("small", max_priority=2)
    await app.admin.tenants.set("middling", max_priority=4)
    theirs = await step.options(priority=1, tenant="middling").enqueue()
    plain = await step.options(priority=1).enqueue()
    humble = await step.options(priority=5, tenant="small", depends_on=[theirs, plain]).enqueue()
    assert await priorities(theirs, plain, humble) == [2, 2, 2]
    urgent = await step.options(priority=5, depends_on=[theirs, plain]).enqueue()
    assert await priorities(theirs, plain, humble, urgent) == [4, 5, 2, 5]
    child = await step.options(priority=1, tenant="small", depends_on=[urgent]).enqueue()
    assert await priorities(child) == [2]
    # In the queue's order: tenants take turns within a band, and both are in the high one now.
    assert set(await order(app, 2)) == {theirs.id, plain.id}
    await urgent.cancel()
    assert await priorities(theirs, plain) == [2, 2]


async def test_a_lift_in_a_lane_whose_push_was_lost_is_found(open_app, app, step, monkeypatch):
    await open_app(app)
    jobs = [await step.options(priority=3, tenant="acme").enqueue() for _ in range(3)]
    stores = app._open()
    await pushed(app)
    with monkeypatch.context() as lost:
        lost.setattr(stores.publisher, "publish_ids", lambda _: None)
        await step.options(priority=5, depends_on=[jobs[2]]).enqueue()
    assert await mend_recent(stores.database, stores.engine, "default", 60, timedelta(0), laned=False) == 1
    assert await mend_recent(stores.database, stores.engine, "default", 60, timedelta(0), laned=False) == 0
    assert (await order(app))[0] == jobs[2].id


async def test_in_one_call(open_app, app, step):
    """The whole graph in one transaction: what is urgent at its end lifts its beginning."""
    await open_app(app)
    flow = app.workflow()
    crowd = [flow.add(step.options(priority=4).request()) for _ in range(10)]
    first = flow.add(step.options(priority=1).request())
    handle = first
    for _ in range(5):
        handle = flow.add(step.options(priority=2, inherit_priority=False).request(), after=[handle])
    flow.add(step.options(priority=5).request(), after=[handle])
    done = await flow.enqueue()
    assert await priorities(*done.jobs) == [4] * 10 + [5] * 7
    assert (await order(app, 1)) == [first.job_id]
    assert len(await order(app)) == len(crowd)


@pytest.mark.parametrize("seed", range(5))
async def test_in_one_call_is_as_in_many(open_app, app, step, seed):
    """Tenants of all bounds in one graph: whoever asks for more than its tenant may have hands on what it got."""
    await open_app(app)
    await app.admin.tenants.set("small", max_priority=2)
    await app.admin.tenants.set("middling", max_priority=4)
    generator = random.Random(seed)
    flow = app.workflow()
    handles: list[Any] = []
    singly: list[Any] = []
    for _ in range(25):
        options = {
            "priority": generator.randint(1, 5),
            "tenant": generator.choice([None, "small", "middling", "unbounded"]),
            "inherit_priority": generator.random() < 0.8,
        }
        parents = generator.sample(range(len(singly)), min(len(singly), generator.randint(0, 2)))
        after = [handles[number] for number in parents]
        handles.append(flow.add(step.options(**options).request(), after=after))
        singly.append(await step.options(**options, depends_on=[singly[number] for number in parents]).enqueue())
    done = await flow.enqueue()

    async def counted(jobs: Any) -> list[tuple[int, int | None]]:
        return [((info := await job.info()).priority, info.own_priority) for job in jobs]

    assert await counted(done.jobs) == await counted(singly)


async def test_a_child_takes_no_more_than_its_parent_got(open_app, app, step):
    """Of another tenant, in one call as in two."""
    await open_app(app)
    await app.admin.tenants.set("small", max_priority=2)
    flow = app.workflow()
    parent = flow.add(step.options(priority=5, tenant="small").request())
    child = flow.add(step.options(priority=1).request(), after=[parent])
    flow.add(step.options(priority=1, tenant="small").request(), after=[child])
    done = await flow.enqueue()
    assert await priorities(*done.jobs) == [2, 2, 2]


async def test_a_scheduled_job_is_lifted_for_when_it_is_due(open_app, app, step):
    await open_app(app)
    later = await step.options(priority=1, delay=0.3).enqueue()
    crowd = await app.enqueue_many([step.options(priority=4).request() for _ in range(5)])
    await step.options(priority=5, depends_on=[later]).enqueue()
    stores = app._open()
    await pushed(app)
    async with asyncio.timeout(10):
        while (await stores.engine.depths("default")).scheduled:
            await stores.engine.promote("default", 10)
            await asyncio.sleep(0.01)
    assert (await order(app))[0] == later.id
    assert len(crowd) == 5


async def test_a_lift_survives_the_loss_of_redis(open_app, app, step):
    await open_app(app)
    crowd = await app.enqueue_many([step.options(priority=4).request() for _ in range(5)])
    root = await step.options(priority=1).enqueue()
    await step.options(priority=5, depends_on=[root]).enqueue()
    stores = app._open()
    await pushed(app)
    await stores.engine.forget_queue("default")
    # and one that comes while there is nothing
    lost = await step.options(priority=2).enqueue()
    await step.options(priority=5, depends_on=[lost]).enqueue()
    stores.rebuilder.request("default")
    assert set((await order(app))[:2]) == {root.id, lost.id}
    assert len(crowd) == 5


async def test_a_lift_whose_push_was_lost_is_found(open_app, app, step, monkeypatch):
    """As when its enqueuer died between the commit and the push; of a scheduled job once it is due."""
    await open_app(app)
    low, later = await step.options(priority=1).enqueue(), await step.options(priority=1, delay=0.3).enqueue()
    crowd = await app.enqueue_many([step.options(priority=4).request() for _ in range(5)])
    stores = app._open()
    await pushed(app)
    with monkeypatch.context() as lost:
        lost.setattr(stores.publisher, "publish_ids", lambda _: None)
        await step.options(priority=5, depends_on=[low, later]).enqueue()
    async with asyncio.timeout(10):
        while (await stores.engine.depths("default")).scheduled:
            await stores.engine.promote("default", 10)
            await asyncio.sleep(0.01)
    assert await mend_recent(stores.database, stores.engine, "default", 60, timedelta(0), laned=False) == 2
    assert await mend_recent(stores.database, stores.engine, "default", 60, timedelta(0), laned=False) == 0
    assert set((await order(app))[:2]) == {low.id, later.id}
    assert len(crowd) == 5


async def test_a_retry_keeps_the_lift_and_falls_to_the_medium_band_without_it(open_app, app, eventually):
    gate = asyncio.Event()
    retried: list[str] = []

    @app.job(max_retries=5, backoff=Backoff(base=3600, cap=3600, jitter="none"))
    async def fail(name: str) -> None:
        retried.append(name)
        await gate.wait()
        raise RuntimeError

    await open_app(app)
    jobs = {
        "lifted": await fail.options(priority=1).enqueue("lifted"),
        "own": await fail.options(priority=5).enqueue("own"),
        "alone": await fail.options(priority=5).enqueue("alone"),
        "let go": await fail.options(priority=5).enqueue("let go"),
    }
    await fail.options(priority=5, depends_on=[jobs["lifted"]]).enqueue("")
    await fail.options(priority=4, depends_on=[jobs["own"]], inherit_priority=False).enqueue("")
    go = await fail.options(priority=5, depends_on=[jobs["let go"]]).enqueue("")
    async with app.worker():
        await eventually(lambda: len(retried) == 4)
        await go.cancel()
        gate.set()

        async def waiting() -> bool:
            return [await job.status() for job in jobs.values()] == ["SCHEDULED"] * 4

        await eventually(waiting)
    assert await priorities(*jobs.values()) == [5, 4, 3, 3]
    assert [(await job.info()).own_priority for job in jobs.values()] == [1, 3, None, None]


async def test_what_comes_back_lifts_and_is_lifted_again(open_app, app, step):
    await open_app(app)
    root = await step.options(priority=1).enqueue()
    middle = await step.options(priority=1, depends_on=[root]).enqueue()
    urgent = await step.options(priority=5, depends_on=[middle]).enqueue()
    await root.cancel(descendants=True)
    await root.retry()
    assert await priorities(root) == [1]
    await middle.retry(descendants=True)
    assert await priorities(root, middle, urgent) == [5, 5, 5]
    await urgent.cancel()
    assert await priorities(root, middle) == [1, 1]


async def test_a_replaced_job_lifts_what_it_waits_for_by_what_it_is_now(open_app, app, step):
    await open_app(app)
    root = await step.options(priority=1).enqueue()

    unique: dict[str, Any] = {"unique": Unique(key="k", on_conflict="replace")}
    await step.options(priority=2, depends_on=[root], **unique).enqueue()
    crowd = await step.options(priority=3).enqueue()
    assert await priorities(root) == [2]
    assert (await step.options(priority=5, **unique).enqueue()).conflict == "replaced"
    assert await priorities(root) == [5]
    await pushed(app)
    await step.options(priority=1, **unique).enqueue()
    assert await priorities(root) == [1]
    assert await order(app) == [crowd.id, root.id]


async def test_without_a_lift_nothing_is_asked(open_app, app, step, monkeypatch):
    """Jobs without dependencies, and those whose parents are no lower, cost no statement more than before."""
    asked: list[str] = []
    fetch = Database.fetch

    async def noted(self: Database, name: str, *args: object, **given: Any) -> Any:
        asked.append(name)
        return await fetch(self, name, *args, **given)

    monkeypatch.setattr(Database, "fetch", noted)
    await open_app(app)
    async with app.worker():
        parent = await step.enqueue()
        children = await app.enqueue_many([step.options(depends_on=[parent]).request(str(n)) for n in range(10)])
        assert await children[9].result(10) == "9"
        gone = await step.options(delay=3600).enqueue()
        await gone.cancel()
    assert not _MOVES & set(asked)


async def test_lifts_and_falls_at_once_leave_what_the_formula_says(open_app, app, step, raw_postgres, migrated_schema):
    """Two rows of shared parents, named in opposite orders: no lift is lost, and who deadlocks is tried again."""
    await open_app(app)
    roots = [await step.options(priority=1, delay=3600).enqueue() for _ in range(4)]
    middles = [
        await step.options(priority=1, depends_on=roots[number:] + roots[:number]).enqueue() for number in range(4)
    ]

    async def come_and_go(number: int) -> None:
        parents = middles[number % 4 :] + middles[: number % 4]
        for turn in range(8):
            job = await step.options(priority=2 + (number + turn) % 4, depends_on=parents[: 1 + turn % 4]).enqueue()
            if (number + turn) % 3:
                await job.cancel()

    await asyncio.gather(*(come_and_go(number) for number in range(12)))
    wrong = f"""
        SELECT j.job_id, j.priority, j.own_priority, w.highest
        FROM {migrated_schema}.jobs AS j
        CROSS JOIN LATERAL (
            SELECT max(c.priority) AS highest
            FROM {migrated_schema}.job_dependencies AS d JOIN {migrated_schema}.jobs AS c ON c.job_id = d.job_id
            WHERE d.depends_on_job_id = j.job_id AND d.satisfied_at IS NULL AND c.status = 'BLOCKED'
        ) AS w
        WHERE j.status IN ('SCHEDULED', 'BLOCKED')
            AND j.priority <> GREATEST(COALESCE(j.own_priority, j.priority), w.highest)
            OR j.own_priority IS NOT NULL AND j.priority <> w.highest"""
    assert [dict(row) for row in await raw_postgres.fetch(wrong)] == []
    assert await priorities(*roots) == [5] * 4


async def test_inversion_ends_with_the_lift(open_app, app, step):
    """From the moment the lift is pushed, nothing of lower priority is handed out before what was lifted."""
    await open_app(app)
    for _ in range(5):
        await app.enqueue_many([step.options(priority=2).request() for _ in range(10)])
        root = await step.options(priority=1).enqueue()
        await step.options(priority=5, depends_on=[root]).enqueue()
        [first] = await order(app, 1)
        assert first == root.id
        stores = app._open()
        [row] = await stores.database.fetch("start", [root.id], [1], new_ids(1), _WORKER)
        assert row["places"] == [1]
