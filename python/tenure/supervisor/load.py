"""What there is to do in queues, as scaling is told of it: depths from Redis, waits from PostgreSQL."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tenure.supervisor.scale import Load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tenure._database import Database
    from tenure._engine import Engine


async def read_loads(database: Database, engine: Engine, queues: Sequence[str]) -> dict[str, Load]:
    """The load of each queue. Nothing waits in a paused one: no worker could take it.

    Raises:
        StoreUnavailable: a store is away; then nothing is known, which is not the same as nothing to do.
    """
    depths = await asyncio.gather(*(engine.depths(queue) for queue in queues))
    ready = {queue: depth.high + depth.medium + depth.low for queue, depth in zip(queues, depths, strict=True)}
    waiting = [queue for queue, count in ready.items() if count]
    rows = {row["queue"]: row for row in await database.fetch("queue_waits", waiting)} if waiting else {}
    loads = {}
    for queue, depth in zip(queues, depths, strict=True):
        row = rows.get(queue)
        if row is None or row["paused"]:
            loads[queue] = Load(running=depth.processing)
        else:
            loads[queue] = Load(ready[queue], depth.processing, row["oldest_seconds"])
    return loads
