"""PgQueuer on asyncpg."""

import json

import asyncpg
import settings
import uvloop
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgPoolDriver
from pgqueuer.queries import Queries


async def setup():
    async with asyncpg.create_pool(settings.POSTGRES, min_size=1, max_size=2) as pool:
        await Queries(AsyncpgPoolDriver(pool)).install()


class Producer:
    def __init__(self, pool):
        self._queries = Queries(AsyncpgPoolDriver(pool))
        self.close = pool.close

    async def one(self, arguments):
        await self._queries.enqueue("noop", json.dumps(arguments).encode())

    async def many(self, batch):
        await self._send("noop", batch)

    async def limited(self, batch):
        await self._send("held", batch)

    async def _send(self, entrypoint, batch):
        count = len(batch)
        await self._queries.enqueue([entrypoint] * count, [json.dumps(one).encode() for one in batch], [0] * count)


async def producer():
    return Producer(await asyncpg.create_pool(settings.POSTGRES, min_size=4, max_size=settings.POOL))


def work():
    async def main():
        async with asyncpg.create_pool(settings.POSTGRES, min_size=4, max_size=settings.POOL) as pool:
            worker = PgQueuer(AsyncpgPoolDriver(pool))

            @worker.entrypoint("noop")
            async def noop(job):
                settings.mark(json.loads(job.payload))

            if settings.LIMITED:

                @worker.entrypoint("held", concurrency_limit=1)
                async def held(job):
                    await settings.hold(json.loads(job.payload))

            await worker.run(batch_size=settings.CONCURRENCY)

    uvloop.run(main())
