"""ArdiQ: a Rust core on Redis streams."""

import settings
import uvloop
from ardiq import Ardiq

app = Ardiq(redis_url=settings.REDIS, queue_name="noop", concurrency=settings.CONCURRENCY)


@app.task()
async def noop(arguments):
    settings.mark(arguments)


def setup():
    pass


class Producer:
    async def one(self, arguments):
        await noop.enqueue(arguments)

    async def many(self, batch):
        await app.enqueue_many([noop.prepare(one) for one in batch])


def producer():
    return Producer()


def work():
    uvloop.run(app.run())
