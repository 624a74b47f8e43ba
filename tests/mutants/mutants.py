"""What each mutant breaks, and under which faults the checker is to see it."""

from __future__ import annotations

import asyncio
import contextlib
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.mutants.lua_proxy import LuaProxy

if TYPE_CHECKING:
    from collections.abc import Callable

_AHEAD_MS = 20_000


@dataclass(frozen=True)
class Mutant:
    """One broken promise.

    Attributes:
        apply: breaks it in this process.
        nemeses: under these faults.
        caught_by: by one of these invariants.
        plan: other fields of the plan.
        seeds: within so many seeds.
    """

    apply: Callable[[], None]
    nemeses: tuple[str, ...]
    caught_by: tuple[str, ...]
    plan: dict[str, Any] = field(default_factory=dict)
    seeds: int = 3


def _change_statements(changes: dict[str, tuple[str, str]]) -> None:
    """Change the text of statements; one that does not have what is to be changed has outgrown its mutant."""
    from tenure import _database

    original = _database.statement

    def statement(name: str, schema: str) -> str:
        text = original(name, schema)
        if name in changes:
            old, new = changes[name]
            assert old in text, f"the mutant does not fit {name}.sql any more"
            text = text.replace(old, new)
        return text

    _database.statement = statement  # type: ignore[assignment]


def _change_scripts(change: Callable[[str], str]) -> None:
    """Change the text of scripts, of worker processes alone: they find their Redis by this variable."""
    if "TENURE_REDIS_URL" in os.environ:
        os.environ["TENURE_REDIS_URL"] = LuaProxy(os.environ["TENURE_REDIS_URL"], change).start()


def no_fence() -> None:
    """Whoever comes first ends a running job, whichever lease it had."""
    fence = "AND j.fence = v.fence AND (j.status = 'PROCESSING') IS TRUE"
    status = "AND (j.status = 'PROCESSING') IS TRUE"
    _change_statements({"complete": (fence, status), "settle": (fence, status)})


def job_id_only() -> None:
    """Whoever comes last ends a job, whatever became of it."""
    fence = "AND j.fence = v.fence AND (j.status = 'PROCESSING') IS TRUE"
    _change_statements({"complete": (fence, ""), "settle": (fence, "")})


def unasked_rescue() -> None:
    """What Redis says is lost is queued again, whatever PostgreSQL knows of it."""
    asked = """    WHERE (j.fence = x.fence AND j.status = 'PROCESSING')
        OR (j.fence = x.fence - 1 AND j.status IN ('PENDING', 'SCHEDULED'))
"""
    _change_statements({"rescue": (asked, "")})


def early_acknowledgement() -> None:
    """Enqueue returns before its commit, which a cut session then undoes."""
    from tenure._descriptors import new_descriptors
    from tenure._enqueue import Enqueuer
    from tenure._insert import insert_rows
    from tenure._outcomes import created

    original = Enqueuer._insert_and_publish
    behind: set[asyncio.Task[None]] = set()

    async def insert_and_publish(self: Enqueuer, jobs: Any) -> Any:
        if any(job.options.idempotency_key for job in jobs):
            return await original(self, jobs)  # only PostgreSQL knows which job such a one is

        async def quietly() -> None:
            with contextlib.suppress(Exception):
                self._publisher.publish(new_descriptors(jobs, await insert_rows(self._database, jobs, None)))

        task = asyncio.create_task(quietly())
        behind.add(task)
        task.add_done_callback(behind.discard)
        return [created(job) for job in jobs]

    Enqueuer._insert_and_publish = insert_and_publish  # type: ignore[method-assign]


def outbox_by_last_id() -> None:
    """Nobody pushes behind a commit; a relay looks for ids above the last that it has seen, and so passes over a job
    that is committed behind one with a higher id.
    """
    from tenure import _maintenance, _reconcile
    from tenure._publish import Publisher

    seen: dict[str, str] = {}

    async def relay(database: Any, engine: Any, queue: str, *_: Any, **__: Any) -> int:
        last = seen.get(queue, _reconcile.FIRST_ID)
        rows = await database.fetch("live_page", queue, last, _reconcile.PAGE, _reconcile.NOT_AT_ALL)
        if rows:
            seen[queue] = str(rows[-1]["job_id"])
        return await _reconcile.mend(database, engine, queue, rows, laned=False)

    async def nothing(_database: Any, _engine: Any, _queue: str, after: str, **_: Any) -> tuple[int, str]:
        return 0, after

    _reconcile.mend_recent = relay  # type: ignore[assignment]
    _reconcile.mend_page = nothing  # type: ignore[assignment]
    _maintenance.EVERY = 0.02  # type: ignore[misc]
    _maintenance._LONGEST_SLEEP = 0.02  # type: ignore[misc]
    Publisher.publish = lambda *_: None  # type: ignore[method-assign]
    Publisher.publish_ids = lambda *_: None  # type: ignore[method-assign]


def client_clock() -> None:
    """Leases are measured by the clock of whoever asks: one of three workers is 20 s ahead, one 20 s behind."""
    ahead = _AHEAD_MS * (os.getpid() % 3 - 1)
    old = "return time[1] * 1000 + math.floor(time[2] / 1000)"

    def change(text: str) -> str:
        return text.replace(old, f"{old} + {ahead}")

    _change_scripts(change)


def fence_from_redis() -> None:
    """A lease's fence comes from a counter in Redis, which begins again where Redis forgot."""
    old = "local reply, leases = { 'LEASED', now, -1, 0 }, {}"

    def change(text: str) -> str:
        if "-- Purpose: take up to `want` ready jobs" not in text:
            return text
        assert old in text, "the mutant does not fit lease.lua any more"
        # The counter is a field of the hash of descriptors, that no new key need be declared; what the worker is told
        # is one below, for it adds one.
        counted = """
  for i, id in ipairs(ids) do
    if descriptors[i] then
      local below = string.format('%.0f', redis.call('HINCRBY', KEYS[7], 'fence', 1) - 1)
      descriptors[i] = string.gsub(descriptors[i], '^1 (%d) %d+ ', '1 %1 ' .. below .. ' ', 1)
    end
  end
"""
        mark = "local descriptors = redis.call('HMGET', KEYS[7], unpack(ids))"
        assert mark in text, "the mutant does not fit lease.lua any more"
        return text.replace(mark, mark + counted)

    _change_scripts(change)
    # What a counter in Redis cannot be is compared with what it was before.
    _change_statements({"start": ("AND j.fence = a.fence - 1 ", "")})


_FAST = {"seconds": 8.0, "quiet_seconds": 0.3}
MUTANTS = {
    "no-fence": Mutant(no_fence, ("stop",), ("I2", "I3"), {"seconds": 10.0}),
    "job-id-only": Mutant(job_id_only, ("stop",), ("I2", "I3"), {"seconds": 10.0}),
    "unasked-rescue": Mutant(unasked_rescue, ("kill", "client-kill"), ("I2",), {"seconds": 10.0}),
    "early-acknowledgement": Mutant(early_acknowledgement, ("pg-terminate",), ("I1",), {"quiet_seconds": 0.05}),
    "outbox-by-last-id": Mutant(outbox_by_last_id, (), ("I4",), {**_FAST, "drain_seconds": 8.0}),
    "client-clock": Mutant(client_clock, (), ("I13",), _FAST),
    "fence-from-redis": Mutant(fence_from_redis, ("wipe",), ("I6",), _FAST),
}
