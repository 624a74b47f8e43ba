"""Recording the starts of leases: PostgreSQL raises the fence, or says that somebody else has."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from typing import TYPE_CHECKING, Final

from tenure._coalesce import Coalescer
from tenure._deadline import Deadline
from tenure._engine import new_ids
from tenure.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tenure._attempt import Attempt
    from tenure._database import Database, Row

logger = logging.getLogger("tenure.start")

_MOST: Final = 500
_IN_FLIGHT: Final = 2
# Seconds between the beginnings of two batches: a commit for one job costs nearly as much as one for ten.
_PACE: Final = 0.001


class Starter:
    """Records starts in batches. A lease that PostgreSQL could not confirm within its trust is not run."""

    def __init__(
        self, database: Database, worker_id: str, trust: float, on_asked: Callable[[list[Attempt]], None]
    ) -> None:
        """Prepare.

        Args:
            database: must be open when the first lease comes.
            worker_id: recorded with every start.
            trust: seconds for which a confirmation may be awaited.
            on_asked: given each batch when its answer is there: `recorded` says which starts are in PostgreSQL.
        """
        self._database = database
        self._worker_id = worker_id
        self._trust = trust
        self._on_asked = on_asked
        self._attempts: Coalescer[Attempt] = Coalescer(self._flush, most=_MOST, in_flight=_IN_FLIGHT, pace=_PACE)

    def record(self, attempts: list[Attempt]) -> None:
        """Record the starts of these attempts."""
        self._attempts.extend(attempts)

    async def _flush(self, batch: list[Attempt]) -> None:
        try:
            await self._confirm(batch)
        except Exception:
            logger.exception("starts were not recorded, the rescuer will take the leases back: %d", len(batch))
        for attempt in batch:
            if attempt.recording is not None and not attempt.recording.done():
                attempt.recording.set_result(attempt.recorded)
        self._on_asked(batch)

    async def _confirm(self, batch: list[Attempt]) -> None:
        leases = [attempt.lease for attempt in batch]
        job_ids = [lease.job_id for lease in leases]
        fences = [lease.fence for lease in leases]
        # The same at every try: they tell which start was this one.
        execution_ids = new_ids(len(leases))
        give_up = time.monotonic() + self._trust
        pause = 0.02
        uncertain = False
        while True:
            try:
                asked = time.monotonic()
                found = _note(batch, await self._ask("start", job_ids, fences, execution_ids, self._worker_id), asked)
                if uncertain and found < len(batch):
                    _note(batch, await self._ask("start_outcomes", job_ids, fences, execution_ids), asked)
            except StoreUnavailable as error:
                uncertain = True
                if time.monotonic() + pause > give_up:
                    raise
                logger.warning("postgresql is away, starts wait: %d: %s", len(leases), error)
                await asyncio.sleep(random.uniform(pause / 2, pause))  # noqa: S311 - not a secret
                pause = min(pause * 2, 1.0)
            else:
                return

    async def _ask(self, name: str, *arguments: Sequence[object]) -> Row:
        [row] = await self._database.fetch(name, *arguments)
        return row


def _note(batch: list[Attempt], row: Row, asked: float) -> int:
    """Note which starts are recorded, by the places (from 1) that the statement found; how many."""
    places: list[int] = row["places"] or []
    for place in places:
        batch[place - 1].recorded = True
    for place, at in zip(places, row["deadlines"] or (), strict=False):
        if at is not None:
            # By the monotonic clock, from the start of the request: no wall clock of this machine's is asked.
            batch[place - 1].deadline = Deadline(at, asked + (at - row["now"]).total_seconds())
    return len(places)
