"""Recording how attempts ended: commit to PostgreSQL first, acknowledge in Redis second, both in batches."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import defaultdict
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, Final

from tenure._coalesce import Coalescer
from tenure._dependencies import release_dependents
from tenure._engine import NoGeneration, new_ids
from tenure._priorities import compute
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

# Seconds between two writes of endings while more keep coming: an ending that waits a moment holds up nobody's start,
# and shares its commit with those that come meanwhile.
_PACE: Final = 0.004

Key = tuple[str, int]  # job id and fence


@dataclass(slots=True)
class Ending:
    """How one attempt ended, as the columns of `complete.sql`, `record.sql` and `settle.sql`.

    `outcome` is the job's state as PostgreSQL has it after this ending was written; None while it is not, or was
    refused. `execution_id` is that of the row which an ending without recorded start inserts, the same at every try: of
    two runs of one lease, which Redis forgot and gave again, it tells whose was recorded.
    """

    lease: Lease
    recorded: bool  # the start is in PostgreSQL
    duration_ms: float
    status: str  # the job's new state
    execution_status: str
    _: KW_ONLY
    result: bytes | None = None
    result_format: str | None = None
    error: str | None = None
    delay_ms: int = 0
    attempts_back: int = 0
    priority: int | None = None
    reason: str | None = None
    most_snoozes: int | None = None
    outcome: str | None = None
    execution_id: str = ""


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
        self._endings: Coalescer[Ending] = Coalescer(self._flush, most=_MOST, in_flight=_IN_FLIGHT, pace=_PACE)
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
            # It can only if nobody extends them any more.
            self._engine.core.drop([ending.lease.key for ending in batch])
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
        await self._apply(batch)
        ready: list[str] = []
        if left := [ending for ending in batch if ending.outcome is None]:
            # Jobs that others depend on, and leases that were lost: few. The transaction lets the release see, with a
            # newer snapshot, dependents that were enqueued while the jobs were being settled.
            try:
                ready, cancelled = await self._database.atomically(lambda own: self._apply_parents(left, own))
            except BaseException:
                # What was found inside a transaction that did not commit is not so: the next try must ask again.
                for ending in left:
                    ending.outcome = None
                raise
            await self._publish_cancelled(cancelled)
            if cancelled:
                # A job may have been cancelled with its parent in the very batch that settles it.
                with_parent = {(job_id, fence) for _, job_id, fence in cancelled}
                for ending in left:
                    if ending.lease.key in with_parent:
                        ending.outcome = "CANCELLED"
            if uncertain:
                await self._look_up([ending for ending in left if ending.outcome is None])
        await self._acknowledge(batch, ready)

    async def _apply_parents(
        self, batch: list[Ending], connection: Connection
    ) -> tuple[list[str], list[tuple[str, str, int]]]:
        """Write endings of jobs that others depend on, and what they mean for those."""
        for ending in batch:
            # This may be the second try, after a deadlock.
            ending.outcome = None
        await self._apply(batch, connection)
        ended = [
            (ending.lease.job_id, ending.outcome)
            for ending in batch
            if ending.outcome is not None and ending.outcome not in ("PENDING", "SCHEDULED")
        ]
        # A retry comes back lower than it was, unless somebody who waits for it keeps it up.
        lowered = [
            ending.lease.job_id
            for ending in batch
            if ending.outcome in ("PENDING", "SCHEDULED") and (ending.priority or 5) < ending.lease.priority
        ]
        await compute(self._database, lowered, connection)
        return await release_dependents(self._database, ended, connection)

    async def _apply(self, batch: list[Ending], connection: Connection | None = None) -> None:
        """Write the endings, and note the outcome of each. Without a connection, parents are passed over."""
        with_parents = connection is not None
        complete: list[Ending] = []
        record: list[Ending] = []
        settle: list[Ending] = []
        for ending in batch:
            (settle if ending.status != "COMPLETED" else complete if ending.recorded else record).append(ending)
        if complete:
            columns = _complete_columns(complete)
            [row] = await self._database.fetch("complete", *columns, with_parents, connection=connection)
            _completed(complete, row["places"])
        if record:
            for ending, new_id in zip(record, new_ids(len(record)), strict=True):
                ending.execution_id = ending.execution_id or new_id
            ids = [ending.execution_id for ending in record]
            columns = _complete_columns(record)
            [row] = await self._database.fetch(
                "record", *columns, ids, self._worker_id, with_parents, connection=connection
            )
            _completed(record, row["places"])
        if settle:
            columns = _settle_columns(settle)
            ids = new_ids(len(settle))
            most = [ending.most_snoozes for ending in settle]
            for row in await self._database.fetch("settle", *columns, ids, with_parents, most, connection=connection):
                settle[row["place"] - 1].outcome = row["status"]

    async def _look_up(self, batch: list[Ending]) -> None:
        """Find which of these endings an earlier try, whose answer was lost, has written."""
        if not batch:
            return
        keys = [ending.lease.key for ending in batch]
        rows = await self._database.fetch("outcomes", *map(list, zip(*keys, strict=True)))
        found = {(str(row["job_id"]), row["fence"]): row for row in rows}
        for ending in batch:
            row = found.get(ending.lease.key)
            if row is None or row["status"] != ending.execution_status:
                continue
            if ending.recorded or str(row["execution_id"]) == ending.execution_id:
                ending.outcome = row["job_status"]

    async def _publish_cancelled(self, cancelled: list[tuple[str, str, int]]) -> None:
        """Tell those who wait for jobs that were cancelled with their parents."""
        by_queue: dict[str, list[Key]] = defaultdict(list)
        for queue, job_id, fence in cancelled:
            by_queue[queue].append((job_id, fence))
        for queue, keys in by_queue.items():
            await self._in_redis(self._engine.acknowledge(queue, keys))

    async def _acknowledge(self, batch: list[Ending], ready: list[str]) -> None:
        over: dict[str, list[Key]] = defaultdict(list)
        dead: dict[str, list[Key]] = defaultdict(list)
        again = ready
        for ending in batch:
            lease = ending.lease
            match ending.outcome:
                case "COMPLETED" | "CANCELLED":
                    over[lease.queue].append(lease.key)
                case "FAILED":
                    dead[lease.queue].append(lease.key)
                case None:
                    self._engine.core.drop([lease.key])
                    self._on_lost(lease)
                case _:
                    again.append(lease.job_id)
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


def _completed(batch: list[Ending], places: list[int] | None) -> None:
    for place in places or ():
        batch[place - 1].outcome = "COMPLETED"


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
