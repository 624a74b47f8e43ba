"""Oban for Python on psycopg."""

import asyncio

import settings
import uvloop
from oban import Oban, job
from oban.schema import install
from psycopg_pool import AsyncConnectionPool


@job(queue="default")
async def noop(arguments):
    settings.mark(arguments)


def pool(most):
    return AsyncConnectionPool(settings.POSTGRES, min_size=4, max_size=most, open=False)


async def setup():
    async with pool(4) as opened:
        await install(opened)


class Producer:
    def __init__(self, oban, opened):
        self._oban = oban
        self._pool = opened

    async def one(self, arguments):
        await self._oban.enqueue(noop.new(arguments))

    async def many(self, batch):
        await self._oban.enqueue_many([noop.new(one) for one in batch])

    async def close(self):
        await self._oban.stop()
        await self._pool.close()


async def producer():
    opened = pool(settings.POOL)
    await opened.open()
    oban = Oban(pool=opened)
    await oban.start()
    return Producer(oban, opened)


def work():
    async def main():
        async with (
            pool(settings.POOL) as opened,
            Oban(pool=opened, queues={"default": settings.CONCURRENCY}, stager={"interval": 0.5}),
        ):
            await asyncio.Event().wait()

    uvloop.run(main())
