"""The demo's worker processes: started, one of them killed while it holds jobs, the others stopped."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Final, NamedTuple

from tenure.errors import TenureError
from tenure.supervisor.pulse import PARENT_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tenure._database import Database

_CONCURRENCY: Final = 4
_STILL: Final = 0.05  # seconds in which what a frozen worker had sent reaches PostgreSQL
_PATIENCE: Final = 15.0


class Killed(NamedTuple):
    """The worker process that was killed, and how many attempts it had under way."""

    pid: int
    held: int


class Fleet:
    """The worker processes."""

    def __init__(self, count: int, variables: Mapping[str, str]) -> None:
        """Start them; they stop by themselves if this process is gone."""
        command = [sys.executable, "-m", "tenure", "worker", "tenure.demo.jobs:app"]
        command += ["--concurrency", str(_CONCURRENCY), "--log-level", "error"]
        environ = {**os.environ, **variables, PARENT_VARIABLE: str(os.getpid())}
        self._processes = [
            subprocess.Popen(command, env=environ, start_new_session=True)  # noqa: S603 - an argument list of our own
            for _ in range(count)
        ]
        self.killed: Killed | None = None

    async def kill_one(self, database: Database) -> None:
        """Kill a worker that holds jobs, unless none does just now.

        Frozen first: a job that takes a millisecond would have ended between the look and the signal.
        """
        for process in self._processes:
            process.send_signal(signal.SIGSTOP)
            try:
                await asyncio.sleep(_STILL)
                held = (await database.fetch("demo_held", process.pid))[0]["held"]
                if held:
                    process.kill()
                    self.killed = Killed(process.pid, held)
                    return
            finally:
                process.send_signal(signal.SIGCONT)

    def check(self) -> None:
        """Raise if a worker has ended that nobody killed."""
        for process in self._processes:
            code = process.poll()
            if code is not None and (self.killed is None or process.pid != self.killed.pid):
                raise TenureError(f"a worker process of the demo ended, exit code: {code}")

    async def stop(self) -> None:
        """End those that are left."""
        for process in self._processes:
            process.terminate()
        await asyncio.to_thread(self._wait)

    def _wait(self) -> None:
        for process in self._processes:
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
