"""Recording how attempts ended: commit to PostgreSQL first, acknowledge in Redis second, both in batches."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tenure._coalesce import Coalescer
from tenure._dependencies import release_dependents
from tenure._engine import NoGeneration, new_ids
from tenure.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenure._database import Connection, Database
    from tenure._engine import Engine, Lease
    from tenure._publish import Publisher

logger = logging.getLogger("tenure.settle")

_MOST: Final = 500
_IN_FLIGHT: Final = 2
_LONGEST_PAUSE: Final = 5.0

Key = tuple[str, int]  # job id and fence


@dataclass(slots=True, kw_only=True)
class Ending:
    """How one attempt ended, as the columns of `complete.sql`, `record.sql` and `settle.sql`."""

    lease: Lease
    recorded: bool  # the start is in PostgreSQL
    duration_ms: float
    status: str  # the job's new state
    execution_status: str
    result: bytes | None = None
    result_format: str | None = None
    error: str | None = None
    delay_ms: int = 0
    attempts_back: int = 0
    priority: int | None = None
    reason: str | None = None

    @property
    def key(self) -> Key:
        """The lease it ends."""
        return (self.lease.job_id, self.lease.fence)


class Settler:
    """Settles endings in batches, each guarded by its fence.

    An ending whose fence is no longer the job's changes nothing; `on_lost` is told. PostgreSQL away: the batch is kept
    and sent again, for the leases live on in Redis and nobody can take the jobs without PostgreSQL. Redis away: the
    rescuer finds the job ended and only forgets the lease.
    """

    def __init__(
        self,
        database: Database,
        engine: Engine,
        publisher: Publisher,
        worker_id: str,
        on_lost: Callable[[Lease], None],
        on_settled: Callable[[], None],
    ) -> None:
        """Prepare; the stores must be open when the first ending comes. `on_settled` is told when there is room
        for more.
        """
        self._database = database
        self._engine = engine
        self._publisher = publisher
        self._worker_id = worker_id
        self._on_lost = on_lost
        self._on_settled = on_settled
        self._endings: Coalescer[Ending] = Coalescer(self._flush, most=_MOST, in_flight=_IN_FLIGHT)
        self._unsettled = 0

    def add(self, ending: Ending) -> None:
        """Take one ending into the next batch."""
        self._unsettled += 1
        self._endings.add(ending)

    @property
    def unsettled(self) -> int:
        """Endings taken whose batch is not committed yet."""
        return self._unsettled

    async def drained(self) -> None:
        """Wait until every ending taken so far is settled."""
        await self._endings.drained()

    async def abandon(self) -> None:
        """Give up what is not settled: its leases expire, and the rescuer asks PostgreSQL."""
        await self._endings.abandon()

    async def _flush(self, batch: list[Ending]) -> None:
        try:
            await self._settle(batch)
        except Exception:
            logger.exception("settling failed, the rescuer will take the leases back: %d", len(batch))
        finally:
            self._unsettled -= len(batch)
            self._on_settled()

    async def _settle(self, batch: list[Ending]) -> None:
        uncertain = False
        pause = 0.05
        while True:
            try:
                await self._commit(batch, uncertain=uncertain)
            except StoreUnavailable as error:
                uncertain = True
                logger.warning("postgresql is away, endings wait: %d: %s", len(batch), error)
                await asyncio.sleep(random.uniform(pause / 2, pause))  # noqa: S311 - not a secret
                pause = min(pause * 2, _LONGEST_PAUSE)
            except Exception:
                # One ending that PostgreSQL refuses must not take the others of its batch with it.
                if len(batch) == 1:
                    raise
                logger.exception("a batch was refused, settling its endings one by one: %d", len(batch))
                for ending in batch:
                    await self._settle([ending])
                return
            else:
                return

    async def _commit(self, batch: list[Ending], *, uncertain: bool) -> None:
        settled = await self._apply(batch)
        ready: list[str] = []
        if left := [ending for ending in batch if ending.key not in settled]:
            # Jobs that others depend on, and leases that were lost: few. The transaction lets the release see, with a
            # newer snapshot, dependents that were enqueued while the jobs were being settled.
            parents, ready, cancelled = await self._database.atomically(lambda own: self._apply_parents(left, own))
            settled.update(parents)
            settled.update({(job_id, fence): "CANCELLED" for _, job_id, fence in cancelled})
            await self._publish_cancelled(cancelled)
        if uncertain and len(settled) < len(batch):
            settled.update(await self._outcomes([ending for ending in batch if ending.key not in settled]))
        await self._acknowledge(batch, settled, ready)

    async def _apply_parents(
        self, batch: list[Ending], connection: Connection
    ) -> tuple[dict[Key, str], list[str], list[tuple[str, str, int]]]:
        """Write endings of jobs that others depend on, and what they mean for those."""
        parents = await self._apply(batch, connection)
        ended = [(key[0], status) for key, status in parents.items() if status not in ("PENDING", "SCHEDULED")]
        return parents, *(await release_dependents(self._database, ended, connection))

    async def _apply(self, batch: list[Ending], connection: Connection | None = None) -> dict[Key, str]:
        """Write the endings; the new state of each job that was settled. Without a connection, parents are passed
        over.
        """
        settled: dict[Key, str] = {}
        with_parents = connection is not None
        completed = [ending for ending in batch if ending.status == "COMPLETED"]
        for name, group, last in (
            ("complete", [ending for ending in completed if ending.recorded], ()),
            ("record", [ending for ending in completed if not ending.recorded], (self._worker_id,)),
            ("settle", [ending for ending in batch if ending.status != "COMPLETED"], ()),
        ):
            if group:
                columns = _settle_columns(group) if name == "settle" else _complete_columns(group)
                ids = (new_ids(len(group)),) if name != "complete" else ()
                rows = await self._database.fetch(name, *columns, *ids, *last, with_parents, connection=connection)
                settled.update({(str(row["job_id"]), row["fence"]): row["status"] for row in rows})
        return settled

    async def _outcomes(self, batch: list[Ending]) -> dict[Key, str]:
        """Which of these endings an earlier try, whose answer was lost, has written."""
        rows = await self._database.fetch(
            "outcomes", [ending.lease.job_id for ending in batch], [ending.lease.fence for ending in batch]
        )
        found = {(str(row["job_id"]), row["fence"]): row for row in rows}
        return {
            ending.key: found[ending.key]["job_status"]
            for ending in batch
            if ending.key in found and found[ending.key]["status"] == ending.execution_status
        }

    async def _publish_cancelled(self, cancelled: list[tuple[str, str, int]]) -> None:
        """Tell those who wait for jobs that were cancelled with their parents."""
        by_queue: dict[str, list[Key]] = defaultdict(list)
        for queue, job_id, fence in cancelled:
            by_queue[queue].append((job_id, fence))
        for queue, keys in by_queue.items():
            await self._in_redis(self._engine.acknowledge(queue, keys))

    async def _acknowledge(self, batch: list[Ending], settled: dict[Key, str], ready: list[str]) -> None:
        over: dict[str, list[Key]] = defaultdict(list)
        dead: dict[str, list[Key]] = defaultdict(list)
        again = ready
        for ending in batch:
            status = settled.get(ending.key)
            if status is None:
                self._engine.core.drop([ending.key])
                self._on_lost(ending.lease)
            elif status == "FAILED":
                dead[ending.lease.queue].append(ending.key)
            elif status in ("PENDING", "SCHEDULED"):
                again.append(ending.lease.job_id)
            else:
                over[ending.lease.queue].append(ending.key)
        for queue, keys in over.items():
            await self._in_redis(self._engine.acknowledge(queue, keys))
        for queue, keys in dead.items():
            await self._in_redis(self._engine.bury(queue, keys))
        if again:
            await self._in_redis(self._publisher.requeue_ids(again))

    async def _in_redis(self, call: Any) -> None:
        try:
            await call
        except (NoGeneration, StoreUnavailable) as error:
            # PostgreSQL knows; the rescuer or the rebuild brings Redis after it.
            logger.warning("acknowledgement failed, the rescuer will repeat it: %s", error)


def _complete_columns(group: list[Ending]) -> tuple[list[Any], ...]:
    return (
        [ending.lease.job_id for ending in group],
        [ending.lease.fence for ending in group],
        [ending.result for ending in group],
        [ending.result_format for ending in group],
        [ending.duration_ms for ending in group],
    )


def _settle_columns(group: list[Ending]) -> tuple[list[Any], ...]:
    return (
        [ending.lease.job_id for ending in group],
        [ending.lease.fence for ending in group],
        [ending.status for ending in group],
        [ending.execution_status for ending in group],
        [ending.error for ending in group],
        [ending.delay_ms for ending in group],
        [ending.attempts_back for ending in group],
        [ending.priority for ending in group],
        [ending.duration_ms for ending in group],
        [ending.reason for ending in group],
    )
