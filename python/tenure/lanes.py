"""What is seen of a queue's lanes: jobs that no live worker can run, and how full its limits are."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - msgspec reads the annotations
from typing import TYPE_CHECKING

import msgspec

from tenure._classes import resources_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tenure._database import Database
    from tenure._engine import Lanes
    from tenure.admin import WorkerInfo
    from tenure.limits import Limit


class Unplaceable(msgspec.Struct, frozen=True, kw_only=True):
    """Ready jobs of a queue that no live worker can run, whatever else it has to do.

    Attributes:
        requires: what they need, as `gpu,region:eu;cpu=2`.
        jobs: how many.
        since: when the first of them became ready.
    """

    queue: str
    requires: str
    jobs: int
    since: datetime | None


class LimitUse(msgspec.Struct, frozen=True, kw_only=True):
    """How full a limit is on what runs.

    Attributes:
        limit: whose: `queue`, `type mail`, `tenant acme`, `key customer:42`, or `tenant acme, gpu`.
        used: jobs that run, or the amount that they take up.
        most: as much as may; None where the limit is a rate.
        parked: lanes that wait for it.
    """

    queue: str
    limit: str
    used: float
    most: float | None
    parked: int


def can_run(worker: WorkerInfo, queue: str, requires: str) -> bool:
    """Whether a worker takes jobs of the queue, and has all that is needed when it runs nothing else."""
    needed = set(filter(None, requires.partition(";")[0].split(",")))
    return (
        queue in worker.queues
        and worker.status != "DRAINING"
        and needed <= set(worker.capabilities)
        and all(worker.resources.get(name, 0.0) >= amount for name, amount in resources_of(requires).items())
    )


async def unplaceable(
    database: Database, queue: str, classes: Iterable[tuple[str, int]], workers: Sequence[WorkerInfo]
) -> list[Unplaceable]:
    """Those of a queue's classes with ready jobs that no live worker can run. What asks for nothing is not among them:
    a queue without any worker is another matter.
    """
    found = []
    for requires, jobs in classes:
        if requires and jobs and not any(can_run(worker, queue, requires) for worker in workers):
            [row] = await database.fetch("waits_since", queue, requires)
            found.append(Unplaceable(queue=queue, requires=requires, jobs=jobs, since=row["since"]))
    return found


def uses(queue: str, lanes: Lanes, limits: Iterable[Limit]) -> list[LimitUse]:
    """How full the limits of a queue are, those that something holds or waits for."""
    most = {
        (one.scope, one.name, one.resource): one.amount
        for one in limits
        if one.queue == queue and one.kind in ("concurrency", "resource")
    }
    found = []
    for name, used, parked in lanes.limits:
        scope, whose, resource = f"{name}|*|".split("|")[:3] if name == "queue" else f"{name}|".split("|")[:3]
        ceiling = most.get((scope, whose, resource), most.get((scope, "*", resource)))
        text = scope if scope == "queue" else f"{scope} {whose}" + (f", {resource}" if resource else "")
        amount = used / 1000 if resource else float(used)
        found.append(LimitUse(queue=queue, limit=text, used=amount, most=ceiling, parked=parked))
    return found
