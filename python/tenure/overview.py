"""What is going on: queues, workers, rates and latencies at one moment, for who looks on."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from tenure import _validate
from tenure._engine import NoGeneration
from tenure._samples import read_sample
from tenure.lanes import LimitUse, Unplaceable, unplaceable, uses
from tenure.limits import Limit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tenure._database import Database, Row
    from tenure._engine import Engine
    from tenure.admin import WorkerInfo

_MOST: Final = 10_000  # attempts that are looked at: 30 ms of PostgreSQL, whatever the rate


class QueueOverview(msgspec.Struct, frozen=True, kw_only=True):
    """One queue.

    Attributes:
        ready, scheduled, running, dead: entries in Redis: waiting, waiting for their time, leased, dead letters.
        laned: those of the ready ones that stand in lanes, for their tenant, what they require or a limit.
        parked: lanes and tenants that wait for a limit.
        workers: that serve it and are live.
        per_second: attempts begun, over the time that was looked at.
        failed: the share of those that ended and failed, None where none ended.
        wait_p50_ms, wait_p99_ms: from when a job might run to its first attempt; None where there was none.
        run_p50_ms, run_p99_ms: of the attempts that ended; None where none did.
    """

    queue: str
    ready: int
    scheduled: int
    running: int
    dead: int
    workers: int
    laned: int = 0
    parked: int = 0
    per_second: float = 0.0
    failed: float | None = None
    wait_p50_ms: float | None = None
    wait_p99_ms: float | None = None
    run_p50_ms: float | None = None
    run_p99_ms: float | None = None


class WorkerOverview(msgspec.Struct, frozen=True, kw_only=True):
    """One live worker: its row of the registry, and its latest sample.

    Attributes:
        status: as the registry has it.
        running, slots, score, cpu_percent, rss_bytes, lag_ms, queue_wait_ms: see `docs/fleet.md`; None where it has not
            been heard of within a TTL.
        heard: when the registry last knew of a beat.
    """

    worker_id: str
    name: str
    host: str
    status: str
    queues: list[str]
    heard: datetime
    running: int | None = None
    slots: int | None = None
    score: int | None = None
    cpu_percent: float | None = None
    rss_bytes: int | None = None
    lag_ms: int | None = None
    queue_wait_ms: int | None = None


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """All queues by name, and the live workers, newest first. `seconds` is how far back rates and latencies look.

    Attributes:
        unplaceable: ready jobs that no live worker can run.
        limits: how full limits are, of those that something holds or waits for, at most 100 a queue.
    """

    at: datetime
    seconds: float
    queues: list[QueueOverview]
    workers: list[WorkerOverview]
    unplaceable: list[Unplaceable] = []
    limits: list[LimitUse] = []


async def look(database: Database, engine: Engine, workers: Sequence[WorkerInfo], seconds: float) -> Overview:
    """As `Admin.overview`."""
    window = timedelta(seconds=_validate.seconds("seconds", seconds, least=0.1, most=3600.0))
    rows = {row["queue"]: row for row in await database.fetch("activity", window, _MOST)}
    names = sorted({*rows, *(queue for worker in workers for queue in worker.queues)})
    samples = await engine.beats([worker.worker_id for worker in workers])
    queues = await asyncio.gather(*(_queue(engine, name, workers, rows.get(name)) for name in names))
    nobodys, full = await _lanes(database, engine, names, workers)
    return Overview(
        at=datetime.now(UTC),
        seconds=seconds,
        queues=queues,
        workers=[_worker(worker, samples.get(worker.worker_id)) for worker in workers],
        unplaceable=nobodys,
        limits=full,
    )


async def _lanes(
    database: Database, engine: Engine, names: Sequence[str], workers: Sequence[WorkerInfo]
) -> tuple[list[Unplaceable], list[LimitUse]]:
    """What there is to say of lanes, of queues that nobody serves too; those that have none are asked for depths."""
    limits = [msgspec.convert(dict(row), Limit) for row in await database.fetch("list_limits", None)]
    limited = {one.queue for one in limits}
    nobodys: list[Unplaceable] = []
    full: list[LimitUse] = []
    for queue in sorted({*names, *limited, *(row["queue"] for row in await database.fetch("waiting_queues"))}):
        # not built: its jobs are nobody's yet; the name of a row that no library wrote is none
        with suppress(NoGeneration, ValueError):
            depths = await engine.depths(queue)
            if depths.laned or depths.parked or queue in limited:
                lanes = await engine.lanes(queue)
                nobodys += await unplaceable(database, queue, lanes.classes, workers)
                full += uses(queue, lanes, limits)
    return nobodys, full


async def _queue(engine: Engine, name: str, workers: Sequence[WorkerInfo], row: Row | None) -> QueueOverview:
    depths = await engine.depths(name)
    figures = {} if row is None else {"per_second": row["per_second"], "failed": row["failed"]}
    for what in ("wait", "run"):
        p50, p99 = (None, None) if row is None or row[f"{what}_ms"] is None else row[f"{what}_ms"]
        figures |= {f"{what}_p50_ms": p50, f"{what}_p99_ms": p99}
    return QueueOverview(
        queue=name,
        ready=depths.high + depths.medium + depths.low + depths.laned,
        laned=depths.laned,
        parked=depths.parked,
        scheduled=depths.scheduled,
        running=depths.processing,
        dead=depths.dead,
        workers=sum(name in worker.queues for worker in workers),
        **figures,
    )


def _worker(worker: WorkerInfo, data: bytes | None) -> WorkerOverview:
    row = WorkerOverview(
        worker_id=worker.worker_id,
        name=worker.worker_name,
        host=worker.host,
        status=worker.status,
        queues=worker.queues,
        heard=worker.last_heartbeat,
    )
    sample = None if data is None else read_sample(data)
    if sample is None:
        return row
    return msgspec.structs.replace(
        row,
        running=sample.running,
        slots=sample.capacity,
        score=sample.score,
        cpu_percent=sample.cpu_percent,
        rss_bytes=sample.rss_bytes,
        lag_ms=sample.lag_ms,
        queue_wait_ms=sample.queue_wait_ms,
    )
