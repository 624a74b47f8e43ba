"""How long a job waits for its handler: under an offered rate that waits for nobody, and alone on an idle system."""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import TYPE_CHECKING, Final

import msgspec

from tenure._engine import Histogram
from tenure.bench import sink
from tenure.bench.errors import NotAsPromised
from tenure.bench.fleet import check, fleet, ready
from tenure.bench.offer import Offer
from tenure.bench.payload import arguments

if TYPE_CHECKING:
    from tenure.app import Tenure
    from tenure.bench.fleet import Workers
    from tenure.bench.stage import Stage

_WARM_UP: Final = 100  # jobs sent first and left out: connections open, statements are prepared
_STARTED_WITHIN: Final = 60.0


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds from the planned moment of sending to the start of the handler.

    Attributes:
        achieved_per_second: from the first planned moment to the last start; well below `rate`, the workers did not
            keep pace and the latencies are the length of the queue.
        enqueue_p99_ms: from the planned moment to the commit.
        schedule_lag_p99_ms: how late the sender itself was.
    """

    mode: str
    rate: int
    jobs: int
    achieved_per_second: float
    p50_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float
    enqueue_p99_ms: float
    schedule_lag_p99_ms: float


class Lone(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds from the call of enqueue to the start of the handler, one job at a time on an idle system."""

    mode: str
    jobs: int
    median_ms: float
    p99_ms: float


async def latency(
    stage: Stage, mode: str, rate: int, seconds: float, *, processes: int = 1, concurrency: int = 100
) -> Latency:
    """Offer a fixed rate to workers that are up and idle."""
    jobs = max(1, round(rate * seconds))
    total = _WARM_UP + jobs
    with fleet(stage, processes, concurrency) as workers:
        await ready(stage, workers)
        async with stage.producer() as app:
            job_type = app.job_types[mode]
            await _warm_up(stage, app, mode, workers)
            offer = Offer(lambda number, planned: job_type.enqueue(**arguments(number, planned)))
            await offer.run(rate, jobs, _WARM_UP)
            await _started(stage, total, workers)
        await stage.all_completed(total)
    marks = sink.marks(stage.sink)
    sink.check_runs(marks, range(total))
    picked_up = Histogram()
    measured = [mark for mark in marks if mark.number >= _WARM_UP]
    for mark in measured:
        picked_up.record(max(0.0, mark.started - mark.sent))
    took = measured[-1].started - min(mark.sent for mark in measured)
    return Latency(
        mode=mode,
        rate=rate,
        jobs=jobs,
        achieved_per_second=round(jobs / max(took, 1e-3), 1),
        p50_ms=_ms(picked_up, 50),
        p99_ms=_ms(picked_up, 99),
        p999_ms=_ms(picked_up, 99.9),
        max_ms=round(picked_up.max * 1000, 2),
        enqueue_p99_ms=_ms(offer.acked, 99),
        schedule_lag_p99_ms=_ms(offer.lag, 99),
    )


async def lone(stage: Stage, mode: str, jobs: int = 200, concurrency: int = 100) -> Lone:
    """Send one job at a time, the next when the last has run and the system sleeps again."""
    total = _WARM_UP + jobs
    with fleet(stage, 1, concurrency) as workers:
        await ready(stage, workers)
        async with stage.producer() as app:
            await _warm_up(stage, app, mode, workers)
            for number in range(_WARM_UP, total):
                await app.job_types[mode].enqueue(**arguments(number, time.time()))
                await _started(stage, number + 1, workers)
                await asyncio.sleep(0.01)
        await stage.all_completed(total)
    marks = sink.marks(stage.sink)
    sink.check_runs(marks, range(total))
    picked_up = sorted((mark.started - mark.sent) * 1000 for mark in marks if mark.number >= _WARM_UP)
    return Lone(
        mode=mode,
        jobs=jobs,
        median_ms=round(statistics.median(picked_up), 3),
        p99_ms=round(picked_up[min(jobs - 1, int(jobs * 0.99))], 3),
    )


async def _warm_up(stage: Stage, app: Tenure, mode: str, workers: Workers) -> None:
    job_type = app.job_types[mode]
    await asyncio.gather(*(job_type.enqueue(**arguments(number, time.time())) for number in range(_WARM_UP)))
    await _started(stage, _WARM_UP, workers)
    await stage.all_completed(_WARM_UP)


async def _started(stage: Stage, total: int, workers: Workers) -> None:
    give_up = time.monotonic() + _STARTED_WITHIN
    while sink.count(stage.sink) < total:
        check(stage, workers)
        if time.monotonic() > give_up:
            raise NotAsPromised(f"handlers that should have started, {total}: {sink.count(stage.sink)}")
        await asyncio.sleep(0.005)


def _ms(histogram: Histogram, q: float) -> float:
    return round(histogram.percentile(q) * 1000, 2)
