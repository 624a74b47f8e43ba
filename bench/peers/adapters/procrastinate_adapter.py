"""Procrastinate on psycopg."""

import settings
import uvloop
from procrastinate import App, PsycopgConnector

app = App(connector=PsycopgConnector(conninfo=settings.POSTGRES, min_size=4, max_size=settings.POOL))


@app.task(name="noop", queue="bench")
async def noop(arguments):
    settings.mark(arguments)


@app.task(name="held", queue="bench", lock="held")
async def held(arguments):
    await settings.hold(arguments)


async def setup():
    async with app.open_async():
        await app.schema_manager.apply_schema_async()


class Producer:
    async def one(self, arguments):
        await noop.defer_async(arguments=arguments)

    async def many(self, batch):
        await noop.batch_defer_async(*({"arguments": one} for one in batch))

    async def limited(self, batch):
        await held.batch_defer_async(*({"arguments": one} for one in batch))

    async def close(self):
        await app.close_async()


async def producer():
    await app.open_async()
    return Producer()


def work():
    async def main():
        async with app.open_async():
            await app.run_worker_async(concurrency=settings.CONCURRENCY, queues=["bench"])

    uvloop.run(main())
