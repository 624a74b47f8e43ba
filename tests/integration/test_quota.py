"""Limits on waiting jobs: never one too many, whoever races, and nothing is written where one is refused."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from tenure import InvalidInput, QuotaExceeded, Tenure, Unique
from tenure import _quota as quota

QUEUE = "default"


@pytest.fixture
def mail(app):
    @app.job()
    async def mail(number: int = 0) -> int:
        return number

    @app.job()
    async def other() -> None: ...

    return mail


@pytest.fixture(autouse=True)
def _known_at_once(monkeypatch):
    """What a test sets is known to the next enqueue; that others learn of it has a test of its own."""
    monkeypatch.setattr(quota, "_FRESH", 0.0)
    monkeypatch.setattr(quota, "_STALE", 0.0)


async def waiting(raw_postgres, schema: str, where: str = "true") -> int:
    return await raw_postgres.fetchval(
        f"SELECT count(*) FROM {schema}.jobs WHERE status IN ('PENDING', 'SCHEDULED', 'BLOCKED') AND {where}"
    )


async def test_fifty_producers_never_make_one_too_many(open_app, settings, app, mail, raw_postgres, migrated_schema):
    """Each with a session of its own, all of them held back until the last one is there."""
    await open_app(app)
    await app.admin.limits.set(QUEUE, tenant="*", queued=20)
    sessions = await asyncio.gather(*(asyncpg.connect(settings.postgres_url) for _ in range(50)))
    together = [asyncio.Event() for _ in sessions]

    async def produce(number: int) -> int:
        together[number].set()
        await asyncio.gather(*(one.wait() for one in together))
        made = 0
        for _ in range(3):
            try:
                async with sessions[number].transaction():
                    await mail.options(tenant="acme", connection=sessions[number]).enqueue(number)
                made += 1
            except QuotaExceeded:
                pass
        return made

    made = await asyncio.gather(*map(produce, range(50)))
    await asyncio.gather(*(session.close() for session in sessions))
    assert sum(made) == 20
    assert await waiting(raw_postgres, migrated_schema, "tenant = 'acme'") == 20


async def test_single_calls_share_what_is_left(open_app, app, mail, raw_postgres, migrated_schema):
    """Of calls that come together as many are taken as fit, and each of the others is told."""
    await open_app(app)
    await app.admin.limits.set(QUEUE, queued=7)
    outcomes = await asyncio.gather(*(mail.enqueue(number) for number in range(30)), return_exceptions=True)
    refused = [one for one in outcomes if isinstance(one, QuotaExceeded)]
    assert len(refused) == 23
    assert {(one.queue, one.limit, one.max) for one in refused} == {(QUEUE, "queue", 7)}
    assert await waiting(raw_postgres, migrated_schema) == 7


async def test_two_apps_and_single_calls(open_app, settings, app, mail, raw_postgres, migrated_schema):
    await open_app(app)
    beside = Tenure(settings)

    @beside.job(name="mail")
    async def same(number: int = 0) -> int:
        return number

    await open_app(beside)
    await app.admin.limits.set(QUEUE, job_type="mail", queued=25)
    calls = [(mail if number % 2 else same).options(tenant="t").enqueue(number) for number in range(80)]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(one, QuotaExceeded) for one in outcomes) == 55
    assert await waiting(raw_postgres, migrated_schema) == 25


async def test_a_call_of_many_is_all_or_nothing(open_app, app, mail, raw_postgres, migrated_schema):
    await open_app(app)
    await app.admin.limits.set(QUEUE, key="customer:42", queued=1000)
    requests = [mail.options(limit_key="customer:42").request(number) for number in range(1001)]
    with pytest.raises(QuotaExceeded) as refused:
        await app.enqueue_many(requests)
    assert (refused.value.limit, refused.value.max, refused.value.waiting) == ("key customer:42", 1000, 0)
    assert refused.value.asked == 1001
    assert await waiting(raw_postgres, migrated_schema) == 0
    assert len(await app.enqueue_many(requests[:1000])) == 1000
    # others are not touched by it
    assert (await mail.options(limit_key="customer:43").enqueue()).created
    with pytest.raises(QuotaExceeded):
        await app.enqueue_many(requests[:1])


async def test_in_the_callers_transaction(open_app, settings, app, mail, raw_postgres, migrated_schema):
    """A refusal breaks nothing: the transaction goes on, and what else it wrote is committed."""
    await open_app(app)
    await app.admin.limits.set(QUEUE, tenant="acme", queued=1)
    async with raw_postgres.transaction():
        await raw_postgres.execute(f"INSERT INTO {migrated_schema}.tenants (tenant) VALUES ('written-before')")
        await mail.options(tenant="acme", connection=raw_postgres).enqueue()
        with pytest.raises(QuotaExceeded):
            await mail.options(tenant="acme", connection=raw_postgres).enqueue()
    assert await waiting(raw_postgres, migrated_schema) == 1
    assert [one.tenant for one in await app.admin.tenants.list()] == ["written-before"]
    async with raw_postgres.transaction(isolation="repeatable_read"):
        # its snapshot may be older than what others have enqueued since: nothing can be counted in it
        await raw_postgres.fetchval("SELECT 1")
        with pytest.raises(InvalidInput, match="read committed"):
            await mail.options(tenant="acme", connection=raw_postgres).enqueue()


async def test_who_waits_for_another_is_counted_and_who_runs_is_not(
    open_app, app, mail, raw_postgres, migrated_schema, eventually
):
    await open_app(app)
    gate = asyncio.Event()

    @app.job()
    async def gated() -> None:
        await gate.wait()

    await app.admin.limits.set(QUEUE, queued=2)
    parent = await gated.enqueue()
    child = await mail.options(depends_on=[parent]).enqueue()
    with pytest.raises(QuotaExceeded):
        await mail.enqueue()
    async with app.worker() as worker:
        await eventually(lambda: worker.running == 1)
        await eventually(lambda: _places(raw_postgres, migrated_schema, 1))
        assert (await mail.options(delay=60).enqueue()).created
        with pytest.raises(QuotaExceeded):
            await mail.enqueue()
        gate.set()
        await child.result(timeout=5)
        assert (await mail.options(delay=60).enqueue()).created


async def _places(raw_postgres, schema: str, expected: int) -> bool:
    return await waiting(raw_postgres, schema) == expected


async def test_ended_jobs_give_their_places_back(open_app, app, mail):
    await open_app(app)
    await app.admin.limits.set(QUEUE, tenant="*", queued=1)
    acme = mail.options(tenant="acme", delay=60)
    first = await acme.enqueue()
    with pytest.raises(QuotaExceeded):
        await acme.enqueue()
    assert (await mail.options(tenant="other", delay=60).enqueue()).created
    assert (await mail.options(delay=60).enqueue()).created  # nobody's jobs are no tenant's
    await first.cancel()
    second = await acme.enqueue()
    # what comes back is not refused, and counts
    assert await app.admin.retry(first.id) == "CANCELLED"
    await second.cancel()
    with pytest.raises(QuotaExceeded):
        await acme.enqueue()


async def test_a_job_that_is_there_needs_no_place(open_app, app, mail, raw_postgres, migrated_schema):
    await open_app(app)
    await app.admin.limits.set(QUEUE, queued=2)
    once = mail.options(idempotency_key="order-17", delay=60)
    unique = mail.options(unique=Unique(key="u", on_conflict="replace"), delay=60)
    job, held = await once.enqueue(1), await unique.enqueue(1)
    with pytest.raises(QuotaExceeded):
        await mail.enqueue()
    assert (await once.enqueue(2)).id == job.id
    replaced = await unique.enqueue(7)
    assert (replaced.id, replaced.conflict) == (held.id, "replaced")
    assert (await held.info()).payload == {"number": 7}
    many = await app.enqueue_many([once.request(3), unique.request(8), once.request(4)])
    assert {one.id for one in many} == {job.id, held.id}
    assert await waiting(raw_postgres, migrated_schema) == 2


async def test_keys_that_are_new_in_the_call_need_one_place(open_app, app, mail):
    await open_app(app)
    await app.admin.limits.set(QUEUE, queued=3)
    unique = Unique(arguments=("number",))
    requests = [mail.options(unique=unique, delay=60).request(number % 3) for number in range(12)]
    jobs = await app.enqueue_many(requests)
    assert len({job.id for job in jobs}) == 3


async def test_the_limit_of_its_own_counts_instead_of_that_of_each(open_app, app, mail):
    await open_app(app)
    await app.admin.limits.set(QUEUE, tenant="*", queued=1)
    await app.admin.limits.set(QUEUE, tenant="large", queued=3)
    large, small = (mail.options(tenant=name, delay=60) for name in ("large", "small"))
    assert len(await app.enqueue_many([large.request() for _ in range(3)])) == 3
    await small.enqueue()
    for tenant in (large, small):
        with pytest.raises(QuotaExceeded):
            await tenant.enqueue()
    assert await app.admin.limits.remove(QUEUE, "queued", tenant="large") is True
    assert await app.admin.limits.remove(QUEUE, "queued", tenant="large") is False
    with pytest.raises(QuotaExceeded, match="1 of 1 wait"):
        await large.enqueue()


async def test_nothing_may_wait_at_zero_and_a_lowered_limit_takes_nothing_away(
    open_app, app, mail, raw_postgres, migrated_schema
):
    await open_app(app)
    await app.enqueue_many([mail.options(delay=60).request() for _ in range(5)])
    await app.admin.limits.set(QUEUE, queued=0)
    with pytest.raises(QuotaExceeded):
        await mail.enqueue()
    assert await waiting(raw_postgres, migrated_schema) == 5


async def test_another_process_learns_of_it_within_seconds(open_app, settings, app, mail, monkeypatch, eventually):
    monkeypatch.setattr(quota, "_FRESH", 0.2)
    monkeypatch.setattr(quota, "_STALE", 1.0)
    beside = Tenure(settings)
    await open_app(app)
    await open_app(beside)
    await mail.options(delay=60).enqueue()
    await beside.admin.limits.set(QUEUE, queued=1)

    async def refused() -> bool:
        try:
            await mail.options(delay=60).enqueue()
        except QuotaExceeded:
            return True
        return False

    await eventually(refused, timeout=5.0)


async def test_a_schedule_leaves_out_what_may_not_wait(open_app, app, mail, caplog, eventually):
    await open_app(app)
    await app.admin.limits.set(QUEUE, job_type="mail", queued=0)
    app.schedule("often", "* * * * * *", mail.request(1))
    async with app.worker():
        await eventually(lambda: "a schedule's job is left out" in caplog.text)
        # the worker's other duties go on
        other = await app.enqueue("other")
        await other.result(timeout=5)
    [queue] = await app.admin.stats()
    assert queue.jobs["COMPLETED"] == 1


async def test_an_answer_that_was_lost_is_asked_for_again_and_refuses_nothing(
    open_app, app, mail, raw_postgres, migrated_schema
):
    """The second try finds its own jobs there: they took the last places."""
    from tenure.errors import StoreUnavailable

    await open_app(app)
    await app.admin.limits.set(QUEUE, queued=1)
    database = app._stores.database
    atomically, lost = database.atomically, []

    async def lose_the_first(work):
        outcome = await atomically(work)
        if not lost:
            lost.append(outcome)
            raise StoreUnavailable("the answer was lost")
        return outcome

    database.atomically = lose_the_first
    job = await mail.enqueue()
    assert lost
    assert job.created
    assert await waiting(raw_postgres, migrated_schema) == 1
