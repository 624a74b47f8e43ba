"""Keeping several worker processes alive: restart what died, pass on what was asked, let go who was told to stop."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from typing import Final

logger = logging.getLogger("tenure.parent")

# Tells a child whose child it is; one whose parent is gone stops.
PARENT_VARIABLE: Final = "_TENURE_PARENT"
RESTART: Final = 75  # exit code of a child that wants a successor (EX_TEMPFAIL of sysexits.h)
_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 30.0
_HEALTHY: Final = 60.0  # seconds of life after which a death says nothing about the next life
_LOOK: Final = 0.1


@dataclass
class _Slot:
    """The place of one child."""

    child: subprocess.Popen[bytes] | None = None
    born: float = 0.0
    pause: float = _FIRST_PAUSE
    not_before: float = 0.0
    passed_on: int = 0  # signals that this child was sent
    code: int = 0  # of the child that was there last
    retired: bool = False  # its child was told to stop by somebody else


class Parent:
    """Never more than `count` children; one that dies is replaced, ever more slowly if its successors die too."""

    def __init__(self, command: list[str], count: int) -> None:
        """Prepare; `command` is an argument list, never a shell's line."""
        self._command = command
        self._slots = [_Slot() for _ in range(count)]
        # Handlers only append: everything else happens in the loop of `run`, where nothing is half done.
        self._asked: list[int] = []

    def run(self) -> int:
        """Run until told to stop and all children are gone; the worst of their exit codes."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda asked, _: self._asked.append(asked))
        while True:
            for slot in self._slots:
                self._look_after(slot)
            if all(slot.child is None and (self._asked or slot.retired) for slot in self._slots):
                return max(slot.code for slot in self._slots)
            time.sleep(_LOOK)

    def _look_after(self, slot: _Slot) -> None:
        if slot.child is None:
            if not self._asked and not slot.retired and time.monotonic() >= slot.not_before:
                self._start(slot)
        elif slot.child.poll() is not None:
            self._bury(slot, slot.child)
        else:
            for number in self._asked[slot.passed_on :]:
                slot.child.send_signal(number)
                slot.passed_on += 1

    def _start(self, slot: _Slot) -> None:
        environ = {**os.environ, PARENT_VARIABLE: str(os.getpid())}
        slot.born, slot.passed_on = time.monotonic(), 0
        try:
            # A session of its own: a Ctrl-C reaches the children through the parent alone, once.
            slot.child = subprocess.Popen(self._command, env=environ, start_new_session=True)  # noqa: S603 - our own command
        except OSError as error:
            logger.error("worker process cannot be started, again in %.0f s: %s", slot.pause, error)  # noqa: TRY400 - no bug
            self._wait_longer(slot)
        else:
            logger.info("worker process started: %d", slot.child.pid)

    def _bury(self, slot: _Slot, child: subprocess.Popen[bytes]) -> None:
        code, slot.child = child.returncode, None
        if self._asked:
            # Our own signal may reach a child before it listens: it had nothing to finish.
            slot.code = 0 if -code in self._asked else code if code >= 0 else 128 - code
            return
        if code == 0:
            slot.retired = True
            logger.info("worker process %d was told to stop, no other takes its place", child.pid)
            return
        if code == RESTART:
            logger.info("worker process %d was told to restart", child.pid)
            return
        lived = time.monotonic() - slot.born
        if lived >= _HEALTHY:
            slot.pause = _FIRST_PAUSE
        logger.error(
            "worker process %d ended with %d after %.1f s, a new one in %.0f s", child.pid, code, lived, slot.pause
        )
        self._wait_longer(slot)

    def _wait_longer(self, slot: _Slot) -> None:
        slot.not_before = time.monotonic() + slot.pause
        slot.pause = min(slot.pause * 2, _LONGEST_PAUSE)
