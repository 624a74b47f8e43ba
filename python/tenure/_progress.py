"""Progress and guards: what a running handler writes through its context, always behind the fence."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from tenure._coalesce import Coalescer
from tenure.errors import LeaseLost

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenure._attempt import Attempt
    from tenure._database import Database
    from tenure._engine import Lease
    from tenure._start import Starter

_MOST: Final = 500


class ContextReporter:
    """The `Reporter` of every context of one worker."""

    def __init__(self, database: Database, attempt_of: Callable[[str, int], Attempt | None], starter: Starter) -> None:
        """Prepare.

        Args:
            database: must be open when the first handler reports.
            attempt_of: finds a running attempt by job id and fence.
            starter: a handler that writes under its fence needs a recorded start.
        """
        self._database = database
        self._attempt_of = attempt_of
        self._starter = starter
        self._reports: Coalescer[tuple[Lease, float, str | None, asyncio.Future[None]]] = Coalescer(
            self._flush, most=_MOST, in_flight=1
        )

    async def progress(self, lease: Lease, fraction: float, note: str | None) -> None:
        """Record progress together with whatever else is being reported right now."""
        await self._ensure_recorded(lease)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._reports.add((lease, fraction, note, done))
        await done

    async def guard(self, lease: Lease, connection: Any) -> None:
        """Lock the job's row in the caller's transaction if its fence is still the lease's."""
        await self._ensure_recorded(lease)
        if not await self._database.fetch("guard", lease.job_id, lease.fence, connection=connection):
            self._lose(lease)
            raise LeaseLost(lease.job_id, lease.fence, "guard refused")

    async def _ensure_recorded(self, lease: Lease) -> None:
        attempt = self._attempt_of(lease.job_id, lease.fence)
        if attempt is None or attempt.stop == "lost":
            raise LeaseLost(lease.job_id, lease.fence, "the attempt is over")
        if not await attempt.ensure_recorded(self._starter):
            raise LeaseLost(lease.job_id, lease.fence, "its start was refused")

    def _lose(self, lease: Lease) -> None:
        attempt = self._attempt_of(lease.job_id, lease.fence)
        if attempt is not None:
            # The handler first sees LeaseLost where it asked, and is cancelled at its next await.
            asyncio.get_running_loop().call_soon(attempt.cancel, "lost")

    async def _flush(self, batch: list[tuple[Lease, float, str | None, asyncio.Future[None]]]) -> None:
        # The last report of a job stands for the earlier ones of the same batch.
        latest = {(lease.job_id, lease.fence): (fraction, note) for lease, fraction, note, _ in batch}
        try:
            rows = await self._database.fetch(
                "progress",
                [job_id for job_id, _ in latest],
                [fence for _, fence in latest],
                [fraction for fraction, _ in latest.values()],
                [note for _, note in latest.values()],
            )
        except Exception as error:  # noqa: BLE001 - every handler of the batch is told
            for *_, done in batch:
                if not done.done():
                    done.set_exception(error)
            return
        alive = {(str(row["job_id"]), row["fence"]) for row in rows}
        for lease, _, _, done in batch:
            if done.done():
                continue
            if (lease.job_id, lease.fence) in alive:
                done.set_result(None)
            else:
                done.set_exception(LeaseLost(lease.job_id, lease.fence, "progress refused"))
                self._lose(lease)
