"""Unique jobs: one job per key, whoever races, for as long as its state says."""

from __future__ import annotations

import asyncio
import os
import signal
from datetime import timedelta

import asyncpg
import pytest

from tenure import DuplicateJob, InvalidInput, JobContext, Retry, StoreUnavailable, Tenure, Unique
from tests import handlers
from tests.fix_waiting import pushed

BY_USER = Unique(arguments=("user",))


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
    return await raw_postgres.fetchval(
        f"SELECT count(*) FROM {schema}.jobs WHERE status IN ('PENDING', 'SCHEDULED', 'BLOCKED', 'PROCESSING')"
    )


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


async def test_a_key_is_free_when_the_job_has_ended(open_app, app, sync, eventually):
    await open_app(app)
    unique = sync.options(unique=BY_USER)
    async with app.worker(concurrency=2):
        first = await unique.enqueue("a")
        assert await first.result(timeout=5) == 1
        failed = await unique.enqueue("a", fail=True)
        assert failed.created
        await eventually(lambda: _is(failed, "FAILED"))
        assert (await unique.enqueue("a")).created
    cancelled = await unique.enqueue("b")
    await cancelled.cancel()
    assert (await unique.enqueue("b")).created


async def _is(job, status: str) -> bool:
    return await job.status() == status


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
        await eventually(lambda: _is(first, "SCHEDULED"))
        second = await flaky.enqueue()
        assert second.created
        await second.result(timeout=5)
        assert await first.status() == "SCHEDULED"


async def test_replace_gives_a_waiting_job_the_new_arguments(open_app, app, sync, ran):
    await open_app(app)
    unique = Unique(arguments=("user",), on_conflict="replace")
    first = await sync.options(unique=unique, delay=60, priority=2, tags=["old"]).enqueue("a", 1)
    second = await sync.options(unique=unique, priority=5, tags=["new"]).enqueue("a", 2)
    assert (second.id, second.created, second.existing, second.conflict) == (first.id, False, True, "replaced")
    info = await first.info()
    assert (info.status, info.priority, info.tags, info.payload) == ("PENDING", 5, ["new"], {"user": "a", "page": 2})
    async with app.worker():
        assert await second.result(timeout=5) == 2
    assert ran == [("a", 2)]


async def test_a_worker_that_has_leased_the_old_arguments_does_not_run_them(
    open_app, app, sync, ran, raw_postgres, migrated_schema
):
    """The lease is taken, and its start not recorded, when the job is replaced: the fence refuses the start."""
    await open_app(app)
    unique = Unique(arguments=("user",), on_conflict="replace")
    numbers = range(30)
    async with app.worker(concurrency=50):
        jobs = [await sync.options(unique=unique, delay=0.2).enqueue(f"u{number}", 0) for number in numbers]

        async def chase(number: int) -> list[tuple[str, int]]:
            """Replace it again and again while it becomes due, is leased and runs; what was promised to run."""
            promised: list[tuple[str, int]] = [(jobs[number].id, 0)]
            for page in range(1, 40):
                job = await sync.options(unique=unique, delay=0.2 if page < 10 else 0).enqueue(f"u{number}", page)
                if job.conflict != "kept":
                    promised = [one for one in promised if one[0] != job.id] + [(job.id, page)]
            return promised

        promised = [one for made in await asyncio.gather(*map(chase, numbers)) for one in made]
        jobs = dict(promised)
        for job_id, page in promised:
            assert await app.job_handle(job_id).result(timeout=15) == page
    assert len(ran) == len(jobs)
    rows = await raw_postgres.fetch(f"SELECT job_id, attempts FROM {migrated_schema}.jobs")
    assert {str(row["job_id"]): row["attempts"] for row in rows} == dict.fromkeys(jobs, 1)


async def test_a_stale_lease_is_refused_and_the_new_arguments_run(open_app, app, sync, ran):
    """The worst moment: the lease is given with the old arguments, and the start is asked for after the replacement."""
    await open_app(app)
    unique = Unique(key="k", on_conflict="replace")
    stores = app._open()
    job = await sync.options(unique=unique).enqueue("a", 1)
    await pushed(app)
    [lease] = (await stores.engine.lease("default", 1)).leases
    assert lease.job_id == job.id
    again = await sync.options(unique=unique).enqueue("a", 2)
    assert again.conflict == "replaced"
    own = "00000000-0000-7000-8000-000000000001"
    [row] = await stores.database.fetch("start", [job.id], [lease.fence], [own], own)
    assert not row["places"]
    async with app.worker():
        assert await again.result(timeout=5) == 2
    assert ran == [("a", 2)]


async def test_a_running_job_is_kept_as_it_is(open_app, app, sync, ran, gate, eventually):
    await open_app(app)
    unique = Unique(key="k", on_conflict="replace")
    async with app.worker():
        job = await sync.options(unique=unique).enqueue("a", 1, hang=True)
        await eventually(lambda: ran)
        again = await sync.options(unique=unique).enqueue("a", 2)
        assert (again.id, again.conflict) == (job.id, "kept")
        gate.set()
        assert await again.result(timeout=5) == 1


async def test_extend_pushes_the_time_back_and_nothing_else(open_app, app, sync):
    await open_app(app)
    unique = Unique(key="k", on_conflict="extend", wait=60)
    first = await sync.options(unique=unique).enqueue("a", 1)
    before = await first.info()
    again = await sync.options(unique=unique).enqueue("a", 2)
    assert (again.id, again.conflict) == (first.id, "extended")
    after = await first.info()
    assert after.run_at > before.run_at
    assert (after.payload, after.fence) == ({"user": "a", "page": 1}, before.fence + 1)


async def test_refuse_names_the_key_and_the_job(open_app, app, sync, raw_postgres, migrated_schema):
    await open_app(app)
    refusing = sync.options(unique=Unique(key="k", on_conflict="refuse"), delay=60)
    first = await refusing.enqueue("a")
    with pytest.raises(DuplicateJob) as refused:
        await refusing.enqueue("b")
    assert (refused.value.key, refused.value.job_id) == ("sync:k", first.id)
    # A call of many is refused as a whole, and leaves a caller's transaction as it was.
    with pytest.raises(DuplicateJob):
        await app.enqueue_many([sync.request("x"), refusing.request("c")])
    async with raw_postgres.transaction():
        kept = await sync.options(connection=raw_postgres, delay=60).enqueue("y")
        with pytest.raises(DuplicateJob):
            await app.enqueue_many([sync.request("x"), refusing.request("c")], connection=raw_postgres)
    assert await kept.status() == "SCHEDULED"
    assert await live(raw_postgres, migrated_schema) == 2
    # Of many calls at once each is told for itself.
    outcomes = await asyncio.gather(
        *(sync.options(unique=Unique(key="z", on_conflict="refuse"), delay=60).enqueue("a") for _ in range(20)),
        return_exceptions=True,
    )
    assert sum(isinstance(one, DuplicateJob) for one in outcomes) == 19


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


async def test_a_replacement_in_a_callers_transaction_happens_only_if_it_commits(
    open_app, app, sync, ran, raw_postgres
):
    await open_app(app)
    unique = Unique(key="k", on_conflict="replace")
    first = await sync.options(unique=unique, delay=60).enqueue("a", 1)
    transaction = raw_postgres.transaction()
    await transaction.start()
    assert (await sync.options(unique=unique, connection=raw_postgres).enqueue("a", 2)).conflict == "replaced"
    await transaction.rollback()
    assert (await first.info()).payload == {"user": "a", "page": 1}
    async with app.worker():
        async with raw_postgres.transaction():
            again = await sync.options(unique=unique, connection=raw_postgres).enqueue("a", 3)
        assert await again.result(timeout=5) == 3
    assert (again.id, ran) == (first.id, [("a", 3)])


async def test_hold_keeps_the_key_after_the_end(open_app, app, sync, raw_postgres, migrated_schema):
    await open_app(app)
    unique = Unique(key="k", hold=timedelta(hours=1))
    async with app.worker():
        first = await sync.options(unique=unique).enqueue("a")
        await first.result(timeout=5)
        assert (await sync.options(unique=unique).enqueue("a")).id == first.id
        await raw_postgres.execute(f"UPDATE {migrated_schema}.jobs SET completed_at = now() - interval '61 minutes'")
        calls = await asyncio.gather(*(sync.options(unique=unique).enqueue("a") for _ in range(20)))
        assert len({job.id for job in calls} - {first.id}) == 1
        assert sum(job.created for job in calls) == 1


async def test_debounce_runs_the_last_call_and_not_later_than_its_bound(open_app, app, sync, ran):
    await open_app(app)
    quiet = sync.options(unique=Unique.debounce(0.3, arguments=("user",)))
    bounded = sync.options(unique=Unique.debounce(3600, at_most=0.5, arguments=("user",)))
    async with app.worker():
        jobs = [await quiet.enqueue("quiet", page) for page in range(20)]
        again = [await bounded.enqueue("bounded", page) for page in range(20)]
        assert (await jobs[-1].result(timeout=5), await again[-1].result(timeout=5)) == (19, 19)
    assert len({job.id for job in jobs}) == len({job.id for job in again}) == 1
    assert sorted(ran) == [("bounded", 19), ("quiet", 19)]


async def test_throttle_makes_one_job_per_window(open_app, app, sync, raw_postgres, migrated_schema):
    await open_app(app)
    window = 10 * 366 * 86_400.0 / 2
    drop = sync.options(unique=Unique.throttle(window, arguments=("user",)))
    async with app.worker():
        first = await drop.enqueue("a")
        await first.result(timeout=5)
        assert (await drop.enqueue("a", 2)).id == first.id
        later = sync.options(unique=Unique.throttle(window, rest="later", arguments=("user",)))
        now = await later.enqueue("b")
        jobs = await asyncio.gather(*(later.enqueue("b", page) for page in range(10)))
        assert len({job.id for job in jobs}) == 1
        assert sum(job.created for job in jobs) == 1
        info = await jobs[0].info()
        assert (info.status, jobs[0].id != now.id) == ("SCHEDULED", True)
        assert info.run_at.timestamp() % window == pytest.approx(0, abs=0.01)


async def test_a_revived_job_does_not_take_a_key_from_its_holder(open_app, app, sync, eventually):
    await open_app(app)
    unique = sync.options(unique=Unique(key="k"))
    async with app.worker():
        dead = await unique.enqueue("a", fail=True)
        await eventually(lambda: _is(dead, "FAILED"))
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


async def test_a_unique_job_may_wait_for_others_but_not_be_waited_for_in_the_same_call(open_app, app, sync):
    await open_app(app)
    parent = await sync.options(delay=60).enqueue("p")
    child = sync.options(unique=Unique(key="k"), depends_on=[parent])
    first = await child.enqueue("c")
    again = await child.enqueue("c")
    assert (again.id, again.conflict, await first.status()) == (first.id, "kept", "BLOCKED")
    replaced = await sync.options(unique=Unique(key="k", on_conflict="replace"), depends_on=[parent]).enqueue("d")
    assert (replaced.id, replaced.conflict, await first.status()) == (first.id, "replaced", "BLOCKED")
    with pytest.raises(DuplicateJob):
        await sync.options(unique=Unique(key="k", on_conflict="refuse"), depends_on=[parent]).enqueue("c")
    top = sync.options(unique=Unique(key="top"), job_id="00000000-0000-7000-8000-000000000009").request("a")
    with pytest.raises(InvalidInput, match="unique must be absent"):
        await app.enqueue_many([top, sync.options(depends_on=[top.job_id]).request("b")])


@pytest.mark.parametrize(
    "values",
    [
        {"key": ""},
        {"key": "k" * 256},
        {"arguments": False},
        {"arguments": ()},
        {"arguments": ["user"]},
        {"until": "queued"},
        {"on_conflict": "ignore"},
        {"on_conflict": "later"},
        {"hold": 0},
        {"hold": 1, "until": "started"},
        {"period": -1},
        {"period": 1, "until": "started"},
        {"at_most": 1},
    ],
)
def test_rules_that_contradict_themselves_are_refused(values):
    with pytest.raises(InvalidInput, match=r"unique\."):
        Unique(**values)


async def test_what_a_type_cannot_keep_is_refused(open_app, app, raw_postgres, migrated_schema):
    @app.job(record="behind")
    async def quick(user: str) -> None: ...

    await open_app(app)
    for rule in (Unique(until="started"), Unique(on_conflict="replace"), Unique.debounce(1)):
        with pytest.raises(InvalidInput, match="record='behind'"):
            await quick.options(unique=rule).enqueue("a")
    with pytest.raises(InvalidInput, match="among user"):
        await quick.options(unique=Unique(arguments=("name",))).enqueue("a")
    with pytest.raises(InvalidInput, match="a Unique, True or a key"):
        quick.options(unique=7)
    assert (await quick.options(unique=True).enqueue("a")).created
    assert await live(raw_postgres, migrated_schema) == 1
