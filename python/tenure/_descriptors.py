"""What Redis must know of jobs: of new ones, and of those that PostgreSQL has."""

from __future__ import annotations

import logging
from collections import defaultdict
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from tenure._engine import Descriptor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tenure._database import Database
    from tenure._insert import Inserted
    from tenure._new_job import NewJob

logger = logging.getLogger("tenure.publish")

_MOST: Final = 1000


async def load_descriptors(
    database: Database, job_ids: Sequence[str], parents: dict[str, int] | None = None
) -> dict[str, list[Descriptor]]:
    """What Redis must know of those of these jobs that wait to be leased, by queue. Those with dependents are entered
    in `parents`, with their priorities: others may change them at any time.
    """
    by_queue: dict[str, list[Descriptor]] = defaultdict(list)
    for start in range(0, len(job_ids), _MOST):
        for row in await database.fetch("descriptors", job_ids[start : start + _MOST]):
            values = dict(row)
            if values.pop("has_dependents") and parents is not None:
                parents[str(values["job_id"])] = values["priority"]
            by_queue[values.pop("queue")] += _of_row(values)
    return by_queue


async def load_running(database: Database, job_ids: Sequence[str]) -> list[Descriptor]:
    """Those of these jobs that run, without their payloads: what Redis must know of them to count what they hold."""
    return [one for row in await database.fetch("running", job_ids) for one in _of_row(dict(row))]


def _of_row(values: dict[str, Any]) -> list[Descriptor]:
    values["job_id"] = str(values["job_id"])
    try:
        return [Descriptor(**values)]
    except ValueError as error:
        # Written past this library; one such row must not keep the rest of its queue from being built.
        logger.error("a job is left out, its row is refused: %s: %r", values["job_id"], str(error))  # noqa: TRY400
        return []


def new_descriptors(jobs: Sequence[NewJob], inserted: Inserted) -> dict[str, list[Descriptor]]:
    """What Redis must know of those jobs that wait to be leased, by queue."""
    by_queue: dict[str, list[Descriptor]] = defaultdict(list)
    likes: dict[int, Callable[[str, bytes], Descriptor]] = {}
    for job in jobs:
        if job.pending_dependencies or job.cancelled or not inserted.has(job):
            continue
        like = likes.get(id(job.profile))
        if like is None:
            like = likes[id(job.profile)] = _of_new_job(job, inserted).like
        by_queue[job.profile.queue].append(like(job.job_id, job.payload))
    return by_queue


def _of_new_job(job: NewJob, inserted: Inserted) -> Descriptor:
    profile = job.profile
    run_at = profile.run_at
    rare = profile.attributes
    tenant = rare.get("tenant", "")
    return Descriptor(
        job_id=job.job_id,
        job_type=profile.job_type,
        priority=min(profile.priority, inserted.most.get(tenant, profile.priority)),
        fence=0,
        attempts=0,
        max_retries=profile.max_retries,
        timeout_ms=profile.timeout_ms or 0,
        run_at_ms=inserted.now_ms + profile.delay_ms if run_at is None else round(run_at.timestamp() * 1000),
        payload=job.payload,
        ready=run_at is None and profile.delay_ms <= 0,
        payload_format=profile.payload_format,
        mode=profile.mode,
        tenant=tenant,
        requires=rare.get("requires", ""),
        limit_key=rare.get("limit_key", ""),
        cost=rare.get("cost", 1000),
        deadline_ms=_deadline_ms(rare, inserted.now_ms) if profile.queue in inserted.by_deadline else 0,
    )


def _deadline_ms(rare: dict[str, Any], now_ms: int) -> int:
    """When the job must have ended, as `enqueue.sql` has it; 0 for never."""
    ends = [round(datetime.fromisoformat(rare["deadline_at"]).timestamp() * 1000)] if "deadline_at" in rare else []
    if "deadline_ms" in rare:
        ends.append(now_ms + rare["deadline_ms"])
    return min(ends, default=0)
