"""Where a run plays: a schema, keys and a Redis user of its own, on given servers or on private ones."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import uuid
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tenure._database import Database, connect, run_script, run_statement
from tenure._embedded_files import private_directory, run_directory, server_owner
from tenure._embedded_servers import EmbeddedServers
from tenure._environment import variables_of
from tenure._migrate import up
from tenure._statement import statement
from tenure.check._redis import RedisWitness
from tenure.check.jobs import QUEUES
from tenure.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tenure.check.plan import Plan

_WITNESS_CONNECTIONS: Final = 4
_CLIENT_CONNECTIONS: Final = 6
_NONE: Final = "unix:///nowhere"


@dataclass(frozen=True, slots=True)
class Stage:
    """What a run has.

    Attributes:
        settings: of its client and its workers.
        database: the checker's own sessions.
        redis: the checker's own connections.
        directory: history, ledger and logs.
    """

    settings: Settings
    database: Database
    redis: RedisWitness
    directory: Path

    @property
    def environment(self) -> dict[str, str]:
        """The variables that make a worker process use the same settings."""
        return variables_of(self.settings)


@asynccontextmanager
async def servers(postgres_url: str | None, redis_url: str | None) -> AsyncIterator[tuple[str, str]]:
    """The URLs of both; what is not given is started for this run alone, and gone with it."""
    if postgres_url is not None and redis_url is not None:
        yield postgres_url, redis_url
        return
    # Short, and open to pass through: PostgreSQL's user must reach its socket, whose name has a limit.
    directory = Path(tempfile.mkdtemp(prefix="tc"))
    os.chmod(directory, 0o755 if server_owner() else 0o700)  # noqa: PTH101 - once, before anything runs
    own = EmbeddedServers(directory)
    try:
        await asyncio.to_thread(_start, own, directory, postgres=postgres_url is None, valkey=redis_url is None)
        yield postgres_url or own.postgres.url, redis_url or own.valkey.url
    finally:
        await asyncio.to_thread(own.stop)
        shutil.rmtree(directory, ignore_errors=True)


@asynccontextmanager
async def postgres_server(postgres_url: str | None) -> AsyncIterator[str]:
    """The URL of a PostgreSQL for many runs; one that is not given is started, and gone afterwards."""
    async with servers(postgres_url, _NONE) as (url, _):
        yield url


def _start(own: EmbeddedServers, directory: Path, *, postgres: bool, valkey: bool) -> None:
    own.make_place()
    private_directory(run_directory(directory), server_owner())
    if valkey:
        own.valkey.start()
    if postgres:
        own.postgres.start()


@asynccontextmanager
async def stage(plan: Plan, postgres_url: str, redis_url: str, directory: Path) -> AsyncIterator[Stage]:
    """A schema, a prefix and a user that nobody else has; all of it is gone afterwards."""
    name = uuid.uuid4().hex[:10]
    schema, prefix = f"tenure_check_{name}", f"tenure-check-{name}"
    async with AsyncExitStack() as undo:
        redis = RedisWitness(redis_url, prefix, QUEUES)
        await redis.ping()
        undo.push_async_callback(redis.clean_up)
        settings = Settings(
            postgres_url=postgres_url,
            redis_url=await redis.make_user() if "client-kill" in plan.nemeses else redis_url,
            schema=schema,
            prefix=prefix,
            lease_seconds=plan.lease_seconds,
            heartbeat_seconds=plan.lease_seconds / 6,
            heartbeat_ttl_seconds=plan.lease_seconds,
            rescue_seconds=plan.rescue_seconds,
            grace_seconds=3.0,
            poison_after=plan.poison_after,
            max_payload_bytes=65_536,
            postgres_connections=_CLIENT_CONNECTIONS,
        )
        undo.push_async_callback(_drop, postgres_url, schema)
        await up(postgres_url, schema)
        await _install_witness(postgres_url, schema)
        database = Database(postgres_url, schema=schema, max_connections=_WITNESS_CONNECTIONS)
        await database.open()
        undo.push_async_callback(database.close)
        yield Stage(settings, database, redis, directory)


async def _install_witness(url: str, schema: str) -> None:
    connection = await connect(url, schema=schema)
    try:
        await run_script(connection, statement("check_witness", schema), schema)
    finally:
        await connection.close()


async def _drop(url: str, schema: str) -> None:
    connection = await connect(url, schema=schema, lock_timeout=30.0)
    try:
        await run_statement(connection, "drop_with_contents", schema)
    finally:
        await connection.close()
