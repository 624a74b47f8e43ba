"""Bringing Redis after what PostgreSQL says of paused queues."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tenure._database import Database
    from tenure._engine import Engine


async def follow(database: Database, engine: Engine, queue: str) -> None:
    """Pause or resume a queue in Redis as PostgreSQL has it; who waits is woken where it was resumed.

    Raises:
        NoGeneration: the queue is not built.
        StoreUnavailable: a store is away.
    """
    paused = bool(await database.fetch("paused_queue", queue))
    if await engine.pause(queue, paused=paused) and not paused:
        # nobody was entered as idle meanwhile
        workers = await database.fetch("workers_of_queue", queue)
        await engine.rouse(queue, [str(row["worker_id"]) for row in workers])


async def declare_built(database: Database, engine: Engine, queue: str, policy: dict[str, str]) -> bool:
    """Give a queue its generation, paused from the first moment where it is. False if Redis was lost since it was given
    the queue's policy: then it counts nothing of what runs, and the queue is to be built again.

    Raises:
        NoGeneration: Redis was lost just now.
    """
    if policy:
        # Nothing is leased of a paused queue: so there is no moment at which it is built and limits nothing.
        await engine.pause(queue, paused=True, building=True)
        if await engine.set_policy(queue, policy) != "same":
            await engine.forget_queue(queue)
            return False
    else:
        if await database.fetch("paused_queue", queue):
            await engine.pause(queue, paused=True, building=True)
        await engine.set_generation(queue)
    # what was said since, and told to a queue that was not built
    await follow(database, engine, queue)
    return True
