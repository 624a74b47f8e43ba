"""More callers than connections."""

from __future__ import annotations

import asyncio
import time

from tenure import Settings, Tenure
from tenure._database import Database


async def test_whoever_waits_for_a_connection_gets_the_next_one_that_is_free(settings: Settings):
    """Connections are kept for the next statement; one that is waited for goes to who waits, not to who comes."""
    database = Database(settings.postgres_url or "", schema=settings.schema, max_connections=2)
    await database.open()
    try:
        began = time.monotonic()
        await asyncio.gather(*(database.fetch("stats") for _ in range(100)))
        assert time.monotonic() - began < 5.0
    finally:
        await database.close()


async def test_more_workers_than_connections_start_at_once(settings: Settings):
    async with Tenure(settings) as app:
        workers = [app.worker(concurrency=1) for _ in range(15)]
        async with asyncio.timeout(8.0):
            await asyncio.gather(*(worker.start() for worker in workers))
        await asyncio.gather(*(worker.stop(1.0) for worker in workers))
