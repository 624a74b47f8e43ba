"""Limits of queues: how many jobs run at a time, begin in a time or wait, and how much of a resource a tenant has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from tenure import _validate
from tenure._policy import tell
from tenure.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tenure._database import Database
    from tenure._engine import Engine
    from tenure._rebuild import Rebuilder

KINDS: Final = ("concurrency", "rate", "queued", "resource")
EACH: Final = "*"
_MOST: Final = 1_000_000_000
_LONGEST_PERIOD: Final = 366 * 86_400.0


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """One limit of one queue.

    Attributes:
        kind: `concurrency` (jobs that run at a time), `rate` (that begin in a period), `queued` (that wait), or
            `resource` (amount of it that a tenant's running jobs take up).
        scope: of the whole `queue`, a job `type`, a `tenant` or a limit `key`.
        name: of the type, tenant or key; `*` for each that has no limit of its own, and for the queue itself.
        resource: its name; empty for other kinds.
        amount: the most.
        period: seconds, for a rate.
        burst: the most that begin at once, for a rate.
    """

    queue: str
    kind: str
    scope: str
    name: str
    resource: str
    amount: float
    period: float | None
    burst: int | None


class Limits:
    """What an operator may do. PostgreSQL keeps limits; Redis is told, and again after it was lost."""

    def __init__(self, database: Database, engine: Engine, rebuilder: Rebuilder) -> None:
        """Made by `Admin`."""
        self._database = database
        self._engine = engine
        self._rebuilder = rebuilder

    async def list(self, queue: str | None = None) -> list[Limit]:
        """The limits of a queue, or of all, by name."""
        rows = await self._database.fetch("list_limits", None if queue is None else _validate.name("queue", queue))
        return [msgspec.convert(dict(row), Limit) for row in rows]

    async def set(
        self,
        queue: str,
        *,
        job_type: str | None = None,
        tenant: str | None = None,
        key: str | None = None,
        concurrency: int | None = None,
        rate: int | None = None,
        period: float = 1.0,
        burst: int | None = None,
        queued: int | None = None,
        resources: Mapping[str, float] | None = None,
    ) -> None:
        """Set limits of a queue, or of a type, tenant or key in it. What is not given stays as it is.

        Args:
            queue: every limit is one of a queue.
            job_type: of jobs of this type alone.
            tenant: of a tenant's jobs alone; `*` for each tenant that has no limit of its own.
            key: of jobs with this limit key alone; `*` for each key that has no limit of its own.
            concurrency: the most that run at a time, in the whole fleet; 0 runs none.
            rate: the most that begin in a `period`, by Redis' clock.
            period: seconds. Defaults to 1.
            burst: the most that begin at once. Defaults to `rate`.
            queued: the most that wait; enqueueing one more raises `QuotaExceeded`. Processes learn of it within
                seconds.
            resources: of a tenant: the most that its running jobs take up together.

        Raises:
            InvalidInput: a value is out of bounds; nothing was written.
            StoreUnavailable: a store is away. Where it is Redis, the limit is recorded, and takes effect within
                seconds of its return.
        """
        scope, name = place(queue, job_type, tenant, key)
        rows: list[tuple[str, str, float, int | None, int | None]] = []
        if concurrency is not None:
            rows.append(("concurrency", "", _validate.whole("concurrency", concurrency, 0, _MOST), None, None))
        if rate is not None:
            milliseconds = round(_validate.seconds("period", period, least=0.001, most=_LONGEST_PERIOD) * 1000)
            _validate.whole("rate", rate, 1, _MOST)
            at_once = rate if burst is None else _validate.whole("burst", burst, 1, _MOST)
            rows.append(("rate", "", rate, milliseconds, at_once))
        elif burst is not None:
            raise InvalidInput("burst", "absent unless a rate is given", burst)
        if queued is not None:
            rows.append(("queued", "", _validate.whole("queued", queued, 0, _MOST), None, None))
        if resources:
            if scope != "tenant":
                raise InvalidInput("resources", "absent unless a tenant is given", sorted(resources))
            rows += [("resource", one, most, None, None) for one, most in _validate.resources(resources).items()]
        if not rows:
            raise InvalidInput("limits", "given: concurrency, rate, queued or resources", None)
        await self._database.fetch("set_limits", queue, scope, name, *map(list, zip(*rows, strict=True)))
        await tell(self._database, self._engine, self._rebuilder, queue)

    async def remove(
        self,
        queue: str,
        kind: str,
        *,
        job_type: str | None = None,
        tenant: str | None = None,
        key: str | None = None,
        resource: str | None = None,
    ) -> bool:
        """Remove a limit; False if there was none. Of resources where none is named all of the tenant's.

        Raises:
            StoreUnavailable: as with `set`.
        """
        scope, name = place(queue, job_type, tenant, key)
        _validate.choice("kind", kind, KINDS)
        if resource is not None:
            _validate.tenant(resource, "resource")
        removed = await self._database.fetch("remove_limit", queue, kind, scope, name, resource)
        await tell(self._database, self._engine, self._rebuilder, queue)
        return bool(removed)


def place(queue: str, job_type: str | None, tenant: str | None, key: str | None) -> tuple[str, str]:
    """The scope and the name of what a limit is for."""
    _validate.name("queue", queue)
    given = [scope for scope, name in (("job_type", job_type), ("tenant", tenant), ("key", key)) if name is not None]
    if len(given) > 1:
        raise InvalidInput("job_type, tenant, key", "one of them at most", given)
    if job_type is not None:
        return "type", _validate.name("job_type", job_type)
    if tenant is not None:
        return "tenant", tenant if tenant == EACH else _validate.tenant(tenant)
    if key is not None:
        return "key", key if key == EACH else _validate.limit_key(key, "key")
    return "queue", EACH
