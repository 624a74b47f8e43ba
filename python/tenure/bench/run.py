"""What `tenure bench` does: each measurement in a queue of its own, which is gone afterwards."""

from __future__ import annotations

import tempfile
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tenure import _validate
from tenure._migrate import up
from tenure.app import Tenure
from tenure.bench.drain import drain
from tenure.bench.enqueue import enqueue
from tenure.bench.latency import latency, lone
from tenure.bench.stage import Stage, first_of, new_queue
from tenure.demo.stage import stores
from tenure.job_type import MODES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tenure.settings import Settings

PARTS = ("enqueue", "drain", "latency", "lone")


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is measured and how long.

    Attributes:
        parts: of `PARTS`, in this order.
        modes: whether starts are recorded before the run or behind it.
        jobs: of a drain.
        rates: jobs offered a second.
        seconds: of each way to enqueue and of each offered rate.
        processes: worker processes.
        concurrency: slots of each.
    """

    parts: tuple[str, ...] = PARTS
    modes: tuple[str, ...] = MODES
    jobs: int = 10_000
    rates: tuple[int, ...] = (500,)
    seconds: float = 5.0
    processes: int = 1
    concurrency: int = 100

    def __post_init__(self) -> None:
        """Refuse what cannot be measured."""
        for part in self.parts:
            _validate.choice("part", part, PARTS)
        for mode in self.modes:
            _validate.choice("mode", mode, MODES)
        for rate in self.rates:
            _validate.whole("rate", rate, 1, 1_000_000)
        _validate.whole("jobs", self.jobs, 1, 4_000_000)
        _validate.seconds("seconds", self.seconds, least=0.05, most=3600.0)
        _validate.whole("processes", self.processes, 1, 100)
        _validate.whole("concurrency", self.concurrency, 1, 10_000)


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """One measurement: which, of what, and its figures by name; durations in their names' unit."""

    part: str
    case: dict[str, Any]
    figures: dict[str, Any]


async def measure(settings: Settings, plan: Plan, show: Callable[[Figures], None]) -> list[Figures]:
    """Measure on the stores that the settings name; `show` is told of each measurement as it ends.

    Raises:
        TenureError: a store refuses or is away, or a job was lost, doubled or failed.
    """
    found: list[Figures] = []
    async with stores(settings) as (postgres_url, redis_url):
        if settings.postgres_url is None:
            await up(postgres_url, settings.schema)  # the embedded database is this program's own
        settings = replace(settings, postgres_url=postgres_url, redis_url=redis_url)
        async with Tenure(settings):
            pass  # what is wrong with the stores is told before a worker is started
        for part, case, run in _measurements(plan):
            async with stage(settings) as made:
                values = msgspec.to_builtins(await run(made))
            figures = {name: value for name, value in values.items() if name not in case and value != {}}
            found.append(Figures(part=part, case=case, figures=figures))
            show(found[-1])
    return found


async def forget(settings: Settings, queue: str) -> int:
    """Remove what a run that was killed left in its queue; how many jobs.

    Raises:
        InvalidInput: the queue is none of a benchmark's.
    """
    first_of(queue)
    async with stores(settings) as (postgres_url, redis_url):
        settings = replace(settings, postgres_url=postgres_url, redis_url=redis_url)
        return await Stage(settings, queue, Path()).forget()


@asynccontextmanager
async def stage(settings: Settings) -> AsyncIterator[Stage]:
    """A queue for one measurement, removed at the end whatever happened."""
    with tempfile.TemporaryDirectory(prefix="tenure-bench-") as directory:
        made = Stage(settings, new_queue(), Path(directory))
        try:
            yield made
        finally:
            await made.forget()


def _measurements(plan: Plan) -> list[tuple[str, dict[str, Any], Any]]:
    """Part, what tells it apart, and how it is run, in order."""
    size: dict[str, Any] = {"processes": plan.processes, "concurrency": plan.concurrency}
    found: list[tuple[str, dict[str, Any], Any]] = []
    if "enqueue" in plan.parts:
        found.append(("enqueue", {}, lambda here: enqueue(here, plan.seconds)))
    for mode in plan.modes:
        if "drain" in plan.parts:
            case = {"mode": mode, "jobs": plan.jobs, **size}
            found.append(("drain", case, lambda here, mode=mode: drain(here, mode, plan.jobs, **size)))
        if "latency" in plan.parts:
            found += [
                (
                    "latency",
                    {"mode": mode, "rate": rate, **size},
                    lambda here, mode=mode, rate=rate: latency(here, mode, rate, plan.seconds, **size),
                )
                for rate in plan.rates
            ]
        if "lone" in plan.parts:
            found.append(("lone", {"mode": mode}, lambda here, mode=mode: lone(here, mode)))
    return found
