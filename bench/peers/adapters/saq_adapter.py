"""SAQ on Redis."""

import settings
import uvloop
from saq import Queue, Worker


async def noop(_context, *, arguments):
    settings.mark(arguments)


def setup():
    pass


class Producer:
    def __init__(self, queue):
        self._queue = queue
        self.close = queue.disconnect

    async def one(self, arguments):
        await self._queue.enqueue("noop", arguments=arguments, ttl=-1)


async def queue():
    opened = Queue.from_url(settings.REDIS, max_concurrent_ops=100)
    await opened.connect()
    return opened


async def producer():
    return Producer(await queue())


def work():
    async def main():
        await Worker(await queue(), functions=[("noop", noop)], concurrency=settings.CONCURRENCY).start()

    uvloop.run(main())
