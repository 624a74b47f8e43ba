"""The registry: workers enter and leave it themselves; what they say with every beat is copied by one leader of the
fleet.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from tenure._coalesce import Coalescer
from tenure._judge import Judge, pass_over
from tenure._leader import Leader
from tenure._observer import UUID, Observer, look_seconds
from tenure._samples import figures, read_sample
from tenure.errors import StoreUnavailable, TenureError

if TYPE_CHECKING:
    from tenure._database import Database
    from tenure._engine import Engine
    from tenure.settings import Settings

logger = logging.getLogger("tenure.registry")

LEADERSHIP: Final = "registry"
_LONGEST: Final = 10.0  # seconds between two copies
_AFTER_A_FAULT: Final = 1.0
_FAREWELL: Final = 2.0
_MOST: Final = 1000


class _Change(msgspec.Struct):
    """A row to enter, or the status that a worker has from now on; told when it is written."""

    worker_id: str
    row: dict[str, object] | None
    status: str
    done: asyncio.Future[None]


class Registry:
    """This process's part of the registry.

    Entering, draining and stopping are a worker's own word, by its own login: Redis, which many may write to, cannot
    make one up. Workers of a process that do so at the same time share a statement. Everything that comes again and
    again is the leader's: two statements per interval, whatever the fleet's size, and one a look for the votes of the
    observers, of which this process runs one too.
    """

    def __init__(self, database: Database, engine: Engine, settings: Settings) -> None:
        """Prepare; the stores must be open when the first worker enters."""
        self._database = database
        self._engine = engine
        self._ttl = settings.heartbeat_ttl_seconds
        self._beat = settings.heartbeat_seconds
        self._every = min(_LONGEST, self._beat, self._ttl / 4)
        self._look_s: Final = look_seconds(settings)
        self.leader: Final = Leader(engine, database, LEADERSHIP)
        self._judge = Judge(engine, database, self.leader, settings)
        self._observer = Observer(engine, database, settings, own=lambda: self._workers)
        self._changes: Coalescer[_Change] = Coalescer(self._flush, most=_MOST, in_flight=1)
        self._workers: set[str] = set()
        self._copied = 0.0
        self._hears_since: float | None = None
        self._task: asyncio.Task[None] | None = None

    async def enter(self, row: dict[str, object]) -> None:
        """Enter a worker of this process; when this returns its row is committed."""
        worker_id = str(row["worker_id"])
        await self._change(worker_id, row, "STARTING")
        self._workers.add(worker_id)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())
        self._observer.start()

    async def tell(self, worker_id: str, status: str) -> None:
        """Record a worker's own change of status."""
        await self._change(worker_id, None, status)

    def leave(self, worker_id: str) -> None:
        """A worker of this process is gone; with the last one the process soon stands for the leadership no longer."""
        self._workers.discard(worker_id)

    async def stop(self) -> None:
        """Stand for the leadership no longer, and give it up if it is this process's."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await self._stand_down()

    async def _change(self, worker_id: str, row: dict[str, object] | None, status: str) -> None:
        done = asyncio.get_running_loop().create_future()
        self._changes.add(_Change(worker_id, row, status, done))
        await done

    async def _flush(self, batch: list[_Change]) -> None:
        rows = [change.row for change in batch if change.row is not None]
        try:
            if rows:
                await self._database.fetch("register_workers", msgspec.json.encode(rows).decode())
            # in their order: who drains and stops in one batch has stopped
            for status in dict.fromkeys(change.status for change in batch if change.row is None):
                ids = [change.worker_id for change in batch if change.row is None and change.status == status]
                await self._database.fetch("worker_status", ids, status)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the callers'
            for change in batch:
                if not change.done.done():
                    change.done.set_exception(error)
        for change in batch:
            if not change.done.done():
                change.done.set_result(None)

    # --- the leader's

    async def _run(self) -> None:
        while self._workers:
            while self._workers:
                pause = await self._round()
                await asyncio.sleep(pause)
            await self._stand_down()
            if self._workers:  # one has entered meanwhile
                self._observer.start()

    async def _stand_down(self) -> None:
        """Give up both seats, which spares their successors a wait; not longer than that wait would be worth."""
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(self._observer.stop(), self.leader.resign()), _FAREWELL)

    async def _round(self) -> float:
        """Do what is due while this process leads; seconds until to look again."""
        try:
            term = await self.leader.term()
            now = time.monotonic()
            if not term:
                self._hears_since = None
            elif await self._judge.judge(term) or now >= self._copied + self._every:
                self._copied = now
                await self._copy(term)
        except StoreUnavailable as error:
            logger.warning("the registry waits: %s", error)
            self._hears_since = None
            await self.leader.resign()
            return _AFTER_A_FAULT
        except TenureError as error:
            logger.warning("the registry waits: %s", error)
            return _AFTER_A_FAULT
        except Exception:
            logger.exception("the registry failed")
            return _AFTER_A_FAULT
        if not term:
            return self.leader.pause
        return min(self.leader.pause, self._look_s, max(0.0, self._copied + self._every - time.monotonic()))

    async def _copy(self, term: int) -> None:
        """Copy what Redis knows to the registry, then declare the silent ones failed."""
        ages = {one: age_ms for one, age_ms in await self._engine.roster() if UUID.fullmatch(one)}
        samples = await self._engine.beats([one for one, age_ms in ages.items() if age_ms <= self._ttl * 1000])
        columns: list[list[object]] = [[], [], [], [], [], []]
        wedged = []
        for worker_id, data in samples.items():
            sample = read_sample(data)
            if sample is None:
                continue
            load, score = min(max(sample.load, 0.0), 1e6), min(max(sample.score, 0), 100)
            row = (worker_id, ages[worker_id], sample.registered_status, load, score, figures(sample))
            for column, value in zip(columns, row, strict=True):
                column.append(value)
            if sample.wedged:
                wedged.append((worker_id, sample.queues))
        [written] = await self._database.fetch("heartbeats", LEADERSHIP, term, *columns)
        if not written["leads"]:
            self.leader.deposed()
            return
        await pass_over(self._engine, wedged)
        if self._hears_everybody(ages):
            await self._mark_stale(term)

    async def _mark_stale(self, term: int) -> None:
        stale_after = timedelta(seconds=self._ttl)
        [marked] = await self._database.fetch("mark_stale_workers", LEADERSHIP, term, stale_after)
        if not marked["leads"]:
            self.leader.deposed()
        for worker_id in marked["failed"]:
            logger.warning("worker failed, its heartbeats stopped: %s", worker_id)

    def _hears_everybody(self, ages: dict[str, int]) -> bool:
        """Whether silence means something: this process's own beats have come through for as long as one takes.

        After Redis was away or lost, everybody is silent for a moment.
        """
        own = min((ages[one] for one in self._workers if one in ages), default=None)
        now = time.monotonic()
        if own is None or own > 2000 * self._beat:
            self._hears_since = None
        elif self._hears_since is None:
            self._hears_since = now
        return self._hears_since is not None and now - self._hears_since >= self._beat
