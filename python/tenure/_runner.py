"""Attempts under way in one worker: from leases to endings."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from tenure._attempt import Attempt, released, verdict_of
from tenure._balance import Hold
from tenure._deadline import shortest_ms
from tenure._processes import Processes
from tenure._progress import ContextReporter
from tenure._references import References
from tenure._sealed_calls import calls_of
from tenure._slots import Slots
from tenure._start import Starter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tenure._classes import Offers
    from tenure._database import Database
    from tenure._engine import Engine, Lease
    from tenure._seal import Seal
    from tenure._settle import Ending
    from tenure.job_type import JobType
    from tenure.settings import Settings

logger = logging.getLogger("tenure.worker")

# Seconds a job may run before its start gets a write of its own, where starts are recorded behind.
_BEHIND: Final = 0.05
# So many leases of `cpu` jobs without another: what comes next is one too.
_ALL_CPU: Final = 20


class Runner:
    """Runs what was leased, as many attempts as it is given: whoever leases asks `taken` first.

    `settle` is given the ending of each attempt that PostgreSQL must learn of; `slot_freed` is called whenever `taken`
    has fallen.
    """

    def __init__(
        self,
        database: Database,
        engine: Engine,
        settings: Settings,
        job_types: Mapping[str, JobType[..., object]],
        *,
        worker_id: str,
        concurrency: int,
        processes: int,
        seal: Seal | None,
        settle: Callable[[Ending], None],
        slot_freed: Callable[[], None],
        refused: Callable[[list[Lease]], None],
        offers: Offers,
        freed: Callable[[], None],
    ) -> None:
        """Prepare; nothing runs before the first leases are taken. `offers` is told what each takes up; `freed` is
        called whenever some of that was given back.
        """
        self.attempts: Final[dict[tuple[str, int], Attempt]] = {}
        self.counted: Final = [0, 0]  # attempts that ended, and those that failed
        self._engine = engine
        self._settings = settings
        self._job_types = job_types
        self._settle = settle
        self._slot_freed = slot_freed
        self._refused = refused
        self._offers = offers
        self._freed = freed
        self._starter = Starter(database, worker_id, settings.lease_seconds * 0.8, self._on_asked)
        self._reporter = ContextReporter(database, self.attempt_of, self._starter)
        self._threads = ThreadPoolExecutor(max_workers=concurrency, thread_name_prefix="tenure-handler")
        self._processes = Processes(processes, settings.max_result_bytes)
        self._slots: Slots[Attempt] = Slots(self._run)
        self.hold: Final = Hold()
        self._entered = 0  # attempts taken, without those that will not begin
        self._withheld: list[Attempt] | None = None
        self._cpu_types: Final = {name for name, job_type in job_types.items() if job_type.cpu}
        self._cpu_in_a_row = 0
        self._call_handler, self._ending_of = calls_of(seal)
        self._references = References(database, seal)
        self._all_ended = asyncio.Event()
        self._orphans = 0
        self._look_behind: asyncio.TimerHandle | None = None

    @property
    def taken(self) -> int:
        """Slots that are taken: attempts under way, and threads that go on after theirs was given up."""
        return len(self.attempts) + self._orphans

    @property
    def unbegun(self) -> int:
        """Attempts whose handlers were not called yet."""
        return self._entered - self.hold.begun

    def room(self, free: int) -> int:
        """For how many of so many free slots jobs would begin soon: not where they wait for the loop, nor, as long as
        nothing but `cpu` jobs comes, for a process. Where other jobs come too, those are not to wait for these.
        """
        free = min(free, self.hold.most - self.unbegun)
        if self._cpu_in_a_row < _ALL_CPU:
            return free
        return min(free, self._processes.room - self.unbegun)

    def resize(self, concurrency: int) -> None:
        """Have threads for that many handlers from now on; those that run are let run."""
        self._threads.shutdown(wait=False)
        self._threads = ThreadPoolExecutor(max_workers=concurrency, thread_name_prefix="tenure-handler")

    def close(self) -> None:
        """Let nothing go on: what runs is cancelled, and its leases expire."""
        if self._look_behind is not None:
            self._look_behind.cancel()
        for attempt in list(self.attempts.values()):
            attempt.cancel("lost")
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._processes.close()

    def take(self, leases: list[Lease]) -> None:
        """Run what was leased: at once where the start is recorded behind, else when PostgreSQL has confirmed it."""
        before: list[Attempt] = []
        behind: list[Attempt] = []
        for lease in leases:
            if lease.key in self.attempts:
                # Redis lost the lease, and a rebuild pushed the job again before PostgreSQL knew of its start: this
                # worker runs it already, and what it was given now is the same lease once more.
                continue
            attempt = self.attempts[lease.key] = Attempt(lease)
            if lease.requires:
                self._offers.take(lease.requires)
            if self._cpu_types:
                self._cpu_in_a_row = self._cpu_in_a_row + 1 if lease.job_type in self._cpu_types else 0
            (behind if lease.mode == "behind" else before).append(attempt)
        self._entered += len(before) + len(behind)
        if before:
            self._starter.record(before)
        if behind:
            self._begin(behind)
            if self._look_behind is None:
                self._look_behind = asyncio.get_running_loop().call_later(_BEHIND, self._record_behind)

    def _on_asked(self, batch: list[Attempt]) -> None:
        """Begin the attempts that PostgreSQL has confirmed; the others are not this worker's."""
        ready, refused = [], []
        for attempt in batch:
            if attempt.begun:
                continue
            if attempt.recorded:
                ready.append(attempt)
            else:
                self._engine.core.drop([attempt.lease.key])
                self._entered -= 1
                self._forget(attempt)
                refused.append(attempt.lease)
        if refused:
            self._refused(refused)
        self._begin(ready)

    def _begin(self, ready: list[Attempt]) -> None:
        if self._withheld is not None:
            self._withheld += ready
        elif ready:
            self.hold.handed(len(ready), time.monotonic())
            self._slots.begin(ready)

    def withhold(self) -> list[Attempt]:
        """What waits for its turn; until `go_on` nothing begins."""
        self._withheld = []
        self.hold.withdrawn(time.monotonic())
        return self._slots.withdraw()

    def go_on(self, kept: list[Attempt]) -> None:
        """Begin these, and what has come since `withhold`."""
        ready, self._withheld = kept + (self._withheld or []), None
        self._begin(ready)

    def wait_for_processes(self) -> dict[Attempt, float]:
        """Attempts that wait for a process, and since when, in their order."""
        waiting = self._processes.waiting.items()
        return {self.attempts[key]: since for key, since in waiting if key in self.attempts}

    async def give_back(self, surplus: list[Attempt]) -> None:
        """End attempts that wait: ready at once, no attempt burnt. Those that wait for a process end a little later;
        one that has got it meanwhile goes on.
        """
        waited = [attempt for attempt in surplus if not attempt.begun]
        for attempt in surplus:
            if attempt.begun:
                if attempt.lease.key in self._processes.waiting:
                    attempt.cancel("surplus")
            else:
                attempt.begun = True
                self._entered -= 1
                attempt.stop = attempt.stop or "surplus"
        await asyncio.gather(*map(self._give_back, waited))
        for attempt in waited:
            self._forget(attempt)

    def _record_behind(self) -> None:
        """Record the starts of attempts that take longer, so that others see them running and count a crash."""
        long_ago = time.monotonic() - _BEHIND
        younger = False
        for attempt in self.attempts.values():
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
        hold = self.hold
        hold.begun += 1
        if hold.begun == hold.due:
            asyncio.get_running_loop().call_soon(self._batch_begun)
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

    def _batch_begun(self) -> None:
        self.hold.timed()
        self._slot_freed()  # there is room for others to wait

    async def _run_to_end(self, attempt: Attempt) -> None:
        lease = attempt.lease
        job_type = self._job_types.get(lease.job_type)
        run = self._call_handler(
            job_type, attempt, self._reporter, self._threads, self._processes, self._orphaned, self._references
        )
        verdict = await verdict_of(run, shortest_ms(lease.timeout_ms, attempt.deadline), attempt)
        ending = self._ending_of(verdict, attempt, job_type, self._settings.max_result_bytes)
        if not attempt.recorded and (ending.status != "COMPLETED" or attempt.recording is not None):
            if not await attempt.ensure_recorded(self._starter):
                self.on_lost(lease)
                self._engine.core.drop([lease.key])
                return
            ending.recorded = True
        self.counted[0] += 1
        if ending.execution_status == "FAILED":
            self.counted[1] += 1
        self._settle(ending)

    async def _give_back(self, attempt: Attempt) -> None:
        """End an attempt that was cut off: one that was not lost is given back, with a recorded start."""
        # A cancellation that came before the handler ran is given back too: PostgreSQL knows that it was asked for.
        if attempt.stop in ("release", "surplus", "cancel") and await self._confirmed(attempt):
            self._settle(released(attempt))
        else:
            self._engine.core.drop([attempt.lease.key])

    def _forget(self, attempt: Attempt) -> None:
        """Free the slot of an attempt that is over."""
        if self.attempts.pop(attempt.lease.key, None) is not None and not attempt.orphaned:
            self._give_back_resources(attempt.lease.requires)
        if not self.attempts:
            self._all_ended.set()
        self._slot_freed()

    def _give_back_resources(self, requires: str) -> None:
        if requires:
            self._offers.give_back(requires)
            self._freed()

    async def ended(self, within: float) -> None:
        """Wait until no attempt is under way, at most that many seconds."""
        while self.attempts and within > 0:
            self._all_ended.clear()
            began = time.monotonic()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._all_ended.wait(), within)
            within -= time.monotonic() - began

    async def _confirmed(self, attempt: Attempt) -> bool:
        """Whether an attempt that was cut off has a recorded start, so that giving it back can be recorded too."""
        return await asyncio.shield(attempt.ensure_recorded(self._starter))

    def _orphaned(self, attempt: Attempt, thread: asyncio.Future[Any]) -> None:
        """Keep a slot, and what the job takes up, for a thread that goes on after its attempt was given up."""
        self._orphans += 1
        attempt.orphaned = True
        thread.add_done_callback(functools.partial(self._orphan_ended, attempt.lease.requires))

    def _orphan_ended(self, requires: str, thread: asyncio.Future[Any]) -> None:
        self._orphans -= 1
        self._give_back_resources(requires)
        if not thread.cancelled():
            thread.exception()  # seen: nobody waits for it any more
        self._slot_freed()

    def attempt_of(self, job_id: str, fence: int) -> Attempt | None:
        return self.attempts.get((job_id, fence))

    def on_lost(self, lease: Lease) -> None:
        logger.warning("lease lost, nothing was changed: %s:%d %s", lease.job_id, lease.fence, lease.job_type)
