"""Who leads the fleet: one at a time, and PostgreSQL refuses whoever only believes it."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from tenure._engine import Engine, new_ids
from tenure._leader import Leader
from tenure.errors import StoreUnavailable

HOLD = 0.5


@pytest.fixture
async def claim(open_app, settings):
    """Makes claims, each as of a process of its own."""
    app = await open_app()
    async with AsyncExitStack() as stack:

        async def make(name: str = "work", hold: float = HOLD) -> Leader:
            engine = Engine(
                settings.redis_url,
                worker_id=new_ids(1)[0],
                prefix=settings.prefix,
                lease_ms=1000,
                on_event=lambda _: None,
            )
            stack.callback(engine.close)
            await engine.open()
            return Leader(engine, app._open().database, name, hold=hold)

        yield make


async def may_write(leader: Leader, term: int) -> bool:
    """Whether a statement of the leader's is let in."""
    [row] = await leader._database.fetch("mark_stale_workers", leader.name, term, timedelta(hours=1))
    return bool(row["leads"])


async def test_one_leads_and_the_next_one_succeeds_it(claim):
    one, two = await claim(), await claim()
    assert await one.term() == 1
    assert await two.term() == 0
    assert 0 < two.pause < HOLD + 0.6
    assert await one.term() == 1
    assert await may_write(one, 1)
    # one says nothing more
    began = time.monotonic()
    while not await two.term():
        await asyncio.sleep(two.pause)
    assert time.monotonic() - began < HOLD + 1.5
    assert await two.term() == 2
    assert not await may_write(one, 1)
    assert await may_write(two, 2)
    assert await one.term() == 0


async def test_who_resigns_is_succeeded_at_once(claim):
    one, two = await claim(hold=60.0), await claim(hold=60.0)
    assert await one.term() == 1
    assert await two.term() == 0
    await two.resign()  # not its own: nothing happens
    assert await two.term() == 0
    await one.resign()
    assert await two.term() == 2


async def test_a_leadership_that_redis_forgot_is_settled_by_postgres(claim, raw_redis, prefix):
    one, two = await claim(hold=60.0), await claim(hold=60.0)
    assert await one.term() == 1
    raw_redis.delete(f"{prefix}:fleet:leader:work")
    assert await two.term() == 2
    # the first still believes that it leads, and changes nothing
    assert await one.term() == 1
    assert not await may_write(one, 1)
    one.deposed()
    assert await one.term() == 0
    assert await two.term() == 2


async def test_a_term_waits_for_what_its_predecessor_is_writing(claim, raw_postgres, migrated_schema):
    one, two = await claim(hold=60.0), await claim(hold=60.0)
    assert await one.term() == 1
    transaction = raw_postgres.transaction()
    await transaction.start()
    guard = f"SELECT term FROM {migrated_schema}.leaders WHERE leadership = 'work' AND term = 1 FOR SHARE"
    assert await raw_postgres.fetchval(guard) == 1
    await one.resign()
    begins = asyncio.create_task(two.term())
    done, _ = await asyncio.wait([begins], timeout=0.3)
    assert not done
    await transaction.commit()
    assert await begins == 2
    assert await raw_postgres.fetchval(guard) is None


async def test_who_cannot_reach_postgres_leaves_it_to_others(claim, monkeypatch):
    one, two = await claim(hold=60.0), await claim(hold=60.0)
    fetch = one._database.fetch

    async def away(*_):
        raise StoreUnavailable("away")

    monkeypatch.setattr(one._database, "fetch", away)
    with pytest.raises(StoreUnavailable):
        await one.term()
    monkeypatch.setattr(one._database, "fetch", fetch)
    assert await two.term() == 1


async def test_leaderships_are_independent(claim):
    one, two = await claim("a"), await claim("b")
    assert (await one.term(), await two.term()) == (1, 1)
