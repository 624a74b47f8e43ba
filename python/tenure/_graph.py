"""Enqueueing the jobs of one call. Those that depend on others take one transaction; then the push."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import msgspec

from tenure._dependencies import enqueue_dependents, parents_first, parents_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from tenure._database import Connection
    from tenure._dependencies import Edges
    from tenure._new_job import NewJob
    from tenure._outcomes import Enqueued
    from tenure._stores import Stores


class WorkflowRow(msgspec.Struct, frozen=True):
    """A workflow's own row; the columns of `insert_workflow.sql`, in its order."""

    workflow_id: str
    name: str | None
    jobs: int
    callback_job_id: str | None
    deadline_at: datetime | None
    deadline_ms: int | None


async def insert_all(stores: Stores, jobs: Sequence[NewJob], connection: Connection | None) -> list[Enqueued]:
    """Insert new jobs, some of which may depend on others, and push what is ready; what became of each.

    Args:
        stores: open.
        jobs: the new jobs, not sealed yet.
        connection: a caller's, whose transaction the jobs join; None for one of tenure's own.
    """
    edges = {
        job.job_id: dict.fromkeys(needs, job.options.on_failure)
        for job in jobs
        if job.options.depends_on and (needs := parents_of(job.options.depends_on))
    }
    if edges:
        return await insert_graph(stores, jobs, edges, connection)
    stores.seal_jobs(jobs)
    return await stores.enqueuer.many(jobs, connection)


async def insert_graph(
    stores: Stores,
    jobs: Sequence[NewJob],
    edges: Edges,
    connection: Connection | None,
    workflow: WorkflowRow | None = None,
) -> list[Enqueued]:
    """Insert jobs, their edges and their workflow's row, all or nothing, and push what is ready once that is committed;
    what became of each job.

    Args:
        stores: open.
        jobs: the new jobs, not sealed yet.
        edges: what each waits for.
        connection: a caller's, whose transaction the jobs join; None for one of tenure's own.
        workflow: what the jobs are part of. Defaults to nothing.
    """
    # Here first, so that a cycle is refused before a connection is taken.
    parents_first(jobs, edges)
    stores.seal_jobs(jobs)

    async def insert(own: Connection) -> tuple[list[Enqueued], list[str]]:
        # What is refused half-way must leave nothing behind in a transaction that goes on.
        async with own.transaction() if workflow is not None and connection is not None else nullcontext():
            if workflow is not None:
                await stores.database.fetch("insert_workflow", *msgspec.structs.astuple(workflow), connection=own)
            return await enqueue_dependents(stores.database, stores.enqueuer, jobs, edges, own)

    if connection is None:
        enqueued, lifted = await stores.database.atomically(insert)
        stores.publisher.publish_ids([*(one.job_id for one in enqueued), *lifted])
    else:
        enqueued, lifted = await insert(connection)
        stores.publisher.after_commit(connection, [*(one.job_id for one in enqueued), *lifted])
    return enqueued
