"""Seeing that an event loop does not turn, and saying which handler holds it, while it does."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
import traceback
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tenure._attempt import Attempt

logger = logging.getLogger("tenure.watchdog")

_LOOKS: Final = 4  # within the time that a loop may stand still


class Watchdog:
    """A thread that watches one event loop for all the workers on it.

    The heartbeat's thread, which is not Python's, tells the fleet that a loop stands still (`wedged`), and keeps its
    leases; only this one can look at Python's stacks. Where a handler keeps the interpreter's lock as well, it cannot
    look before that is let go.
    """

    def __init__(self, limit: float) -> None:
        """Prepare; nothing is watched yet. `limit`: seconds for which a loop may stand still."""
        self._limit = limit
        self._watched: list[Mapping[tuple[str, int], Attempt]] = []
        self._turned = 0.0
        self._turning: asyncio.TimerHandle | None = None
        self._stop = threading.Event()

    def enter(self, attempts: Mapping[tuple[str, int], Attempt]) -> None:
        """Watch the running loop while this worker's attempts are on it."""
        self._watched.append(attempts)
        if self._turning is None:
            self._stop = threading.Event()
            self._turn()
            loop = asyncio.get_running_loop()
            who = (loop, threading.get_ident(), self._stop)
            threading.Thread(target=self._watch, args=who, name="tenure-watchdog", daemon=True).start()

    def leave(self, attempts: Mapping[tuple[str, int], Attempt]) -> None:
        """These are no longer there; with the last of them the thread ends. May be said twice."""
        self._watched = [one for one in self._watched if one is not attempts]
        if not self._watched and self._turning is not None:
            self._turning.cancel()
            self._turning = None
            self._stop.set()

    def _turn(self) -> None:
        self._turned = time.monotonic()
        self._turning = asyncio.get_running_loop().call_later(self._limit / _LOOKS, self._turn)

    def _watch(self, loop: asyncio.AbstractEventLoop, thread: int, stop: threading.Event) -> None:
        reported = 0.0
        while not stop.wait(self._limit / _LOOKS):
            turned = self._turned
            if reported and turned != reported:
                logger.warning("the event loop turns again, after %.1f s", turned - reported)
                reported = 0.0
            if not reported and time.monotonic() - turned >= self._limit * (1 + 1 / _LOOKS):
                reported = turned
                frame = sys._current_frames().get(thread)  # noqa: SLF001 - the only way to see another thread
                stack = "".join(traceback.format_stack(frame)) if frame is not None else "no stack"
                logger.error(
                    "the event loop stands still for %.1f s, held by %s:\n%s",
                    time.monotonic() - turned,
                    self._holder(loop),
                    stack,
                )

    def _holder(self, loop: asyncio.AbstractEventLoop) -> str:
        task = asyncio.current_task(loop)
        for attempts in self._watched:
            for attempt in list(attempts.values()):
                if task is not None and attempt.task is task:
                    lease = attempt.lease
                    return f"job {lease.job_id}:{lease.fence} {lease.job_type}"
        return "no job" if task is None else f"the task {task.get_name()}"
