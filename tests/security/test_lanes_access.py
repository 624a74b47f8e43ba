"""Queues with lanes as the shipped Redis users see them: each role can do what its work needs, and no more."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from tenure._engine import Descriptor, Engine, new_ids
from tenure.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

QUEUE = "default"


@asynccontextmanager
async def engine(access, role: str) -> AsyncIterator[Engine]:
    settings = access[role].settings
    made = Engine(
        settings.redis_url, worker_id=role, prefix=settings.prefix, lease_ms=30_000, on_event=lambda _event: None
    )
    await made.open()
    try:
        yield made
    finally:
        made.close()


def job(tenant: str, requires: str = "") -> Descriptor:
    return Descriptor(
        job_id=new_ids(1)[0],
        job_type="work",
        priority=3,
        fence=0,
        attempts=0,
        max_retries=3,
        timeout_ms=0,
        run_at_ms=1_000,
        payload=b"{}",
        tenant=tenant,
        requires=requires,
    )


async def test_each_role_does_its_part(access):
    async with (
        engine(access, "producer") as producer,
        engine(access, "worker") as worker,
        engine(access, "operator") as operator,
        engine(access, "metrics") as metrics,
    ):
        await worker.set_policy(QUEUE, {"limit|tenant|*": "1", "rate|tenant|*": "1000 1 1000"}, building=True)
        await worker.set_generation(QUEUE)
        jobs = [job("acme", "gpu"), job("acme", "gpu"), job("other")]
        assert (await worker.lease(QUEUE, 1, "gpu;cpu=1")).exhausted
        assert (await producer.enqueue(QUEUE, jobs)).ready == 3
        leased = (await worker.lease(QUEUE, 5, "gpu;cpu=1")).leases
        assert {lease.tenant for lease in leased} == {"acme", "other"}
        assert len(leased) == 2
        lanes = await metrics.lanes(QUEUE)
        assert ("tenant|acme", 1, 1) in lanes.limits
        assert (await metrics.depths(QUEUE)).parked == 1
        assert await operator.set_policy(QUEUE, {"limit|tenant|*": "2"}) == "set"
        assert await operator.pause(QUEUE, paused=True)
        assert await operator.pause(QUEUE, paused=False)
        assert await producer.cancel_queued(QUEUE, [jobs[0].job_id, jobs[1].job_id]) == 1
        await worker.acknowledge(QUEUE, [lease.key for lease in leased])
        assert await operator.set_policy(QUEUE, {}) == "set"
        assert (await operator.lanes(QUEUE)).classes == []


async def test_a_fleet_that_changes_is_told_by_its_workers(access):
    """Whoever has the duty says what the fleet has, and what is held is placed anew."""
    async with engine(access, "producer") as producer, engine(access, "worker") as worker:
        await worker.set_policy(QUEUE, {"fair": "share", "capacity|slots": "2"}, building=True)
        await worker.set_generation(QUEUE)
        assert (await producer.enqueue(QUEUE, [job("early") for _ in range(6)])).ready == 6
        assert len((await worker.lease(QUEUE, 2, "")).leases) == 2
        assert await worker.set_policy(QUEUE, {"fair": "share", "capacity|slots": "6"}) == "set"
        assert (await producer.enqueue(QUEUE, [job("late") for _ in range(6)])).ready == 6
        tenants = [lease.tenant for lease in (await worker.lease(QUEUE, 4, "")).leases]
        assert sorted(tenants) == ["early", "late", "late", "late"]


async def test_metrics_only_look(access):
    async with engine(access, "worker") as worker, engine(access, "metrics") as metrics:
        await worker.set_generation(QUEUE)
        for denied in (metrics.set_policy(QUEUE, {"limit|queue": "1"}), metrics.enqueue(QUEUE, [job("acme")])):
            with pytest.raises(StoreUnavailable, match="NOPERM"):
                await denied
