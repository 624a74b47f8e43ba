"""Pushing committed jobs to Redis, their descriptors made inside the measurement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from bench.parts.conftest import Part
    from bench.parts.ways import HotPath


@pytest.mark.parametrize("count", [1, 100])
def test_push(part: Part, way: str, path: HotPath, count: int) -> None:
    """So many jobs a call; the figure is per job."""
    times = 1 if part.quick else 10

    async def push() -> None:
        for _ in range(times):
            assert await path.enqueue(path.jobs(count)) == count

    part.awaits(f"push a job, of {count}", way, push, count * times, 1 if part.quick else 20)
