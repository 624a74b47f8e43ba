"""Taking jobs, and reading what a worker reads of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.parts.conftest import Part
    from bench.parts.ways import HotPath


@pytest.mark.parametrize("want", [1, 100])
def test_lease(part: Part, way: str, path: HotPath, fill: Callable[[int], None], want: int) -> None:
    """So many jobs a call; the figure is per lease."""
    times, rounds = (1, 1) if part.quick else (10, 20)
    fill(want * times * rounds)

    async def lease() -> None:
        for _ in range(times):
            leases = await path.lease(want)
            read = [(one.job_id, one.fence, one.job_type, one.attempt, one.timeout_ms, one.payload) for one in leases]
            assert len(read) == want, "the queue must not run dry inside a measurement"

    part.awaits(f"lease a job, of {want}", way, lease, want * times, rounds)
