"""The watch when the network parts: who is cut off is found out, and finds nobody out."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from tests.faults.namespaces import both_sides
from tests.faults.proxy import Proxy
from tests.faults.words import listen, said

# Of a worker that beats every half second: suspected after 0.8 s, dead after 2.8, then two looks; twice that for a busy
# machine. The TTL is out of the way: whoever is declared failed was voted on.
BOUND = 8.0


@pytest.fixture
def settings(settings):
    """Slow enough that nobody is suspected for nothing, and a TTL far beyond what observers need."""
    return replace(settings, heartbeat_seconds=0.5, heartbeat_ttl_seconds=60.0)


async def status(stage, process) -> str:
    """What the registry says of its worker."""
    return await stage.sql.fetchval(f"SELECT status FROM {stage.direct.schema}.workers WHERE pid = {process.pid}")


async def test_a_leader_that_is_cut_off_is_succeeded_and_declared_failed(stage, namespace, measured):
    """It leads and observes from behind a cable that is pulled: it kills nobody, and is not kept alive by itself."""
    leader = f"SELECT term, holder FROM {stage.direct.schema}.leaders WHERE leadership = 'registry'"
    with both_sides(stage, namespace) as (own, far):
        (parted,) = stage.spawn(settings=far, command=("ip", "netns", "exec", namespace.name))
        await stage.ready()
        assert (await stage.sql.fetchrow(leader))["holder"].endswith(f":{parted.pid}")
        near = stage.spawn(2, settings=own)
        await stage.ready(3)
        await _seated(stage, 3)
        await listen(stage)
        namespace.part()
        began = time.monotonic()

        async def succeeded() -> bool:
            return (await stage.sql.fetchrow(leader))["term"] == 2

        await stage.eventually(succeeded, "another leads")
        measured("a leader that was cut off is succeeded after", time.monotonic() - began)
        assert time.monotonic() - began < 6.0

        async def declared() -> bool:
            return await status(stage, parted) == "FAILED"

        await stage.eventually(declared, "two observers confirm that it is gone")
        measured("a worker that was cut off is declared failed after", time.monotonic() - began)
        assert time.monotonic() - began < BOUND
        namespace.join()

        async def back() -> bool:
            return await status(stage, parted) == "ACTIVE"

        await stage.eventually(back, "it is heard of again", 30)
        failed = await said(stage, "FAILED")
        assert not {process.pid for process in near} & failed.keys()
        assert parted.poll() is None


async def test_who_cannot_reach_redis_votes_on_nobody(stage):
    """PostgreSQL still takes its votes, and it hears of nobody: that is no reason to call everybody dead."""
    schema = stage.direct.schema
    with Proxy(stage.redis.upstream) as hot:
        (deaf,) = stage.spawn(settings=replace(stage.settings, redis_url=f"redis://127.0.0.1:{hot.port}/0"))
        await stage.ready()
        near = stage.spawn(2)
        await stage.ready(3)
        await _seated(stage, 3)
        seat = await stage.sql.fetchval(
            f"SELECT leadership FROM {schema}.leaders WHERE holder LIKE '%:{deaf.pid}' AND leadership <> 'registry'"
        )
        await listen(stage)
        hot.silence()

        async def declared() -> bool:
            assert not await stage.sql.fetchval(f"SELECT count(*) FROM {schema}.suspicions WHERE observer = '{seat}'")
            return await status(stage, deaf) == "FAILED"

        await stage.eventually(declared, "the others find it out")
        hot.heal()
        hot.cut()

        async def back() -> bool:
            return await status(stage, deaf) == "ACTIVE"

        await stage.eventually(back, "it is heard of again", 30)
        for word in ("FAILED", "SUSPECT"):
            assert not {process.pid for process in near} & (await said(stage, word)).keys()


async def _seated(stage, count: int) -> None:
    """Wait until so many observers have a seat, and have seen enough to vote."""
    seats = f"SELECT count(*) FROM {stage.direct.schema}.leaders WHERE leadership LIKE 'observer-%'"
    seen = f"SELECT max(since) < now() - interval '4 s' FROM {stage.direct.schema}.leaders"

    async def there() -> bool:
        return await stage.sql.fetchval(seats) >= count and await stage.sql.fetchval(seen)

    await stage.eventually(there, f"{count} observers are seated")
