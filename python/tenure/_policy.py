"""Bringing Redis after what PostgreSQL says of a queue's order, shares and limits."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec

from tenure._engine import NoGeneration
from tenure.errors import StoreUnavailable

if TYPE_CHECKING:
    from tenure._database import Database
    from tenure._engine import Engine
    from tenure._rebuild import Rebuilder

# Seconds for which whoever changed a policy waits for a queue to be built under it.
_PATIENCE: Final = 60.0


async def load_policy(database: Database, queue: str) -> dict[str, str]:
    """What Redis must know of a queue, as fields and texts; empty for one that is like any other."""
    return {row["field"]: row["value"] for row in await database.fetch("policy", queue)}


async def follow_policy(engine: Engine, queue: str, policy: dict[str, str]) -> bool:
    """Give Redis a queue's policy. False where jobs would stand elsewhere under it: then the queue is forgotten in
    Redis, and is to be built again.

    Raises:
        NoGeneration: the queue is not built.
        StoreUnavailable: a store is away.
    """
    if await engine.set_policy(queue, policy) != "rebuild":
        return True
    await engine.forget_queue(queue)
    return False


async def tell(database: Database, engine: Engine, rebuilder: Rebuilder, queue: str) -> None:
    """Have Redis follow what was just recorded; when this returns, it does.

    Raises:
        StoreUnavailable: a store is away; whoever has the queue's duty tells Redis when it is back.
    """
    try:
        if await follow_policy(engine, queue, await load_policy(database, queue)):
            return
    except NoGeneration:
        pass  # nothing is leased of a queue that is not built, and who builds it asks PostgreSQL
    rebuilder.request(queue)
    try:
        await asyncio.wait_for(asyncio.shield(rebuilder.settled()), _PATIENCE)
    except TimeoutError as error:
        raise StoreUnavailable(
            f"the policy is recorded, and the queue is still being built under it: {queue}"
        ) from error


class Limited(msgspec.Struct, frozen=True):
    """To which jobs a limit on how many run at a time, or on what they take up, may apply.

    Attributes:
        every: to all of the queue.
        types: to those of these types.
        tenants, keys: to those that have one.
    """

    every: bool
    types: list[str]
    tenants: bool
    keys: bool

    @classmethod
    def by(cls, policy: dict[str, str]) -> Limited | None:
        """As a policy says; None where there is no such limit."""
        scopes = [field.split("|") for field in policy if field.startswith(("limit|", "quota|"))]
        if not scopes:
            return None
        return cls(
            every=["limit", "queue"] in scopes,
            types=[scope[2] for scope in scopes if scope[:2] == ["limit", "type"]],
            tenants=any(scope[0] == "quota" or scope[1] == "tenant" for scope in scopes),
            keys=any(scope[:2] == ["limit", "key"] for scope in scopes),
        )
