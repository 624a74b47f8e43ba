"""CPU seconds and memory of the processes that take part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bench.servers import Servers

_ENOUGH: Final = 5000  # jobs; the system counts CPU in steps of 10 ms


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU seconds by party; None where the servers are somewhere else."""

    workers: float
    postgres: float | None
    redis: float | None

    def __sub__(self, earlier: Cost) -> Cost:
        """What was used in between."""
        return Cost(
            self.workers - earlier.workers,
            _less(self.postgres, earlier.postgres),
            _less(self.redis, earlier.redis),
        )

    def per(self, count: int) -> dict[str, float | None]:
        """Microseconds for each of `count` jobs."""
        shares = {"worker_us": self.workers, "postgres_us": self.postgres, "redis_us": self.redis}
        return {name: None if share is None else round(share / count * 1e6, 1) for name, share in shares.items()}


class CpuMeter:
    """Microseconds of CPU for each job of a drain, by party."""

    def __init__(self, servers: Servers) -> None:
        """Prepare."""
        self._servers = servers
        self._workers: Sequence[int] = ()
        self._earlier: Cost | None = None

    def start(self, workers: Sequence[int]) -> None:
        """Count from here."""
        self._workers = workers
        self._earlier = cost(self._servers, workers)

    def stop(self, jobs: int) -> dict[str, float | None]:
        """What was used since; nothing where too few jobs were left to tell."""
        if self._earlier is None or jobs < _ENOUGH:
            return {}
        return (cost(self._servers, self._workers) - self._earlier).per(jobs)


def cost(servers: Servers, workers: Iterable[int] = ()) -> Cost:
    """CPU seconds used so far."""
    return Cost(
        sum(_cpu_seconds(pid) for pid in workers),
        None if servers.postgres_pid is None else _cpu_seconds(servers.postgres_pid),
        None if servers.redis_pid is None else _cpu_seconds(servers.redis_pid),
    )


def resident_mb(pid: int) -> float:
    """Resident memory of one process in megabytes (10^6 bytes)."""
    return float(psutil.Process(pid).memory_info().rss) / 1e6


def _cpu_seconds(pid: int) -> float:
    """Of a process, its living children, and those that have ended (PostgreSQL's closed connections)."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
        ended = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    total = float(getattr(ended, "children_user", 0.0) + getattr(ended, "children_system", 0.0))
    for member in family:
        try:
            times = member.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


def _less(now: float | None, earlier: float | None) -> float | None:
    return None if now is None or earlier is None else now - earlier
