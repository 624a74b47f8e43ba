"""Crossing: a call that does nothing at the other end, so that what remains is the way there and back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.parts.conftest import Part
    from bench.parts.ways import HotPath


def test_one_after_the_other(part: Part, way: str, path: HotPath) -> None:
    """A ping of Redis awaited before the next; the figure is per ping."""
    times = 2 if part.quick else 200

    async def pings() -> None:
        for _ in range(times):
            await path.ping()

    part.awaits("ping, one by one", way, pings, times, 1 if part.quick else 20)


def test_100_at_once(part: Part, way: str, path: HotPath) -> None:
    """A hundred pings under way at the same time; the figure is per ping."""
    times = 1 if part.quick else 10

    async def pings() -> None:
        for _ in range(times):
            await asyncio.gather(*(path.ping() for _ in range(100)))

    part.awaits("ping, 100 at once", way, pings, 100 * times, 1 if part.quick else 20)
