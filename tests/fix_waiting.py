"""Waiting for conditions, never for time."""

from __future__ import annotations

import asyncio
import inspect
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tenure import Job
    from tenure.app import App

    Eventually = Callable[..., Awaitable[Any]]


@pytest.fixture
def eventually() -> Eventually:
    """Polls until a predicate is true, and returns what it returned."""

    async def wait(predicate: Callable[[], Any], timeout: float = 10.0) -> Any:
        give_up = time.monotonic() + timeout
        while True:
            value = predicate()
            if inspect.isawaitable(value):
                value = await value
            if value:
                return value
            assert time.monotonic() < give_up, f"did not happen within {timeout:g} s: {inspect.getsource(predicate)}"
            await asyncio.sleep(0.01)

    return wait


async def pushed(app: App) -> None:
    """Wait until what was enqueued is in Redis: the first push to a queue finds it unbuilt, and its build follows."""
    stores = app._open()
    await stores.publisher.drained()
    await stores.rebuilder.settled()


async def has_status(job: Job, status: str) -> bool:
    """Whether a job has come to a state: a condition to poll for."""
    return await job.status() == status
