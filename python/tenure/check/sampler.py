"""Looks at both stores while the faults go on, each look at one instant of one store."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Final

import msgspec

from tenure.errors import StoreUnavailable

if TYPE_CHECKING:
    from tenure.check._redis import QueueSample
    from tenure.check.history import History
    from tenure.check.stage import Stage

_EVERY: Final = 0.5
_LONG_RUN: Final = 4.0  # of a run's later looks, whose counts grow with its history


class Count(msgspec.Struct, frozen=True, kw_only=True):
    """One snapshot of PostgreSQL: jobs ever inserted, jobs by state, and what the trigger's changes amount to; between
    two events of the history.
    """

    first_event: int
    last_event: int
    inserted: int
    counted: dict[str, int]
    witnessed: dict[str, int]


class Samples(msgspec.Struct, kw_only=True):
    """Everything that was seen."""

    queues: list[tuple[int, QueueSample]]  # monotonic ns, and what was there
    counts: list[Count]


class Sampler:
    """Takes samples.

    Told to stop by an event, not by a cancellation: in a store's client one may come too late to be heard.
    """

    def __init__(self, stage: Stage, history: History) -> None:
        """Prepare."""
        self._stage = stage
        self._history = history
        self.samples: Final = Samples(queues=[], counts=[])

    async def run(self, stop: asyncio.Event) -> None:
        """Look, rest, look again until told to stop; a store that is away is looked at later."""
        while not stop.is_set():
            began = time.monotonic()
            with contextlib.suppress(StoreUnavailable):
                await self.look()
            cost = time.monotonic() - began
            # Never more than a tenth of the time: the checker must not be the load.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), min(_LONG_RUN, max(_EVERY, cost * 10)))

    async def look(self) -> None:
        """One look at each store."""
        moment = time.monotonic_ns()
        self.samples.queues += [(moment, one) for one in await self._stage.redis.sample()]
        first = len(self._history.events)
        rows = await self._stage.database.fetch("check_count")
        self.samples.counts.append(
            Count(
                first_event=first,
                last_event=len(self._history.events),
                inserted=rows[0]["inserted"] if rows else 0,
                counted={row["status"]: row["counted"] for row in rows},
                witnessed={row["status"]: row["witnessed"] for row in rows},
            )
        )
