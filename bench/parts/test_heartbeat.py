"""A beat that extends 1,000 leases: the core's thread beside a task of the event loop, both every 20 ms for a while."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import redis

from bench.parts.ways import QUEUE, Ours, Twin

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.parts.conftest import Part
    from bench.space import Space

_LEASES = 1000
_EVERY = 0.02
_TTL_MS = 60_000


def test_beat(part: Part, way: str, path: Ours | Twin, fill: Callable[[int], None], here: Space) -> None:
    """The figures are CPU per beat: of the event loop's thread, and of the process."""
    fill(_LEASES)
    assert len(part.loop.run_until_complete(path.lease(_LEASES))) == _LEASES
    seconds = 0.1 if part.quick else 2.0
    used: dict[str, float] = {}

    def beat() -> None:
        cpu, thread = time.process_time(), time.thread_time()
        part.loop.run_until_complete(_beats_of_ours(path, seconds) if isinstance(path, Ours) else _beats(path, seconds))
        used.update(loop=time.thread_time() - thread, cpu=time.process_time() - cpu)

    with redis.from_url(here.servers.redis_url) as client:
        before = _beats_seen(client)
        part.benchmark.pedantic(beat, rounds=1)  # type: ignore[no-untyped-call]
        beats = _beats_seen(client) - before
    assert beats > 0
    assert _held(path) == _LEASES, "no lease may be lost while it is measured"
    part.report("beat of 1,000 leases (CPU)", way, None, used["loop"], used["cpu"], beats)


def _beats_seen(client: redis.Redis) -> int:
    """By the server: each beat writes its sign of life once."""
    return int(client.info("commandstats").get("cmdstat_set", {}).get("calls", 0))


async def _beats_of_ours(path: Ours, seconds: float) -> None:
    path.engine.core.start_heartbeat(round(_EVERY * 1000), _TTL_MS)
    await asyncio.sleep(seconds)
    path.engine.core.stop_heartbeat()


async def _beats(path: Twin, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while (now := loop.time()) < end:
        await path.store.beat(QUEUE, b'{"pid":1}', _TTL_MS)
        await asyncio.sleep(max(0.0, _EVERY - (loop.time() - now)))


def _held(path: Ours | Twin) -> int:
    return path.engine.core.held() if isinstance(path, Ours) else len(path.store.held)
