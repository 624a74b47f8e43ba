"""Links that are cut, slow, silent, or lose an answer whose request went through."""

from __future__ import annotations

import asyncio
import time

import pytest

from tenure import StoreUnavailable


@pytest.fixture
def statement_cache() -> int:
    """None: the text of a statement is sent with every call."""
    return 0


def says(*words: str):
    """Whether a request holds all of these."""
    return lambda data: all(word.encode() in data for word in words)


def runs(*words: str):
    """Whether a request runs a statement that holds all of these; without a cache the driver sends text and call
    together.
    """
    return lambda data: b"E\x00\x00\x00\x09\x00" in data and says(*words)(data)


# PostgreSQL is ready for the next statement, outside any transaction: what it did is committed.
COMMITTED = b"Z\x00\x00\x00\x05I"


@pytest.mark.parametrize("store", ["postgres", "redis"])
async def test_connections_cut_again_and_again(stage, store):
    stage.spawn(2)
    await stage.ready()
    proxy, cut = getattr(stage, store), 0
    async with stage.load():
        await stage.ended(20)
        for _ in range(12):
            cut += proxy.cut()
            before = len(stage.acked)
            await asyncio.sleep(0.1)
            # between two cuts something gets through, however slow the machine is
            await stage.eventually(lambda before=before: len(stage.acked) > before + 5, "calls succeed again")
    assert cut > 12, "the fault had no effect"
    report = await stage.proven()
    # a cut is mended by sending again, at most twice: three cuts in a row are an error
    assert report["refused"] < report["acked"] / 10


@pytest.mark.parametrize("store", ["postgres", "redis"])
async def test_a_store_that_refuses_connections_for_a_while(stage, store):
    stage.spawn(2)
    await stage.ready()
    proxy = getattr(stage, store)
    async with stage.load():
        await stage.ended(20)
        proxy.refuse()
        await asyncio.sleep(3)  # longer than a lease
        proxy.heal()
        before = len(stage.acked)
        # a question that was asked before fails for all who wait for its answer
        await stage.eventually(lambda: len(stage.acked) > before, "calls succeed again")
        await stage.everyone_works()
    await stage.proven()


@pytest.mark.parametrize("store", ["postgres", "redis"])
async def test_half_open_links_are_left_in_time(stage, store, measured):
    """Connections stand and nothing passes, as behind a firewall that forgot them; those never speak again."""
    stage.spawn(2)
    await stage.ready()
    proxy = getattr(stage, store)
    async with stage.load():
        await stage.ended(20)
        proxy.silence()
        await stage.eventually(lambda: proxy.swallowed > 0, "something was swallowed")
        await asyncio.sleep(1)
        proxy.heal()
        healed = time.monotonic()
        # a statement is given up after 12 s, on each of PostgreSQL's two pools once; a command to Redis after 5 s
        await stage.everyone_works(60)
        took = time.monotonic() - healed
    measured(f"half-open {store}, every worker works again after", took)
    await stage.proven()


@pytest.mark.parametrize("store", ["postgres", "redis"])
async def test_a_slow_store_slows_and_loses_nothing(stage, store):
    stage.spawn(2)
    await stage.ready()
    proxy = getattr(stage, store)
    proxy.slow(0.1, 200_000)
    async with stage.load(20):
        await stage.ended(30)
    proxy.heal()
    report = await stage.proven()
    assert report["refused"] == 0
    assert report["duplicates"] == 0


async def test_a_pool_of_dead_connections_costs_one_wait(stage):
    async def at_once() -> None:
        await asyncio.gather(*(stage.client.admin.stats() for _ in range(10)))

    await at_once()
    assert stage.postgres.open >= 5
    stage.postgres.silence()
    stage.postgres.heal()
    began = time.monotonic()
    await stage.enqueue("work")
    assert 5 < time.monotonic() - began < 15
    again = time.monotonic()
    await at_once()
    assert time.monotonic() - again < 3
    stage.spawn()
    await stage.proven()


async def test_an_enqueue_whose_answer_is_lost_has_happened_once(stage):
    stage.spawn()
    await stage.ready()
    for _ in range(5):
        stage.postgres.lose_answer(runs("Insert a batch of jobs"), until=COMMITTED)
        await stage.enqueue("work")
    assert stage.postgres.lost == 5
    report = await stage.proven()
    assert report["recovered"] == 0


async def test_dependents_whose_commit_lost_its_answer_are_there_once(stage):
    stage.spawn()
    await stage.ready()
    parent = await stage.enqueue("work")
    stage.postgres.lose_answer(says("COMMIT;"), until=COMMITTED)
    try:
        await stage.enqueue("work", depends_on=[parent])
    except StoreUnavailable:
        stage.refused["StoreUnavailable"] += 1
    assert stage.postgres.lost == 1
    report = await stage.proven()
    assert report["recovered"] + report["acked"] == report["attempted"]


async def test_a_push_whose_answer_is_lost_is_one_job(stage):
    stage.spawn()
    await stage.ready()
    for _ in range(5):
        stage.redis.lose_answer(says("EVALSHA", ":idle", "gap006:worker:", "work"))
        await (await stage.enqueue("work")).result(timeout=10)
    assert stage.redis.lost == 5
    report = await stage.proven()
    assert report["duplicates"] == 0


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("start", ("Record the starts",)),
        ("complete", ("Settle a batch of completed",)),
    ],
)
async def test_a_start_or_an_end_whose_answer_is_lost_is_recorded_once(stage, name, words):
    stage.spawn(concurrency=1)
    await stage.ready()
    for _ in range(5):
        stage.postgres.lose_answer(runs(*words), until=COMMITTED)
        job = await stage.enqueue("work")
        assert await job.result(timeout=10) == 1
    assert stage.postgres.lost == 5
    report = await stage.proven()
    assert report["duplicates"] == 0


async def test_a_lease_whose_answer_is_lost_comes_back(stage):
    """Nobody knows of it: it expires, and its fence is burnt without an attempt."""
    # the server is taught the script first: what is lost must be a lease
    await stage.enqueue("work", delay=0.1)
    with stage.raw() as client:
        await stage.eventually(lambda: client.exists("gap006:{default}:generation"), "the queue was built")
        await stage.client._open().engine.lease("default", 1)
        job = await stage.enqueue("work", priority=5)
        await stage.eventually(lambda: client.exists("gap006:{default}:high-priority-queue"), "it was pushed")
    # a script that knows the idle and ends with the inboxes' prefix and no offers: a lease
    lease = b"default\r\n$14\r\ngap006:worker:\r\n$0\r\n\r\n"
    stage.redis.lose_answer(lambda data: b":idle" in data and data.endswith(lease))
    stage.spawn(concurrency=1)
    assert await job.result(timeout=15) == 2
    assert stage.redis.lost == 1
    assert [(one.fence, one.attempt, one.status) for one in await job.executions()] == [(2, 1, "COMPLETED")]
    await stage.proven()


@pytest.mark.parametrize("words", ["synchronous_commit", "schema_migrations", "Enter new incarnations"])
async def test_a_worker_starts_though_its_first_answer_is_lost(stage, words):
    stage.postgres.lose_answer(runs(words), until=COMMITTED)
    stage.spawn()
    await stage.ready()
    assert stage.postgres.lost == 1
    await stage.enqueue("work")
    await stage.proven()
