"""A group's children: as many as are desired, and one at a time that makes room for a fresh one."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from tenure import _validate
from tenure.errors import InvalidInput
from tenure.supervisor.slot import Phase, Slot

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Sequence

    from tenure.supervisor.group import Group
    from tenure.supervisor.slot import ChildLike

logger = logging.getLogger("tenure.supervisor")

ALARM_AFTER: Final = 3  # deaths in a row of one place
_MEASURE: Final = 5.0  # seconds between two looks at what may be due for a fresh process


class Crew:
    """The slots of one group.

    Attributes:
        group: as it is now; a change holds for children that are started from then on.
        desired: how many children there should be.
        drained: none is wanted, whatever is desired, until it is resumed.
        removed: the group is no more; none is wanted ever again.
        manual: somebody has said how many there should be, so that no load does.
    """

    def __init__(self, group: Group, spawn: Callable[[Sequence[str]], ChildLike]) -> None:
        """Prepare; nothing is started yet."""
        self.group = group
        self.desired = group.at_first
        self.drained = False
        self.removed = False
        self.manual = False
        self.slots: list[Slot] = []
        self._spawn = spawn
        self._rolling: dict[Slot, int] = {}  # places whose child is to be replaced, and which child that is
        self._turning: tuple[Slot, int] | None = None
        self._measure_at = 0.0
        self._alarmed = False

    def look(self, now: float, *, stopping: bool = False) -> None:
        """Do what is due."""
        while len(self.slots) < self.desired:
            self.slots.append(Slot(lambda: self.group, self._spawn))
        for number, slot in enumerate(self.slots):
            slot.wanted = number < self.desired and not (stopping or self.drained or self.removed)
            if not slot.wanted:
                slot.end()
            slot.look(now)
        self._turn(now)
        self._alarm()

    def signal(self, number: signal.Signals) -> None:
        """Send all children a signal more."""
        for slot in self.slots:
            if slot.child is not None:
                slot.child.signal(number)

    def scale(self, processes: int) -> int:
        """Have so many from now on, those that were told to stop by somebody else included; how many there were.

        Raises:
            InvalidInput: it is more than the group's most.
        """
        _validate.whole("processes", processes, 0, self.group.most)
        before, self.desired = self.desired, processes
        for slot in self.slots:
            slot.retired = False
        return before

    def spawn(self) -> int:
        """Have one more; how many there are to be.

        Raises:
            InvalidInput: there are the group's most already.
        """
        if self.desired >= self.group.most:
            raise InvalidInput("processes", f"fewer than {self.group.most}, to have one more", self.desired)
        self.desired += 1
        return self.desired

    def replace(self, worker_id: str, why: str) -> bool:
        """Kill the process of this worker, and so have a successor in its place; False if it is none of these."""
        for slot in self.slots:
            if slot.child is not None and worker_id in slot.child.workers:
                slot.kill(why)
                return True
        return False

    def roll(self) -> int:
        """Replace every child that is there now, one after the other; how many."""
        self._rolling = {slot: slot.generation for slot in self.slots if slot.child is not None}
        return len(self._rolling)

    @property
    def rolling(self) -> int:
        """How many are still to be replaced."""
        return len(self._rolling)

    @property
    def workers(self) -> list[str]:
        """The ids of the workers of all children."""
        return [one for slot in self.slots if slot.child is not None for one in slot.child.workers]

    def count(self, *phases: Phase) -> int:
        """How many children are in one of these phases."""
        return sum(slot.phase in phases for slot in self.slots)

    def _turn(self, now: float) -> None:
        """Have one child make room, if its group has none that does. The next one waits until its successor works."""
        if self._turning is not None:
            slot, generation = self._turning
            over = slot.generation > generation and slot.phase is Phase.RUNNING
            if slot.wanted and not slot.retired and not over:
                return
            self._turning = None
        self._rolling = {
            slot: generation
            for slot, generation in self._rolling.items()
            if slot.generation == generation and slot.wanted and not slot.retired
        }
        turn = next(((slot, "it is rolled") for slot in self._rolling if slot.phase is Phase.RUNNING), None)
        if turn is None and now >= self._measure_at:
            self._measure_at = now + _MEASURE
            turn = next(((slot, due) for slot in self.slots if slot.wanted and (due := slot.due)), None)
        if turn is not None and turn[0].child is not None:
            slot, why = turn
            logger.info("worker process %d makes room for a fresh one, %s", turn[0].child.pid, why)
            self._turning = (slot, slot.generation)
            slot.end()

    def _alarm(self) -> None:
        worst = max((slot.failures for slot in self.slots if slot.wanted), default=0)
        if worst >= ALARM_AFTER and not self._alarmed:
            self._alarmed = True
            logger.error("a group's processes keep dying, in a row in one place: %s, %d", self.group.name, worst)
        elif not worst and self._alarmed:
            self._alarmed = False
            logger.info("a group's processes live again: %s", self.group.name)
