"""tenure itself, in the environment that the benchmarks run in."""

import os
import subprocess
import sys

import settings

from tenure import Settings, Tenure
from tenure._migrate import up
from tenure.bench.handlers import before, behind

SETTINGS = Settings(postgres_url=settings.POSTGRES, redis_url=settings.REDIS)


async def setup():
    await up(settings.POSTGRES, SETTINGS.schema)


class Producer:
    def __init__(self, app, job_type):
        self._app = app
        self._type = job_type

    async def one(self, arguments):
        await self._type.enqueue(**arguments)

    async def many(self, batch):
        await self._app.enqueue_many([self._type.request(**arguments) for arguments in batch])

    async def close(self):
        await self._app.close()


async def producer():
    app = Tenure(SETTINGS)
    handler = {"before": before, "behind": behind}[settings.MODE]
    job_type = app.job(queue="bench", record=settings.MODE, name=handler.name)(handler.handler)
    await app.__aenter__()
    return Producer(app, job_type)


def work():
    environment = {
        **os.environ,
        "TENURE_POSTGRES_URL": settings.POSTGRES,
        "TENURE_REDIS_URL": settings.REDIS,
        "TENURE_BENCH_SINK": os.environ["PEER_SINK"],
    }
    command = ["-m", "tenure", "worker", "tenure.bench.handlers:app", "--queue", "bench"]
    command += ["--concurrency", str(settings.CONCURRENCY)]
    sys.exit(subprocess.call([sys.executable, *command], env=environment))
