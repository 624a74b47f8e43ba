"""Servers: from settings, else from Docker, else from the wheels; a schema and a key prefix of each test's own."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest
import redis

from tenure._migrate import up
from tests.servers import Postgres, Valkey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator


@pytest.fixture(scope="session")
def server_directory() -> Iterator[Path]:
    """A short path that PostgreSQL's user may enter: a Unix socket's name must fit in 107 bytes."""
    directory = Path(tempfile.mkdtemp(prefix="tn"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


def _docker(kind: str) -> object | None:
    """A container where a Docker engine answers, else None."""
    if not Path("/var/run/docker.sock").exists():
        return None
    try:
        import docker
        from testcontainers.postgres import PostgresContainer
        from testcontainers.redis import RedisContainer

        docker.from_env(timeout=2).ping()
    except Exception:  # noqa: BLE001 - whatever is missing, the wheels are there
        return None
    return PostgresContainer("postgres:16-alpine") if kind == "postgres" else RedisContainer("redis:7-alpine")


@pytest.fixture(scope="session")
def postgres_url(server_directory: Path) -> Iterator[str]:
    """A PostgreSQL for the session."""
    if given := os.environ.get("TENURE_TEST_POSTGRES_URL"):
        yield given
    elif container := _docker("postgres"):
        with container as running:  # type: ignore[attr-defined]
            yield running.get_connection_url(driver=None)
    else:
        server = Postgres(server_directory / "pg")
        server.start()
        yield server.url
        server.stop("fast")


@pytest.fixture(scope="session")
def redis_url(server_directory: Path) -> Iterator[str]:
    """A Redis or Valkey for the session."""
    if given := os.environ.get("TENURE_TEST_REDIS_URL"):
        yield given
    elif container := _docker("redis"):
        with container as running:  # type: ignore[attr-defined]
            yield f"redis://{running.get_container_host_ip()}:{running.get_exposed_port(6379)}/0"
    else:
        server = Valkey(server_directory / "vk", "--appendfsync", "everysec")
        server.start()
        yield server.url
        server.kill()


@pytest.fixture
async def schema(postgres_url: str) -> AsyncIterator[str]:
    """The name of a schema that is not there yet."""
    name = f"t_{uuid.uuid4().hex[:12]}"
    yield name
    connection = await asyncpg.connect(postgres_url)
    await connection.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE")
    await connection.close()


@pytest.fixture
async def migrated_schema(postgres_url: str, schema: str) -> str:
    """A schema with every migration."""
    await up(postgres_url, schema)
    return schema


@pytest.fixture
def prefix(redis_url: str) -> Iterator[str]:
    """A key prefix of the test's own; its keys are deleted afterwards."""
    name = f"t-{uuid.uuid4().hex[:12]}"
    yield name
    with redis.from_url(redis_url) as client:
        for key in client.scan_iter(f"{name}:*", 1000):
            client.delete(key)


@pytest.fixture
def raw_redis(redis_url: str) -> Iterator[redis.Redis]:
    """A plain client, to look behind."""
    with redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
async def raw_postgres(postgres_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A plain connection, to look behind."""
    connection = await asyncpg.connect(postgres_url)
    yield connection
    await connection.close()


@pytest.fixture
def private_valkey(server_directory: Path) -> Iterator[Callable[..., Valkey]]:
    """Makes Valkeys that may be killed."""
    made: list[Valkey] = []

    def make(*options: str) -> Valkey:
        made.append(Valkey(server_directory / f"v{uuid.uuid4().hex[:6]}", *options))
        made[-1].start()
        return made[-1]

    yield make
    for server in made:
        server.kill()


@pytest.fixture
def private_postgres(server_directory: Path) -> Iterator[Callable[..., Postgres]]:
    """Makes PostgreSQLs that may be crashed."""
    made: list[Postgres] = []

    def make(*options: str) -> Postgres:
        made.append(Postgres(server_directory / f"p{uuid.uuid4().hex[:6]}", *options))
        made[-1].start()
        return made[-1]

    yield make
    for server in made:
        try:
            server.stop()
        except AssertionError:
            continue  # the test left it stopped
