"""Tenants share by weight, whoever has how much waiting; no tenant's job is more urgent than it may be."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from tenure import Unique
from tenure._engine import NoGeneration
from tenure._reconcile import Reconciler
from tenure.errors import InvalidInput


@pytest.fixture
def ran() -> list[str]:
    return []


@pytest.fixture
def work(app, ran):
    @app.job(max_retries=0)
    async def work(tenant: str, seconds: float = 0.0) -> None:
        ran.append(tenant)
        await asyncio.sleep(seconds)

    return work


def requests(work, tenant: str, count: int, **options):
    bound = work.options(tenant=tenant, **options)
    return [bound.request(tenant) for _ in range(count)]


def worst_lag(order: list[str], shares: dict[str, float]) -> float:
    """By how many jobs a tenant was ever behind or ahead of its share, while all had jobs waiting."""
    had = Counter()
    worst = 0.0
    for done, tenant in enumerate(order, 1):
        had[tenant] += 1
        worst = max(worst, *(abs(had[name] - share * done) for name, share in shares.items()))
    return worst


async def test_tenants_share_by_weight(app, work, ran, open_app, eventually):
    await open_app(app)
    await app.admin.queues.pause("default")
    await app.admin.queues.fair("default", "jobs")  # a policy of its own
    await app.admin.tenants.set("a", weight=3)
    await app.admin.tenants.set("b", weight=1.5)
    for tenant in ("a", "b", "c"):
        await app.enqueue_many(requests(work, tenant, 120))
    await eventually(lambda: _laned(app, 360))
    async with app.worker(concurrency=1):
        await app.admin.queues.resume("default")
        await eventually(lambda: len(ran) >= 150, timeout=60.0)
    shares = {"a": 3 / 5.5, "b": 1.5 / 5.5, "c": 1 / 5.5}
    assert worst_lag(ran[:150], shares) <= 3


async def test_twenty_thousand_jobs_of_one_do_not_delay_ten_of_another(app, work, ran, open_app, eventually):
    await open_app(app)
    await app.enqueue_many(requests(work, "large", 20_000))
    await eventually(lambda: _laned(app, 20_000), timeout=60.0)
    await app.enqueue_many(requests(work, "small", 10))
    await eventually(lambda: _laned(app, 20_010), timeout=60.0)
    async with app.worker(concurrency=10):
        await eventually(lambda: ran.count("small") == 10, timeout=60.0)
        order = list(ran)
    last = max(place for place, tenant in enumerate(order) if tenant == "small")
    # every other job is small's until it has none, but for what one lease call takes
    assert order[: last + 1].count("large") <= 30


async def test_cost_is_charged(app, work, ran, open_app, eventually):
    await open_app(app)
    await app.admin.queues.pause("default")
    await app.enqueue_many([*requests(work, "dear", 60, cost=3.0), *requests(work, "cheap", 60)])
    await eventually(lambda: _laned(app, 120))
    async with app.worker(concurrency=1):
        await app.admin.queues.resume("default")
        await eventually(lambda: len(ran) >= 60, timeout=60.0)
    assert worst_lag(ran[:60], {"dear": 0.25, "cheap": 0.75}) <= 3


async def test_shares_hold_after_redis_was_lost(app, work, ran, open_app, raw_redis, eventually):
    await open_app(app)
    await app.admin.queues.pause("default")
    await app.admin.queues.fair("default", "jobs")  # a policy of its own
    await app.admin.tenants.set("a", weight=3)
    for tenant in ("a", "b"):
        await app.enqueue_many(requests(work, tenant, 60))
    await eventually(lambda: _laned(app, 120))
    raw_redis.flushall()
    app._stores.rebuilder.request("default")
    await app._stores.rebuilder.settled()
    assert await _laned(app, 120)
    async with app.worker(concurrency=1):
        await app.admin.queues.resume("default")
        await eventually(lambda: len(ran) >= 60, timeout=60.0)
    assert worst_lag(ran[:60], {"a": 0.75, "b": 0.25}) <= 3


async def test_weights_count_where_there_are_tenants_and_others_need_no_lanes(
    app, work, ran, open_app, raw_redis, prefix, eventually
):
    await open_app(app)
    await app.admin.tenants.set("a", weight=3)
    stores = app._stores
    plain, laned = (Reconciler(stores.database, stores.engine, queue, stores.rebuilder.request) for queue in "pl")
    await work.options(queue="p").enqueue("x")
    await work.options(queue="l", tenant="a").enqueue("a")
    await stores.rebuilder.settled()
    for reconciler in (plain, laned):
        await eventually(lambda reconciler=reconciler: _looked(reconciler))
    await stores.rebuilder.settled()
    assert raw_redis.hget(f"{prefix}:{{l}}:lane-policy", "weight|a") == b"3"
    assert not raw_redis.exists(f"{prefix}:{{p}}:lane-policy")
    # and is changed there at once
    await app.admin.tenants.set("a", weight=5)
    assert raw_redis.hget(f"{prefix}:{{l}}:lane-policy", "weight|a") == b"5"
    assert await app.admin.queues.policies() == []


async def _looked(reconciler) -> bool:
    try:
        await reconciler.look()
    except NoGeneration:
        return False
    return True


async def test_no_job_is_more_urgent_than_its_tenant_may_be(app, work, open_app, eventually):
    await open_app(app)
    await app.admin.tenants.set("bulk", max_priority=2)
    bulk = work.options(tenant="bulk", priority=5)
    jobs = [await bulk.enqueue("bulk"), *await app.enqueue_many([bulk.request("bulk"), work.request("")])]
    low = await work.options(tenant="bulk", priority=1).enqueue("bulk")
    other = await work.options(tenant="other", priority=5).enqueue("other")
    assert [(await job.info()).priority for job in (*jobs, low, other)] == [2, 2, 3, 1, 5]
    engine = app._stores.engine
    await eventually(lambda: _jobs(app, 5))
    await app._stores.rebuilder.settled()
    leased = {lease.job_id: lease.priority for lease in (await engine.lease("default", 10)).leases}
    assert leased == {jobs[0].id: 2, jobs[1].id: 2, jobs[2].id: 3, low.id: 1, other.id: 5}


async def test_what_replaces_a_job_is_capped_too_and_stays_its_tenants(app, work, open_app):
    await open_app(app)
    await app.admin.tenants.set("bulk", max_priority=2)
    changing = {"tenant": "bulk", "unique": Unique(key="k", on_conflict="replace"), "delay": 60}
    first = await work.options(**changing, limit_key="one").enqueue("first")
    more = {"priority": 5, "requires": {"gpu"}, "cost": 2.0, "limit_key": "another"}
    again = await work.options(**changing, **more).enqueue("second")
    assert (again.id, again.conflict) == (first.id, "replaced")
    info = await first.info()
    assert (info.tenant, info.priority, info.requires, info.cost, info.limit_key) == ("bulk", 2, "gpu", 2.0, "one")


async def test_a_unique_key_is_each_tenants_own(app, work, open_app):
    await open_app(app)
    ours = [work.options(tenant=name, unique="k", delay=60) for name in ("a", "b", None)]
    jobs = [await bound.enqueue("x") for bound in ours]
    assert len({job.id for job in jobs}) == 3
    assert [(await bound.enqueue("y")).id for bound in ours] == [job.id for job in jobs]
    extended = work.options(tenant="a", unique=Unique(key="k", on_conflict="extend"), delay=120)
    assert (await extended.enqueue("x")).conflict == "extended"
    assert (await jobs[0].info()).tenant == "a"


async def test_tenants_are_kept_and_have_their_bounds(app, open_app):
    await open_app(app)
    tenants = app.admin.tenants
    await tenants.set("b", weight=0.001)
    await tenants.set("a", weight=1000, max_priority=1)
    assert [(one.tenant, one.weight, one.max_priority) for one in await tenants.list()] == [
        ("a", 1000.0, 1),
        ("b", 0.001, None),
    ]
    await tenants.set("a")
    first, _ = await tenants.list()
    assert (first.tenant, first.weight, first.max_priority) == ("a", 1.0, None)
    assert await tenants.remove("a") is True
    assert await tenants.remove("a") is False
    for wrong in ({"weight": 0}, {"weight": 1001}, {"weight": 0.0005}, {"max_priority": 0}, {"max_priority": 6}):
        with pytest.raises(InvalidInput):
            await tenants.set("c", **wrong)
    with pytest.raises(InvalidInput, match="tenant"):
        await tenants.set("a|b")


async def _laned(app, count: int) -> bool:
    return (await app._stores.engine.depths("default")).laned == count


async def _jobs(app, count: int) -> bool:
    return (await app._stores.engine.depths("default")).jobs == count
