"""From a request to a committed row, and from there to Redis; single calls coalesce."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from tenure import _validate
from tenure._coalesce import Coalescer
from tenure._codec import encode
from tenure._engine import Descriptor
from tenure.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tenure._database import Connection, Database
    from tenure._publish import Publisher
    from tenure.job_type import JobRequest, JobType, Options

_MOST_ROWS: Final = 1000
_IN_FLIGHT: Final = 2
# An outcome that is unknown is asked again: the rows carry their ids, so a second insert of the same batch changes
# nothing.
_TRIES: Final = 3
_MOST_METADATA: Final = 16 * 1024


@dataclass(slots=True)
class NewJob:
    """One row of `enqueue.sql`, validated and encoded."""

    job_id: str
    job_type: str
    payload: bytes
    payload_format: str
    mode: str
    options: Options
    delay_ms: int
    tags: str | None
    metadata: str | None
    pending_dependencies: int = 0
    has_dependents: bool = False
    cancelled: bool = False


@dataclass(frozen=True, slots=True)
class Enqueued:
    """What became of a new job: itself, or the one that its idempotency key names."""

    job_id: str
    job_type: str
    queue: str
    created: bool


def prepare(request: JobRequest, job_type: JobType[..., object], limit: int, job_id: str) -> NewJob:
    """Validate and encode a request; nothing has been written when this raises."""
    options = request.options
    delay = options.delay
    if isinstance(delay, timedelta):
        delay = delay.total_seconds()
    return NewJob(
        job_id=request.job_id or job_id,
        job_type=request.job_type,
        payload=encode(request.arguments, job_type.payload_format, limit, "payload"),
        payload_format=job_type.payload_format,
        mode=job_type.record,
        options=options,
        delay_ms=0 if delay is None else round(_validate.seconds("delay", delay) * 1000),
        tags=_array_literal(_validate.tags(options.tags)) if options.tags else None,
        metadata=encode(_validate.mapping("metadata", options.metadata), "json", _MOST_METADATA, "metadata").decode()
        if options.metadata
        else None,
    )


class Enqueuer:
    """Inserts jobs in batches and hands what is ready to the publisher after the commit."""

    def __init__(self, database: Database, publisher: Publisher) -> None:
        """Prepare; `database` and `publisher` must be open when the first job comes."""
        self._database = database
        self._publisher = publisher
        self._single: Coalescer[tuple[NewJob, asyncio.Future[Enqueued]]] = Coalescer(
            self._flush, most=_MOST_ROWS, in_flight=_IN_FLIGHT
        )

    async def one(self, job: NewJob) -> Enqueued:
        """Insert one job together with whatever else is being enqueued right now."""
        done: asyncio.Future[Enqueued] = asyncio.get_running_loop().create_future()
        self._single.add((job, done))
        return await done

    async def many(self, jobs: Sequence[NewJob], connection: Connection | None = None) -> list[Enqueued]:
        """Insert jobs in as few statements as their number needs; all or nothing within a caller's transaction."""
        chunks = [jobs[start : start + _MOST_ROWS] for start in range(0, len(jobs), _MOST_ROWS)]
        if connection is not None:
            enqueued = [await self.insert(chunk, connection) for chunk in chunks]
            ids = [one.job_id for chunk in enqueued for one in chunk]
            self._publisher.after_commit(connection, ids)
        else:
            gate = asyncio.Semaphore(_IN_FLIGHT)

            async def insert(chunk: Sequence[NewJob]) -> list[Enqueued]:
                async with gate:
                    return await self._insert_and_publish(chunk)

            enqueued = await asyncio.gather(*map(insert, chunks))
        return [one for chunk in enqueued for one in chunk]

    async def drained(self) -> None:
        """Wait until every job taken so far is inserted."""
        await self._single.drained()

    async def _flush(self, batch: list[tuple[NewJob, asyncio.Future[Enqueued]]]) -> None:
        try:
            enqueued = await self._insert_and_publish([job for job, _ in batch])
        except Exception as error:  # noqa: BLE001 - every caller of the batch is told
            for _, done in batch:
                if not done.done():
                    done.set_exception(error)
            return
        for (_, done), one in zip(batch, enqueued, strict=True):
            if not done.done():
                done.set_result(one)

    async def _insert_and_publish(self, jobs: Sequence[NewJob]) -> list[Enqueued]:
        for attempt in range(_TRIES):
            try:
                rows = await self._rows(jobs, None)
                break
            except StoreUnavailable:
                if attempt == _TRIES - 1:
                    raise
                await asyncio.sleep(0.05 * 2**attempt)
        self._publisher.publish(_descriptors(jobs, rows))
        return await self._enqueued(jobs, rows, None)

    async def insert(self, jobs: Sequence[NewJob], connection: Connection) -> list[Enqueued]:
        """Insert inside the caller's transaction; publishing waits for its commit."""
        return await self._enqueued(jobs, await self._rows(jobs, connection), connection)

    async def _rows(self, jobs: Sequence[NewJob], connection: Connection | None) -> dict[str, Any]:
        rows = await self._database.fetch("enqueue", *_columns(jobs), connection=connection)
        return {str(row["job_id"]): row for row in rows}

    async def _enqueued(
        self, jobs: Sequence[NewJob], rows: dict[str, Any], connection: Connection | None
    ) -> list[Enqueued]:
        if len(rows) == len(jobs):
            return [Enqueued(job.job_id, job.job_type, job.options.queue, created=True) for job in jobs]
        return await self._with_existing(jobs, rows, connection)

    async def _with_existing(
        self, jobs: Sequence[NewJob], rows: dict[str, Any], connection: Connection | None
    ) -> list[Enqueued]:
        """Find the jobs behind ids and keys that were taken: an earlier call's, or this batch's own first try."""
        taken = [job for job in jobs if job.job_id not in rows]
        keys = [key for job in taken if (key := job.options.idempotency_key)]
        found = await self._database.fetch("existing", [job.job_id for job in taken], keys, connection=connection)
        by_id = {str(row["job_id"]): row for row in found}
        by_key = {row["idempotency_key"]: row for row in found}
        enqueued = []
        for job in jobs:
            row = None if job.job_id in rows else by_id.get(job.job_id) or by_key.get(job.options.idempotency_key)
            if row is None:
                enqueued.append(Enqueued(job.job_id, job.job_type, job.options.queue, created=True))
            else:
                same = str(row["job_id"]) == job.job_id
                enqueued.append(Enqueued(str(row["job_id"]), row["job_type"], row["queue"], created=same))
        # A first try whose answer was lost has committed rows that nobody published yet.
        self._publisher.publish_ids([job.job_id for job in taken if job.job_id in by_id])
        return enqueued


def _columns(jobs: Sequence[NewJob]) -> tuple[list[Any], ...]:
    """The jobs as the arrays of `enqueue.sql`, in its order."""
    return (
        [job.job_id for job in jobs],
        [job.job_type for job in jobs],
        [job.options.queue for job in jobs],
        [job.payload for job in jobs],
        [job.payload_format for job in jobs],
        [job.options.priority for job in jobs],
        [job.mode for job in jobs],
        [job.options.max_retries for job in jobs],
        [timeout_ms(job.options.timeout) or None for job in jobs],
        [job.options.idempotency_key for job in jobs],
        [job.pending_dependencies for job in jobs],
        [job.has_dependents for job in jobs],
        [job.tags for job in jobs],
        [job.metadata for job in jobs],
        [job.options.run_at for job in jobs],
        [job.delay_ms for job in jobs],
        [job.cancelled for job in jobs],
    )


def timeout_ms(timeout: float | None) -> int:
    """Seconds as whole milliseconds, 0 for none; a positive timeout never becomes none."""
    return 0 if timeout is None else max(1, round(timeout * 1000))


def _descriptors(jobs: Sequence[NewJob], rows: dict[str, Any]) -> dict[str, list[Descriptor]]:
    """What Redis must know of those jobs that wait to be leased, by queue."""
    by_queue: dict[str, list[Descriptor]] = defaultdict(list)
    for job in jobs:
        row = rows.get(job.job_id)
        if row is None or row["status"] not in ("PENDING", "SCHEDULED"):
            continue
        by_queue[job.options.queue].append(
            Descriptor(
                job_id=job.job_id,
                job_type=job.job_type,
                priority=job.options.priority,
                fence=0,
                attempts=0,
                max_retries=job.options.max_retries,
                timeout_ms=timeout_ms(job.options.timeout),
                run_at_ms=row["run_at_ms"],
                payload=job.payload,
                payload_format=job.payload_format,
                mode=job.mode,
            )
        )
    return by_queue


def _array_literal(values: list[str]) -> str:
    """Texts as a PostgreSQL array literal: rows of one batch may have different numbers of tags, which no array of
    arrays can hold.
    """
    quoted = ('"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' for value in values)
    return "{" + ",".join(quoted) + "}"
