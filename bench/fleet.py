"""Worker processes as users start them: `tenure worker` in subprocesses."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from bench.handlers import QUEUE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.space import Space

_STOP_WITHIN: Final = 30.0
_READY_WITHIN: Final = 60.0


@contextmanager
def fleet(space: Space, processes: int, concurrency: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Start worker processes; they are asked to stop afterwards, and must obey."""
    log = (space.sink / "workers.log").open("ab")
    command = [sys.executable, "-m", "tenure", "worker", "bench.handlers:app"]
    command += ["--queue", QUEUE, "--concurrency", str(concurrency)]
    workers = [subprocess.Popen(command, env=space.environment, stdout=log, stderr=log) for _ in range(processes)]
    try:
        yield workers
        if dead := [worker.pid for worker in workers if worker.poll() is not None]:
            raise AssertionError(f"worker processes ended by themselves: {dead}\n{log_tail(space)}")
    finally:
        for worker in workers:
            worker.send_signal(signal.SIGTERM)
        for worker in workers:
            try:
                worker.wait(_STOP_WITHIN)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()
        log.close()


async def ready(space: Space, workers: list[subprocess.Popen[bytes]], slots_each: int) -> None:
    """Wait until every worker process is registered and, as none has work, sleeps."""
    give_up = time.monotonic() + _READY_WITHIN
    async with space.connection() as connection:
        while True:
            query = f"SELECT count(*) FROM {space.name}.workers WHERE concurrency = $1"
            seen = await connection.fetchval(query, slots_each)
            if seen == len(workers):
                break
            if time.monotonic() > give_up or any(worker.poll() is not None for worker in workers):
                raise AssertionError(f"worker processes registered, of {len(workers)}: {seen}\n{log_tail(space)}")
            await asyncio.sleep(0.05)
    # Registration comes just before the first lease, and with it the place among the idle.
    await asyncio.sleep(0.3)


def log_tail(space: Space) -> str:
    """The last that the workers had to say."""
    return (space.sink / "workers.log").read_text("utf-8", "replace")[-2000:]
