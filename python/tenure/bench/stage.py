"""Where a measurement plays: a queue of its own in the schema and under the prefix that the settings name."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tenure import _validate
from tenure._database import connect, run_statement
from tenure._engine import Engine, new_ids
from tenure._environment import variables_of
from tenure.app import Tenure
from tenure.bench.errors import NotAsPromised
from tenure.bench.sink import SINK_VARIABLE
from tenure.errors import InvalidInput
from tenure.supervisor.pulse import PARENT_VARIABLE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from tenure._database import Connection, Row
    from tenure.job_type import JobType
    from tenure.settings import Settings

QUEUE: Final = "tenure-bench-"
_BATCH: Final = 5000
_END_WITHIN: Final = 300.0


def new_queue() -> str:
    """A name that no other run has; its id is older than every job's in it, which bounds each look at the table."""
    return QUEUE + new_ids(1)[0]


def first_of(queue: str) -> str:
    """The id that is older than every job's in this queue.

    Raises:
        InvalidInput: the queue is none of a benchmark's.
    """
    if not queue.startswith(QUEUE):
        raise InvalidInput("queue", f"one of a benchmark, {QUEUE}…", queue)
    return _validate.job_id(queue.removeprefix(QUEUE), "queue")


@dataclass(frozen=True, slots=True)
class Stage:
    """One measurement's queue, the stores it is in (the settings have both URLs), and the directory that its handlers
    leave their marks in.
    """

    settings: Settings
    queue: str
    sink: Path

    @property
    def environment(self) -> dict[str, str]:
        """For a worker process; it stops by itself if this one is gone."""
        return {
            **os.environ,
            **variables_of(self.settings),
            SINK_VARIABLE: str(self.sink),
            PARENT_VARIABLE: str(os.getpid()),
        }

    def handlers(self) -> Sequence[JobType[..., Any]]:
        """The job types that the worker processes have."""
        from tenure.bench import handlers  # noqa: PLC0415 - it makes an app of its own from the environment

        return (handlers.before, handlers.behind)

    def producer(self) -> Tenure:
        """An app with the same job types as the worker processes have, whose jobs go into this queue."""
        app = Tenure(self.settings)
        for one in self.handlers():
            app.job(name=one.name, queue=self.queue, record=one.record)(one.handler)
        return app

    async def prepared(self) -> None:
        """Called when the queue is filled and before anything is measured. A shared server is left alone."""

    @asynccontextmanager
    async def engine(self) -> AsyncIterator[Engine]:
        """A connection to Redis, for looking."""
        settings = self.settings
        engine = Engine(
            settings.redis_url or "",
            worker_id=new_ids(1)[0],
            prefix=settings.prefix,
            lease_ms=round(settings.lease_seconds * 1000),
            on_event=lambda _event: None,
        )
        await engine.open()
        try:
            yield engine
        finally:
            engine.close()

    async def statuses(self) -> dict[str, int]:
        """How many of the queue's jobs are in each state."""
        return {row["status"]: row["jobs"] for row in await self._ask("bench_statuses")}

    async def executions(self) -> dict[str, int]:
        """How many of their attempts ended in each way."""
        return {row["status"]: row["attempts"] for row in await self._ask("bench_executions")}

    async def committed(self) -> float:
        """Wait until no job is left that has not ended; when that was first seen, in seconds since 1970."""
        give_up = time.monotonic() + _END_WITHIN
        connection = await self._connect()
        try:
            while (await self._ask_on(connection, "bench_unfinished"))[0]["unfinished"]:
                if time.monotonic() > give_up:
                    raise NotAsPromised(f"jobs that should all have ended: {await self.statuses()}")
                await asyncio.sleep(0.002)
            return time.time()
        finally:
            await connection.close()

    async def all_completed(self, total: int, within: float = _END_WITHIN) -> None:
        """Wait until PostgreSQL has every job as COMPLETED; anything else after `within` seconds is an error."""
        give_up = time.monotonic() + within
        while (found := await self.statuses()) != {"COMPLETED": total}:
            if time.monotonic() > give_up:
                raise NotAsPromised(f"jobs that should all be completed, {total}: {found}")
            await asyncio.sleep(0.05)

    async def forget(self) -> int:
        """Remove every trace of the queue; how many jobs it had."""
        deleted = 0
        connection = await self._connect()
        try:
            while rows := await self._ask_on(connection, "bench_forget_jobs", _BATCH):
                deleted += len(rows)
            await run_statement(connection, "bench_forget_workers", self.settings.schema, self.queue)
        finally:
            await connection.close()
        # PostgreSQL first: a queue that it still had jobs of would be rebuilt.
        async with self.engine() as engine:
            await engine.forget_queue(self.queue)
        return deleted

    async def _connect(self) -> Connection:
        return await connect(self.settings.postgres_url or "", schema=self.settings.schema)

    async def _ask(self, name: str) -> list[Row]:
        connection = await self._connect()
        try:
            return await self._ask_on(connection, name)
        finally:
            await connection.close()

    async def _ask_on(self, connection: Connection, name: str, *more: object) -> list[Row]:
        return await run_statement(connection, name, self.settings.schema, self.queue, first_of(self.queue), *more)
