"""A benchmark's own namespace: a migrated schema and a key prefix, and what PostgreSQL says about the jobs in it."""

from __future__ import annotations

import asyncio
import os
import secrets
import tempfile
import time
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import asyncpg

from tenure import Settings
from tenure._migrate import up

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from bench.servers import Servers
    from tenure import Tenure

_END_WITHIN: Final = 300.0


@dataclass(frozen=True, slots=True)
class Space:
    """One benchmark's namespace on the servers, and the directory its handlers leave their marks in."""

    servers: Servers
    name: str
    sink: Path

    @property
    def settings(self) -> Settings:
        """For an app in this process."""
        return Settings(
            postgres_url=self.servers.postgres_url,
            redis_url=self.servers.redis_url,
            schema=self.name,
            prefix=self.name,
        )

    @property
    def environment(self) -> dict[str, str]:
        """For a worker process."""
        root = str(Path(__file__).parent.parent)
        return {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH")))),
            "TENURE_POSTGRES_URL": self.servers.postgres_url,
            "TENURE_REDIS_URL": self.servers.redis_url,
            "TENURE_SCHEMA": self.name,
            "TENURE_PREFIX": self.name,
            "TENURE_BENCH_SINK": str(self.sink),
        }

    def producer(self) -> Tenure:
        """An app with the same job types as the worker processes have."""
        from bench import handlers  # noqa: PLC0415 - it makes an app of its own from the environment
        from tenure import Tenure  # noqa: PLC0415 - beside it

        app = Tenure(self.settings)
        for job_type in (handlers.before, handlers.behind, handlers.shaky):
            app.job(name=job_type.name, queue=handlers.QUEUE, record=job_type.record)(job_type.handler)
        return app

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection past tenure, for counting."""
        connection = await asyncpg.connect(self.servers.postgres_url)
        try:
            yield connection
        finally:
            await connection.close()

    async def statuses(self) -> dict[str, int]:
        """How many jobs are in each state."""
        async with self.connection() as connection:
            rows = await connection.fetch(f"SELECT status, count(*) AS n FROM {self.name}.jobs GROUP BY status")
        return {row["status"]: row["n"] for row in rows}

    async def executions(self) -> dict[str, int]:
        """How many attempts ended in each way."""
        async with self.connection() as connection:
            query = f"SELECT status, count(*) AS n FROM {self.name}.job_executions GROUP BY status"
            rows = await connection.fetch(query)
        return {row["status"]: row["n"] for row in rows}

    async def last_completed(self) -> float:
        """When the last job was recorded as completed, in seconds since 1970."""
        async with self.connection() as connection:
            query = f"SELECT extract(epoch FROM max(completed_at))::float8 FROM {self.name}.jobs"
            moment = await connection.fetchval(query)
        return cast("float", moment)

    async def committed(self) -> float:
        """Wait until no job is left that is not COMPLETED; when that was first seen, in seconds since 1970."""
        query = f"SELECT EXISTS (SELECT FROM {self.name}.jobs WHERE status <> 'COMPLETED')"
        give_up = time.monotonic() + _END_WITHIN
        async with self.connection() as connection:
            while await connection.fetchval(query):
                if time.monotonic() > give_up:
                    raise AssertionError(f"jobs that should all be completed: {await self.statuses()}")
                await asyncio.sleep(0.002)
        return time.time()

    async def all_completed(self, total: int, within: float = _END_WITHIN) -> None:
        """Wait until PostgreSQL has every job as COMPLETED; anything else after `within` seconds is an error."""
        give_up = time.monotonic() + within
        while (found := await self.statuses()) != {"COMPLETED": total}:
            if time.monotonic() > give_up:
                raise AssertionError(f"jobs that should all be completed, {total}: {found}")
            await asyncio.sleep(0.05)

    async def settle_tables(self) -> None:
        """Let no vacuum or checkpoint that the preparation caused run into the measurement."""
        async with self.connection() as connection:
            for table in ("jobs", "job_executions"):
                await connection.execute(f"VACUUM ANALYZE {self.name}.{table}")
            await connection.execute("CHECKPOINT")


@contextmanager
def space(servers: Servers) -> Iterator[Space]:
    """A fresh namespace; its tables and files are gone afterwards."""
    name = f"bench_{secrets.token_hex(4)}"
    asyncio.run(up(servers.postgres_url, name))
    with tempfile.TemporaryDirectory(prefix="tenure-bench-sink-") as directory:
        made = Space(servers, name, Path(directory))
        try:
            yield made
        finally:
            asyncio.run(_drop(made))


async def _drop(made: Space) -> None:
    async with made.connection() as connection:
        await connection.execute(f"DROP SCHEMA IF EXISTS {made.name} CASCADE")
