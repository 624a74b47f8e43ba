"""How long a job waits for its handler: under an offered rate that waits for nobody, and alone on an idle system."""

from __future__ import annotations

import asyncio
import statistics
import threading
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from bench import sink
from bench.fleet import fleet, ready
from bench.handlers import arguments
from tenure._engine import Histogram

if TYPE_CHECKING:
    from bench.space import Space
    from tenure import Tenure
    from tenure.job_type import JobType

_WARM_UP: Final = 100  # jobs sent first and left out: connections open, statements are prepared
_HEAD_START: Final = 0.5
_STARTED_WITHIN: Final = 60.0


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds from the planned moment of sending to the start of the handler."""

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

    def row(self) -> dict[str, object]:
        """The figures as they are kept."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Lone:
    """Milliseconds from the call of enqueue to the start of the handler, one job at a time on an idle system."""

    mode: str
    jobs: int
    median_ms: float
    p99_ms: float

    def row(self) -> dict[str, object]:
        """The figures as they are kept."""
        return asdict(self)


class _Producer:
    """Sends each job when the schedule says so, however slow the earlier ones are: coordinated omission is excluded."""

    def __init__(self, job_type: JobType[..., object]) -> None:
        self._job_type = job_type
        self._tasks: set[asyncio.Task[None]] = set()
        self.acked = Histogram()
        self.lag = Histogram()

    async def send(self, number: int, planned: float) -> None:
        """Enqueue one job; its latency counts from `planned`."""
        await self._job_type.enqueue(**arguments(number, planned))
        self.acked.record(max(0.0, time.time() - planned))

    def go(self, number: int, planned: float) -> None:
        """Enqueue without waiting."""
        self.lag.record(max(0.0, time.time() - planned))
        task = asyncio.get_running_loop().create_task(self.send(number, planned))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def offer(self, rate: int, jobs: int, first: int) -> None:
        """Offer `jobs` at `rate` a second, from a thread: a loop's own timer is late when the loop is busy."""
        loop = asyncio.get_running_loop()
        over = asyncio.Event()

        def schedule() -> None:
            start = time.time() + _HEAD_START
            for index in range(jobs):
                planned = start + index / rate
                if (pause := planned - time.time()) > 0:
                    time.sleep(pause)
                loop.call_soon_threadsafe(self.go, first + index, planned)
            loop.call_soon_threadsafe(over.set)

        threading.Thread(target=schedule, name="bench-schedule", daemon=True).start()
        await over.wait()
        while self._tasks:
            await asyncio.gather(*self._tasks)


async def latency(space: Space, mode: str, rate: int, seconds: float, concurrency: int = 100) -> Latency:
    """Offer a fixed rate to one worker process."""
    jobs = max(1, round(rate * seconds))
    total = _WARM_UP + jobs
    with fleet(space, 1, concurrency) as workers:
        await ready(space, workers, concurrency)
        async with space.producer() as app:
            producer = _Producer(app.job_types[mode])
            await _warm_up(space, app, mode)
            producer.acked, producer.lag = Histogram(), Histogram()
            await producer.offer(rate, jobs, _WARM_UP)
            await _started(space, total)
        await space.all_completed(total)
    marks = sink.marks(space.sink)
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
        enqueue_p99_ms=_ms(producer.acked, 99),
        schedule_lag_p99_ms=_ms(producer.lag, 99),
    )


async def lone(space: Space, mode: str, jobs: int = 200, concurrency: int = 100) -> Lone:
    """Send one job at a time, the next when the last has run and the system sleeps again."""
    total = _WARM_UP + jobs
    with fleet(space, 1, concurrency) as workers:
        await ready(space, workers, concurrency)
        async with space.producer() as app:
            await _warm_up(space, app, mode)
            for number in range(_WARM_UP, total):
                await app.job_types[mode].enqueue(**arguments(number, time.time()))
                await _started(space, number + 1)
                await asyncio.sleep(0.01)
        await space.all_completed(total)
    marks = sink.marks(space.sink)
    sink.check_runs(marks, range(total))
    picked_up = sorted((mark.started - mark.sent) * 1000 for mark in marks if mark.number >= _WARM_UP)
    return Lone(
        mode=mode,
        jobs=jobs,
        median_ms=round(statistics.median(picked_up), 3),
        p99_ms=round(picked_up[min(jobs - 1, int(jobs * 0.99))], 3),
    )


async def _warm_up(space: Space, app: Tenure, mode: str) -> None:
    job_type = app.job_types[mode]
    await asyncio.gather(*(job_type.enqueue(**arguments(number, time.time())) for number in range(_WARM_UP)))
    await _started(space, _WARM_UP)
    await space.all_completed(_WARM_UP)


async def _started(space: Space, total: int) -> None:
    give_up = time.monotonic() + _STARTED_WITHIN
    while sink.count(space.sink) < total:
        if time.monotonic() > give_up:
            raise AssertionError(f"handlers that should have started, {total}: {sink.count(space.sink)}")
        await asyncio.sleep(0.005)


def _ms(histogram: Histogram, q: float) -> float:
    return round(histogram.percentile(q) * 1000, 2)
