"""The watch: a few processes of a fleet look at all its workers, and say in PostgreSQL whom they suspect."""

from __future__ import annotations

import asyncio
import logging
import random
import re
import time
from typing import TYPE_CHECKING, Final

from tenure._detector import PAUSE_MS, Detector
from tenure._leader import HOLD, Leader
from tenure._samples import read_sample
from tenure.errors import StoreUnavailable, TenureError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from tenure._database import Database
    from tenure._engine import Engine
    from tenure.settings import Settings

logger = logging.getLogger("tenure.observer")

SEATS: Final = 5
CONFIRMATIONS: Final = 2
UUID: Final = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SPREAD: Final = 0.5
_AFTER_A_FAULT: Final = 1.0


def look_seconds(settings: Settings) -> float:
    """Seconds between two looks: a quarter of a beat, and a second at the most."""
    return min(1.0, settings.heartbeat_seconds / 4)


def valid_seconds(settings: Settings) -> float:
    """Seconds for which a vote counts that is not repeated; a look that is late shall not cost it."""
    return 3.0 + 2 * look_seconds(settings)


class Observer:
    """One process's part of the watch.

    Any process may run one: those that host workers do, and a supervisor. There are five seats, so that a fleet of
    any size is looked at by five at the most; each seat is a leadership (see `Leader`) with a term in PostgreSQL, and
    a process holds one at a time. So a vote is one observer's, and an observer that was cut off or stood still has
    none once its seat is another's.

    An observer that sees badly does not vote: one that cannot read Redis, one whose own workers are late too, and one
    for which that has been otherwise for less than a beat and two seconds. Where it has no workers of its own, half of
    all that it watches must be on time.
    """

    def __init__(
        self, engine: Engine, database: Database, settings: Settings, *, own: Callable[[], Collection[str]] = tuple
    ) -> None:
        """Prepare; both stores must be open when it is started.

        Args:
            engine: whose `worker_id` names the holder of the seat.
            database: where the votes are.
            settings: those of the fleet.
            own: the ids of this process's own workers. Defaults to none.
        """
        self._engine = engine
        self._database = database
        self._own = own
        self._look_s: Final = look_seconds(settings)
        self._ttl_ms: Final = round(settings.heartbeat_ttl_seconds * 1000)
        self._proven_s: Final = settings.heartbeat_seconds + PAUSE_MS / 1000
        self._seats: Final = [Leader(engine, database, f"observer-{number}") for number in range(1, SEATS + 1)]
        self._seat: Leader | None = None
        self._detector = Detector()
        self._sees_since: float | None = None
        self._ended: set[str] = set()
        self._voted = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Stand for a seat, and watch while it is held; may be called again."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Watch no longer, and leave the seat to others."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await self._leave()

    async def _run(self) -> None:
        while True:
            try:
                await asyncio.sleep(await self._round())
            except TenureError as error:
                logger.warning("the watch waits: %s", error)
                await self._blink(error)
            except Exception:
                logger.exception("the watch failed")
                await asyncio.sleep(_AFTER_A_FAULT)

    async def _blink(self, error: TenureError) -> None:
        """What was seen before a store was away says nothing of what is."""
        self._sees_since = None
        if isinstance(error, StoreUnavailable):
            await self._leave()
        await asyncio.sleep(_AFTER_A_FAULT)

    async def _leave(self) -> None:
        seat, self._seat = self._seat, None
        self._voted = False
        if seat is not None:
            await seat.resign()

    async def _round(self) -> float:
        """One look, if this process has a seat; seconds until the next one."""
        term = await self._stand()
        if self._seat is None:
            return HOLD + random.uniform(0.0, _SPREAD)  # noqa: S311 - not a secret
        began = time.monotonic()
        suspects = await self._look()
        if suspects or self._voted:
            await self._vote(self._seat, term, suspects)
        return max(0.0, self._look_s - (time.monotonic() - began))

    async def _stand(self) -> int:
        """The term of the seat that this process holds, taken where one is free; 0 without one."""
        if self._seat is not None and (term := await self._seat.term()):
            return term
        # What was seen so long ago is forgotten: beats were missed.
        self._seat, self._detector, self._sees_since, self._voted = None, Detector(), None, False
        for seat in random.sample(self._seats, len(self._seats)):
            if term := await seat.term():
                self._seat = seat
                return term
        return 0

    async def _look(self) -> dict[str, tuple[bool, float]]:
        """Whom this observer suspects: whether they count as dead, and phi. Nobody, if it sees badly."""
        now_ms, heard = await self._engine.heard()
        suspects, strangers = self._detector.look(now_ms, heard)
        if len(heard) - len(strangers) < len(self._detector):
            self._detector.keep({worker_id for worker_id, _ in heard})
        self._ended &= suspects.keys()
        news = [(one, at) for one, at in strangers if now_ms - at <= self._ttl_ms and UUID.fullmatch(one)]
        if news:
            samples = await self._engine.beats([one for one, _ in news])
            for one, at in news:
                sample = read_sample(samples.get(one, b""))
                if sample is not None and 0 < sample.every_ms <= self._ttl_ms:
                    self._detector.meet(one, min(at, now_ms), sample.every_ms)
        if not self._sees_well(suspects):
            return {}
        return {
            one: (dead, self._detector.phi(one, now_ms)) for one, dead in suspects.items() if one not in self._ended
        }

    def _sees_well(self, suspects: Collection[str]) -> bool:
        """Whether others' silence means something, for its witnesses have been heard of in time."""
        now = time.monotonic()
        own = self._own()
        if own:
            witnesses = [one for one in own if one in self._detector]
            late = sum(one in suspects for one in witnesses)
            well = bool(witnesses) and 2 * late <= len(witnesses)
        else:
            watched = len(self._detector) - len(self._ended)
            well = 2 * (len(suspects) - len(self._ended)) <= watched
        if not well:
            self._sees_since = None
        elif self._sees_since is None:
            self._sees_since = now
        return self._sees_since is not None and now - self._sees_since >= self._proven_s

    async def _vote(self, seat: Leader, term: int, suspects: dict[str, tuple[bool, float]]) -> None:
        """Say it, instead of what was said before."""
        ids = list(suspects)
        dead, phis = [one[0] for one in suspects.values()], [one[1] for one in suspects.values()]
        [told] = await self._database.fetch("vote", seat.name, term, ids, phis, dead)
        if not told["leads"]:
            seat.deposed()
            return
        # Whom the registry knows as ended stays in Redis for an hour: nothing is to be said of those.
        self._ended.update(suspects.keys() - set(told["living"]))
        self._voted = bool(told["living"])
