"""`python -m bench.crew QUEUE WORKERS`: workers of one slot each in one process, so that a fleet fits a machine."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from bench.handlers import app
from tenure.bench.loop import run
from tenure.supervisor.pulse import PARENT_VARIABLE

_LOOK_FOR_PARENT = 1.0


async def crew(queue: str, count: int) -> None:
    """Work until SIGTERM, or until the process that started this one is gone."""
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    parent = int(os.environ[PARENT_VARIABLE])
    async with app:
        workers = [app.worker(queues=[queue], concurrency=1, name=f"crew {number}") for number in range(count)]
        await asyncio.gather(*(worker.start() for worker in workers))
        while not stopping.is_set() and os.getppid() == parent:
            try:
                await asyncio.wait_for(stopping.wait(), _LOOK_FOR_PARENT)
            except TimeoutError:
                continue
        await asyncio.gather(*(worker.stop(5.0) for worker in workers))


if __name__ == "__main__":
    run(crew(sys.argv[1], int(sys.argv[2])))
