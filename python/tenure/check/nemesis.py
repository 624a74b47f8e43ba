"""A nemesis, and the task that lets nemeses strike one after the other.

The protocol is one name and one coroutine: `strike` does its harm, heals what it broke, and says how much of an effect
it had. A strike that met nobody has the effect 0; a run in which a nemesis never had any proves nothing, and is void.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from tenure.errors import TenureError

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from tenure.check.client import Client
    from tenure.check.fleet import Fleet
    from tenure.check.history import History
    from tenure.check.plan import Plan
    from tenure.check.stage import Stage

_EXTRA: Final = 0.5  # of the run's time, at most, for those that have had no effect yet


@dataclass(frozen=True, slots=True)
class Scene:
    """What a nemesis may touch."""

    plan: Plan
    stage: Stage
    fleet: Fleet
    client: Client
    history: History
    dice: random.Random

    def note(self, name: str, **value: object) -> None:
        """Write into the history what is being done, and to whom."""
        self.history.note("nemesis", "info", name, value)


class Nemesis(Protocol):
    """One kind of fault."""

    @property
    def name(self) -> str:
        """As `--nemesis` knows it."""

    async def strike(self, scene: Scene) -> int:
        """Do harm and heal it; how much of an effect it had."""


async def strike_in_turn(scene: Scene, nemeses: Sequence[Nemesis], seconds: float) -> dict[str, int]:
    """Strike one after the other, in an order that the seed decides, with quiet in between; the effects by name.

    When the time is up, those without an effect get another half of it.
    """
    effects = {nemesis.name: 0 for nemesis in nemeses}
    began = time.monotonic()
    waiting: list[Nemesis] = []
    while True:
        await asyncio.sleep(scene.dice.uniform(scene.plan.quiet_seconds / 4, scene.plan.quiet_seconds))
        spent = time.monotonic() - began
        if spent >= seconds:
            waiting = [nemesis for nemesis in nemeses if not effects[nemesis.name]]
        if not nemeses or spent >= seconds * (1 + _EXTRA) or (spent >= seconds and not waiting):
            if not nemeses and spent < seconds:
                continue
            return effects
        if not waiting:
            waiting = scene.dice.sample(list(nemeses), len(nemeses))
        nemesis = waiting.pop()
        op = scene.history.note("nemesis", "invoke", nemesis.name, {})
        try:
            effect = await nemesis.strike(scene)
        except TenureError as error:
            # Its own way to a store may be what another fault cut.
            scene.history.note("nemesis", "fail", nemesis.name, {"op": op, "error": str(error)})
        else:
            effects[nemesis.name] += effect
            scene.history.note("nemesis", "ok", nemesis.name, {"op": op, "effect": effect})
