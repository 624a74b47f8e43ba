"""The worker processes of a run: started, replaced when they die, stopped and continued when asked."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final

from tenure.check.ledger import VARIABLE
from tenure.check.worker import PARENT_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

COMMAND: Final = (sys.executable, "-m", "tenure.check.worker")
_LOOK: Final = 0.05
_PAUSE: Final = 0.2  # between a death and its replacement
_PATIENCE: Final = 15.0


class Fleet:
    """So many worker processes, whatever happens to them.

    Attributes:
        deaths: when (monotonic ns) each process ended that nobody stopped in order.
    """

    def __init__(
        self, command: Sequence[str], count: int, concurrency: int, environment: Mapping[str, str], directory: Path
    ) -> None:
        """Prepare; nothing is started yet."""
        self._command = [*command, str(concurrency)]
        self._count = count
        self._ledger = directory / "ledger.jsonl"
        self._log = directory / "workers.log"
        self._environment = {
            **os.environ,
            **environment,
            VARIABLE: str(self._ledger),
            PARENT_VARIABLE: str(os.getpid()),
        }
        self._processes: list[subprocess.Popen[bytes]] = []
        self._stopped: set[int] = set()
        self._keeper: asyncio.Task[None] | None = None
        self.deaths: dict[int, int] = {}

    @property
    def pids(self) -> list[int]:
        """The processes that live and are not stopped."""
        alive = [process.pid for process in self._processes if process.poll() is None]
        return [pid for pid in alive if pid not in self._stopped]

    def start(self) -> None:
        """Start them, and from now on replace those that die."""
        self._processes = [self._spawn() for _ in range(self._count)]
        self._keeper = asyncio.create_task(self._keep())

    def signal(self, pid: int, number: int) -> None:
        """Send one of them a signal, if it still lives."""
        for process in self._processes:
            if process.pid == pid and process.poll() is None:
                process.send_signal(number)
        if number == signal.SIGSTOP:
            self._stopped.add(pid)
        elif number == signal.SIGCONT:
            self._stopped.discard(pid)

    async def stop(self) -> None:
        """Continue and end them all, gently at first."""
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
        await asyncio.to_thread(self._wait)

    def _spawn(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - an argument list of our own
                self._command, env=self._environment, start_new_session=True, stdout=log, stderr=log
            )

    async def _keep(self) -> None:
        while True:
            for place, process in enumerate(self._processes):
                if process.poll() is not None:
                    self.deaths[process.pid] = time.monotonic_ns()
                    await asyncio.sleep(_PAUSE)
                    self._processes[place] = self._spawn()
            await asyncio.sleep(_LOOK)

    def _wait(self) -> None:
        give_up = time.monotonic() + _PATIENCE
        for process in self._processes:
            try:
                process.wait(max(0.1, give_up - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
