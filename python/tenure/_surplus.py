"""Giving back jobs that wait in this process while other workers are idle."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from tenure.errors import TenureError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tenure._attempt import Attempt
    from tenure._runner import Runner
    from tenure._settle import Settler

logger = logging.getLogger("tenure.balance")

# Seconds that a job may wait here before others are looked for, and the most between two looks that found none.
PATIENCE: Final = 0.1
_LONGEST: Final = 1.6
# Seconds until a second look at jobs that wait for the loop: where the machine stood still and not a handler, they have
# begun by then.
_AGAIN: Final = 0.02
# Seconds for which a worker that gave jobs back takes none: those who were woken for them come first.
_REST: Final = 0.05
# How long the giving back is waited for before what was kept begins: it may be a handler that holds the loop.
_HASTE: Final = 0.25
# Runs of a job that burnt no attempt (given back, snoozed, rescued) after which it stays where it is: whoever was idle
# may not have had a process free for it either.
_MOVES: Final = 3


class Surplus:
    """Looks whether jobs have waited here for longer than `PATIENCE`, and gives a fair part of them to those who are
    idle: with k idle workers, k of k + 1 parts.

    A job waits because the event loop was held, or because it is a `cpu` handler's and all processes are busy. What
    Redis asks for is one pipeline a look, and nothing while nothing waits. A job that is given back is a row of the
    audit, RELEASED, and stands behind what is ready: nothing much, for others are idle.
    """

    def __init__(
        self,
        runner: Runner,
        settler: Settler,
        others_idle: Callable[[str], Awaitable[int]],
        on_rested: Callable[[], None],
    ) -> None:
        """Prepare. `others_idle` says how many other workers wait for jobs of a queue; `on_rested` is told when this
        one takes jobs again.
        """
        self._runner = runner
        self._settler = settler
        self._others_idle = others_idle
        self._on_rested = on_rested
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._pause = PATIENCE
        self._ended = False
        self._again = False
        self.resting = False

    def arm(self) -> None:
        """Jobs were taken: look later whether they wait."""
        if self._timer is None and self._task is None and not self._ended:
            self._timer = asyncio.get_running_loop().call_later(self._pause, self._look)

    def cancel(self) -> None:
        """Look no more."""
        self._ended = True
        for one in (self._timer, self._task):
            if one is not None:
                one.cancel()

    def _look(self) -> None:
        self._timer = None
        loop, again, self._again = asyncio.get_running_loop(), self._again, False
        since = self._runner.hold.waits_since()
        stuck = self._runner.wait_for_processes()
        long_ago = time.monotonic() - PATIENCE
        if min(stuck.values(), default=math.inf) <= long_ago or (again and since is not None and since <= long_ago):
            self._task = loop.create_task(self._share_out(list(stuck)))
        elif since is not None and since <= long_ago:
            self._again = True
            self._timer = loop.call_later(_AGAIN, self._look)
        elif since is not None or stuck or self._runner.unbegun:
            self.arm()
        else:
            self._pause = PATIENCE

    async def _share_out(self, stuck: list[Attempt]) -> None:
        self.resting = True
        waiting = self._runner.withhold()
        given: list[Attempt] = []
        try:
            given = await self._choose(waiting, stuck)
            if given:
                await self._runner.give_back(given)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._settler.drained(), _HASTE)
                logger.info("jobs were given back, other workers are idle: %d", len(given))
        except TenureError as error:
            logger.debug("who is idle cannot be asked, jobs stay: %s", error)
        finally:
            gone = set(given)
            self._runner.go_on([attempt for attempt in waiting if attempt not in gone])
            self._task = None
            self._pause = PATIENCE if given else min(2 * self._pause, _LONGEST)
            self.arm()
            if given and not self._ended:
                asyncio.get_running_loop().call_later(_REST, self._rested)
            else:
                self._rested()

    def _rested(self) -> None:
        self.resting = False
        self._on_rested()

    async def _choose(self, waiting: list[Attempt], stuck: list[Attempt]) -> list[Attempt]:
        """What others should have: the last of those that wait, for the first are the next to run here."""
        queues: dict[str, tuple[list[Attempt], list[Attempt]]] = defaultdict(lambda: ([], []))
        for place, attempts in enumerate((waiting, stuck)):
            for attempt in attempts:
                queues[attempt.lease.queue][place].append(attempt)
        chosen: list[Attempt] = []
        for queue, (behind_loop, behind_processes) in queues.items():
            others = await self._others_idle(queue)
            if others <= 0:
                continue
            part = others / (others + 1)
            # The loop is free now, so one of these begins here; the processes are not.
            for attempts, count in (
                (behind_loop, math.floor(len(behind_loop) * part)),
                (behind_processes, math.ceil(len(behind_processes) * part)),
            ):
                movable = [one for one in attempts if one.lease.fence - one.lease.attempt < _MOVES and one.stop is None]
                chosen += movable[max(0, len(movable) - count) :]
        return chosen
