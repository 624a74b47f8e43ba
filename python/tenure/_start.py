"""Recording the starts of leases: PostgreSQL raises the fence, or says that somebody else has."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from typing import TYPE_CHECKING, Final

from tenure._coalesce import Coalescer
from tenure._engine import new_ids
from tenure.errors import StoreUnavailable

if TYPE_CHECKING:
    from tenure._database import Database
    from tenure._engine import Lease

logger = logging.getLogger("tenure.start")

_MOST: Final = 500
_IN_FLIGHT: Final = 2


class Starter:
    """Records starts in batches. A lease that PostgreSQL could not confirm within its trust is not run."""

    def __init__(self, database: Database, worker_id: str, trust: float) -> None:
        """Prepare.

        Args:
            database: must be open when the first lease comes.
            worker_id: recorded with every start.
            trust: seconds for which a confirmation may be awaited.
        """
        self._database = database
        self._worker_id = worker_id
        self._trust = trust
        self._leases: Coalescer[tuple[Lease, asyncio.Future[bool]]] = Coalescer(
            self._flush, most=_MOST, in_flight=_IN_FLIGHT
        )

    def record(self, lease: Lease) -> asyncio.Future[bool]:
        """Whether the start is recorded; False: it must not run."""
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._leases.add((lease, done))
        return done

    async def _flush(self, batch: list[tuple[Lease, asyncio.Future[bool]]]) -> None:
        confirmed: set[tuple[str, int]] = set()
        try:
            confirmed = await self._confirmed([lease for lease, _ in batch])
        except Exception:
            logger.exception("starts were not recorded, the rescuer will take the leases back: %d", len(batch))
        for lease, done in batch:
            if not done.done():
                done.set_result((lease.job_id, lease.fence) in confirmed)

    async def _confirmed(self, leases: list[Lease]) -> set[tuple[str, int]]:
        job_ids = [lease.job_id for lease in leases]
        fences = [lease.fence for lease in leases]
        confirmed: set[tuple[str, int]] = set()
        give_up = time.monotonic() + self._trust
        pause = 0.02
        uncertain = False
        while True:
            try:
                rows = await self._database.fetch("start", job_ids, fences, new_ids(len(leases)), self._worker_id)
                confirmed.update((str(row["job_id"]), row["fence"]) for row in rows)
                if uncertain and len(confirmed) < len(leases):
                    rows = await self._database.fetch("start_outcomes", job_ids, fences, self._worker_id)
                    confirmed.update((str(row["job_id"]), row["fence"]) for row in rows)
            except StoreUnavailable as error:
                uncertain = True
                if time.monotonic() + pause > give_up:
                    raise
                logger.warning("postgresql is away, starts wait: %d: %s", len(leases), error)
                await asyncio.sleep(random.uniform(pause / 2, pause))  # noqa: S311 - not a secret
                pause = min(pause * 2, 1.0)
            else:
                return confirmed
