"""Enqueueing what schedules say. PostgreSQL's clock decides when, its row lock who; a key lets no moment come twice."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from tenure._engine import new_ids
from tenure._new_job import prepare
from tenure.schedule import due, next_moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from tenure._database import Connection, Database, Row
    from tenure._enqueue import Enqueuer
    from tenure._new_job import NewJob
    from tenure._publish import Publisher
    from tenure._seal import Seal
    from tenure.job_type import JobType
    from tenure.schedule import Schedule

logger = logging.getLogger("tenure.schedule")

# Seconds between two looks: so late somebody's trigger, or a schedule that another process made earlier, may be seen.
_LOOK: Final = 1.0


class Recurring:
    """The schedules that this program has registered, of whichever queues it is asked for.

    The holder of a queue's duty asks. Should two hold it for a moment, the row's lock lets one through; should
    PostgreSQL's clock be put back, the jobs' idempotency keys refuse the moments that were enqueued before.
    """

    def __init__(
        self,
        database: Database,
        enqueuer: Enqueuer,
        publisher: Publisher,
        schedules: Iterable[Schedule],
        job_types: Mapping[str, JobType[..., object]],
        *,
        max_payload_bytes: int,
        seal: Seal | None,
    ) -> None:
        """Prepare; the database must be open when it is used."""
        self._database = database
        self._enqueuer = enqueuer
        self._publisher = publisher
        self._schedules = {schedule.name: schedule for schedule in schedules}
        self._job_types = job_types
        self._limit = max_payload_bytes
        self._seal = seal

    async def declare(self) -> None:
        """Tell PostgreSQL what there is; a schedule that is new begins with its next moment."""
        if not self._schedules:
            return
        [row] = await self._database.fetch("server_time")
        every = list(self._schedules.values())
        await self._database.fetch(
            "declare_schedules",
            [one.name for one in every],
            [one.request.options.queue for one in every],
            [one.request.job_type for one in every],
            [one.cron for one in every],
            [one.timezone for one in every],
            [one.missed for one in every],
            [next_moment(one.cron, one.timezone, row["now"]) for one in every],
        )

    async def run(self, queue: str) -> float:
        """Enqueue what is due in this queue; seconds until to look again."""
        names = [name for name, one in self._schedules.items() if one.request.options.queue == queue]
        if not names:
            return _LOOK
        [row] = await self._database.fetch("schedules_due_in", names)
        seconds: float | None = row["seconds"]
        if seconds is None or seconds > 0.0:
            return _LOOK if seconds is None else min(seconds, _LOOK)
        enqueued = await self._database.atomically(lambda connection: self._enqueue_due(connection, names))
        self._publisher.publish_ids(enqueued)
        return 0.0

    async def _enqueue_due(self, connection: Connection, names: list[str]) -> list[str]:
        rows = await self._database.fetch("due_schedules", names, connection=connection)
        jobs: list[NewJob] = []
        moved: list[tuple[str, datetime, datetime | None]] = []
        for row in rows:
            moments, next_at = _wanted(row)
            schedule = self._schedules[row["schedule_name"]]
            jobs += [self._job(schedule, moment) for moment in moments]
            jobs += [self._job(schedule, None) for _ in range(row["triggers"])]
            moved.append((schedule.name, next_at, moments[-1] if moments else None))
        if not moved:
            return []
        if self._seal is not None:
            self._seal.seal_jobs(jobs)
        fit, refused = await self._enqueuer.fitting(jobs, connection)
        for why in refused:
            logger.warning("a schedule's job is left out: %s", why)
        enqueued = await self._enqueuer.insert(fit, connection) if fit else []
        await self._database.fetch("move_schedules", *map(list, zip(*moved, strict=True)), connection=connection)
        return [one.job_id for one in enqueued if one.changed]

    def _job(self, schedule: Schedule, moment: datetime | None) -> NewJob:
        """The job of a moment, or of a trigger."""
        options = schedule.request.options
        metadata = {**(options.metadata or {}), "schedule": schedule.name}
        key = None
        if moment is not None:
            metadata["scheduled_at"] = moment.isoformat()
            key = f"schedule:{schedule.name}:{moment.isoformat()}"
        request = type(schedule.request)(
            schedule.request.job_type,
            schedule.request.arguments,
            replace(options, metadata=metadata, idempotency_key=key),
        )
        return prepare(request, self._job_types[request.job_type], self._limit, new_ids(1)[0])


def _wanted(row: Row) -> tuple[list[datetime], datetime]:
    """The row's own expression counts: while a fleet is being updated, this program's may be an older one."""
    if not row["due"]:
        return [], row["next_at"]
    found = due(row["cron"], row["timezone"], row["missed"], row["next_at"], row["now"])
    late = (row["now"] - row["next_at"]).total_seconds()
    if late > 60.0:  # noqa: PLR2004 - what `schedule` calls missed
        logger.warning(
            "schedule was missed: %s, by %.0f s, jobs enqueued %d", row["schedule_name"], late, len(found.moments)
        )
    return found.moments, found.next_at
