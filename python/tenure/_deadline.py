"""When a job must have ended, for the worker that runs it."""

from __future__ import annotations

import time
from datetime import datetime  # noqa: TC003 - msgspec reads the annotations

import msgspec


class Deadline(msgspec.Struct, frozen=True):
    """A point in time as PostgreSQL has it, and by this process's monotonic clock."""

    at: datetime
    monotonic: float

    @property
    def remaining(self) -> float:
        """Seconds; not below zero."""
        return max(0.0, self.monotonic - time.monotonic())


def shortest_ms(timeout_ms: int, deadline: Deadline | None) -> int:
    """For how long an attempt may run: its timeout (0: none), or until the deadline if that is sooner."""
    if deadline is None:
        return timeout_ms
    left = max(1, round(deadline.remaining * 1000))
    return min(timeout_ms, left) if timeout_ms else left
