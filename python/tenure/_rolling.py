"""A rolling restart: a few processes at a time, and none before those that went have successors that work."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from tenure import _validate
from tenure.errors import NoAnswer, WorkerNotFound

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tenure.admin import Admin, WorkerInfo

_LOOK: Final = 0.2
Process = list["WorkerInfo"]


async def roll(
    admin: Admin, which: str, *, at_once: int = 1, patience: float = 120.0
) -> AsyncIterator[tuple[str, str]]:
    """Restart the processes of all workers that have this id, name, host or group, those that are there now.

    Whoever looks after the processes starts the successors: any supervisor that does so at exit code 75. A successor is
    a worker that was not there before and that the registry calls active, on the same host, of the same type, queues
    and labels.

    Args:
        admin: of an open app.
        which: an id, name, host or group.
        at_once: processes that may be away at a time. Defaults to 1.
        patience: seconds for the successors of one step, the end of their predecessors included. Defaults to 120.

    Yields:
        The ids of a worker that went and of one that came in its place.

    Raises:
        WorkerNotFound: nobody is meant.
        WorkerRefused: a worker will not, and says why.
        NoAnswer: a worker did not answer, or its successor did not come in time. What is left of the processes goes on
            as it was.
    """
    _validate.whole("at_once", at_once, 1, 1000)
    _validate.seconds("patience", patience, least=1.0)
    meant = set(await admin.fleet.find(which))
    known = {one.worker_id for one in await admin.workers(live_only=False)}
    processes: dict[tuple[str, int], Process] = {}
    for one in await admin.workers():
        if one.worker_id in meant:
            processes.setdefault((one.host, one.pid), []).append(one)
    if not processes:
        raise WorkerNotFound(f"no live worker has this id, name, host or group: {which}")
    waiting = list(processes.values())
    for start in range(0, len(waiting), at_once):
        leaving = waiting[start : start + at_once]
        # One worker of a process takes the others along.
        await asyncio.gather(*(admin.fleet.restart(process[0].worker_id) for process in leaving))
        for old, new in await _successors(admin, [one for process in leaving for one in process], known, patience):
            known.add(new)
            yield old, new


async def _successors(
    admin: Admin, leaving: list[WorkerInfo], known: set[str], patience: float
) -> list[tuple[str, str]]:
    """Who came for whom, when all have come."""
    give_up = time.monotonic() + patience
    while True:
        fresh = [one for one in await admin.workers() if one.status == "ACTIVE" and one.worker_id not in known]
        pairs = []
        for old in leaving:
            new = next((one for one in fresh if _kind(one) == _kind(old)), None)
            if new is None:
                break
            fresh.remove(new)
            pairs.append((old.worker_id, new.worker_id))
        else:
            return pairs
        if time.monotonic() > give_up:
            missing = leaving[len(pairs)]
            raise NoAnswer(
                f"no successor within {patience:g} s, no more is restarted: {missing.worker_id} on {missing.host}"
            )
        await asyncio.sleep(_LOOK)


def _kind(one: WorkerInfo) -> tuple[object, ...]:
    return (one.host, one.worker_type, sorted(one.queues), sorted(one.labels.items()))
