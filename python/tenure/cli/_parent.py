"""Keeping several worker processes alive: restart what died, pass on what was asked."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import time
from typing import Final

logger = logging.getLogger("tenure.parent")

_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 30.0
_HEALTHY: Final = 60.0  # a process that lived this long is started again without a pause
_LOOK: Final = 0.1


class Parent:
    """Never more than `count` children; one that dies by itself is replaced, ever more slowly if its successors die too."""

    def __init__(self, command: list[str], count: int) -> None:
        """Prepare; `command` is an argument list, never a shell's line."""
        self._command = command
        self._children: list[subprocess.Popen[bytes] | None] = [None] * count
        self._born = [0.0] * count
        self._pause = [_FIRST_PAUSE] * count
        self._not_before = [0.0] * count
        self._signals = 0
        self._last_signal = signal.SIGTERM

    def run(self) -> int:
        """Run until told to stop; the worst exit code of the last children."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        while not self._signals:
            for slot, child in enumerate(self._children):
                self._look_after(slot, child)
            time.sleep(_LOOK)
        codes = [child.wait() for child in self._children if child is not None]
        return max((abs(code) for code in codes), default=0)

    def _look_after(self, slot: int, child: subprocess.Popen[bytes] | None) -> None:
        now = time.monotonic()
        if child is not None:
            code = child.poll()
            if code is None:
                return
            self._children[slot] = None
            lived = now - self._born[slot]
            pause = 0.0 if lived >= _HEALTHY else self._pause[slot]
            self._pause[slot] = _FIRST_PAUSE if lived >= _HEALTHY else min(pause * 2, _LONGEST_PAUSE)
            self._not_before[slot] = now + pause
            logger.error("worker process %d died with %d after %.1f s, a new one in %.0f s", child.pid, code, lived, pause)
        elif now >= self._not_before[slot] and not self._signals:
            environ = {**os.environ, "_TENURE_PARENT": str(os.getpid())}
            # A session of its own: a Ctrl-C reaches the children through the parent alone, once.
            self._children[slot] = subprocess.Popen(self._command, env=environ, start_new_session=True)  # noqa: S603 - our own command
            self._born[slot] = now

    def _stop(self, number: int, _frame: object) -> None:
        self._signals += 1
        self._last_signal = signal.Signals(number)
        for child in self._children:
            if child is not None and child.poll() is None:
                child.send_signal(number)
