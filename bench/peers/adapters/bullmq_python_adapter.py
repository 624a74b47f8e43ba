"""BullMQ's own port to Python."""

import asyncio

import settings
import uvloop
from bullmq import Queue, Worker

OPTIONS = {"removeOnComplete": True}


def setup():
    pass


class Producer:
    def __init__(self):
        self._queue = Queue("bench", {"connection": settings.REDIS})
        self.close = self._queue.close

    async def one(self, arguments):
        await self._queue.add("noop", arguments, OPTIONS)

    async def many(self, batch):
        await self._queue.addBulk([{"name": "noop", "data": one, "opts": OPTIONS} for one in batch])


async def producer():
    return Producer()


def work():
    async def process(job, _token):
        settings.mark(job.data)

    async def main():
        Worker("bench", process, {"connection": settings.REDIS, "concurrency": settings.CONCURRENCY})
        await asyncio.Event().wait()

    uvloop.run(main())
