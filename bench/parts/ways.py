"""The two ways to the same end: tenure's, and the twin in plain Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from bench.twins import ids as twin_ids
from bench.twins.job import Descriptor as TwinDescriptor
from bench.twins.store import Store
from tenure._engine import Descriptor, Engine, new_ids

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.space import Space

QUEUE: Final = "parts"
LEASE_MS: Final = 30_000


class HotPath(Protocol):
    """What both ways can do; jobs and leases are each way's own objects with the same fields."""

    def jobs(self, count: int) -> Sequence[Any]:
        """New descriptors with 200 bytes of payload."""

    async def open(self) -> None:
        """Connect, and declare the queue built."""

    async def close(self) -> None:
        """Disconnect."""

    async def ping(self) -> float:
        """A round trip."""

    async def enqueue(self, jobs: Sequence[Any]) -> int:
        """Push; how many became ready."""

    async def lease(self, want: int) -> Sequence[Any]:
        """Take up to so many."""

    async def acknowledge(self, keys: list[tuple[str, int]]) -> int:
        """Forget leases; how many were there."""


def descriptor_fields(job_id: str) -> dict[str, Any]:
    """Of a ready job with 200 bytes of payload."""
    return {
        "job_id": job_id,
        "job_type": "before",
        "priority": 3,
        "fence": 0,
        "attempts": 0,
        "max_retries": 5,
        "timeout_ms": 0,
        "run_at_ms": 1_700_000_000_000,
        "payload": b"x" * 200,
    }


class Ours:
    """The extension."""

    new_ids = staticmethod(new_ids)

    def __init__(self, here: Space) -> None:
        """Prepare."""
        self.engine: Final = Engine(
            here.servers.redis_url,
            worker_id=new_ids(1)[0],
            prefix=here.name,
            lease_ms=LEASE_MS,
            on_event=lambda _event: None,
        )

    def jobs(self, count: int) -> Sequence[Descriptor]:
        """New descriptors."""
        return [Descriptor(**descriptor_fields(job_id)) for job_id in new_ids(count)]

    async def open(self) -> None:
        """Connect."""
        await self.engine.open()
        await self.engine.set_generation(QUEUE)

    async def close(self) -> None:
        """Disconnect, and leave nothing."""
        await self.engine.forget_queue(QUEUE)
        self.engine.close()

    async def ping(self) -> float:
        """A round trip."""
        return await self.engine.ping()

    async def enqueue(self, jobs: Sequence[Any]) -> int:
        """Push."""
        return (await self.engine.enqueue(QUEUE, jobs)).ready

    async def lease(self, want: int) -> Sequence[Any]:
        """Take."""
        return (await self.engine.lease(QUEUE, want)).leases

    async def acknowledge(self, keys: list[tuple[str, int]]) -> int:
        """Forget."""
        return await self.engine.acknowledge(QUEUE, keys)


class Twin:
    """Plain Python."""

    new_ids = staticmethod(twin_ids.new_ids)

    def __init__(self, here: Space) -> None:
        """Prepare."""
        self.store: Final = Store(
            here.servers.redis_url, worker_id=new_ids(1)[0], prefix=f"{here.name}-twin", lease_ms=LEASE_MS
        )

    def jobs(self, count: int) -> Sequence[TwinDescriptor]:
        """New descriptors."""
        return [TwinDescriptor(**descriptor_fields(job_id)) for job_id in self.new_ids(count)]

    async def open(self) -> None:
        """Connect."""
        await self.store.open()
        await self.store.set_generation(QUEUE)

    async def close(self) -> None:
        """Disconnect, and leave nothing."""
        await self.store.forget(QUEUE)
        await self.store.close()

    async def ping(self) -> float:
        """A round trip."""
        return await self.store.ping()

    async def enqueue(self, jobs: Sequence[Any]) -> int:
        """Push."""
        return await self.store.enqueue(QUEUE, jobs)

    async def lease(self, want: int) -> Sequence[Any]:
        """Take."""
        return await self.store.lease(QUEUE, want)

    async def acknowledge(self, keys: list[tuple[str, int]]) -> int:
        """Forget."""
        return await self.store.acknowledge(QUEUE, keys)


WAYS: Final[dict[str, type[Ours | Twin]]] = {"tenure": Ours, "python": Twin}
