"""Following the load: a group that has a `scale` gets as many processes as its share of its queues' load asks for."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from tenure.supervisor.load import read_loads
from tenure.supervisor.scale import Load, Scaler
from tenure.supervisors import Roll

if TYPE_CHECKING:
    from tenure._database import Database
    from tenure._engine import Engine
    from tenure.supervisor.group import Group
    from tenure.supervisor.supervisor import Supervisor

logger = logging.getLogger("tenure.station")


class Following:
    """Of one supervisor. No host leads: each takes the part of the load that its most is of all hosts' most."""

    def __init__(self, supervisor_id: str, supervisor: Supervisor, database: Database, engine: Engine) -> None:
        """Prepare; nothing was seen yet, so all of the load is this host's."""
        self._supervisor_id = supervisor_id
        self._supervisor = supervisor
        self._database = database
        self._engine = engine
        self._roll = Roll(engine)
        self._shares: dict[str, float] = {}
        self._scalers: dict[str, tuple[Group, Scaler]] = {}
        self._looked: dict[str, float] = {}

    async def count_peers(self) -> None:
        """See who else runs these groups.

        Raises:
            StoreUnavailable: Redis is away; the shares stay as they were.
        """
        if not any(crew.group.scale for crew in self._supervisor.crews.values()):
            return
        others = [one for one in await self._roll.call() if one.supervisor_id != self._supervisor_id]
        for name, crew in self._supervisor.crews.items():
            states = [one.groups[name] for one in others if name in one.groups]
            theirs = sum(state.most for state in states if not state.drained)
            self._shares[name] = crew.group.most / (crew.group.most + theirs)

    async def follow(self) -> None:
        """Change what is desired of the groups whose time to look has come.

        Raises:
            StoreUnavailable: a store is away; what is desired stays.
        """
        now = time.monotonic()
        for name, crew in list(self._supervisor.crews.items()):
            group, scale = crew.group, crew.group.scale
            if scale is None or crew.manual or crew.drained or now < self._looked.get(name, 0.0) + scale.look_seconds:
                continue
            self._looked[name] = now
            loads = await read_loads(self._database, self._engine, group.queues)
            load = sum(loads.values(), Load()).part(self._shares.get(name, 1.0))
            before, scaler = self._scalers.get(name, (None, None))
            if scaler is None or before is not group:
                scaler = Scaler(scale, group.slots, group.least, group.most)
                self._scalers[name] = (group, scaler)
            desired = scaler.desired(load, crew.desired, now)
            # somebody may have said otherwise while the stores were asked
            if desired != crew.desired and crew.group is group and not (crew.manual or crew.drained):
                said = (name, crew.desired, desired, load.ready, load.running, load.oldest_seconds)
                logger.info("scales: %s, %d to %d processes, ready %d, running %d, oldest %.1f s", *said)
                crew.desired = desired
