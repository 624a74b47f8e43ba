"""The place of one child: at most one at a time, and each loss replaced once."""

from __future__ import annotations

import logging
import random
import signal
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol

from tenure.supervisor.pulse import EVERY, RESTART

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tenure.supervisor.group import Group

logger = logging.getLogger("tenure.supervisor")

FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 30.0
HEALTHY: Final = 60.0  # seconds of work after which earlier deaths say nothing any more
STOPPED: Final = 5.0  # seconds for which somebody may have stopped a child and mean to go on with it
_BEATS: Final = 1.5 * EVERY
_STEP: Final = 1.0  # the most that one look may find to have passed
_TOLD: Final = (-signal.SIGTERM, -signal.SIGINT)


class ChildLike(Protocol):
    """What a slot needs of a `Child`."""

    workers: list[str]
    ready: bool
    ends_within: float
    ended: int

    @property
    def pid(self) -> int: ...  # noqa: D102 - as `Child` has it
    def poll(self) -> int | None: ...  # noqa: D102
    def hear(self) -> bool: ...  # noqa: D102
    def signal(self, number: signal.Signals) -> None: ...  # noqa: D102
    def stopped(self) -> bool: ...  # noqa: D102
    def rss_bytes(self) -> int | None: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102


class Phase(StrEnum):
    """How far a slot's child is."""

    EMPTY = "empty"
    STARTING = "starting"
    RUNNING = "running"
    ENDING = "ending"


class Slot:
    """One place. A successor is started only when its predecessor has been reaped, whatever that one died of.

    Attributes:
        wanted: whether there should be a child, told by the crew.
        retired: its child was told to stop by somebody else, so that no other takes its place.
        failures: deaths in a row that nobody asked for, of children that had not worked for long.
        code: exit code of the child that was there last, as a shell has it; 0 where it ended as it was told.
        dead: ids of workers whose process is known to have died, until somebody takes them.
        generation: how many children there were.
    """

    def __init__(self, group: Callable[[], Group], spawn: Callable[[Sequence[str]], ChildLike]) -> None:
        """Prepare an empty one; `group` says what its children are when one is started."""
        self._group = group
        self._spawn = spawn
        self.child: ChildLike | None = None
        self.phase = Phase.EMPTY
        self.wanted = False
        self.retired = False
        self.failures = 0
        self.code = 0
        self.dead: list[str] = []
        self.generation = 0
        self._looked: float | None = None
        # All counted in looks: what passes while the supervisor itself does not run is no part of a child's silence.
        self._phase_s = 0.0
        self._silent_s = 0.0
        self._stopped_s = 0.0
        self._born = 0.0
        self._not_before = 0.0
        self._killed = ""

    def look(self, now: float) -> None:
        """Do what is due at `now`, seconds of a clock that only rises."""
        step = 0.0 if self._looked is None else min(now - self._looked, _STEP)
        self._looked = now
        self._phase_s += step
        if self.child is None:
            if self.wanted and not self.retired and now >= self._not_before:
                self._start(now)
            return
        heard = self.child.hear()
        code = self.child.poll()
        if code is not None:
            self._bury(self.child, code, now)
            return
        self._silent_s = 0.0 if heard else self._silent_s + step
        # Who beats is not stopped, and need not be looked up.
        self._stopped_s = self._stopped_s + step if self._silent_s > _BEATS and self.child.stopped() else 0.0
        if self.phase is Phase.STARTING and self.child.ready:
            self._enter(Phase.RUNNING)
        elif self.phase is Phase.RUNNING and self._phase_s >= HEALTHY:
            self.failures = 0
        self._judge(self.child)

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Have the child end in order; once, however often it is asked."""
        if self.child is not None and self.phase is not Phase.ENDING:
            self._enter(Phase.ENDING)
            self.child.signal(number)

    def kill(self, why: str) -> None:
        """End the child at once: its leases expire, and its jobs run elsewhere."""
        if self.child is not None and not self._killed:
            self._killed = why
            logger.error("worker process %d is killed, %s", self.child.pid, why)
            self.child.signal(signal.SIGKILL)

    @property
    def due(self) -> str:
        """Why the child should make room for a fresh one, empty where it need not."""
        if self.child is None or self.phase is not Phase.RUNNING:
            return ""
        group = self._group()
        if group.recycle_after_jobs is not None and self.child.ended >= group.recycle_after_jobs:
            return f"it has run {self.child.ended} jobs"
        if group.recycle_rss_mb is not None:
            held = (self.child.rss_bytes() or 0) / 1e6
            if held >= group.recycle_rss_mb:
                return f"it holds {held:.0f} MB"
        return ""

    def _judge(self, child: ChildLike) -> None:
        """Kill what cannot be waited for. Only what this process sees itself counts here."""
        group = self._group()
        if self._stopped_s >= STOPPED:
            self.kill("a signal has stopped it")
        elif self.phase is Phase.STARTING and self._phase_s >= group.start_seconds:
            self.kill(f"it does not work after {group.start_seconds:g} s")
        elif self.phase is Phase.ENDING and self._phase_s >= child.ends_within:
            self.kill(f"it has not ended within {child.ends_within:g} s")
        elif self.phase is Phase.RUNNING and self._silent_s >= group.wedged_seconds:
            self.kill(f"its event loop has stood still for {group.wedged_seconds:g} s")

    def _start(self, now: float) -> None:
        try:
            self.child = self._spawn(self._group().command())
        except OSError as error:
            pause = self._wait(now)
            logger.error("worker process cannot be started, again in %.1f s: %s", pause, error)  # noqa: TRY400 - no bug
            return
        self.generation += 1
        self._born = now
        self._killed, self._silent_s, self._stopped_s = "", 0.0, 0.0
        self._enter(Phase.STARTING)
        logger.info("worker process started: %d", self.child.pid)

    def _bury(self, child: ChildLike, code: int, now: float) -> None:
        told, lived = self.phase is Phase.ENDING, now - self._born
        child.close()
        self.child = None
        self._enter(Phase.EMPTY)
        if code not in (0, RESTART):
            self.dead += child.workers
        if told:
            # A signal of ours may reach a child before it listens: it had nothing to finish.
            self.code = 0 if code in (RESTART, *_TOLD) else code if code >= 0 else 128 - code
        elif code == 0:
            self.retired = True
            logger.info("worker process %d was told to stop, no other takes its place", child.pid)
        elif code == RESTART:
            logger.info("worker process %d was told to restart", child.pid)
        else:
            pause = self._wait(now)
            logger.error(
                "worker process %d ended with %d after %.1f s, a new one in %.1f s", child.pid, code, lived, pause
            )

    def _enter(self, phase: Phase) -> None:
        self.phase, self._phase_s = phase, 0.0

    def _wait(self, now: float) -> float:
        """Seconds until the next try, twice as long with every death in a row, up to the cap, and a bit random."""
        pause = min(FIRST_PAUSE * 2.0 ** min(self.failures, 30), LONGEST_PAUSE)
        self.failures += 1
        pause *= random.uniform(0.5, 1.0)  # noqa: S311 - not a secret
        self._not_before = now + pause
        return pause
