"""`python -m bench.hearts QUEUE COUNT INTERVAL_MS LEASES`: workers that only beat, each holding some leases.

They stand in the registry as real ones, and their process for its leadership. Says `ready` when all beat, and goes on
until its input ends.
"""

from __future__ import annotations

import asyncio
import dataclasses
import resource
import sys

from tenure._database import Database
from tenure._engine import Engine, new_ids
from tenure._identity import Identity
from tenure._registry import Registry
from tenure.bench.loop import run
from tenure.settings import Settings

_LEASE_MS = 60_000


async def hearts(queue: str, count: int, interval_ms: int, leases: int) -> None:
    """Beat until the input ends."""
    # each has a descriptor by which its loop would be woken
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    settings = dataclasses.replace(Settings.from_env(), heartbeat_seconds=interval_ms / 1000)
    database = Database(settings.postgres_url or "", schema=settings.schema, max_connections=2)
    await database.open()
    own = _engine(settings)
    await own.open()
    registry = Registry(database, own, settings)
    engines = [_engine(settings) for _ in range(count)]
    identities = [Identity(name=f"heart {number}", queues=(queue,), concurrency=1) for number in range(count)]
    hosted = list(zip(engines, identities, strict=True))
    await asyncio.gather(*(registry.enter(identity.row(engine.worker_id)) for engine, identity in hosted))
    ttl_ms = round(settings.heartbeat_ttl_seconds * 1000)
    for engine, identity in hosted:
        if leases:
            await engine.open()
            if len((await engine.lease(queue, leases)).leases) != leases:
                raise LookupError(f"leases wanted of {queue} and not there: {leases}")
        engine.core.start_heartbeat(interval_ms, ttl_ms, settings.heartbeat_samples, identity.profile())
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    for engine in engines:
        if leases and engine.core.held() != leases:
            raise LookupError(f"leases that were lost, of {leases}: {leases - engine.core.held()}")
    await registry.stop()
    for engine in engines:
        engine.close()
        engine.core.close()  # where it was never opened
    own.close()
    await database.close()


def _engine(settings: Settings) -> Engine:
    return Engine(
        settings.redis_url or "",
        worker_id=new_ids(1)[0],
        prefix=settings.prefix,
        lease_ms=_LEASE_MS,
        on_event=lambda _event: None,
    )


if __name__ == "__main__":
    run(hearts(sys.argv[1], *map(int, sys.argv[2:5])))
