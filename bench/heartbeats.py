"""What the heartbeats of a large fleet cost, how late they are, and what the registry costs that they feed."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import redis

from bench.cost import cost, resident_mb
from bench.parts.ways import QUEUE, Ours
from tenure._engine import Histogram

if TYPE_CHECKING:
    from bench.space import Space

_PROCESSES: Final = 2
_LOOKS: Final = 4  # at the roster, for each beat


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeats:
    """CPU while workers only beat, in percent of one core, and how late their beats arrive.

    Attributes:
        workers: in two processes; each process sends one pipeline a beat.
        leases_each: extended with every beat.
        beats_per_second: of single workers, as the server counted them.
        late_p50_ms, late_p99_ms, late_max_ms: how much longer than the interval the server waited for a worker's next
            beat, by its own clock; what a failure detector sees.
        resident_mb: of one process with all its workers.
    """

    workers: int
    every_ms: int
    leases_each: int
    beats_per_second: float
    workers_percent: float
    redis_percent: float | None
    postgres_percent: float | None
    late_p50_ms: float
    late_p99_ms: float
    late_max_ms: float
    resident_mb: float


async def heartbeats(here: Space, each: int, every_ms: int, leases: int, seconds: float) -> Heartbeats:
    """Start processes full of workers, and look at the bill of some seconds."""
    path = Ours(here)
    await path.open()
    await path.enqueue(path.jobs(max(1, _PROCESSES * each * leases)))
    with ExitStack() as undo:
        client = undo.enter_context(redis.from_url(here.servers.redis_url))
        processes = [undo.enter_context(beating(here, each, every_ms, leases)) for _ in range(_PROCESSES)]
        for process in processes:
            assert process.stdout is not None
            if process.stdout.readline() != b"ready\n":
                raise AssertionError("workers that should beat have ended")
        pids = [process.pid for process in processes]
        await asyncio.sleep(every_ms / 1000)  # until their first beats, which come at once, are over
        beats, earlier, began = _beats(client), cost(here.servers, pids), time.perf_counter()
        late = Histogram()
        for one in await lateness(client, f"{here.name}:fleet:roster", every_ms, seconds):
            late.record(max(0.0, one))
        took = time.perf_counter() - began
        used, beats = cost(here.servers, pids) - earlier, _beats(client) - beats
        resident = resident_mb(pids[0])
        for process in processes:
            process.communicate()
            if process.returncode != 0:
                raise AssertionError(f"workers that beat have failed, exit code: {process.returncode}")
    await path.close()
    return Heartbeats(
        workers=_PROCESSES * each,
        every_ms=every_ms,
        leases_each=leases,
        beats_per_second=round(beats / took, 1),
        workers_percent=round(used.workers / took * 100, 2),
        redis_percent=None if used.redis is None else round(used.redis / took * 100, 2),
        postgres_percent=None if used.postgres is None else round(used.postgres / took * 100, 2),
        late_p50_ms=round(late.percentile(50) * 1000, 1),
        late_p99_ms=round(late.percentile(99) * 1000, 1),
        late_max_ms=round(late.max * 1000, 1),
        resident_mb=round(resident, 1),
    )


async def lateness(client: redis.Redis, roster: str, every_ms: int, seconds: float) -> list[float]:
    """How much later than planned beats arrive, s, or sooner: by every worker's entry in the roster, which says when
    the server heard of it by its own clock.
    """
    late, heard = list[float](), dict[bytes, float]()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        await asyncio.sleep(every_ms / 1000 / _LOOKS)
        for worker, at in client.zrange(roster, 0, -1, withscores=True):
            before = heard.get(worker, at)
            if at > before:
                late.append((at - before - every_ms) / 1000)
            heard[worker] = at
    return late


def beating(here: Space, each: int, every_ms: int, leases: int) -> subprocess.Popen[bytes]:
    """A process full of workers; it says `ready`, and ends with its input."""
    command = [sys.executable, "-m", "bench.hearts", QUEUE, str(each), str(every_ms), str(leases)]
    return subprocess.Popen(command, env=here.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def _beats(client: redis.Redis) -> int:
    """Each beat of a worker adds one sample to its series."""
    return int(client.info("commandstats").get("cmdstat_lpush", {}).get("calls", 0))
