"""What the heartbeats of a large fleet cost: 10,000 workers every 10 s are 1,000 beats a second."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import redis

from bench.cost import cost
from bench.parts.ways import QUEUE, Ours

if TYPE_CHECKING:
    from bench.space import Space

_PROCESSES: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeats:
    """CPU while workers only beat, in percent of one core.

    Attributes:
        workers: that stand for the fleet; they beat more often instead, for each has a thread and a connection here.
        leases_each: extended with every beat.
        beats_per_second: as the server counted them.
    """

    workers: int
    every_ms: int
    leases_each: int
    beats_per_second: float
    workers_percent: float
    redis_percent: float | None


async def heartbeats(here: Space, each: int, every_ms: int, leases: int, seconds: float) -> Heartbeats:
    """Start processes full of workers, and look at the bill of some seconds."""
    path = Ours(here)
    await path.open()
    await path.enqueue(path.jobs(max(1, _PROCESSES * each * leases)))
    with ExitStack() as undo:
        client = undo.enter_context(redis.from_url(here.servers.redis_url))
        processes = [undo.enter_context(_beating(here, each, every_ms, leases)) for _ in range(_PROCESSES)]
        for process in processes:
            assert process.stdout is not None
            if process.stdout.readline() != b"ready\n":
                raise AssertionError("workers that should beat have ended")
        pids = [process.pid for process in processes]
        beats, earlier, began = _beats(client), cost(here.servers, pids), time.perf_counter()
        await asyncio.sleep(seconds)
        took = time.perf_counter() - began
        used, beats = cost(here.servers, pids) - earlier, _beats(client) - beats
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
    )


def _beating(here: Space, each: int, every_ms: int, leases: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "bench.hearts", QUEUE, str(each), str(every_ms), str(leases)]
    return subprocess.Popen(command, env=here.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def _beats(client: redis.Redis) -> int:
    """Each beat renews its sign of life once."""
    return int(client.info("commandstats").get("cmdstat_set", {}).get("calls", 0))
