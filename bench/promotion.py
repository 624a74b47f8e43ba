"""Many scheduled jobs that become due at one moment: how long until all are ready, and what others feel of it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bench.parts.ways import QUEUE, Ours, descriptor_fields
from tenure._engine import Descriptor, new_ids
from tenure.bench.errors import NotAsPromised

if TYPE_CHECKING:
    from bench.space import Space

_CHUNK: Final = 1000
_PROMOTE: Final = 500  # as the holder of the duty asks
_LEASE: Final = 10
# The others' work: higher priority than what is promoted, and always more of it than is taken.
_AHEAD: Final = 1000
_CALM_S: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """Workers take ready jobs, ten a call, before and while so many scheduled ones become due at once.

    Attributes:
        promoted_s: from the moment they are due until the last is ready, with one promoter.
        per_second: of those.
        calm_p99_ms: a lease call before that moment.
        busy_p99_ms: one while they are promoted.
        busy_max_ms: the slowest of them, and so the longest pause in leasing.
    """

    name: str
    jobs: int
    promoted_s: float
    per_second: float
    calm_p99_ms: float
    busy_p99_ms: float
    busy_max_ms: float


async def promotion(here: Space, jobs: int) -> Promotion:
    """Schedule the jobs, wait for their moment, promote and lease side by side; each is leased once afterwards."""
    worker, keeper = Ours(here), Ours(here)
    await worker.open()
    await keeper.open()
    try:
        return await _measure(worker, keeper, jobs)
    finally:
        keeper.engine.close()
        await worker.close()


async def _measure(worker: Ours, keeper: Ours, jobs: int) -> Promotion:
    began = time.time()
    # Far enough away that all are there before it.
    due = began + _CALM_S + 0.1 + jobs / 20_000
    ids = set(await _schedule(worker, jobs, due))
    calls: list[tuple[float, float]] = []
    leasing = asyncio.create_task(_lease_on(worker, calls))
    await asyncio.sleep(max(0.0, due - time.time()))
    at_once = time.perf_counter()
    promoted = 0
    while promoted < jobs:
        count, _ = await keeper.engine.promote(QUEUE, _PROMOTE)
        promoted = jobs - (await keeper.engine.depths(QUEUE)).scheduled if count < _PROMOTE else promoted + count
    all_ready = time.perf_counter()
    leasing.cancel()
    await asyncio.gather(leasing, return_exceptions=True)
    await _all_once(worker, ids)
    calm = sorted(took for at, took in calls if at < at_once)
    busy = sorted(took for at, took in calls if at_once <= at <= all_ready)
    took = all_ready - at_once
    return Promotion(
        name=f"{jobs:,} due at once",
        jobs=jobs,
        promoted_s=round(took, 3),
        per_second=round(jobs / took, 1),
        calm_p99_ms=_ms(calm, 0.99),
        busy_p99_ms=_ms(busy, 0.99),
        busy_max_ms=_ms(busy, 1.0),
    )


async def _schedule(worker: Ours, jobs: int, due: float) -> list[str]:
    """Push them; one in ten has another priority, so that they go to several bands."""
    ids = new_ids(jobs)
    for first in range(0, jobs, _CHUNK):
        some = [_job(job_id, 1 + (number % 10 == 0), due) for number, job_id in enumerate(ids[first : first + _CHUNK])]
        await worker.engine.enqueue(QUEUE, some)
    found = (await worker.engine.depths(QUEUE)).scheduled
    if found != jobs:
        raise NotAsPromised(f"jobs that should all be scheduled before they are due, {jobs}: {found}")
    return ids


def _job(job_id: str, priority: int, due: float) -> Descriptor:
    fields = descriptor_fields(job_id) | {"priority": priority, "run_at_ms": round(due * 1000)}
    return Descriptor(**fields)


async def _lease_on(worker: Ours, calls: list[tuple[float, float]]) -> None:
    """Take ready jobs and forget them, over and over; when each call began and how long it took."""
    while True:
        urgent = [Descriptor(**(descriptor_fields(job_id) | {"priority": 5})) for job_id in new_ids(_AHEAD)]
        await worker.enqueue(urgent)
        for _ in range(0, _AHEAD, _LEASE):
            began = time.perf_counter()
            leases = await worker.lease(_LEASE)
            calls.append((began, time.perf_counter() - began))
            await worker.acknowledge([lease.key for lease in leases])


async def _all_once(worker: Ours, ids: set[str]) -> None:
    """Take everything that is left: each scheduled job is there, once."""
    left = set(ids)
    while leases := await worker.lease(_CHUNK):
        await worker.acknowledge([lease.key for lease in leases])
        for lease in leases:
            if lease.priority < 5:
                left.remove(lease.job_id)
    if left:
        raise NotAsPromised(f"scheduled jobs that were never leased: {len(left)}")


def _ms(times: list[float], share: float) -> float:
    return round(times[min(len(times) - 1, int(len(times) * share))] * 1000, 3) if times else 0.0
