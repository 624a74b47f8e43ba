"""Forgetting leases whose jobs have ended: what settling asks of Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.parts.conftest import Part
    from bench.parts.ways import HotPath


@pytest.mark.parametrize("count", [1, 100])
def test_acknowledge(part: Part, way: str, path: HotPath, fill: Callable[[int], None], count: int) -> None:
    """So many leases a call; the figure is per lease."""
    times, rounds = (1, 1) if part.quick else (10, 20)
    calls = times * rounds
    fill(count * calls)
    batches = [
        [(one.job_id, one.fence) for one in part.loop.run_until_complete(path.lease(count))] for _ in range(calls)
    ]

    async def acknowledge() -> None:
        for _ in range(times):
            keys = batches.pop()
            assert await path.acknowledge(keys) == count == len(keys)

    part.awaits(f"acknowledge a lease, of {count}", way, acknowledge, count * times, rounds)
