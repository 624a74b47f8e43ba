"""Unique jobs that meet: kept, replaced, extended or refused."""

from __future__ import annotations

import asyncio

import pytest

from tenure import DuplicateJob, InvalidInput, Unique
from tests.fix_waiting import pushed
from tests.integration.unique.conftest import live


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
