"""The hot path as asyncio sees it. The only module that imports `_core`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, TypeVar

from tenure._core import (
    Core,
    Depths,
    Descriptor,
    Event,
    ForkedProcess,
    Histogram,
    Lanes,
    Lease,
    LeaseBatch,
    NoGeneration,
    Pushed,
    RedisRefused,
    RedisUnavailable,
    RedisUntrusted,
    ServerInfo,
    backoff_ms,
    debug_build,
    migrations,
    new_ids,
)
from tenure.errors import Backpressure, ConfigurationError, StoreUnavailable, Untrusted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = [
    "Depths",
    "Descriptor",
    "Engine",
    "Event",
    "ForkedProcess",
    "Histogram",
    "Lanes",
    "Lease",
    "LeaseBatch",
    "NoGeneration",
    "Pushed",
    "ServerInfo",
    "backoff_ms",
    "debug_build",
    "migrations",
    "new_ids",
]

T = TypeVar("T")
# Redis answers these while it is alive but has no room, or cannot write its log.
_REFUSES_MORE: Final = ("OOM", "MISCONF", "BUSY", "LOADING")


class Engine:
    """One event loop's doorway to Redis: every call is a batch, every reply is one wake-up of the loop.

    `NoGeneration` passes through every call: the queue must be rebuilt from PostgreSQL before Redis can be asked.
    """

    def __init__(
        self,
        url: str,
        *,
        worker_id: str,
        prefix: str,
        lease_ms: int,
        on_event: Callable[[Event], None],
    ) -> None:
        """Prepare the hot path; nothing is connected yet.

        Args:
            url: `redis://`, `rediss://` or `redis+unix://`.
            worker_id: names this process's inbox, heartbeat and place among the idle.
            prefix: of every key.
            lease_ms: how long a lease lives without a beat.
            on_event: told, on the loop, what no call asked for.
        """
        self.worker_id: Final = worker_id
        self.core: Final = Core(url, worker_id=worker_id, prefix=prefix, lease_ms=lease_ms, margin_ms=lease_ms // 10)
        self._on_event = on_event
        self._loop: asyncio.AbstractEventLoop | None = None

    async def open(self) -> ServerInfo:
        """Connect and say who answered."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self.core.fileno(), self._drain)
        try:
            return await self._call(self.core.connect)
        except ValueError as error:
            raise ConfigurationError(str(error)) from error

    def close(self) -> None:
        """Stop listening and fail what is pending; may be called twice."""
        loop, self._loop = self._loop, None
        if loop is None:
            return
        loop.remove_reader(self.core.fileno())
        self.core.close()
        # Futures that close() failed are completed here, on the loop thread, for the last time.
        self.core.drain()

    def _drain(self) -> None:
        for event in self.core.drain():
            self._on_event(event)

    async def enqueue(self, queue: str, jobs: Sequence[Descriptor]) -> Pushed:
        """Push new jobs and wake at most as many idle workers."""
        return await self._call(self.core.enqueue, queue, list(jobs))

    async def requeue(self, queue: str, jobs: Sequence[Descriptor]) -> Pushed:
        """Push jobs that may sit somewhere already: whatever they were, they become ready or scheduled."""
        return await self._call(self.core.requeue, queue, list(jobs))

    async def lease(self, queue: str, want: int, offers: str = "") -> LeaseBatch:
        """Take up to `want` jobs that fit what this worker offers, best priority first.

        `offers`: capabilities and free resources, as `gpu,region:eu;cpu=2,mem=0.5` (see `Descriptor`).
        """
        return await self._call(self.core.lease, queue, want, offers)

    async def acknowledge(self, queue: str, jobs: list[tuple[str, int]]) -> int:
        """Forget leases (job id, fence) whose jobs PostgreSQL knows as ended."""
        return await self._call(self.core.acknowledge, queue, jobs)

    async def bury(self, queue: str, jobs: list[tuple[str, int]]) -> int:
        """Acknowledge, and enter the jobs in the dead letter queue."""
        return await self._call(self.core.bury, queue, jobs)

    async def cancel_queued(self, queue: str, job_ids: list[str]) -> int:
        """Take jobs that nobody runs out of the queue."""
        return await self._call(self.core.cancel_queued, queue, job_ids)

    async def cancel_running(self, queue: str, job_id: str, fence: int, worker_id: str) -> None:
        """Ask the worker that runs a job to stop it."""
        await self._call(self.core.cancel_running, queue, job_id, fence, worker_id)

    async def rescue(self, queue: str, limit: int, grace_ms: int) -> list[tuple[str, int]]:
        """Take back up to `limit` expired leases; nobody else is given them for `grace_ms`."""
        return await self._call(self.core.rescue, queue, limit, grace_ms)

    async def promote(self, queue: str, limit: int) -> tuple[int, int]:
        """Make up to `limit` due jobs ready; how many, and when the next is due (ms of Redis TIME, or -1)."""
        return await self._call(self.core.promote, queue, limit)

    async def missing(self, queue: str, jobs: list[tuple[str, int]]) -> list[str]:
        """Which of these waiting jobs (id, fence) Redis does not have."""
        return await self._call(self.core.missing, queue, jobs)

    async def restore(
        self,
        queue: str,
        jobs: list[tuple[str, int]],
        *,
        rebuilding: bool = False,
        lanes: Sequence[Descriptor] = (),
    ) -> int:
        """Give running jobs (id, fence) that have no lease in Redis one of full length; how many.

        `lanes`: those that have attributes or stand in a queue with limits, with the fence of their lease, no payload.
        """
        return await self._call(self.core.restore, queue, jobs, rebuilding, list(lanes))

    async def set_policy(self, queue: str, fields: dict[str, str], *, building: bool = False) -> str:
        """Replace the policy of a queue: `set`, `same` if it stood, or `rebuild` if nothing was changed because jobs
        stand or run that it would not count: then the queue must be forgotten, and its rebuild sets the policy first
        (`building`).
        """
        return await self._call(self.core.set_policy, queue, fields, building)

    async def lanes(self, queue: str) -> Lanes:
        """What there is in the queue's lanes: classes, limits and tenants."""
        return await self._call(self.core.lanes, queue)

    async def rebuild(self, queue: str, jobs: Sequence[Descriptor]) -> Pushed:
        """As `requeue`, for a queue that has no generation yet."""
        return await self._call(self.core.rebuild, queue, list(jobs))

    async def set_generation(self, queue: str) -> bool:
        """Declare the queue built; True if it was not before."""
        return await self._call(self.core.set_generation, queue)

    async def pause(self, queue: str, *, paused: bool, building: bool = False) -> bool:
        """Lease nothing of the queue from now on, or again; False if that was so before. With `building` the queue is
        declared built by it.
        """
        return await self._call(self.core.pause, queue, paused, building)

    async def rouse(self, queue: str, workers: list[str]) -> int:
        """Enter workers as idle that Redis has forgotten, and wake as many as the ready jobs need; how many."""
        return await self._call(self.core.rouse, queue, workers)

    async def ask(self, worker_id: str, text: str) -> int:
        """Ask a worker for something; how many heard it, as far as the server knows. See `fleet.Fleet`."""
        return await self._call(self.core.ask, worker_id, text)

    async def answer(self, asker: str, text: str) -> int:
        """Answer who asked."""
        return await self._call(self.core.answer, asker, text)

    async def has_generation(self, queue: str) -> bool:
        """Whether the queue is built."""
        return await self._call(self.core.has_generation, queue)

    async def duty(self, queue: str, ttl_ms: int) -> int:
        """Take or keep the maintenance duty of a queue; 0 if this worker has it, else how long another does, ms."""
        return await self._call(self.core.duty, queue, ttl_ms)

    async def forget_dead(self, queue: str, job_ids: list[str]) -> int:
        """Take jobs out of the dead letter queue."""
        return await self._call(self.core.forget_dead, queue, job_ids)

    async def forget_queue(self, queue: str) -> int:
        """Remove all that Redis has of a queue that PostgreSQL has no jobs of any more; how many keys there were."""
        return await self._call(self.core.forget_queue, queue)

    async def depths(self, queue: str) -> Depths:
        """How many entries each of the queue's structures has."""
        return await self._call(self.core.depths, queue)

    async def ping(self) -> float:
        """Round trip in milliseconds."""
        return await self._call(self.core.ping)

    async def beats(self, worker_ids: list[str]) -> dict[str, bytes]:
        """The health samples of those workers whose heartbeats live."""
        return await self._call(self.core.beats, worker_ids)

    async def roster(self) -> list[tuple[str, int]]:
        """Every worker that was heard of lately, and how long ago in ms, by Redis' clock."""
        return await self._call(self.core.roster)

    async def heard(self) -> tuple[int, list[tuple[str, int]]]:
        """Redis' time, ms, and when by it every worker was heard of last; those of the last hour."""
        return await self._call(self.core.heard)

    async def pass_over(self, queue: str, worker_ids: list[str]) -> int:
        """Wake these workers for a queue no more until they ask it for jobs again; how many were idle in it."""
        return await self._call(self.core.pass_over, queue, worker_ids)

    async def series(self, worker_ids: list[str]) -> dict[str, list[str]]:
        """The latest samples of these workers, newest first, each a JSON array: at_ms, cpu_percent, rss_bytes,
        error_rate, running, lag_ms, tick_age_ms, queue_wait_ms (see `_samples.Sample`).
        """
        return await self._call(self.core.series, worker_ids)

    async def lead(self, leadership: str, ttl_ms: int) -> int:
        """Take or keep a leadership of the fleet; 0 if this process has it, else how long another does, ms."""
        return await self._call(self.core.lead, leadership, ttl_ms)

    async def resign(self, leadership: str) -> bool:
        """Give up a leadership; False if it was not this process's."""
        return await self._call(self.core.resign, leadership)

    async def _call(self, operation: Callable[..., None], *args: object) -> T:
        if self._loop is None:
            raise StoreUnavailable("redis cannot be asked: the app is closed")
        done: asyncio.Future[T] = self._loop.create_future()
        try:
            operation(done, *args)
            return await done
        except RedisUntrusted as error:
            raise Untrusted(f"redis is not trusted: {error}") from error
        except RedisUnavailable as error:
            raise StoreUnavailable(f"redis cannot be asked: {error}") from error
        except RedisRefused as error:
            kind = Backpressure if str(error).partition(" ")[0] in _REFUSES_MORE else StoreUnavailable
            raise kind(f"redis refuses: {error}") from error
