"""In which order a queue's ready jobs are leased, where it is not by priority."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from tenure.errors import InvalidInput


@pytest.fixture
def ran() -> list[str]:
    return []


@pytest.fixture
def work(app, ran):
    @app.job()
    async def work(name: str, seconds: float = 0.0) -> None:
        ran.append(name)
        await asyncio.sleep(seconds)

    @app.job()
    async def slow(name: str, seconds: float = 0.0) -> None:
        ran.append(name)
        await asyncio.sleep(seconds)

    return work


async def drained(app, count: int, eventually, ran: list[str]) -> list[str]:
    """What ran, in its order, by a worker with one slot that had all of it before it."""
    before = len(ran)
    await eventually(lambda: _ready(app, count))
    async with app.worker(concurrency=1):
        await app.admin.queues.resume("default")
        await eventually(lambda: len(ran) - before == count, timeout=30.0)
    await app.admin.queues.pause("default")
    return ran[before:]


async def _ready(app, count: int) -> bool:
    depths = await app._stores.engine.depths("default")
    return depths.laned + depths.high + depths.medium + depths.low == count


async def test_the_earliest_deadline_first(app, work, ran, open_app, eventually):
    await open_app(app)
    await app.admin.queues.pause("default")
    await app.admin.queues.order("default", "deadline")
    for name, seconds in (("third", 900), ("first", 300), ("second", 600)):
        await work.options(deadline_in=seconds).enqueue(name)
    await work.options(priority=5).enqueue("none")
    assert await drained(app, 4, eventually, ran) == ["first", "second", "third", "none"]


async def test_a_deadline_alone_needs_no_lane(app, work, open_app, eventually):
    await open_app(app)
    await work.options(deadline_in=900).enqueue("x")
    await app._stores.rebuilder.settled()
    await eventually(lambda: _ready(app, 1))
    depths = await app._stores.engine.depths("default")
    assert (depths.medium, depths.laned) == (1, 0)


async def test_who_has_waited_long_outranks_who_is_urgent(app, work, ran, open_app, eventually):
    await open_app(app)
    await app.admin.queues.pause("default")
    await app.admin.queues.order("default", "ageing", ageing=60)
    ago = lambda seconds: datetime.now(UTC) - timedelta(seconds=seconds)  # noqa: E731 - said once
    await work.options(priority=5).enqueue("urgent")
    await work.options(priority=1, run_at=ago(200)).enqueue("low, 200 s")
    await work.options(priority=1, run_at=ago(280)).enqueue("low, 280 s")
    await work.options(priority=3).enqueue("medium")
    await work.options(priority=3, run_at=ago(130)).enqueue("medium, 130 s")
    assert await drained(app, 5, eventually, ran) == [
        "low, 280 s",
        "medium, 130 s",
        "urgent",
        "low, 200 s",
        "medium",
    ]
    # with the order that was there before it, by priority again
    await app.admin.queues.order("default")
    for priority in (1, 5, 3):
        await work.options(priority=priority, run_at=ago(priority)).enqueue(str(priority))
    assert await drained(app, 3, eventually, ran) == ["5", "3", "1"]


async def test_the_shortest_first_as_far_as_is_known(app, work, ran, open_app, eventually):
    await open_app(app)
    await app.admin.queues.pause("default")
    await app.admin.queues.order("default", "shortest", factor=1000)
    await app.enqueue("slow", {"name": "learn slow", "seconds": 0.3})
    await work.enqueue("learn quick")
    await drained(app, 2, eventually, ran)
    for name in ("a", "b"):
        await app.enqueue("slow", {"name": f"slow {name}"})
        await work.enqueue(f"quick {name}")
    order = await drained(app, 4, eventually, ran)
    assert order == ["quick a", "quick b", "slow a", "slow b"]


async def test_an_order_is_kept_and_outlives_redis(app, work, ran, open_app, raw_redis, eventually):
    await open_app(app)
    await app.admin.queues.pause("default")
    for name, seconds in (("second", 600), ("first", 300)):
        await work.options(deadline_in=seconds).enqueue(name)
    # jobs that wait already are put in order anew
    await app.admin.queues.order("default", "deadline")
    raw_redis.flushall()
    app._stores.rebuilder.request("default")
    await app._stores.rebuilder.settled()
    assert await drained(app, 2, eventually, ran) == ["first", "second"]
    [policy] = await app.admin.queues.policies()
    assert (policy.queue, policy.order_by, policy.ageing, policy.factor) == ("default", "deadline", None, None)


@pytest.mark.parametrize(
    ("by", "more"),
    [
        ("random", {}),
        ("ageing", {"ageing": 0}),
        ("ageing", {"factor": 1}),
        ("priority", {"ageing": 60}),
        ("shortest", {"factor": 0}),
        ("shortest", {"factor": 1001}),
        ("shortest", {"factor": float("nan")}),
    ],
)
async def test_what_is_no_order_is_refused(app, open_app, by, more):
    await open_app(app)
    with pytest.raises(InvalidInput):
        await app.admin.queues.order("default", by, **more)
    with pytest.raises(InvalidInput):
        await app.admin.queues.fair("default", "luck")
    assert await app.admin.queues.policies() == []
