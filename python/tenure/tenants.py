"""Tenants: whose jobs they are, what share each has, and how urgent its jobs may be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tenure import _validate
from tenure._policy import tell

if TYPE_CHECKING:
    from tenure._database import Database
    from tenure._engine import Engine
    from tenure._rebuild import Rebuilder


class TenantInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant that differs from others.

    Attributes:
        weight: its share is this to the sum of the weights of those who have jobs waiting.
        max_priority: its jobs are enqueued with no higher one; None for any.
    """

    tenant: str
    weight: float
    max_priority: int | None


class Tenants:
    """What an operator may do. A tenant need not be made: it is there with its first job, with weight 1."""

    def __init__(self, database: Database, engine: Engine, rebuilder: Rebuilder) -> None:
        """Made by `Admin`."""
        self._database = database
        self._engine = engine
        self._rebuilder = rebuilder

    async def list(self) -> list[TenantInfo]:
        """The tenants that differ from others, by name."""
        return [msgspec.convert(dict(row), TenantInfo) for row in await self._database.fetch("list_tenants")]

    async def set(self, tenant: str, *, weight: float = 1.0, max_priority: int | None = None) -> None:
        """Say how a tenant differs from others; what is not given is as with others.

        Args:
            tenant: its name.
            weight: 0.001 to 1,000; in a queue it counts from within seconds after its first job of a tenant. Defaults
                to 1.
            max_priority: 1 to 5, for jobs enqueued from now on. Defaults to none.

        Raises:
            InvalidInput: a value is out of bounds; nothing was written.
            StoreUnavailable: a store is away. Where it is Redis, it is recorded, and takes effect within seconds of its
                return.
        """
        _validate.tenant(tenant)
        weight = _validate.amount("weight", weight, most=1000.0)
        if max_priority is not None:
            _validate.whole("max_priority", max_priority, 1, 5)
        await self._database.fetch("set_tenant", tenant, weight, max_priority)
        await self._tell()

    async def remove(self, tenant: str) -> bool:
        """Make a tenant one like any other; False if it was. Its jobs and its limits stay.

        Raises:
            StoreUnavailable: as with `set`.
        """
        removed = bool(await self._database.fetch("remove_tenant", _validate.tenant(tenant)))
        await self._tell()
        return removed

    async def _tell(self) -> None:
        for row in await self._database.fetch("waiting_queues"):
            await self._database.fetch("adopt_tenants", row["queue"])
        for row in await self._database.fetch("policy_queues"):
            await tell(self._database, self._engine, self._rebuilder, row["queue"])
