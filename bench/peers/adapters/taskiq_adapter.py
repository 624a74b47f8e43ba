"""taskiq on Redis streams."""

import settings
import uvloop
from taskiq.api import run_receiver_task
from taskiq_redis import RedisStreamBroker

broker = RedisStreamBroker(
    settings.REDIS, max_connection_pool_size=120, consumer_id="0", xread_count=max(100, settings.CONCURRENCY)
)


@broker.task(task_name="noop")
async def noop(arguments: dict) -> None:
    settings.mark(arguments)


def setup():
    pass


class Producer:
    async def one(self, arguments):
        await noop.kiq(arguments)

    async def close(self):
        await broker.shutdown()


async def producer():
    await broker.startup()
    return Producer()


def work():
    async def main():
        broker.is_worker_process = True
        most = settings.CONCURRENCY
        await run_receiver_task(broker, run_startup=True, max_async_tasks=most, max_prefetch=most)

    uvloop.run(main())
