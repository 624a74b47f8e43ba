"""A worker: one process's slots, from the lease to the ending."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, Self

from tenure._attempt import Attempt, released, verdict_of
from tenure._engine import Engine, new_ids
from tenure._enqueue import Enqueuer
from tenure._feed import Feed
from tenure._maintenance import Maintenance
from tenure._progress import ContextReporter
from tenure._publish import Publisher
from tenure._rebuild import Rebuilder
from tenure._recurring import Recurring
from tenure._sealed_calls import calls_of
from tenure._settle import Settler
from tenure._slots import Slots
from tenure._start import Starter
from tenure.errors import StoreUnavailable, TenureError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from tenure._database import Database
    from tenure._engine import Event, Lease
    from tenure._identity import Identity
    from tenure._registry import Registry
    from tenure._seal import Seal
    from tenure.job_type import JobType
    from tenure.schedule import Schedule
    from tenure.settings import Settings

logger = logging.getLogger("tenure.worker")

_TICK: Final = 0.25  # seconds between two proofs that the event loop is alive
# Seconds a job may run before its start gets a write of its own, where starts are recorded behind.
_TELL: Final = 2.0  # seconds for telling the registry of a change of status
_BEHIND: Final = 0.05


class Worker:
    """Leases, runs and settles jobs of some queues, at most `concurrency` at a time; `async with` starts and stops
    it.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        redis_url: str,
        job_types: Mapping[str, JobType[..., object]],
        *,
        identity: Identity,
        registry: Registry,
        seal: Seal | None = None,
        schedules: Sequence[Schedule] = (),
    ) -> None:
        """Made by `Tenure.worker`, which documents the parameters."""
        self.worker_id: Final = new_ids(1)[0]
        self.name: Final = identity.name
        self._identity = identity
        self._database = database
        self._settings = settings
        self._job_types = job_types
        self._queues = identity.queues
        self._concurrency = identity.concurrency
        self._registry = registry
        self._counted = [0, 0]  # attempts that ended, and those that failed
        lease_ms = round(settings.lease_seconds * 1000)
        self._engine = Engine(
            redis_url, worker_id=self.worker_id, prefix=settings.prefix, lease_ms=lease_ms, on_event=self._on_event
        )
        self._rebuilder = Rebuilder(database, self._engine)
        rebuilder = self._rebuilder
        self._publisher = Publisher(self._engine, database, rebuilder.request, rebuilder.recheck, rebuilder.settled)
        self._starter = Starter(database, self.worker_id, settings.lease_seconds * 0.8, self._on_asked)
        self._reporter = ContextReporter(database, self._attempt_of, self._starter)
        self._threads = ThreadPoolExecutor(max_workers=identity.concurrency, thread_name_prefix="tenure-handler")
        self._recurring = Recurring(
            database,
            Enqueuer(database, self._publisher),
            self._publisher,
            schedules,
            job_types,
            max_payload_bytes=settings.max_payload_bytes,
            seal=seal,
        )
        self._maintenance = Maintenance(
            database, self._engine, self._publisher, self._queues, settings, self._on_rescued, self._recurring.run
        )
        self._feed = Feed(self._engine, self._queues, self.free_slots, self._take, self._rebuilder)
        self._settler = Settler(
            database, self._engine, self._publisher, self.worker_id, self._on_lost, self._feed.slot_freed
        )
        self._slots: Slots[Attempt] = Slots(self._run)
        self._call_handler, self._ending_of = calls_of(seal)
        self._attempts: dict[tuple[str, int], Attempt] = {}
        self._all_ended = asyncio.Event()
        self._asking: set[asyncio.Task[None]] = set()
        self._orphans = 0
        self._ticker: asyncio.TimerHandle | None = None
        self._look_behind: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def start(self) -> None:
        """Register, beat and begin to lease."""
        try:
            await self._engine.open()
            self._engine.core.listen()
            await self._registry.enter(self._identity.row(self.worker_id))
            await self._recurring.declare()
        except BaseException:
            self._end()
            raise
        interval_ms = round(self._settings.heartbeat_seconds * 1000)
        ttl_ms = round(self._settings.heartbeat_ttl_seconds * 1000)
        profile, history = self._identity.profile(), self._settings.heartbeat_samples
        self._engine.core.start_heartbeat(interval_ms, ttl_ms, history, profile)
        self._tick()
        self._maintenance.start()
        self._feed.start()
        logger.info("worker started: %s %s, queues %s", self.name, self.worker_id, ", ".join(self._queues))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop gracefully: no new leases, the grace time for what runs, the rest is given back."""
        await self.stop(self._settings.grace_seconds)

    async def stop(self, grace: float) -> None:
        """Stop leasing, wait up to `grace` seconds for what runs, give the rest back without burning an attempt.

        Cancelled meanwhile, it stops at once: what runs is cancelled, and its leases expire.
        """
        try:
            await self._wind_down(grace)
        finally:
            self._end()

    async def _wind_down(self, grace: float) -> None:
        logger.info("worker stops, attempts running: %d", len(self._attempts))
        await self._feed.stop()
        self._engine.core.describe(self._identity.profile("DRAINING"))
        await self._tell_status("DRAINING")
        await self._ended(grace)
        for attempt in list(self._attempts.values()):
            attempt.cancel("release")
        # Handlers that swallow their cancellation are left behind; their fence refuses what they still try.
        await self._ended(max(1.0, grace / 10))
        try:
            await asyncio.wait_for(self._settler.drained(), max(5.0, grace))
            await asyncio.wait_for(self._publisher.drained(), 5.0)
        except TimeoutError:
            logger.warning("stores are away, the rescuer will settle what is left: %d", self._settler.unsettled)
            await self._settler.abandon()
        await self._maintenance.stop()
        await self._rebuilder.stop()
        await asyncio.to_thread(self._engine.core.stop_heartbeat)
        await self._tell_status("STOPPED")

    def _end(self) -> None:
        """Let nothing of this worker go on; it may have ended already."""
        for timer in (self._ticker, self._look_behind):
            if timer is not None:
                timer.cancel()
        self._registry.leave(self.worker_id)
        self._feed.cancel()
        self._maintenance.cancel()
        self._rebuilder.cancel()
        for asking in self._asking:
            asking.cancel()
        for attempt in list(self._attempts.values()):
            attempt.cancel("lost")
        self._engine.close()
        self._threads.shutdown(wait=False, cancel_futures=True)
        logger.info("worker stopped: %s", self.worker_id)

    def free_slots(self) -> int:
        """How many more jobs may be taken now; none while endings pile up because PostgreSQL does not keep pace."""
        taken = len(self._attempts) + self._orphans
        if self._settler.unsettled > max(1000, 4 * self._concurrency):
            return 0
        return self._concurrency - taken

    @property
    def running(self) -> int:
        """Attempts under way."""
        return len(self._attempts)

    def _take(self, leases: list[Lease]) -> None:
        """Run what was leased: at once where the start is recorded behind, else when PostgreSQL has confirmed it."""
        before: list[Attempt] = []
        behind: list[Attempt] = []
        for lease in leases:
            if lease.key in self._attempts:
                # Redis lost the lease, and a rebuild pushed the job again before PostgreSQL knew of its start: this
                # worker runs it already, and what it was given now is the same lease once more.
                continue
            attempt = self._attempts[lease.key] = Attempt(lease)
            (behind if lease.mode == "behind" else before).append(attempt)
        if before:
            self._starter.record(before)
        if behind:
            self._slots.begin(behind)
            if self._look_behind is None:
                self._look_behind = asyncio.get_running_loop().call_later(_BEHIND, self._record_behind)

    def _on_asked(self, batch: list[Attempt]) -> None:
        """Begin the attempts that PostgreSQL has confirmed; the others are not this worker's."""
        ready = []
        for attempt in batch:
            if attempt.begun:
                continue
            if attempt.recorded:
                ready.append(attempt)
            else:
                self._engine.core.drop([attempt.lease.key])
                self._forget(attempt)
        self._slots.begin(ready)

    def _record_behind(self) -> None:
        """Record the starts of attempts that take longer, so that others see them running and count a crash."""
        long_ago = time.monotonic() - _BEHIND
        younger = False
        for attempt in self._attempts.values():
            if attempt.recorded or attempt.recording is not None or attempt.lease.mode != "behind":
                continue
            if attempt.begun and attempt.started <= long_ago:
                attempt.record(self._starter).add_done_callback(functools.partial(self._lose_unless_recorded, attempt))
            else:
                younger = True
        self._look_behind = asyncio.get_running_loop().call_later(_BEHIND, self._record_behind) if younger else None

    def _lose_unless_recorded(self, attempt: Attempt, recording: asyncio.Future[bool]) -> None:
        if not recording.result():
            attempt.cancel("lost")

    async def _run(self, attempt: Attempt, task: asyncio.Task[None]) -> None:
        try:
            if attempt.stop is None:
                attempt.begin(task)
                await self._run_to_end(attempt)
            else:
                attempt.begun = True
                await self._give_back(attempt)
        except asyncio.CancelledError:
            await self._give_back(attempt)
        except Exception:
            logger.exception("attempt broke, the rescuer will take the lease back: %s:%d", *attempt.lease.key)
            self._engine.core.drop([attempt.lease.key])
        finally:
            attempt.end()
            self._forget(attempt)

    async def _run_to_end(self, attempt: Attempt) -> None:
        lease = attempt.lease
        job_type = self._job_types.get(lease.job_type)
        run = self._call_handler(job_type, attempt, self._reporter, self._threads, self._orphaned)
        verdict = await verdict_of(run, lease.timeout_ms, attempt)
        ending = self._ending_of(verdict, attempt, job_type, self._settings.max_result_bytes)
        if not attempt.recorded and (ending.status != "COMPLETED" or attempt.recording is not None):
            if not await attempt.ensure_recorded(self._starter):
                self._on_lost(lease)
                self._engine.core.drop([lease.key])
                return
            ending.recorded = True
        self._counted[0] += 1
        if ending.execution_status == "FAILED":
            self._counted[1] += 1
        self._settler.add(ending)

    async def _give_back(self, attempt: Attempt) -> None:
        """End an attempt that was cut off: one that was not lost is given back, with a recorded start."""
        # A cancellation that came before the handler ran is given back too: PostgreSQL knows that it was asked for.
        if attempt.stop in ("release", "cancel") and await self._confirmed(attempt):
            self._settler.add(released(attempt))
        else:
            self._engine.core.drop([attempt.lease.key])

    def _forget(self, attempt: Attempt) -> None:
        """Free the slot of an attempt that is over."""
        self._attempts.pop(attempt.lease.key, None)
        if not self._attempts:
            self._all_ended.set()
        self._feed.slot_freed()

    async def _ended(self, within: float) -> None:
        """Wait until no attempt is under way, at most that many seconds."""
        while self._attempts and within > 0:
            self._all_ended.clear()
            began = time.monotonic()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._all_ended.wait(), within)
            within -= time.monotonic() - began

    async def _confirmed(self, attempt: Attempt) -> bool:
        """Whether an attempt that was cut off has a recorded start, so that giving it back can be recorded too."""
        return await asyncio.shield(attempt.ensure_recorded(self._starter))

    def _orphaned(self, thread: asyncio.Future[Any]) -> None:
        """Keep a slot for a thread that goes on after its attempt was given up."""
        self._orphans += 1
        thread.add_done_callback(self._orphan_ended)

    def _orphan_ended(self, thread: asyncio.Future[Any]) -> None:
        self._orphans -= 1
        if not thread.cancelled():
            thread.exception()  # seen: nobody waits for it any more
        self._feed.slot_freed()

    def _attempt_of(self, job_id: str, fence: int) -> Attempt | None:
        return self._attempts.get((job_id, fence))

    def _on_lost(self, lease: Lease) -> None:
        logger.warning("lease lost, nothing was changed: %s:%d %s", lease.job_id, lease.fence, lease.job_type)

    def _on_rescued(self, leases: list[tuple[str, int]]) -> None:
        """Stop attempts whose leases this very worker took back: their beat will not say so any more."""
        for key in leases:
            attempt = self._attempts.get(key)
            if attempt is not None:
                attempt.cancel("lost")

    def _on_event(self, event: Event) -> None:
        match event.kind:
            case "wake":
                self._feed.wake()
            case "reconnected":
                self._rebuilder.recheck_all(self._queues)
                self._feed.wake()
            case "no_generation":
                self._rebuilder.request(event.queue)
            case "lost" | "cancel" as why:
                attempt = self._attempts.get((event.job_id, event.fence))
                if attempt is None:
                    pass
                elif why == "lost":
                    logger.warning("attempt stops, lost: %s:%d", event.job_id, event.fence)
                    attempt.cancel("lost")
                elif attempt.stop is None:
                    asking = asyncio.get_running_loop().create_task(self._stop_if_asked(attempt))
                    self._asking.add(asking)
                    asking.add_done_callback(self._asking.discard)
            case "redis_down":
                logger.warning("redis is away, reconnecting")
            case _:
                pass

    async def _stop_if_asked(self, attempt: Attempt) -> None:
        """Stop an attempt that Redis wants stopped if PostgreSQL does too: an end is not Redis' to decide, nor that of
        whoever may write there. Where it cannot be asked, the next beat says so again.
        """
        try:
            asked = await self._database.fetch("cancel_asked", *attempt.lease.key)
        except TenureError as error:
            logger.warning("a cancellation waits: %s:%d: %s", *attempt.lease.key, error)
            return
        if asked:
            logger.warning("attempt stops, cancel: %s:%d", *attempt.lease.key)
            attempt.cancel("cancel")
        else:
            logger.warning("redis wants a job stopped that nobody cancelled, it goes on: %s:%d", *attempt.lease.key)

    def _tick(self) -> None:
        self._engine.core.tick(len(self._attempts), self._concurrency, *self._counted)
        self._ticker = asyncio.get_running_loop().call_later(_TICK, self._tick)

    async def _tell_status(self, status: str) -> None:
        try:
            # Not for long: a stopping worker has little time, and a silent PostgreSQL would take most of it.
            await asyncio.wait_for(self._registry.tell(self.worker_id, status), _TELL)
        except (StoreUnavailable, TimeoutError) as error:
            logger.warning("worker status was not recorded: %s: %s", status, error)
