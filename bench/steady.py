"""Enqueueing and working at the same time: many callers, each awaiting its job's commit, beside a worker process."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bench.cost import cost
from tenure.bench import sink
from tenure.bench.fleet import check, fleet, ready
from tenure.bench.payload import arguments

if TYPE_CHECKING:
    from bench.space import Space
    from tenure.job_type import JobType

_AHEAD: Final = 5000  # jobs that may wait; above that the callers do, so that both sides go at one speed
_LOOK: Final = 0.002
_WARM_UP: Final = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Steady:
    """Jobs per second, end to end.

    Attributes:
        enqueued_per_second: committed while it was measured.
        per_second: whose handler began meanwhile.
        cpu: microseconds of each job, of the sending process and as in a drain.
    """

    mode: str
    callers: int
    processes: int
    seconds: float
    enqueued_per_second: float
    per_second: float
    cpu: dict[str, float | None]


class _Callers:
    """A closed loop: each caller enqueues, waits for the commit, and goes on."""

    def __init__(self, job_type: JobType[..., Any], count: int) -> None:
        self.numbered = 0
        self.committed = 0
        self.gate = asyncio.Event()
        self._job_type = job_type
        self._over = False
        self._tasks = [asyncio.create_task(self._call()) for _ in range(count)]

    async def _call(self) -> None:
        while not self._over:
            await self.gate.wait()
            number, self.numbered = self.numbered, self.numbered + 1
            await self._job_type.enqueue(**arguments(number))
            self.committed += 1

    async def stop(self) -> None:
        """Let each finish its call."""
        self._over = True
        self.gate.set()
        await asyncio.gather(*self._tasks)


async def steady(here: Space, mode: str, callers: int, processes: int, seconds: float) -> Steady:
    """Let them go for a while; every job must have run once and be completed in the end."""
    with fleet(here, processes, 300) as workers:
        await ready(here, workers)
        pids = [worker.pid for worker in workers]
        async with here.producer() as app:
            calling = _Callers(app.job_types[mode], callers)
            await _watch(here, calling, min(_WARM_UP, seconds))
            used, own = cost(here.servers, pids), time.process_time()
            committed, begun = calling.committed, sink.count(here.sink)
            took = await _watch(here, calling, seconds)
            committed, begun = calling.committed - committed, sink.count(here.sink) - begun
            used, own = cost(here.servers, pids) - used, time.process_time() - own
            await calling.stop()
            check(here, workers)
        await here.all_completed(calling.committed)
    sink.check_runs(sink.marks(here.sink), range(calling.committed))
    return Steady(
        mode=mode,
        callers=callers,
        processes=processes,
        seconds=round(took, 1),
        enqueued_per_second=round(committed / took, 1),
        per_second=round(begun / took, 1),
        cpu={"sender_us": round(own / max(1, begun) * 1e6, 1), **used.per(max(1, begun))},
    )


async def _watch(here: Space, calling: _Callers, seconds: float) -> float:
    began = time.perf_counter()
    while (took := time.perf_counter() - began) < seconds:
        if calling.committed - sink.count(here.sink) < _AHEAD:
            calling.gate.set()
        else:
            calling.gate.clear()
        await asyncio.sleep(_LOOK)
    return took
