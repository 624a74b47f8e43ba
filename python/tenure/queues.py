"""Pausing queues and resuming them."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime  # noqa: TC003 - msgspec reads the annotations
from typing import TYPE_CHECKING

import msgspec

from tenure import _validate
from tenure._engine import NoGeneration
from tenure._pauses import follow

if TYPE_CHECKING:
    from tenure._database import Database
    from tenure._engine import Engine


class PausedQueue(msgspec.Struct, frozen=True, kw_only=True):
    """A queue that is paused, why, and since when."""

    queue: str
    reason: str
    paused_at: datetime


class Queues:
    """What an operator may do. PostgreSQL keeps what is paused; Redis is told, and again after it was lost."""

    def __init__(self, database: Database, engine: Engine) -> None:
        """Made by `Admin`."""
        self._database = database
        self._engine = engine

    async def paused(self) -> list[PausedQueue]:
        """The queues that are paused, by name."""
        return [msgspec.convert(dict(row), PausedQueue) for row in await self._database.fetch("list_paused_queues")]

    async def pause(self, queue: str, reason: str = "") -> None:
        """Lease nothing of it until it is resumed: when this returns, nothing more is. What runs goes on, and jobs are
        enqueued as before. Paused again, it gets the new reason.

        Raises:
            StoreUnavailable: a store is away. Where it is Redis, the pause is recorded, and takes effect within
                seconds of its return.
        """
        _validate.name("queue", queue)
        await self._database.fetch("pause_queue", queue, _validate.text("reason", reason, 1024) if reason else "")
        await self._tell(queue)

    async def resume(self, queue: str) -> bool:
        """Lease again, and wake the workers that wait; False if it was not paused.

        Raises:
            StoreUnavailable: as with `pause`.
        """
        resumed = bool(await self._database.fetch("resume_queue", _validate.name("queue", queue)))
        await self._tell(queue)
        return resumed

    async def _tell(self, queue: str) -> None:
        # Nothing is leased of a queue that is not built, and who builds it asks PostgreSQL.
        with suppress(NoGeneration):
            await follow(self._database, self._engine, queue)
