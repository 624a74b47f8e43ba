"""A trace played in its own time: arrivals are pushed, free machines lease, by the very scripts that workers use.

Only the clock is made up: a job is as old as its trace says, and a machine is busy for as long as the job ran. Nothing
that goes by Redis' own clock (rates, measured means, expiry) is part of it.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bench.parts.ways import descriptor_fields
from bench.scheduling.policies import SLACK, Predictor, classes
from tenure._engine import Descriptor, Engine, new_ids
from tenure.bench.errors import NotAsPromised

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.scheduling.policies import Policy
    from bench.scheduling.traces import Arrival
    from bench.space import Space

_QUEUE: Final = "replay"
_EPOCH_MS: Final = 1_700_000_000_000
_LEASE_MS: Final = 3_600_000  # nothing expires meanwhile
_MOST: Final = 500


@dataclass(frozen=True, slots=True)
class Run:
    """What became of one job."""

    job: Arrival
    level: int
    started_s: float

    @property
    def wait_s(self) -> float:
        """From its arrival to its start."""
        return self.started_s - self.job.at_s

    def slowdown(self, least_s: float) -> float:
        """How many times its own length it took, where what is shorter than `least_s` counts as that: a job of no
        length would be slowed down beyond measure by any wait (Feitelson, 2001).
        """
        return max(1.0, (self.wait_s + self.job.run_s) / max(least_s, self.job.run_s))

    @property
    def late(self) -> bool:
        """Whether it ended past its deadline."""
        return self.started_s + self.job.run_s > self.job.at_s + SLACK * self.job.asked_s


async def replay(here: Space, jobs: Sequence[Arrival], policy: Policy, machines: int) -> list[Run]:
    """Play it; each job is run once."""
    engine = Engine(
        here.servers.redis_url,
        worker_id=new_ids(1)[0],
        prefix=here.name,
        lease_ms=_LEASE_MS,
        on_event=lambda _event: None,
    )
    await engine.open()
    try:
        if fields := policy.fields(jobs):
            await engine.set_policy(_QUEUE, fields, building=True)
        await engine.set_generation(_QUEUE)
        runs = await _Replay(engine, jobs, policy, machines).play()
    finally:
        await engine.forget_queue(_QUEUE)
        engine.close()
    if sorted(run.job.number for run in runs) != [job.number for job in jobs]:
        raise NotAsPromised(f"jobs that should each run once, {len(jobs)}: {len(runs)}")
    return runs


class _Replay:
    def __init__(self, engine: Engine, jobs: Sequence[Arrival], policy: Policy, machines: int) -> None:
        self._engine = engine
        self._jobs = jobs
        self._levels = classes(jobs)
        self._policy = policy
        self._free = machines
        self._predictor = Predictor()
        self._by_id: dict[str, int] = {}
        self._busy: list[tuple[float, int, tuple[str, int]]] = []  # until when, which job, its lease
        self._ready = 0

    async def play(self) -> list[Run]:
        runs: list[Run] = []
        arrived, now = 0, 0.0
        while arrived < len(self._jobs) or self._busy:
            next_arrival = self._jobs[arrived].at_s if arrived < len(self._jobs) else float("inf")
            now = min(next_arrival, self._busy[0][0] if self._busy else float("inf"))
            await self._end(now)
            arrived = await self._arrive(arrived, now)
            runs += await self._start(now)
        return runs

    async def _end(self, now: float) -> None:
        ended = []
        while self._busy and self._busy[0][0] <= now:
            _, place, lease = heapq.heappop(self._busy)
            self._predictor.ended(self._jobs[place])
            ended.append(lease)
        if ended:
            self._free += len(ended)
            await self._engine.acknowledge(_QUEUE, ended)

    async def _arrive(self, arrived: int, now: float) -> int:
        coming = []
        while arrived < len(self._jobs) and self._jobs[arrived].at_s <= now:
            coming.append(self._descriptor(arrived))
            arrived += 1
        if coming:
            self._ready += len(coming)
            await self._engine.enqueue(_QUEUE, coming)
        return arrived

    async def _start(self, now: float) -> list[Run]:
        runs = []
        while self._free and self._ready:
            leases = (await self._engine.lease(_QUEUE, min(self._free, _MOST))).leases
            for lease in leases:
                place = self._by_id.pop(lease.job_id)
                job = self._jobs[place]
                runs.append(Run(job, self._levels[place], now))
                heapq.heappush(self._busy, (now + job.run_s, place, lease.key))
            self._free -= len(leases)
            self._ready -= len(leases)
            if not leases:
                raise NotAsPromised(f"free machines and ready jobs, and nothing leased: {self._free}, {self._ready}")
        return runs

    def _descriptor(self, place: int) -> Descriptor:
        job = self._jobs[place]
        [job_id] = new_ids(1)
        self._by_id[job_id] = place
        extra = self._policy.options(job, self._levels[place], self._predictor.predict(job))
        at = {"run_at_ms": _EPOCH_MS + round(job.at_s * 1000), "ready": True, "payload": b""}
        return Descriptor(**{**descriptor_fields(job_id), **at, **extra})
