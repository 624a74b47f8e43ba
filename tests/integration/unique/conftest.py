"""A type of jobs that may hang or fail, and what of it ran."""

from __future__ import annotations

import asyncio

import pytest


@pytest.fixture
def ran() -> list[tuple[str, int]]:
    return []


@pytest.fixture
def gate() -> asyncio.Event:
    return asyncio.Event()


@pytest.fixture
def sync(app, ran, gate):
    @app.job(max_retries=0)
    async def sync(user: str, page: int = 1, *, hang: bool = False, fail: bool = False) -> int:
        ran.append((user, page))
        if hang:
            await gate.wait()
        if fail:
            raise RuntimeError("boom")
        return page

    return sync


async def live(raw_postgres, schema: str) -> int:
    """How many jobs there are that have not ended."""
    return await raw_postgres.fetchval(
        f"SELECT count(*) FROM {schema}.jobs WHERE status IN ('PENDING', 'SCHEDULED', 'BLOCKED', 'PROCESSING')"
    )
