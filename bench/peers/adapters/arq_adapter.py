"""arq on Redis."""

from urllib.parse import urlsplit

import settings
import uvloop
from arq import Worker, create_pool, func
from arq.connections import RedisSettings

PLACE = urlsplit(settings.REDIS)
REDIS = RedisSettings(host=PLACE.hostname, port=PLACE.port, max_connections=None)


async def noop(_context, arguments):
    settings.mark(arguments)


def setup():
    pass


class Producer:
    def __init__(self, pool):
        self._pool = pool
        self.close = pool.aclose

    async def one(self, arguments):
        await self._pool.enqueue_job("noop", arguments)


async def producer():
    return Producer(await create_pool(REDIS))


def work():
    uvloop.install()
    Worker(
        functions=[func(noop, name="noop", keep_result=0)],
        redis_settings=REDIS,
        max_jobs=settings.CONCURRENCY,
        poll_delay=0.005,
        keep_result=0,
        log_results=False,
    ).run()
