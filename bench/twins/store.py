"""The verbs of the hot path through redis-py: the twin of `Engine`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import redis.asyncio
from redis.exceptions import NoScriptError
from redis.utils import HIREDIS_AVAILABLE

from bench.twins.job import Descriptor, Lease, decode
from bench.twins.scripts import Verb, verb

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_ENQUEUE: Final = verb("enqueue", "put", grows=True)
_LEASE: Final = verb("lease", "offers")
_ACKNOWLEDGE: Final = verb("acknowledge", "forget")
_EXTEND: Final = verb("extend")
_GENERATION: Final = verb("generation")
_NAMES: Final = {
    "high": "high-priority-queue",
    "medium": "medium-priority-queue",
    "low": "low-priority-queue",
    "scheduled": "scheduled-queue",
    "processing": "processing-queue",
    "rescue": "rescue-queue",
}
_CHUNK: Final = 200  # jobs of a call, as in the core
_BEAT_CHUNK: Final = 500


class Store:
    """One connection, the same scripts, keys and batches as the core, and the leases held."""

    def __init__(self, url: str, *, worker_id: str, prefix: str, lease_ms: int) -> None:
        """Prepare; nothing is connected yet."""
        if not HIREDIS_AVAILABLE:
            raise ModuleNotFoundError("the twin must be as fast as Python can be: pip install hiredis")
        self._redis = redis.asyncio.Redis.from_url(url, single_connection_client=True)
        self._worker_id = worker_id
        self._prefix = prefix
        self._lease_ms = lease_ms
        self.held: dict[str, float] = {}

    async def open(self) -> None:
        """Connect, and teach the server the scripts."""
        await self._redis.initialize()
        for one in (_ENQUEUE, _LEASE, _ACKNOWLEDGE, _EXTEND, _GENERATION):
            await self._redis.script_load(one.source)

    async def close(self) -> None:
        """Close the connection."""
        await self._redis.aclose()

    async def ping(self) -> float:
        """A round trip in milliseconds."""
        began = time.perf_counter()
        await self._redis.ping()
        return (time.perf_counter() - began) * 1000

    async def set_generation(self, queue: str) -> None:
        """Declare the queue built."""
        await self._call(_GENERATION, queue)

    async def forget(self, queue: str) -> None:
        """Remove all that is there of a queue."""
        names = {*_ENQUEUE.keys, *_ACKNOWLEDGE.keys}
        await self._redis.unlink(*(f"{self._prefix}:{{{queue}}}:{_NAMES.get(name, name)}" for name in names))

    async def enqueue(self, queue: str, jobs: Sequence[Descriptor]) -> int:
        """Push new jobs; how many are ready."""
        ready = 0
        for chunk in _chunks(jobs, _CHUNK):
            arguments: list[Any] = [queue, f"{self._prefix}:worker:"]
            for job in chunk:
                arguments += (job.job_id, job.priority, job.fence, job.run_at_ms, job.encode())
            ready += (await self._call(_ENQUEUE, queue, *arguments))[1]
        return ready

    async def lease(self, queue: str, want: int) -> list[Lease]:
        """Take up to `want` jobs, best priority first."""
        began = time.monotonic()
        inbox = f"{self._prefix}:worker:"
        offers = ""
        reply = await self._call(_LEASE, queue, want, self._lease_ms, self._worker_id, 100, queue, inbox, offers)
        leases = [decode(reply[at], reply[at + 1], queue) for at in range(4, len(reply), 2)]
        trusted_until = began + self._lease_ms / 1000
        for lease in leases:
            self.held[f"{lease.job_id}:{lease.fence}"] = trusted_until
        return leases

    async def acknowledge(self, queue: str, leases: Sequence[tuple[str, int]]) -> int:
        """Forget leases of ended jobs; how many were there."""
        removed = 0
        for chunk in _chunks(leases, _CHUNK):
            members = [f"{job_id}:{fence}" for job_id, fence in chunk]
            for member in members:
                self.held.pop(member, None)
            reply = await self._call(_ACKNOWLEDGE, queue, f"{self._prefix}:{{{queue}}}:settled", *members)
            removed += reply[1]
        return removed

    async def beat(self, queue: str, sample: bytes, ttl_ms: int) -> None:
        """A sign of life and the extension of every lease, in one pipeline."""
        key = f"{self._prefix}:worker:{self._worker_id}:heartbeat"
        members = list(self.held)
        began = time.monotonic()
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.set(key, sample, px=ttl_ms)
        chunks = list(_chunks(members, _BEAT_CHUNK))
        for chunk in chunks:
            keys = self._keys(_EXTEND, queue)
            pipeline.execute_command("EVALSHA", _EXTEND.sha, len(keys), *keys, self._lease_ms, *chunk)
        replies = await pipeline.execute()
        trusted_until = began + self._lease_ms / 1000
        for chunk, (_, lost, _cancelled) in zip(chunks, replies[1:], strict=True):
            self.held.update(dict.fromkeys(chunk, trusted_until))
            for member in lost:
                self.held.pop(member.decode(), None)

    async def _call(self, one: Verb, queue: str, *arguments: object) -> Any:
        keys = self._keys(one, queue)
        call = ("EVALSHA", one.sha, len(keys), *keys, *arguments)
        try:
            return await self._redis.execute_command(*call)  # type: ignore[no-untyped-call]
        except NoScriptError:
            await self._redis.script_load(one.source)
            return await self._redis.execute_command(*call)  # type: ignore[no-untyped-call]

    def _keys(self, one: Verb, queue: str) -> list[str]:
        return [f"{self._prefix}:{{{queue}}}:{_NAMES.get(key, key)}" for key in one.keys]


def _chunks(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    return (items[at : at + size] for at in range(0, len(items), size))
