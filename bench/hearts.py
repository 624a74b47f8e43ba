"""`python -m bench.hearts COUNT INTERVAL_MS LEASES`: workers that only beat, each holding some leases.

Says `ready` when all beat, and goes on until its input ends.
"""

from __future__ import annotations

import asyncio
import sys

from tenure._engine import Engine, new_ids
from tenure.bench.loop import run
from tenure.settings import Settings

_TTL_MS = 60_000
_LEASE_MS = 60_000


async def hearts(queue: str, count: int, interval_ms: int, leases: int) -> None:
    """Beat until the input ends."""
    settings = Settings.from_env()
    engines = []
    for _ in range(count):
        engine = Engine(
            settings.redis_url or "",
            worker_id=new_ids(1)[0],
            prefix=settings.prefix,
            lease_ms=_LEASE_MS,
            on_event=lambda _event: None,
        )
        if leases:
            await engine.open()
            if len((await engine.lease(queue, leases)).leases) != leases:
                raise LookupError(f"leases wanted of {queue} and not there: {leases}")
        engine.core.start_heartbeat(interval_ms, _TTL_MS)
        engines.append(engine)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    for engine in engines:
        if leases and engine.core.held() != leases:
            raise LookupError(f"leases that were lost, of {leases}: {leases - engine.core.held()}")
    for engine in engines:
        await asyncio.to_thread(engine.core.stop_heartbeat)
        engine.close()


if __name__ == "__main__":
    run(hearts(sys.argv[1], *map(int, sys.argv[2:5])))
