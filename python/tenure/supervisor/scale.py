"""How many processes a group should have: pure functions of what waits, what runs and what is there.

    fit       = ceil((running + ready) / (slots of a process * utilization))
    wanted    = max(fit, now + 1)   where the oldest ready job has waited longer than `wait_seconds`
              = min(fit, now)       otherwise
    upwards   at once, to twice as many at most, and not again before `up_seconds`
    downwards to the most that was wanted within the latest `quiet_seconds`, when nothing was changed meanwhile

Jobs that wait too long are the only reason for more, room to spare the only one for fewer; between the two lies what
does not move it: a group that is busy to `utilization` lets no job wait, and none shrinks that would be busier then.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Final

from tenure import _validate

_FACTOR: Final = 2  # of growth in one step


@dataclass(frozen=True, kw_only=True)
class Scale:
    """By what load the number of processes follows.

    Attributes:
        wait_seconds: for how long a ready job may wait. Defaults to 2.
        utilization: the share of the slots that may be busy where processes are taken away. Defaults to 0.7.
        up_seconds: between two steps upwards, so that the first shows what it does. Defaults to 10.
        quiet_seconds: for how long fewer must have been enough. Defaults to 120.
        look_seconds: between two looks. Defaults to 2.
    """

    wait_seconds: float = 2.0
    utilization: float = 0.7
    up_seconds: float = 10.0
    quiet_seconds: float = 120.0
    look_seconds: float = 2.0

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        _validate.seconds("wait_seconds", self.wait_seconds, least=0.0, most=86_400.0)
        _validate.seconds("up_seconds", self.up_seconds, most=86_400.0)
        _validate.seconds("quiet_seconds", self.quiet_seconds, most=86_400.0)
        _validate.seconds("look_seconds", self.look_seconds, least=0.1, most=3600.0)
        _validate.share("utilization", self.utilization)


@dataclass(frozen=True)
class Load:
    """What there is to do.

    Attributes:
        ready: jobs that wait for a worker.
        running: jobs that are leased.
        oldest_seconds: how long the oldest ready job has waited; 0 where there is none.
    """

    ready: int = 0
    running: int = 0
    oldest_seconds: float = 0.0

    def __add__(self, other: Load) -> Load:
        """Of several queues together."""
        return Load(
            self.ready + other.ready,
            self.running + other.running,
            max(self.oldest_seconds, other.oldest_seconds),
        )

    def part(self, share: float) -> Load:
        """What falls to one of several, rounded up."""
        return Load(math.ceil(self.ready * share), math.ceil(self.running * share), self.oldest_seconds)


def wanted(load: Load, now: int, slots: int, scale: Scale) -> int:
    """How many processes this load wants where there are `now`, with `slots` each; unbounded. Rises with the load."""
    fit = math.ceil((load.running + load.ready) / (slots * scale.utilization))
    if load.ready and load.oldest_seconds > scale.wait_seconds:
        return max(fit, now + 1)
    return min(fit, now)


class Scaler:
    """One group's number of processes over time."""

    def __init__(self, scale: Scale, slots: int, least: int, most: int) -> None:
        """Nothing seen yet.

        Args:
            scale: how the number follows the load.
            slots: jobs that a process runs at a time.
            least: what the answer is at least.
            most: what it is at most.
        """
        self._scale = scale
        self._slots = slots
        self._least, self._most = least, most
        self._seen: deque[tuple[float, int]] = deque()
        self._raised = -math.inf
        self._changed: float | None = None

    def desired(self, load: Load, now: int, at: float) -> int:
        """How many there should be from `at` on, seconds of a clock that only rises, where there are `now`."""
        now = self._bounded(now)
        return self._decide(self._bounded(wanted(load, now, self._slots, self._scale)), now, at)

    def _bounded(self, number: int) -> int:
        return min(max(number, self._least), self._most)

    def _decide(self, want: int, now: int, at: float) -> int:
        if self._changed is None:
            self._changed = at
        self._seen.append((at, want))
        while self._seen[0][0] < at - self._scale.quiet_seconds:
            self._seen.popleft()
        if want > now:
            if at < self._raised + self._scale.up_seconds:
                return now
            self._raised = self._changed = at
            return min(want, max(1, _FACTOR * now))
        most = max(seen for _, seen in self._seen)
        if most < now and at >= self._changed + self._scale.quiet_seconds:
            self._changed = at
            return most
        return now
