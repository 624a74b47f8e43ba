"""What a worker process says of itself to whoever started it, over a pipe that nothing but the machine can cut.

Lines of text, each short enough to be written whole or not at all:

    worker ID           one for each worker that it hosts, when it has entered the registry
    ready SECONDS       all of them lease; ends within so many seconds once it is told to
    beat ENDED          every second, by the event loop itself: attempts that have ended

So silence is no matter of Redis, PostgreSQL or the network: the loop does not turn, or the process does not run.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tenure.worker import Worker

# Tells a child whose child it is; one whose parent is gone stops.
PARENT_VARIABLE: Final = "_TENURE_PARENT"
# The file descriptor for its pulse.
PULSE_VARIABLE: Final = "_TENURE_PULSE"
RESTART: Final = 75  # exit code of a child that wants a successor (EX_TEMPFAIL of sysexits.h)
EVERY: Final = 1.0  # seconds between two beats
_STOP: Final = 45.0  # seconds for what stopping takes besides what the grace time is given for


class Pulse:
    """The child's side; without a pipe, which only a supervisor makes, it says nothing."""

    def __init__(self) -> None:
        """Take the pipe out of the environment: it is not for the processes that handlers start."""
        given = os.environ.pop(PULSE_VARIABLE, "")
        self._pipe = int(given) if given.isdecimal() else None
        self._workers: Sequence[Worker] = ()
        self._timer: asyncio.TimerHandle | None = None
        if self._pipe is not None:
            os.set_inheritable(self._pipe, False)  # noqa: FBT003 - the system's own order
            os.set_blocking(self._pipe, False)

    def ready(self, workers: Sequence[Worker], grace: float) -> None:
        """Say who is hosted here and that it works, and beat from now on."""
        for worker in workers:
            self._say(f"worker {worker.worker_id}")
        self._say(f"ready {2.1 * grace + _STOP:.1f}")
        self._workers = workers
        self._beat()

    def stop(self) -> None:
        """Beat no longer."""
        if self._timer is not None:
            self._timer.cancel()

    def _beat(self) -> None:
        self._say(f"beat {sum(worker.ended for worker in self._workers)}")
        if self._pipe is not None:
            self._timer = asyncio.get_running_loop().call_later(EVERY, self._beat)

    def _say(self, line: str) -> None:
        if self._pipe is None:
            return
        try:
            os.write(self._pipe, f"{line}\n".encode())
        except BlockingIOError:
            return  # the supervisor is paused: it hears what it has missed when it goes on
        except OSError:
            self._pipe = None  # it is gone; that is noticed elsewhere
