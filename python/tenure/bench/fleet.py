"""Worker processes as users start them: `tenure worker` in subprocesses."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from tenure.bench.errors import NotAsPromised

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tenure.bench.stage import Stage

HANDLERS: Final = "tenure.bench.handlers:app"
_STOP_WITHIN: Final = 30.0
_READY_WITHIN: Final = 60.0
_LOG: Final = "workers.log"

Workers = list["subprocess.Popen[bytes]"]


@contextmanager
def fleet(stage: Stage, processes: int, concurrency: int, target: str = HANDLERS) -> Iterator[Workers]:
    """Start worker processes; they are asked to stop afterwards, and must obey."""
    command = ["tenure", "worker", target, "--queue", stage.queue, "--concurrency", str(concurrency)]
    with started(stage, command, processes) as workers:
        yield workers


@contextmanager
def started(stage: Stage, command: Sequence[str], processes: int) -> Iterator[Workers]:
    """Run a module with arguments in some processes of the stage's environment."""
    with (stage.sink / _LOG).open("ab") as log:
        workers = [
            subprocess.Popen([sys.executable, "-m", *command], env=stage.environment, stdout=log, stderr=log)  # noqa: S603 - an argument list of our own
            for _ in range(processes)
        ]
        try:
            yield workers
            check(stage, workers)
        finally:
            for worker in workers:
                worker.send_signal(signal.SIGTERM)
            for worker in workers:
                try:
                    worker.wait(_STOP_WITHIN)
                except subprocess.TimeoutExpired:
                    worker.kill()
                    worker.wait()


def check(stage: Stage, workers: Workers) -> None:
    """Raise if a worker process has ended that nobody asked to."""
    if dead := [worker.pid for worker in workers if worker.poll() is not None]:
        raise NotAsPromised(f"worker processes ended by themselves: {dead}, the last they said: {log_tail(stage)}")


async def ready(stage: Stage, workers: Workers, each: int = 1) -> None:
    """Wait until every worker, `each` of them in a process, has asked for work, got none, and sleeps."""
    give_up = time.monotonic() + _READY_WITHIN
    async with stage.engine() as engine:
        while (idle := (await engine.depths(stage.queue)).idle) < len(workers) * each:
            check(stage, workers)
            if time.monotonic() > give_up:
                raise NotAsPromised(f"workers that should wait for work, {len(workers) * each}: {idle}")
            await asyncio.sleep(0.02)


def log_tail(stage: Stage) -> str:
    """The last that the workers had to say."""
    return (stage.sink / _LOG).read_text("utf-8", "replace")[-2000:]
