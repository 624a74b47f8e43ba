"""A worker: one process's slots, from the lease to the ending."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, Self

from tenure import _validate
from tenure._balance import share
from tenure._classes import Offers
from tenure._control import Control, stacks
from tenure._engine import Engine, new_ids
from tenure._enqueue import Enqueuer
from tenure._expiry import Expiry
from tenure._feed import Feed
from tenure._maintenance import Maintenance
from tenure._publish import Publisher
from tenure._rebuild import Rebuilder
from tenure._recurring import Recurring
from tenure._runner import Runner
from tenure._settle import Settler
from tenure._surplus import Surplus
from tenure.errors import InvalidInput, StoreUnavailable, TenureError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from tenure._attempt import Attempt
    from tenure._database import Database
    from tenure._engine import Event, Lease
    from tenure._identity import Identity
    from tenure._registry import Registry
    from tenure._seal import Seal
    from tenure._settle import Ending
    from tenure._watchdog import Watchdog
    from tenure.job_type import JobType
    from tenure.schedule import Schedule
    from tenure.settings import Settings

logger = logging.getLogger("tenure.worker")

_TICK: Final = 0.25  # seconds between two proofs that the event loop is alive
_TELL: Final = 2.0  # seconds for telling the registry of a change of status


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
        watchdog: Watchdog,
        processes: int,
        seal: Seal | None = None,
        schedules: Sequence[Schedule] = (),
    ) -> None:
        """Made by `Tenure.worker`, which documents the parameters."""
        self.worker_id: Final = new_ids(1)[0]
        self.name: Final = identity.name
        self._identity = identity
        self._database = database
        self._settings = settings
        self._queues = identity.queues
        self._concurrency = identity.concurrency
        self._registry = registry
        self._watchdog = watchdog
        lease_ms = round(settings.lease_seconds * 1000)
        self._engine = Engine(
            redis_url, worker_id=self.worker_id, prefix=settings.prefix, lease_ms=lease_ms, on_event=self._on_event
        )
        self._rebuilder = Rebuilder(database, self._engine)
        rebuilder = self._rebuilder
        self._publisher = Publisher(self._engine, database, rebuilder.request, rebuilder.recheck, rebuilder.settled)
        self._expiry = Expiry(database, self._engine, self._publisher)
        self._offers = Offers(identity.capabilities, identity.resources)
        self._runner = Runner(
            database,
            self._engine,
            settings,
            job_types,
            worker_id=self.worker_id,
            concurrency=identity.concurrency,
            processes=processes,
            seal=seal,
            settle=self._settle,
            slot_freed=self._slot_freed,
            refused=self._expiry.refused,
            offers=self._offers,
            freed=self._resources_freed,
        )
        self._recurring = Recurring(
            database,
            Enqueuer(database, self._publisher, seal),
            self._publisher,
            schedules,
            job_types,
            max_payload_bytes=settings.max_payload_bytes,
            seal=seal,
        )
        self._maintenance = Maintenance(
            database,
            self._engine,
            self._publisher,
            self._queues,
            settings,
            self._on_rescued,
            self._recurring.run,
            self._expiry.sweep,
        )
        self._feed = Feed(
            self._engine, self._queues, self.free_slots, self._take, self._rebuilder, lambda: self._offers.text
        )
        self._settler = Settler(
            database, self._engine, self._publisher, self.worker_id, self._runner.on_lost, self._feed.slot_freed
        )
        self._surplus = Surplus(self._runner, self._settler, self._feed.others_idle, self._feed.wake)
        self._asking: set[asyncio.Task[None]] = set()
        self._ticker: asyncio.TimerHandle | None = None
        self._silent = False
        self._end_asked = asyncio.Event()
        self._restart = False
        self._control = Control(
            self._engine,
            {
                "quiet": self._quiet,
                "resume": self._resume,
                "stop": self._stop,
                "restart": self._stop_to_restart,
                "stacks": lambda _: stacks(self._runner.attempts),
                "concurrency": self._resize,
            },
        )

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def start(self) -> None:
        """Register, beat and begin to lease."""
        try:
            await self._engine.open()
            self._engine.core.listen()
            self._engine.core.obey()
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
        self._watchdog.enter(self._runner.attempts)
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
        logger.info("worker stops, attempts running: %d", len(self._runner.attempts))
        await self._feed.stop()
        self._engine.core.describe(self._identity.profile("DRAINING"))
        await self._tell_status("DRAINING")
        await self._runner.ended(grace)
        for attempt in list(self._runner.attempts.values()):
            attempt.cancel("release")
        # Handlers that swallow their cancellation are left behind; their fence refuses what they still try.
        await self._runner.ended(max(1.0, grace / 10))
        try:
            await asyncio.wait_for(self._settler.drained(), max(5.0, grace))
            await asyncio.wait_for(self._publisher.drained(), 5.0)
        except TimeoutError:
            logger.warning("stores are away, the rescuer will settle what is left: %d", self._settler.unsettled)
            await self._settler.abandon()
        await self._maintenance.stop()
        await self._expiry.stop()
        await self._rebuilder.stop()
        await asyncio.to_thread(self._engine.core.stop_heartbeat)
        await self._tell_status("STOPPED")

    def _end(self) -> None:
        """Let nothing of this worker go on; it may have ended already."""
        if self._ticker is not None:
            self._ticker.cancel()
        self._registry.leave(self.worker_id)
        self._watchdog.leave(self._runner.attempts)
        self._control.cancel()
        self._feed.cancel()
        self._surplus.cancel()
        self._maintenance.cancel()
        self._rebuilder.cancel()
        for asking in self._asking:
            asking.cancel()
        self._runner.close()
        self._engine.close()
        logger.info("worker stopped: %s", self.worker_id)

    def free_slots(self) -> int:
        """How many more jobs may be taken now: for the slots that its health leaves it, as many as need not wait long.

        None while endings pile up because PostgreSQL does not keep pace, while nobody can have heard of this worker for
        two beats, and while others take what it gave back.
        """
        if self._silent or self._surplus.resting or self._settler.unsettled > max(1000, 4 * self._concurrency):
            return 0
        return self._runner.room(share(self._concurrency, self._engine.core.score()) - self._runner.taken)

    @property
    def running(self) -> int:
        """Attempts under way."""
        return len(self._runner.attempts)

    @property
    def ended(self) -> int:
        """Attempts that have ended."""
        return self._runner.counted[0]

    def _take(self, leases: list[Lease]) -> None:
        self._runner.take(leases)
        self._surplus.arm()

    def _settle(self, ending: Ending) -> None:
        self._settler.add(ending)

    def _slot_freed(self) -> None:
        self._feed.slot_freed()

    def _resources_freed(self) -> None:
        # Jobs may wait that were not leased for want of them; nobody wakes this worker for those.
        self._feed.wake()

    def _on_rescued(self, leases: list[tuple[str, int]]) -> None:
        """Stop attempts whose leases this very worker took back: their beat will not say so any more."""
        for key in leases:
            attempt = self._runner.attempts.get(key)
            if attempt is not None:
                attempt.cancel("lost")

    async def end_asked(self) -> bool:
        """Wait until somebody asks this worker to end, by `Fleet.stop` or `Fleet.restart`; True: a successor is wanted.

        It leases nothing more from then on. Who runs it is to stop it, as `tenure worker` does.
        """
        await self._end_asked.wait()
        return self._restart

    # --- what others ask of it

    def _quiet(self, _: str) -> str:
        self._feed.quiet()
        self._engine.core.describe(self._identity.profile("DRAINING"))
        return f"leases nothing, attempts running: {self.running}"

    def _resume(self, _: str) -> str:
        if self._end_asked.is_set():
            raise InvalidInput("worker", "not ending", self.worker_id)
        self._feed.resume()
        self._engine.core.describe(self._identity.profile())
        return "leases"

    def _stop(self, _: str) -> str:
        self._quiet("")
        self._end_asked.set()
        return f"stops, attempts running: {self.running}"

    def _stop_to_restart(self, _: str) -> str:
        self._restart = True
        return self._stop("")

    def _resize(self, given: str) -> str:
        concurrency = _validate.concurrency(int(given) if given.isdecimal() and len(given) < 10 else given)  # noqa: PLR2004
        before, self._concurrency = self._concurrency, concurrency
        self._runner.resize(concurrency)
        self._feed.slot_freed()
        return f"concurrency {concurrency}, before {before}"

    def _on_event(self, event: Event) -> None:
        match event.kind:
            case "wake":
                self._feed.woken_for(event.queue)
            case "control":
                self._control.on_event(event.text)
            case "reconnected":
                self._rebuilder.recheck_all(self._queues)
                self._feed.wake()
            case "no_generation":
                self._rebuilder.request(event.queue)
            case "lost" | "cancel" as why:
                attempt = self._runner.attempts.get((event.job_id, event.fence))
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
        before, self._silent = self._silent, self._engine.core.silence_ms() > 2000 * self._settings.heartbeat_seconds
        if before and not self._silent:
            self._feed.wake()
        self._feed.slot_freed()  # a better score leaves more slots, and nobody else says so
        self._engine.core.tick(len(self._runner.attempts), self._concurrency, *self._runner.counted)
        self._ticker = asyncio.get_running_loop().call_later(_TICK, self._tick)

    async def _tell_status(self, status: str) -> None:
        try:
            # Not for long: a stopping worker has little time, and a silent PostgreSQL would take most of it.
            await asyncio.wait_for(self._registry.tell(self.worker_id, status), _TELL)
        except (StoreUnavailable, TimeoutError) as error:
            logger.warning("worker status was not recorded: %s: %s", status, error)
