"""tenure itself, in the environment that the benchmarks run in."""

import os
import subprocess
import sys
from pathlib import Path

import settings

from tenure import Settings, Tenure
from tenure._migrate import up
from tenure.bench.handlers import before, behind

ROOT = str(Path(__file__).parents[3])  # where the worker finds `bench.handlers`
SETTINGS = Settings(postgres_url=settings.POSTGRES, redis_url=settings.REDIS)


async def setup():
    await up(settings.POSTGRES, SETTINGS.schema)
    if settings.LIMITED:
        async with Tenure(SETTINGS) as app:
            await app.admin.limits.set("bench", key="*", concurrency=1)


async def keeps(number: int, sent: float, user: str, template: str, pad: str): ...  # as `bench.handlers` has it


class Producer:
    def __init__(self, app, job_type, held):
        self._app = app
        self._type = job_type
        self._held = held.options(limit_key="held")

    async def one(self, arguments):
        await self._type.enqueue(**arguments)

    async def many(self, batch):
        await self._app.enqueue_many([self._type.request(**arguments) for arguments in batch])

    async def limited(self, batch):
        await self._app.enqueue_many([self._held.request(**arguments) for arguments in batch])

    async def close(self):
        # A worker that finds half of it in Redis would measure the reconciler.
        await self._app._open().publisher.drained()  # noqa: SLF001 - nobody else needs to know
        await self._app.close()


async def producer():
    app = Tenure(SETTINGS)
    handler = {"before": before, "behind": behind}[settings.MODE]
    job_type = app.job(queue="bench", record=settings.MODE, name=handler.name)(handler.handler)
    held = app.job(queue="bench", name="keeps")(keeps)
    await app.__aenter__()
    return Producer(app, job_type, held)


def work():
    environment = {
        **os.environ,
        "TENURE_POSTGRES_URL": settings.POSTGRES,
        "TENURE_REDIS_URL": settings.REDIS,
        "TENURE_BENCH_SINK": os.environ["PEER_SINK"],
        "PYTHONPATH": ROOT,
    }
    command = ["-m", "tenure", "worker", "bench.handlers:app", "--queue", "bench"]
    command += ["--concurrency", str(settings.CONCURRENCY)]
    sys.exit(subprocess.call([sys.executable, *command], env=environment))
