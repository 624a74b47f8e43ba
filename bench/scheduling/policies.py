"""Under which order jobs are taken: what the queue is told, and what goes with each job."""

from __future__ import annotations

import statistics
from bisect import bisect_left
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.scheduling.traces import Arrival

# A job should be over by this many times what its user asked for, after it came.
SLACK: Final = 3.0
_COSTS: Final = (1, 10**9)  # in thousandths: up to eleven days, and what asks for more counts as that


class Order(StrEnum):
    """What the tables and the picture call each order; *foreseen*: told how long each job will take."""

    FIRST_IN = "first in, first out"
    PRIORITY = "priority"
    AGEING = "ageing"
    DEADLINE = "earliest deadline"
    SHORTEST = "shortest predicted"
    SHORTEST_FORESEEN = "shortest, foreseen"
    FAIR = "fair share"
    FAIR_BY_JOBS = "fair share by jobs"
    FAIR_FORESEEN = "fair share, foreseen"


@dataclass(frozen=True, slots=True)
class Policy:
    """One way to order a queue.

    Attributes:
        name: as the table has it.
        fields: what the queue's policy is, given the trace.
        options: what a job's descriptor has beside the usual, given the job, its class (1 to 5) and the prediction.
    """

    name: Order
    fields: Callable[[Sequence[Arrival]], dict[str, str]]
    options: Callable[[Arrival, int, float], dict[str, Any]]


class Predictor:
    """How long a user's next job takes: the mean of the last two that have ended, and what was asked for before that
    (Tsafrir, Etsion and Feitelson, "Backfilling using system-generated predictions rather than user runtime
    estimates", 2007).
    """

    def __init__(self) -> None:
        """Know nothing."""
        self._last: dict[str, list[float]] = {}

    def ended(self, job: Arrival) -> None:
        """Learn from a job that is over."""
        self._last[job.user] = [*self._last.get(job.user, []), job.run_s][-2:]

    def predict(self, job: Arrival) -> float:
        """Seconds."""
        known = self._last.get(job.user)
        return min(statistics.fmean(known), job.asked_s) if known else job.asked_s


def classes(jobs: Sequence[Arrival]) -> list[int]:
    """Each job's priority: fifths by what was asked for, the shortest highest, as sites' short and long queues are."""
    asked = sorted(job.asked_s for job in jobs)
    return [5 - min(4, bisect_left(asked, job.asked_s) * 5 // len(asked)) for job in jobs]


def _ageing_ms(jobs: Sequence[Arrival]) -> int:
    """A level of priority for each mean length that a job has waited."""
    return max(1, round(statistics.fmean(job.run_s for job in jobs) * 1000))


def _cost(seconds: float) -> int:
    cost = min(max(round(seconds * 1000), _COSTS[0]), _COSTS[1])
    # a cost of 1, the default, is none that was given
    return cost + 1 if cost == 1000 else cost


POLICIES: Final = (
    Policy(Order.FIRST_IN, lambda _: {}, lambda *_: {}),
    Policy(Order.PRIORITY, lambda _: {}, lambda _job, level, _p: {"priority": level}),
    Policy(
        Order.AGEING,
        lambda jobs: {"order": "ageing", "ageing_ms": str(_ageing_ms(jobs))},
        lambda _job, level, _p: {"priority": level},
    ),
    Policy(
        Order.DEADLINE,
        lambda _: {"order": "deadline"},
        lambda job, *_: {"deadline_ms": 1_700_000_000_000 + round((job.at_s + SLACK * job.asked_s) * 1000)},
    ),
    Policy(
        Order.SHORTEST,
        lambda _: {"order": "shortest", "shortest_factor": "10"},
        lambda _job, _level, predicted: {"cost": _cost(predicted)},
    ),
    Policy(
        Order.SHORTEST_FORESEEN,
        lambda _: {"order": "shortest", "shortest_factor": "10"},
        lambda job, *_: {"cost": _cost(job.run_s)},
    ),
    Policy(
        Order.FAIR,
        lambda _: {"fair": "jobs"},
        lambda job, _level, predicted: {"tenant": f"user-{job.user}", "cost": _cost(predicted)},
    ),
    Policy(Order.FAIR_BY_JOBS, lambda _: {"fair": "jobs"}, lambda job, *_: {"tenant": f"user-{job.user}"}),
    Policy(
        Order.FAIR_FORESEEN,
        lambda _: {"fair": "jobs"},
        lambda job, *_: {"tenant": f"user-{job.user}", "cost": _cost(job.run_s)},
    ),
)
