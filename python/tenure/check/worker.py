"""One worker process of a check: an ordinary worker, whose lease calls and signs of life go into the ledger."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tenure._engine import Engine
from tenure.check import jobs

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenure._engine import LeaseBatch

PARENT_VARIABLE: Final = "_TENURE_CHECK_PARENT"
_PULSE: Final = 0.2


def main(concurrency: int) -> None:
    """Work until SIGTERM, or until the checker is gone."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    observe_leases()
    gc.collect()
    gc.freeze()
    _runner()(_work(concurrency))


def observe_leases() -> None:
    """Note every lease call of this process that brought jobs: when it began and ended, and what it brought."""
    original: Callable[..., Any] = Engine.lease

    async def lease(self: Engine, queue: str, want: int, offers: str = "") -> LeaseBatch:
        began = time.monotonic_ns()
        batch: LeaseBatch = await original(self, queue, want, offers)
        if batch.leases:
            found = [(one.job_id, one.fence, one.priority) for one in batch.leases]
            jobs.ledger().note("lease", queue=queue, began=began, ended=time.monotonic_ns(), jobs=found)
        return batch

    setattr(Engine, "lease", lease)  # noqa: B010 - an assignment is what mypy forbids


def _runner() -> Callable[..., Any]:
    if sys.platform == "win32":
        return asyncio.run
    import uvloop  # noqa: PLC0415 - not on Windows

    return uvloop.run


async def _work(concurrency: int) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    async with jobs.make_app() as app:
        running = app.worker(queues=jobs.QUEUES, concurrency=concurrency)
        await running.start()
        threading.Thread(target=_pulse, args=(loop, int(os.environ[PARENT_VARIABLE])), daemon=True).start()
        jobs.ledger().note("ready", worker=running.worker_id)
        await stopping.wait()
        await running.stop(app.settings.grace_seconds)


def _pulse(loop: asyncio.AbstractEventLoop, parent: int) -> None:
    """From a thread, so that a wedged loop is told from a stopped process."""
    tasks = 0

    def count() -> None:
        nonlocal tasks
        tasks = len(asyncio.all_tasks(loop))

    while os.getppid() == parent:
        if not loop.is_closed():
            loop.call_soon_threadsafe(count)
        fds = len(list(Path("/dev/fd").iterdir()))
        jobs.ledger().note("pulse", fds=fds, threads=threading.active_count(), tasks=tasks)
        time.sleep(_PULSE)
    os._exit(1)


if __name__ == "__main__":
    main(int(sys.argv[1]))
