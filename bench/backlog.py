"""What a job costs Redis while many others wait: the memory of a ready one, and taking one."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import redis

from bench.parts.ways import Ours

if TYPE_CHECKING:
    from bench.space import Space

_AT_ONCE: Final = 100
_ROUNDS: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """With so many ready jobs of 200 bytes of payload each.

    Attributes:
        lease_us: wall time per job, a hundred in a call: the median of fifty calls, each at the full backlog.
        redis_bytes: of the server's memory per ready job.
    """

    ready: int
    lease_us: float
    redis_bytes: float | None


async def backlog(here: Space, ready: int) -> Backlog:
    """Fill the queue, then take some jobs and put as many back, again and again."""
    path = Ours(here)
    with redis.from_url(here.servers.redis_url) as client:
        await path.open()
        try:
            empty = client.info("memory")["used_memory"]
            for first in range(0, ready, 1000):
                await path.enqueue(path.jobs(min(1000, ready - first)))
            filled = client.info("memory")["used_memory"]
            taken = []
            for _ in range(_ROUNDS):
                began = time.perf_counter()
                leases = await path.lease(_AT_ONCE)
                taken.append(time.perf_counter() - began)
                assert len(leases) == _AT_ONCE
                await path.acknowledge([lease.key for lease in leases])
                await path.enqueue(path.jobs(_AT_ONCE))
        finally:
            await path.close()
    # A server that others use too has memory of its own affairs.
    own = here.servers.redis_pid is not None
    return Backlog(
        ready=ready,
        lease_us=round(statistics.median(taken) / _AT_ONCE * 1e6, 2),
        redis_bytes=round((filled - empty) / ready, 1) if own else None,
    )
