"""Fixtures: a way to measure, and the hot path each way."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import pytest

from bench.parts.ways import WAYS, HotPath, Ours, Twin

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine, Iterator

    from pytest_benchmark.fixture import BenchmarkFixture

    from bench.space import Space


class Part:
    """Measures one part one way; the figures of an operation go into the report beside pytest-benchmark's own.

    `us` is wall time. `loop_us` is the CPU of the event loop's thread, which handlers would have had; `cpu_us` that of
    the whole process, which the machine would have had.
    """

    def __init__(self, benchmark: BenchmarkFixture, loop: asyncio.AbstractEventLoop, *, quick: bool) -> None:
        """Prepare."""
        self.benchmark: Final = benchmark
        self.loop: Final = loop
        self.quick: Final = quick
        self._loop_seconds = 0.0
        self._cpu_seconds = 0.0
        self._operations = 0

    def call(self, name: str, way: str, function: Callable[..., Any], *args: Any, operations: int = 1) -> Any:
        """A plain function, which does so many operations; what it returned."""
        found = self.benchmark(function, *args)
        self.benchmark.extra_info.update(part=name, way=way, us=self._median_us(operations))
        return found

    def awaits(
        self, name: str, way: str, call: Callable[[], Coroutine[Any, Any, Any]], operations: int, rounds: int
    ) -> None:
        """A coroutine function, which does so many operations; all of it in one turn of `run_until_complete`."""

        def run() -> None:
            cpu, thread = time.process_time(), time.thread_time()
            self.loop.run_until_complete(call())
            self._loop_seconds += time.thread_time() - thread
            self._cpu_seconds += time.process_time() - cpu
            self._operations += operations

        self.benchmark.pedantic(run, rounds=rounds)  # type: ignore[no-untyped-call]
        self.report(name, way, self._median_us(operations), self._loop_seconds, self._cpu_seconds, self._operations)

    def report(self, name: str, way: str, us: float | None, loop: float, cpu: float, operations: int) -> None:
        """Note figures; seconds of CPU for so many operations."""
        self.benchmark.extra_info.update(
            part=name,
            way=way,
            us=us,
            loop_us=round(loop / operations * 1e6, 2),
            cpu_us=round(cpu / operations * 1e6, 2),
        )

    def _median_us(self, operations: int) -> float:
        assert self.benchmark.stats is not None, "figures are wanted: not with --benchmark-disable"
        return float(round(self.benchmark.stats.stats.median / operations * 1e6, 3))


@pytest.fixture
def part(benchmark: BenchmarkFixture, loop: asyncio.AbstractEventLoop, *, quick: bool) -> Part:
    """Measures."""
    return Part(benchmark, loop, quick=quick)


@pytest.fixture(params=list(WAYS))
def way(request: pytest.FixtureRequest) -> str:
    """Which way."""
    return str(request.param)


@pytest.fixture
def path(here: Space, loop: asyncio.AbstractEventLoop, way: str) -> Iterator[HotPath]:
    """The hot path that way, open, on a queue of its own."""
    made: Ours | Twin = WAYS[way](here)
    loop.run_until_complete(made.open())
    yield made
    loop.run_until_complete(made.close())


@pytest.fixture
def fill(path: HotPath, loop: asyncio.AbstractEventLoop) -> Callable[[int], None]:
    """Pushes new jobs."""

    def fill_(jobs: int) -> None:
        for first in range(0, jobs, 1000):
            count = min(1000, jobs - first)
            assert loop.run_until_complete(path.enqueue(path.jobs(count))) == count

    return fill_
