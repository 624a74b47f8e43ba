"""Makespan: how long a fleet takes for jobs of very different lengths, beside one ideal queue that all share."""

from __future__ import annotations

import heapq
import math
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tenure.bench import sink
from tenure.bench.errors import NotAsPromised
from tenure.bench.fleet import ready, started

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.space import Space

PROCESSES: Final = 4
# What a worker takes at most, and how many jobs a worker of it runs at the same time, for each handler.
CONCURRENCY: Final = 50
PARALLEL: Final = {"holds": 1, "occupies": 1, "waits": CONCURRENCY}
# Short jobs that come first, so that everybody has its processes, and has learnt that jobs are short.
_WARMING: Final = PROCESSES * CONCURRENCY
_WARMING_S: Final = 0.001
# Seconds a job, drawn with a seed of its own: the same for every handler and every version.
MIXES: Final = {
    "bimodal": lambda draw: 0.2 if draw.random() < 0.1 else 0.005,
    "log-normal": lambda draw: min(2.0, draw.lognormvariate(math.log(0.02), 1.5)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """One burst of jobs into an idle fleet.

    Attributes:
        ideal_s: the same jobs, in their order, each to whichever of as many machines is free first, at no cost (list
            scheduling).
        makespan_s: from the first start of a handler to the last commit.
        ratio: of these two.
        given_back: attempts that waited in one worker while others were idle.
    """

    name: str
    processes: int
    concurrency: int
    jobs: int
    ideal_s: float
    makespan_s: float
    ratio: float
    given_back: int


def lengths(mix: str, jobs: int) -> list[float]:
    """How long each job takes, in seconds."""
    draw = random.Random(mix)
    return [MIXES[mix](draw) for _ in range(jobs)]


def list_scheduling(seconds: Sequence[float], machines: int) -> float:
    """The makespan of one shared queue: each job begins on the machine that is free first (Graham, 1966)."""
    free = [0.0] * machines
    for one in seconds:
        heapq.heapreplace(free, free[0] + one)
    return max(free)


async def makespan(space: Space, handler: str, mix: str, jobs: int) -> Spread:
    """Send a burst to workers that have run short jobs and sleep, and wait for the last commit."""
    seconds = lengths(mix, jobs)
    options = ["--queue", space.queue, "--concurrency", str(CONCURRENCY), "--cpu-processes", "1"]
    with started(space, ["tenure", "worker", "bench.handlers:app", *options], PROCESSES) as workers:
        await ready(space, workers)
        async with space.producer() as app:
            job_type = app.job_types[handler]

            async def send(lengths: Sequence[float], first: int) -> None:
                now = time.time()
                requests = [job_type.request(number=n, sent=now, seconds=one) for n, one in enumerate(lengths, first)]
                await app.enqueue_many(requests)

            await send([_WARMING_S] * _WARMING, jobs)
            await space.all_completed(_WARMING)
            await ready(space, workers)
            before = (await space.executions()).get("RELEASED", 0)
            await send(seconds, 0)
            await space.all_completed(_WARMING + jobs)
    marks = sink.marks(space.sink)
    sink.check_runs(marks, range(_WARMING + jobs))
    first = next(mark.started for mark in marks if mark.number < jobs)
    attempts = await space.executions()
    given_back = attempts.pop("RELEASED", 0) - before
    if attempts != {"COMPLETED": _WARMING + jobs}:
        raise NotAsPromised(f"attempts that should all be completed, one of each job: {attempts}")
    ideal = list_scheduling(seconds, PROCESSES * PARALLEL[handler])
    took = await space.last_completed() - first
    return Spread(
        name=f"{handler}, {mix}",
        processes=PROCESSES,
        concurrency=CONCURRENCY,
        jobs=jobs,
        ideal_s=round(ideal, 3),
        makespan_s=round(took, 3),
        ratio=round(took / ideal, 2),
        given_back=given_back,
    )
