"""Figures of a replay: waits, slowdowns, utilisation, fairness."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bench.scheduling.policies import POLICIES
from bench.scheduling.replay import replay
from bench.scheduling.traces import load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.scheduling.replay import Run
    from bench.scheduling.traces import Arrival
    from bench.space import Space

# As many machines as would be busy for this part of the time if the work came evenly. It does not.
_LOAD: Final = 0.9
_SHORT_S: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """One trace under one order.

    Attributes:
        wait_p50_s, wait_p99_s, wait_max_s: from arrival to start.
        low_wait_max_s: the longest of the lowest class of priority.
        slowdown_mean, slowdown_p99: times its own length that a job took; what is shorter than ten seconds, or
            than half of the trace's jobs are, counts as that.
        utilisation_percent: of the machines, from the first arrival to the last end.
        jain: of the users' mean slowdowns; 1 where all are the same (Jain, Chiu and Hawe, 1984).
        light_wait_p99_s: of the jobs of those users who together asked for a tenth of the work.
        late_percent: of the jobs, past their deadline of three times what was asked for.
    """

    name: str
    policy: str
    jobs: int
    machines: int
    wait_p50_s: float
    wait_p99_s: float
    wait_max_s: float
    low_wait_max_s: float
    slowdown_mean: float
    slowdown_p99: float
    utilisation_percent: float
    jain: float
    light_wait_p99_s: float
    late_percent: float


async def scheduling(here: Space, trace: str, most: int) -> list[Evaluation]:
    """A trace under every order; nothing where there is no record of it."""
    try:
        jobs = load(trace, most)
    except FileNotFoundError:
        return []
    machines = machines_for(jobs)
    return [figures(trace, one.name, await replay(here, jobs, one, machines), machines) for one in POLICIES]


def machines_for(jobs: Sequence[Arrival]) -> int:
    """Enough for the work, hardly."""
    span = jobs[-1].at_s - jobs[0].at_s
    return max(1, math.ceil(sum(job.run_s for job in jobs) / span / _LOAD))


def figures(trace: str, policy: str, runs: Sequence[Run], machines: int) -> Evaluation:
    """What the runs come to."""
    waits = sorted(run.wait_s for run in runs)
    least = min(_SHORT_S, statistics.median(run.job.run_s for run in runs))
    slowdowns = sorted(run.slowdown(least) for run in runs)
    end = max(run.started_s + run.job.run_s for run in runs)
    work = sum(run.job.run_s for run in runs)
    return Evaluation(
        name=trace,
        policy=policy,
        jobs=len(runs),
        machines=machines,
        wait_p50_s=round(at(waits, 0.5), 1),
        wait_p99_s=round(at(waits, 0.99), 1),
        wait_max_s=round(waits[-1], 1),
        low_wait_max_s=round(max((run.wait_s for run in runs if run.level == 1), default=0.0), 1),
        slowdown_mean=round(statistics.fmean(slowdowns), 2),
        slowdown_p99=round(at(slowdowns, 0.99), 1),
        utilisation_percent=round(100 * work / machines / end, 1),
        jain=round(jain(_by_user(runs, least)), 3),
        light_wait_p99_s=round(at(sorted(run.wait_s for run in _light(runs)), 0.99), 1),
        late_percent=round(100 * sum(run.late for run in runs) / len(runs), 2),
    )


def at(ordered: Sequence[float], share: float) -> float:
    """The value below which that share lies."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def jain(values: Sequence[float]) -> float:
    """Jain's index: 1 where all are equal, one part of their number where one has everything."""
    return sum(values) ** 2 / (len(values) * sum(value**2 for value in values))


def _by_user(runs: Sequence[Run], least: float) -> list[float]:
    slowdowns: dict[str, list[float]] = defaultdict(list)
    for run in runs:
        slowdowns[run.job.user].append(run.slowdown(least))
    return [statistics.fmean(values) for values in slowdowns.values()]


def _light(runs: Sequence[Run]) -> list[Run]:
    """The runs of the smallest users, up to a tenth of all work; those of the smallest where it has more than that."""
    work: dict[str, float] = defaultdict(float)
    for run in runs:
        work[run.job.user] += run.job.run_s
    left = sum(work.values()) / 10
    users = sorted(work, key=work.__getitem__)
    light = {users[0]}
    for user in users:
        left -= work[user]
        if left < 0:
            break
        light.add(user)
    return [run for run in runs if run.job.user in light]
