"""What a limit that is reached costs those whom it does not limit: `python -m bench.peers --limits`."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from typing import TYPE_CHECKING, Any, Final

import redis

from bench.cost import cost
from bench.machine import sync_us
from bench.peers.environment import CannotRunError, versions
from bench.peers.measure import Contest
from tenure.bench import sink
from tenure.bench.errors import NotAsPromised

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.peers.catalogue import Peer
    from bench.servers import Servers

# What is set, and how many jobs are under the limit: one runs, all others wait.
CASES: Final = ("unlimited", "alone", "beside")
_LOOK: Final = 0.02
# A peer that is so much slower than it was alone is measured by what it did within the time.
_LONGER: Final = 4


class Ceiling(Contest):
    """A peer's drain of jobs without a limit, alone and beside others that wait for one."""

    _limited = False

    def measure(self, waiting: int, rounds: int) -> dict[str, Any]:
        """Jobs a second in each case, the medians of some rounds in which the cases take turns, and `ratio`: beside as
        many jobs as wait, to alone; the median of the rounds' own. `cpu`: microseconds of worker, PostgreSQL and Redis
        together for a job, which tell the same where others use the machine too.

        Raises:
            CannotRunError: the peer has not done what it was asked for.
            NotAsPromised: more than one job under the limit ran, or a job ran twice.
        """
        jobs = self._calibrated()
        held = {"unlimited": 0, "alone": 1, "beside": 1 + waiting}
        rates: dict[str, list[float]] = {case: [] for case in CASES}
        used: dict[str, list[float]] = {case: [] for case in CASES}
        for turn in range(rounds):
            for case in CASES[:: 1 if turn % 2 == 0 else -1]:
                per_second, cpu_us = self._drained(jobs, held[case])
                rates[case].append(per_second)
                used[case].append(cpu_us)
        ratios = [beside / alone for beside, alone in zip(rates["beside"], rates["alone"], strict=True)]
        return {
            "jobs": jobs,
            "waiting": waiting,
            **{case: round(statistics.median(rates[case]), 1) for case in CASES},
            "ratio": round(statistics.median(ratios), 3),
            "ratios": [round(one, 3) for one in sorted(ratios)],
            "cpu": {case: round(statistics.median(used[case]), 1) for case in CASES},
        }

    def _drained(self, jobs: int, held: int) -> tuple[float, float]:
        """Jobs a second, from the first to the last start within the time, while `held` are under a limit of one; and
        microseconds of CPU for each.
        """
        self._limited = held > 0
        with self._fresh():
            if held:
                # First, so that they stand before all others, as those do that a limit has held up for long.
                self._drive("limited", held, jobs)
            self._drive("preload", jobs)
            asyncio.run(self._execute("VACUUM ANALYZE", "CHECKPOINT"))
            self._rewrite_log()
            with self._working(1) as pids:
                self._await(1)
                begun, earlier = sink.count(self._sink), cost(self._servers, pids)
                self._await_most(jobs + self._limited)
                later, used = sink.count(self._sink), cost(self._servers, pids) - earlier
            marks = sink.marks(self._sink)
        holders = [mark for mark in marks if mark.number >= jobs]
        others = [mark for mark in marks if mark.number < jobs]
        if len({mark.number for mark in others}) < len(others) or len(holders) > 1:
            raise NotAsPromised(f"jobs ran twice, or beside each other under a limit of one: {len(holders)}")
        if len(others) < 2 or (held and (not holders or holders[0].started > others[len(others) // 10].started)):
            raise CannotRunError("the limit was not reached while the others ran")
        per_second = (len(others) - 1) / max(others[-1].started - others[0].started, 1e-6)
        seconds = used.workers + (used.postgres or 0.0) + (used.redis or 0.0)
        return per_second, seconds * 1e6 / max(1, later - begun)

    def _rewrite_log(self) -> None:
        """Have Redis write its log anew, as it would by itself when that has grown: with more jobs waiting it would do
        so while others are drained.
        """
        with redis.Redis.from_url(self._servers.redis_url) as client:
            client.bgrewriteaof()
            while any(client.info("persistence")[f"aof_rewrite_{state}"] for state in ("scheduled", "in_progress")):
                time.sleep(_LOOK)

    def _await_most(self, jobs: int) -> None:
        """Wait until so many have started, or the time is over."""
        give_up = time.monotonic() + _LONGER * self._seconds
        while sink.count(self._sink) < jobs and time.monotonic() < give_up:
            time.sleep(_LOOK)

    def _environment(self) -> dict[str, str]:
        return {**super()._environment(), "PEER_LIMITED": "1" if self._limited else ""}


def ceiling(
    peer: Peer, started_by: Sequence[str] | CannotRunError, running: Servers, seconds: float, waiting: int, rounds: int
) -> dict[str, Any]:
    """A peer's line of the table; one that cannot be had says why."""
    found: dict[str, Any] = {"name": peer.name, "title": peer.title, "limit": peer.limit, "settings": peer.settings}
    found |= {"concurrency": peer.concurrency, "versions": versions(peer)}
    if isinstance(started_by, CannotRunError):
        return {**found, "failed": str(started_by)}
    found["before"] = {"load": round(os.getloadavg()[0], 1), "sync_us": sync_us()}
    try:
        return {**found, **Ceiling(peer, [*started_by], running, seconds, every_rate=True).measure(waiting, rounds)}
    except (CannotRunError, NotAsPromised) as error:
        return {**found, "failed": str(error)}
