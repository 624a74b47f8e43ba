"""What an enqueue costs its caller; each returns only when its jobs are committed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tenure.bench.payload import arguments

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

    from bench.space import Space
    from tenure import Tenure

pytestmark = pytest.mark.benchmark(group="enqueue")


class Rounds:
    """Runs rounds of awaits on one loop and counts the jobs they made."""

    def __init__(self, benchmark: BenchmarkFixture, loop: asyncio.AbstractEventLoop, *, quick: bool) -> None:
        """Prepare."""
        self._benchmark = benchmark
        self._loop = loop
        self._rounds = 1 if quick else 10
        self.made = 0

    def measure(self, one_round: object, jobs: int) -> None:
        """Call `one_round`, a function that makes `jobs` jobs, again and again."""

        def run() -> None:
            self._loop.run_until_complete(one_round())  # type: ignore[operator]  # a coroutine function
            self.made += jobs

        warm_up = 0 if self._rounds == 1 else 1
        self._benchmark.pedantic(run, rounds=self._rounds, warmup_rounds=warm_up)  # type: ignore[no-untyped-call]
        if self._benchmark.stats is not None:
            median = self._benchmark.stats.stats.median
            self._benchmark.extra_info["jobs_per_round"] = jobs
            self._benchmark.extra_info["us_per_job"] = round(median / jobs * 1e6, 1)
            self._benchmark.extra_info["jobs_per_second"] = round(jobs / median)

    def check(self, here: Space) -> None:
        """PostgreSQL must have every job, and nothing else."""
        found = self._loop.run_until_complete(here.statuses())
        assert found == {"PENDING": self.made}


@pytest.fixture
def rounds(benchmark: BenchmarkFixture, loop: asyncio.AbstractEventLoop, *, quick: bool) -> Rounds:
    """The benchmark's rounds."""
    return Rounds(benchmark, loop, quick=quick)


def test_one_by_one(rounds: Rounds, producer: Tenure, here: Space, *, quick: bool) -> None:
    """Each awaited before the next: the round trips of a lonely caller."""
    jobs = 5 if quick else 200
    job_type = producer.job_types["before"]

    async def one_round() -> None:
        for number in range(jobs):
            await job_type.enqueue(**arguments(number))

    rounds.measure(one_round, jobs)
    rounds.check(here)


def test_100_callers(rounds: Rounds, producer: Tenure, here: Space, *, quick: bool) -> None:
    """A hundred callers at once, each awaiting its own jobs: what coalescing gives."""
    each = 1 if quick else 20
    job_type = producer.job_types["before"]

    async def caller() -> None:
        for number in range(each):
            await job_type.enqueue(**arguments(number))

    async def one_round() -> None:
        await asyncio.gather(*(caller() for _ in range(100)))

    rounds.measure(one_round, 100 * each)
    rounds.check(here)


def test_bulk_of_1000(rounds: Rounds, producer: Tenure, here: Space) -> None:
    """A thousand jobs in one call, their requests made inside the measurement."""
    job_type = producer.job_types["before"]

    async def one_round() -> None:
        await producer.enqueue_many([job_type.request(**arguments(number)) for number in range(1000)])

    rounds.measure(one_round, 1000)
    rounds.check(here)
