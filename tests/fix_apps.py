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
from tenure._environment import variables_of

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


@pytest.fixture
def keep(app: Tenure) -> Any:
    """A job type that returns what it is given."""

    @app.job()
    async def keep(value: object = None) -> object:
        return value

    return keep


def environment(settings: Settings) -> dict[str, str]:
    """The variables that make another process use the same settings."""
    return {**os.environ, **variables_of(settings)}


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
