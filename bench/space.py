"""A benchmark's own namespace: a migrated schema, a key prefix and a queue, on servers that are all its own."""

from __future__ import annotations

import asyncio
import os
import secrets
import tempfile
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import asyncpg

from bench.cost import CpuMeter
from tenure import Settings
from tenure._migrate import up
from tenure.bench.stage import Stage, new_queue

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from bench.servers import Servers
    from tenure.job_type import JobType


@dataclass(frozen=True, slots=True)
class Space(Stage):
    """A stage whose schema is its own, so that all of it can be looked at and dropped."""

    servers: Servers

    @property
    def name(self) -> str:
        """Of the schema and of the prefix."""
        return self.settings.schema

    @property
    def environment(self) -> dict[str, str]:
        """For a worker process: it finds this package too."""
        environ = super(Space, self).environment
        root = str(Path(__file__).parent.parent)
        environ["PYTHONPATH"] = os.pathsep.join(filter(None, (root, environ.get("PYTHONPATH"))))
        return environ

    def handlers(self) -> Sequence[JobType[..., Any]]:
        """The job types of `bench.handlers` too."""
        from bench import handlers  # noqa: PLC0415 - it makes an app of its own from the environment

        return list(handlers.app.job_types.values())

    async def prepared(self) -> None:
        """Let no vacuum or checkpoint that the preparation caused run into the measurement."""
        async with self.connection() as connection:
            for table in ("jobs", "job_executions"):
                await connection.execute(f"VACUUM ANALYZE {self.name}.{table}")
            await connection.execute("CHECKPOINT")

    @property
    def meter(self) -> CpuMeter:
        """A look at the CPU of workers and stores."""
        return CpuMeter(self.servers)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection past tenure, for counting."""
        connection = await asyncpg.connect(self.servers.postgres_url)
        try:
            yield connection
        finally:
            await connection.close()

    async def last_completed(self) -> float:
        """When the last job was recorded as completed, in seconds since 1970."""
        async with self.connection() as connection:
            query = f"SELECT extract(epoch FROM max(completed_at))::float8 FROM {self.name}.jobs"
            moment = await connection.fetchval(query)
        return cast("float", moment)


@contextmanager
def space(servers: Servers) -> Iterator[Space]:
    """A fresh namespace; its tables, keys and files are gone afterwards."""
    name = f"bench_{secrets.token_hex(4)}"
    asyncio.run(up(servers.postgres_url, name))
    settings = Settings(postgres_url=servers.postgres_url, redis_url=servers.redis_url, schema=name, prefix=name)
    with tempfile.TemporaryDirectory(prefix="tenure-bench-sink-") as directory:
        made = Space(settings, new_queue(), Path(directory), servers)
        try:
            yield made
        finally:
            asyncio.run(_drop(made))


async def _drop(made: Space) -> None:
    async with made.connection() as connection:
        await connection.execute(f"DROP SCHEMA IF EXISTS {made.name} CASCADE")
    async with made.engine() as engine:
        await engine.forget_queue(made.queue)
