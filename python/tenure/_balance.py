"""How much a worker asks for: for how many of its slots, and how many leases may wait in it for their turn."""

from __future__ import annotations

import math
import time
from collections import deque
from typing import Final

from tenure._samples import DEGRADED

# Seconds of its own work that a worker takes ahead. Less would starve one whose handlers hold the event loop for some
# milliseconds each: a lease and its start take six turns of the loop.
AHEAD: Final = 0.1
# Below this score a worker takes no less: where all workers fail because what they depend on is away, the fleet goes on
# at a fifth of its width, and so finds out when it is back.
_LEAST_SCORE: Final = 10
_FIRST: Final = 64
_MOST: Final = 10_000


def share(capacity: int, score: int) -> int:
    """Slots of `capacity` that a worker of this score (0 to 100) takes jobs for, at least 1.

    All of them unless it is degraded; below that in proportion to the score, down to a fifth.
    """
    if score >= DEGRADED:
        return capacity
    return min(capacity, max(1, math.ceil(capacity * max(score, _LEAST_SCORE) / DEGRADED)))


class Hold:
    """How many leases may wait in this process for their turn: about as many as it begins within `AHEAD` seconds.

    A slot is no promise: a handler that never waits, or computes, holds the event loop, and all others wait for it. So
    each batch that was handed over to run is timed until the loop turns again after the beginning of its last: what
    took longer than `AHEAD` narrows the window at once, to what would have fitted; what fits widens it, to twice its
    width at most, so that one batch of short jobs among long ones does not throw it open. A window of 1 is a worker
    that takes a job when it can run it.
    """

    def __init__(self) -> None:
        """A modest window, until the first batch has begun."""
        self._most = float(_FIRST)
        self._handed = 0
        # Counted up by whoever begins one: a call each would show in the cost of an empty job. Once as many have begun
        # as are `due`, the oldest batch has, and `timed` is to be called when the loop turns again.
        self.begun = 0
        self.due = 0
        # Of each batch that has not begun: how many will have begun when it has, and did when it came; and when.
        self._marks: deque[tuple[int, int, float]] = deque()

    @property
    def most(self) -> int:
        """Leases that may wait."""
        return int(self._most)

    def handed(self, count: int, now: float) -> None:
        """So many more are about to run, behind those that are already."""
        self._handed += count
        self._marks.append((self._handed, self.begun, now))
        self.due = self._marks[0][0]

    def timed(self) -> None:
        """The loop has turned since the last of a batch began."""
        now = time.monotonic()
        while self._marks and self.begun >= self._marks[0][0]:
            target, begun, since = self._marks.popleft()
            self.learn(target - begun, now - since)
        self.due = self._marks[0][0] if self._marks else 0

    def withdrawn(self, now: float) -> None:
        """What was handed over and has not begun will not."""
        if self._marks:
            _, begun, since = self._marks[0]
            self.learn(max(1, self.begun - begun), now - since)
            self._marks.clear()
        self._handed = self.begun
        self.due = 0

    def waits_since(self) -> float | None:
        """When what has waited longest was handed over; None where nothing waits."""
        return self._marks[0][2] if self._marks else None

    def learn(self, count: int, seconds: float) -> None:
        """So many began one after the other within so many seconds."""
        fits = count * AHEAD / max(seconds, 1e-6)
        if seconds > AHEAD:
            self._most = max(1.0, min(self._most, fits))
        elif fits > self._most:
            self._most = min(fits, 2 * self._most, float(_MOST))
