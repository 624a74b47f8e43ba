"""Pausing queues and resuming them, the order of their jobs, and by what their tenants share."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime  # noqa: TC003 - msgspec reads the annotations
from typing import TYPE_CHECKING, Final

import msgspec

from tenure import _validate
from tenure._engine import NoGeneration
from tenure._pauses import follow
from tenure._policy import tell
from tenure.errors import InvalidInput

if TYPE_CHECKING:
    from tenure._database import Database
    from tenure._engine import Engine
    from tenure._rebuild import Rebuilder


ORDERS: Final = ("priority", "ageing", "deadline", "shortest")
FAIR: Final = ("jobs", "time", "share")
_LONGEST_AGEING: Final = 366 * 86_400.0


class PausedQueue(msgspec.Struct, frozen=True, kw_only=True):
    """A queue that is paused, why, and since when."""

    queue: str
    reason: str
    paused_at: datetime


class QueuePolicy(msgspec.Struct, frozen=True, kw_only=True):
    """A queue that has an order or a way of sharing of its own; see `Queues.order` and `Queues.fair`."""

    queue: str
    order_by: str
    ageing: float | None
    factor: float | None
    fair: str


class Queues:
    """What an operator may do. PostgreSQL keeps what is paused; Redis is told, and again after it was lost."""

    def __init__(self, database: Database, engine: Engine, rebuilder: Rebuilder) -> None:
        """Made by `Admin`."""
        self._database = database
        self._engine = engine
        self._rebuilder = rebuilder

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

    async def policies(self) -> list[QueuePolicy]:
        """The queues that have an order or a way of sharing of their own, by name."""
        return [msgspec.convert(dict(row), QueuePolicy) for row in await self._database.fetch("list_queue_policies")]

    async def order(
        self, queue: str, by: str = "priority", *, ageing: float | None = None, factor: float | None = None
    ) -> None:
        """Say in which order a queue's ready jobs are leased. Its jobs are put in order anew, as after a loss of Redis.

        Args:
            queue: its name.
            by: `priority`; `ageing`, by how long a job has waited, and `ageing` seconds longer for each priority more;
                `deadline`, the earliest first, those without one last; `shortest`, by how long a job has waited, less
                `factor` times what its type has taken on average. Defaults to `priority`.
            ageing: seconds, for `ageing`. Defaults to 60.
            factor: for `shortest`. Defaults to 10.

        Raises:
            InvalidInput: a value is out of bounds; nothing was written.
            StoreUnavailable: as with `pause`.
        """
        _validate.name("queue", queue)
        _validate.choice("by", by, ORDERS)
        for field, given, order in (("ageing", ageing, "ageing"), ("factor", factor, "shortest")):
            if given is not None and by != order:
                raise InvalidInput(field, f"absent unless the order is {order}", given)
        ageing_ms = None
        if by == "ageing":
            seconds = _validate.seconds("ageing", 60.0 if ageing is None else ageing, least=0.001, most=_LONGEST_AGEING)
            ageing_ms = round(seconds * 1000)
        shortest = None
        if by == "shortest":
            shortest = _validate.amount("factor", 10.0 if factor is None else factor, most=1000.0)
        await self._database.fetch("set_order", queue, by, ageing_ms, shortest)
        await tell(self._database, self._engine, self._rebuilder, queue)

    async def fair(self, queue: str, by: str = "jobs") -> None:
        """Say by what a queue's tenants share: the cost of their `jobs`, the `time` that these take, or the largest
        `share` that they have of any resource of the fleet. Defaults to `jobs`.

        Raises:
            InvalidInput: it is none of these; nothing was written.
            StoreUnavailable: as with `pause`.
        """
        await self._database.fetch("set_fair", _validate.name("queue", queue), _validate.choice("by", by, FAIR))
        await tell(self._database, self._engine, self._rebuilder, queue)

    async def _tell(self, queue: str) -> None:
        # Nothing is leased of a queue that is not built, and who builds it asks PostgreSQL.
        with suppress(NoGeneration):
            await follow(self._database, self._engine, queue)
