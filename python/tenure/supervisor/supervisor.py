"""All groups of one host: how many children each has, and which."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

from tenure.errors import InvalidInput, WorkerNotFound
from tenure.supervisor.child import Child
from tenure.supervisor.crew import Crew
from tenure.supervisor.slot import Phase
from tenure.supervisors import GroupState

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tenure.supervisor.group import Group
    from tenure.supervisor.slot import ChildLike


class Supervisor:
    """Keeps worker processes alive: `look` does what is due, and is to be called several times a second.

    Never more than a group's `max_processes` children, never two for one, and nothing is decided by what a store says
    or does not say: who can ask none goes on like this.
    """

    def __init__(
        self,
        groups: Sequence[Group],
        *,
        spawn: Callable[[Sequence[str]], ChildLike] = Child,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; nothing is started before the first look.

        Args:
            groups: each with a name of its own.
            spawn: starts a process by its command. Defaults to `Child`.
            clock: seconds that only rise. Defaults to the monotonic clock.

        Raises:
            InvalidInput: two groups have one name.
        """
        self._spawn = spawn
        self._clock = clock
        self._asked: list[signal.Signals] = []
        self.crews: dict[str, Crew] = {}
        for group in groups:
            if group.name in self.crews:
                raise InvalidInput("groups", "groups of different names", group.name)
            self.crews[group.name] = Crew(group, spawn)

    def look(self) -> None:
        """Start what is missing, replace what died, kill what cannot be waited for."""
        now = self._clock()
        for name, crew in list(self.crews.items()):
            crew.look(now, stopping=bool(self._asked))
            if crew.removed and all(slot.child is None for slot in crew.slots):
                del self.crews[name]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Have all children end, by this signal; each further one is passed on."""
        self._asked.append(number)
        for crew in self.crews.values():
            if len(self._asked) > 1:
                crew.signal(number)
            else:
                for slot in crew.slots:
                    slot.wanted = False
                    slot.end(number)

    @property
    def stopping(self) -> bool:
        """Whether it was told to stop."""
        return bool(self._asked)

    @property
    def idle(self) -> bool:
        """Whether there is no child, and none will be started unless somebody asks for it."""
        return all(
            slot.child is None and (self.stopping or slot.retired or not slot.wanted)
            for crew in self.crews.values()
            for slot in crew.slots
        )

    @property
    def code(self) -> int:
        """The worst exit code of the last children."""
        return max((slot.code for crew in self.crews.values() for slot in crew.slots), default=0)

    # --- steering

    def crew(self, group: str) -> Crew:
        """One group's children.

        Raises:
            InvalidInput: there is no such group.
        """
        if group not in self.crews:
            raise InvalidInput("group", f"one of {', '.join(self.crews)}", group)
        return self.crews[group]

    def spawn_worker(self, group: str) -> int:
        """Have one process more of a group; how many there are to be.

        Raises:
            InvalidInput: there is no such group, or it has its most.
        """
        return self.crew(group).spawn()

    def replace_failed_worker(self, worker_id: str, why: str = "its worker has failed") -> None:
        """Kill the process of a worker and start one like it, when that one is known to be dead.

        Asked again, there is no such worker any more: nobody gets two successors.

        Raises:
            WorkerNotFound: no child hosts it.
        """
        if not any(crew.replace(worker_id, why) for crew in self.crews.values()):
            raise WorkerNotFound(f"no process of this supervisor hosts the worker: {worker_id}")

    def drain(self) -> int:
        """Have all children end, and start no other until `resume`; how many there are still."""
        for crew in self.crews.values():
            crew.drained = True
            crew.look(self._clock(), stopping=self.stopping)
        return sum(crew.count(*Phase) - crew.count(Phase.EMPTY) for crew in self.crews.values())

    def resume(self) -> int:
        """Start what is desired again; how many there are to be."""
        for crew in self.crews.values():
            crew.drained = False
            crew.scale(crew.desired)
        return sum(crew.desired for crew in self.crews.values())

    def reload(self, groups: Sequence[Group]) -> list[str]:
        """Have these groups from now on; the names of those whose processes are replaced, one after the other.

        A group that is no longer there is drained. How many processes a group has is what it says again, unless its
        load says so.
        """
        rolled = []
        told = {group.name: group for group in groups}
        for name, crew in self.crews.items():
            crew.removed = name not in told
        for name, group in told.items():
            if name not in self.crews:
                self.crews[name] = Crew(group, self._spawn)
                continue
            crew = self.crews[name]
            same, crew.group = crew.group.same_processes(group), group
            crew.manual = False
            if group.scale is None or not group.least <= crew.desired <= group.most:
                crew.scale(group.at_first)
            if not same:
                crew.roll()
                rolled.append(name)
        return rolled

    # --- what others are told

    def state(self) -> dict[str, GroupState]:
        """How every group fares."""
        return {
            name: GroupState(
                desired=crew.desired,
                running=crew.count(Phase.RUNNING),
                starting=crew.count(Phase.STARTING),
                ending=crew.count(Phase.ENDING),
                retired=sum(slot.retired for slot in crew.slots),
                rolling=crew.rolling,
                least=crew.group.least,
                most=crew.group.most,
                drained=crew.drained,
                manual=crew.manual,
            )
            for name, crew in self.crews.items()
        }

    @property
    def workers(self) -> list[str]:
        """The ids of the workers of all children."""
        return [one for crew in self.crews.values() for one in crew.workers]

    def take_dead(self) -> list[str]:
        """The ids of workers whose processes have died since this was asked last."""
        dead = []
        for crew in self.crews.values():
            for slot in crew.slots:
                dead += slot.dead
                slot.dead = []
        return dead
