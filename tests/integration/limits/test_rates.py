"""Rates, kept by Redis' clock, and what a tenant's jobs take up together."""

from __future__ import annotations

import asyncio
from collections import Counter

from tests.integration.limits.ledger import register


async def test_no_more_begin_in_any_time_than_the_rate_allows(app, open_app, ledger, eventually):
    """By Redis' clock, which each lease call tells: in every window no more than the burst and what has flown in."""
    mail, video = register(app, ledger)
    await open_app(app)
    await app.admin.limits.set("default", job_type="mail", rate=20, period=0.5, burst=4)
    await app.enqueue_many([mail.request("x") for _ in range(60)])
    others = await app.enqueue_many([video.request("y") for _ in range(30)])
    engine = app._stores.engine
    await eventually(lambda: _laned(app, 60))
    at: list[int] = []
    free: list[str] = []
    while len(at) < 30:
        batch = await engine.lease("default", 10)
        at += [batch.now_ms for lease in batch.leases if lease.job_type == "mail"]
        free += [lease.job_id for lease in batch.leases if lease.job_type == "video"]
        await asyncio.sleep(0.01)
    for first in range(len(at)):
        for last in range(first, len(at)):
            # a token every 25 ms; a millisecond is the clock's own
            assert last - first + 1 <= 4 + (at[last] - at[first] + 1) / 25 + 1e-9
    # what is not limited did not wait for a token
    assert set(free) == {job.id for job in others}


async def _laned(app, at_least: int) -> bool:
    return (await app._stores.engine.depths("default")).laned >= at_least


async def test_a_rate_is_kept_by_workers_that_sleep_between(app, open_app, ledger):
    """Nobody else wakes them for the next token."""
    mail, _ = register(app, ledger, limit_key="k")
    await open_app(app)
    await app.admin.limits.set("default", key="k", rate=10, period=1.0, burst=1)
    async with app.worker():
        jobs = await app.enqueue_many([mail.request("x") for _ in range(15)])
        for job in jobs:
            await job.result(timeout=20)


async def test_a_tenants_jobs_take_up_no_more_than_its_quota(app, open_app, ledger):
    """Of a resource that the workers have more of; whoever has no quota takes what is there."""
    running: Counter[str] = Counter()
    most: Counter[str] = Counter()

    @app.job()
    async def train(whose: str, amount: float) -> None:
        running[whose] += amount
        most[whose] = max(most[whose], running[whose])
        await asyncio.sleep(0.01)
        running[whose] -= amount

    await open_app(app)
    await app.admin.limits.set("default", tenant="*", resources={"gpu": 3})
    await app.admin.limits.set("default", tenant="large", resources={"gpu": 5})
    requests = [
        train.options(tenant=whose, resources={"gpu": amount}).request(whose, amount)
        for whose in ("small", "large")
        for amount in (1, 2, 0.5) * 15
    ]
    async with app.worker(concurrency=20, resources={"gpu": 20}), app.worker(concurrency=20, resources={"gpu": 20}):
        for job in await app.enqueue_many(requests):
            await job.result(timeout=60)
    assert 2 <= most["small"] <= 3
    assert 3 < most["large"] <= 5
