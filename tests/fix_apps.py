"""Apps on the session's servers, with leases short enough to be lost in a test."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tenure import Settings, Tenure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator


@pytest.fixture
def settings(postgres_url: str, redis_url: str, migrated_schema: str, prefix: str) -> Settings:
    """Short leases on the session's servers."""
    return Settings(
        postgres_url=postgres_url,
        redis_url=redis_url,
        schema=migrated_schema,
        prefix=prefix,
        lease_seconds=2.0,
        heartbeat_seconds=0.3,
        heartbeat_ttl_seconds=2.0,
        rescue_seconds=0.2,
        grace_seconds=3.0,
    )


@pytest.fixture
async def open_app(settings: Settings) -> AsyncIterator[Callable[..., Any]]:
    """Opens apps on the test's settings and closes them again."""
    async with AsyncExitStack() as stack:

        async def open_(app: Tenure | None = None) -> Tenure:
            return await stack.enter_async_context(app or Tenure(settings))

        yield open_


@pytest.fixture
def app(settings: Settings) -> Tenure:
    """An app that is not open yet, to register handlers with."""
    return Tenure(settings)


def environment(settings: Settings) -> dict[str, str]:
    """The variables that make another process use the same settings."""
    return {
        **os.environ,
        "TENURE_POSTGRES_URL": settings.postgres_url or "",
        "TENURE_REDIS_URL": settings.redis_url or "",
        "TENURE_SCHEMA": settings.schema,
        "TENURE_PREFIX": settings.prefix,
        "TENURE_LEASE_SECONDS": str(settings.lease_seconds),
        "TENURE_HEARTBEAT_SECONDS": str(settings.heartbeat_seconds),
        "TENURE_HEARTBEAT_TTL_SECONDS": str(settings.heartbeat_ttl_seconds),
        "TENURE_RESCUE_SECONDS": str(settings.rescue_seconds),
        "TENURE_GRACE_SECONDS": str(settings.grace_seconds),
        "TENURE_STATEMENT_CACHE": str(settings.statement_cache),
    }


@pytest.fixture
def spawn_worker(settings: Settings) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts real worker processes, on `tests.handlers:app` where nothing else is said."""
    spawned: list[subprocess.Popen[bytes]] = []

    def spawn(*arguments: str, target: str = "tests.handlers:app") -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tenure", "worker", target, *arguments]
        spawned.append(subprocess.Popen(command, env=environment(settings), start_new_session=True))
        return spawned[-1]

    yield spawn
    for process in spawned:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGCONT)
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
