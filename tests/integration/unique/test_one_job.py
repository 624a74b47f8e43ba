"""Unique jobs: one job per key, whoever races, until the key is free."""

from __future__ import annotations

import asyncio
import os
import signal

import asyncpg
import pytest

from tenure import DuplicateJob, JobContext, Retry, StoreUnavailable, Tenure, Unique
from tests import handlers
from tests.fix_waiting import has_status
from tests.integration.unique.conftest import live

BY_USER = Unique(arguments=("user",))


async def test_fifty_producers_make_one_job(open_app, settings, app, sync, raw_postgres, migrated_schema):
    """Each with a session of its own, all of them held back until the last one is there."""
    await open_app(app)
    sessions = await asyncio.gather(*(asyncpg.connect(settings.postgres_url) for _ in range(50)))
    together = [asyncio.Event() for _ in sessions]

    async def produce(number: int) -> object:
        together[number].set()
        await asyncio.gather(*(one.wait() for one in together))
        async with sessions[number].transaction():
            return await sync.options(unique=BY_USER, connection=sessions[number]).enqueue("a", number)

    jobs = await asyncio.gather(*map(produce, range(50)))
    await asyncio.gather(*(session.close() for session in sessions))
    assert len({job.id for job in jobs}) == 1
    assert sorted(job.created for job in jobs) == [False] * 49 + [True]
    assert {job.conflict for job in jobs if job.existing} == {"kept"}
    assert await live(raw_postgres, migrated_schema) == 1


async def test_the_same_arguments_are_the_same_however_they_are_given(open_app, app, sync):
    await open_app(app)
    unique = sync.options(unique=True, delay=60)
    first = await unique.enqueue("a")
    assert (await unique.enqueue(page=1, user="a")).id == first.id
    assert (await unique.enqueue("a", 1, hang=False)).id == first.id
    assert (await unique.enqueue("a", 2)).created
    assert (await sync.options(unique="a", delay=60).enqueue("a")).created  # an explicit key is another key
    assert (await sync.options(delay=60).enqueue("a")).created  # and no key is none


async def test_one_call_with_duplicates_in_itself_and_against_the_table(open_app, app, sync):
    await open_app(app)
    there = await sync.options(unique=BY_USER, delay=60).enqueue("u3")
    requests = [sync.options(unique=BY_USER, delay=60).request(f"u{number % 40}", number) for number in range(1200)]
    jobs = await app.enqueue_many(requests)
    assert len({job.id for job in jobs}) == 40
    assert sum(job.created for job in jobs) == 39
    assert {job.id for number, job in enumerate(jobs) if number % 40 == 3} == {there.id}
    assert (await jobs[0].info()).payload["page"] == 0  # the first one stays


async def test_batches_in_opposite_orders_do_not_stop_each_other(open_app, settings, app, sync):
    await open_app(app)
    one = [sync.options(unique=BY_USER, delay=60).request(f"u{number}") for number in range(400)]
    outcomes = await asyncio.gather(*(app.enqueue_many(one if turn % 2 else one[::-1]) for turn in range(8)))
    assert len({job.id for jobs in outcomes for job in jobs}) == 400
    assert sum(job.created for jobs in outcomes for job in jobs) == 400


async def test_a_key_in_a_callers_transaction_is_taken_only_if_it_commits(open_app, app, sync, raw_postgres):
    await open_app(app)
    unique = Unique(key="k")
    transaction = raw_postgres.transaction()
    await transaction.start()
    first = await sync.options(unique=unique, connection=raw_postgres).enqueue("a")
    other = asyncio.create_task(sync.options(unique=unique, delay=60).enqueue("b"))
    same = await sync.options(unique=unique, connection=raw_postgres).enqueue("c")
    assert (same.id, other.done()) == (first.id, False)
    await transaction.rollback()
    assert (await other).created


@pytest.mark.parametrize("policy", ["keep", "replace", "refuse"])
async def test_a_lost_answer_is_ones_own_job_and_no_conflict(open_app, app, sync, monkeypatch, policy):
    """The batch is sent again, and finds the key taken: by itself."""
    await open_app(app)
    database = app._open().database
    fetch, lost = database.fetch, []

    async def losing(name: str, *arguments: object, **options: object) -> object:
        rows = await fetch(name, *arguments, **options)
        if name == "enqueue" and not lost:
            lost.append(name)
            raise StoreUnavailable("the answer was lost")
        return rows

    monkeypatch.setattr(database, "fetch", losing)
    job = await sync.options(unique=Unique(key="k", on_conflict=policy), delay=60).enqueue("a")
    assert (lost, job.created, job.conflict) == (["enqueue"], True, None)
    assert (await job.info()).fence == 0


async def test_a_key_is_free_when_the_job_has_ended(open_app, app, sync, eventually):
    await open_app(app)
    unique = sync.options(unique=BY_USER)
    async with app.worker(concurrency=2):
        first = await unique.enqueue("a")
        assert await first.result(timeout=5) == 1
        failed = await unique.enqueue("a", fail=True)
        assert failed.created
        await eventually(lambda: has_status(failed, "FAILED"))
        assert (await unique.enqueue("a")).created
    cancelled = await unique.enqueue("b")
    await cancelled.cancel()
    assert (await unique.enqueue("b")).created


async def test_until_started_lets_a_second_wait_behind_a_running_one(open_app, app, sync, ran, gate, eventually):
    await open_app(app)
    queued = sync.options(unique=Unique(arguments=("user",), until="started"))
    active = sync.options(unique=Unique(key="k"))
    async with app.worker(concurrency=4):
        first = await queued.enqueue("a", hang=True)
        await eventually(lambda: ran)
        second = await queued.enqueue("a", 2, hang=True)
        assert second.created
        await eventually(lambda: len(ran) == 2)
        third = await active.enqueue("c", hang=True)
        await eventually(lambda: len(ran) == 3)
        assert (await active.enqueue("c")).id == third.id
        gate.set()
        assert await first.result(timeout=5) == 1


async def test_a_retry_of_a_started_job_does_not_meet_its_successor(open_app, app, eventually):
    """It gave its key up for good: both may wait at the same time."""
    attempts: list[int] = []

    @app.job(unique=Unique(key="k", until="started"))
    async def flaky(ctx: JobContext) -> object:
        attempts.append(ctx.attempt)
        return Retry("again", delay=30) if len(attempts) == 1 else None

    await open_app(app)
    async with app.worker():
        first = await flaky.enqueue()
        await eventually(lambda: has_status(first, "SCHEDULED"))
        second = await flaky.enqueue()
        assert second.created
        await second.result(timeout=5)
        assert await first.status() == "SCHEDULED"


async def test_a_revived_job_does_not_take_a_key_from_its_holder(open_app, app, sync, eventually):
    await open_app(app)
    unique = sync.options(unique=Unique(key="k"))
    async with app.worker():
        dead = await unique.enqueue("a", fail=True)
        await eventually(lambda: has_status(dead, "FAILED"))
    holder = await unique.enqueue("b")
    with pytest.raises(DuplicateJob) as refused:
        await app.admin.retry(dead.id)
    assert refused.value.job_id == holder.id
    assert await app.admin.requeue_dead_letters() == 0
    assert await dead.status() == "FAILED"
    await holder.cancel()
    assert await app.admin.requeue_dead_letters() == 1
    assert await dead.status() == "PENDING"


async def test_a_killed_worker_leaves_no_key_behind(open_app, settings, spawn_worker, eventually, tmp_path):
    """There is nothing to leave: the job has its key while it is rescued and run again, and no longer."""
    app = await open_app(Tenure(settings))
    app.job(name="until")(handlers.until.handler)
    unique = app.job_types["until"].options(unique=Unique(key="k"))
    ledger, done = tmp_path / "ledger", tmp_path / "done"
    first = spawn_worker()
    job = await unique.enqueue(str(ledger), str(done))
    await eventually(ledger.exists, 20)
    os.killpg(first.pid, signal.SIGKILL)
    assert (await unique.enqueue(str(ledger), str(done))).id == job.id
    spawn_worker()
    await eventually(lambda: ledger.read_text().count("start") == 2, 20)
    assert (await unique.enqueue(str(ledger), str(done))).id == job.id
    done.touch()
    assert await job.result(timeout=10) > 1
    assert (await unique.enqueue(str(ledger), str(done))).created
