"""Suspicion: how unlikely a worker's silence is, judged by how regularly it was heard of until then."""

from __future__ import annotations

import math
from collections import deque
from statistics import NormalDist
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

THRESHOLD: Final = 8.0  # of phi: a silence this long comes by chance once in 10^8 beats
PAUSE_MS: Final = 2000  # that a process may stand still, or a network hold a beat back, without being given up
WINDOW: Final = 60
_LEAST_DEVIATION: Final = 0.1  # of the mean; a machine keeps time to the millisecond until it does not
_PRIOR: Final = 0.25  # deviation, as a part of the interval, that is taken for granted before anything was measured
_MOST: Final = 300.0  # phi beyond which a float cannot tell


class Rhythm:
    """One worker's beats: the latest intervals between them, and the longest silence that they explain.

    Attributes:
        heard_ms: the latest beat.
        limit_ms: a silence longer than this has a phi above the threshold.
    """

    __slots__ = ("_intervals", "_squares", "_sum", "_z", "heard_ms", "limit_ms")

    def __init__(self, heard_ms: int, every_ms: int, z: float) -> None:
        self.heard_ms = heard_ms
        self._z = z
        spread = every_ms * _PRIOR
        self._intervals = deque((round(every_ms - spread), round(every_ms + spread)), WINDOW)
        self._sum = sum(self._intervals)
        self._squares = sum(one * one for one in self._intervals)
        self.limit_ms = self._limit()

    def hear(self, heard_ms: int) -> None:
        """Another beat."""
        # One silence of an hour shall not excuse the next one: it counts as twice what was to be expected.
        interval = min(heard_ms - self.heard_ms, round(2 * self.limit_ms + PAUSE_MS))
        if len(self._intervals) == WINDOW:
            oldest = self._intervals[0]
            self._sum -= oldest
            self._squares -= oldest * oldest
        self._intervals.append(interval)
        self._sum += interval
        self._squares += interval * interval
        self.heard_ms = heard_ms
        self.limit_ms = self._limit()

    @property
    def mean_ms(self) -> float:
        """Of the latest intervals."""
        return self._sum / len(self._intervals)

    @property
    def deviation_ms(self) -> float:
        """Of the latest intervals, and not less than a tenth of their mean."""
        count = len(self._intervals)
        # Whole numbers: nothing is lost by taking away what was added.
        variance = (count * self._squares - self._sum * self._sum) / (count * count)
        return max(math.sqrt(variance), _LEAST_DEVIATION * self.mean_ms, 1.0)

    def phi(self, now_ms: int) -> float:
        """How unlikely the silence until now is: 1 for once in 10 beats, 2 for once in 100; 300 at the most."""
        silence = now_ms - self.heard_ms
        chance = 0.5 * math.erfc((silence - self.mean_ms) / (self.deviation_ms * math.sqrt(2)))
        return min(-math.log10(chance), _MOST) if chance > 0.0 else _MOST

    def _limit(self) -> float:
        return self.mean_ms + self._z * self.deviation_ms


class Detector:
    """Watches any number of workers, by the times at which they were heard of.

    After Hayashibara, Défago, Yared and Katayama, "The phi accrual failure detector" (2004): phi is the negative
    decimal logarithm of the chance that a beat comes later than now, where intervals are normally distributed with the
    mean and the deviation of the latest 60. The limit that belongs to the threshold is computed once a beat, so that a
    look at a silent worker is one comparison.

    All times are one clock's, in ms: Redis', by which arrivals are noted. So how long the way to the observer takes,
    and how late it looks, is no part of anybody's silence.

    It has no tasks and no clock of its own.
    """

    def __init__(self, *, threshold: float = THRESHOLD, pause_ms: int = PAUSE_MS) -> None:
        """Watch nobody yet.

        Args:
            threshold: of phi, above which a worker is suspected. Defaults to 8.
            pause_ms: how much longer a suspected worker may be silent before it counts as dead; its mean interval,
                where that is longer. Defaults to 2000.
        """
        self._z: Final = -NormalDist().inv_cdf(10.0**-threshold)
        self._pause_ms: Final = pause_ms
        self._rhythms: dict[str, Rhythm] = {}

    def __contains__(self, worker_id: object) -> bool:
        """Whether it is watched."""
        return worker_id in self._rhythms

    def __len__(self) -> int:
        """How many are watched."""
        return len(self._rhythms)

    def meet(self, worker_id: str, heard_ms: int, every_ms: int) -> None:
        """Watch a worker, which says how often it beats: that is believed until it has shown it."""
        self._rhythms[worker_id] = Rhythm(heard_ms, every_ms, self._z)

    def hear(self, worker_id: str, heard_ms: int) -> bool:
        """When a watched worker was heard of last; True if that is news."""
        rhythm = self._rhythms[worker_id]
        if heard_ms <= rhythm.heard_ms:
            return False
        rhythm.hear(heard_ms)
        return True

    def keep(self, worker_ids: Collection[str]) -> None:
        """Forget all others."""
        for gone in self._rhythms.keys() - worker_ids:
            del self._rhythms[gone]

    def look(self, now_ms: int, heard: Iterable[tuple[str, int]]) -> tuple[dict[str, bool], list[tuple[str, int]]]:
        """Take note of when everybody was heard of last; nobody is heard of later than now.

        Returns:
            Those who are late, and whether they count as dead; then what was told of workers that are not watched.
        """
        suspects, strangers = dict[str, bool](), []
        for worker_id, told_ms in heard:
            if worker_id not in self._rhythms:
                strangers.append((worker_id, told_ms))
            elif not self.hear(worker_id, min(told_ms, now_ms)) and self.late(worker_id, now_ms):
                suspects[worker_id] = self.dead(worker_id, now_ms)
        return suspects, strangers

    def late(self, worker_id: str, now_ms: int) -> bool:
        """Whether phi is above the threshold."""
        rhythm = self._rhythms[worker_id]
        return now_ms - rhythm.heard_ms > rhythm.limit_ms

    def dead(self, worker_id: str, now_ms: int) -> bool:
        """Whether it still was above the threshold if the worker had merely paused, or one of its beats were lost."""
        return self.late(worker_id, now_ms - round(max(self._pause_ms, self._rhythms[worker_id].mean_ms)))

    def phi(self, worker_id: str, now_ms: int) -> float:
        """How unlikely its silence is, 0 to 300."""
        return self._rhythms[worker_id].phi(now_ms)
