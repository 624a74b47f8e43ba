"""Enqueueing: committed when it returns, refused before anything is written."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from tenure import InvalidInput, Tenure
from tenure.errors import (
    DependencyCycle,
    NotOpen,
    PayloadInvalid,
    PayloadTooLarge,
    UnknownDependency,
    UnknownJobType,
)


@pytest.fixture
def add(app: Tenure):
    @app.job(priority=4, max_retries=7, timeout=1.5)
    async def add(a: int, b: int = 2, blob: object = None) -> int:
        return a + b

    return add


async def count(raw_postgres, schema: str) -> int:
    return await raw_postgres.fetchval(f"SELECT count(*) FROM {schema}.jobs")


async def test_a_job_is_committed_when_enqueue_returns(open_app, app, add, raw_postgres, migrated_schema):
    await open_app(app)
    job = await add.options(tags=["x", 'quo"te'], metadata={"tenant": "a"}).enqueue(1, b=5)
    row = await raw_postgres.fetchrow(f"SELECT * FROM {migrated_schema}.jobs WHERE job_id = $1", job.id)
    assert (row["status"], row["priority"], row["max_retries"], row["timeout_ms"]) == ("PENDING", 4, 7, 1500)
    info = await job.info()
    assert (info.payload, info.tags, info.metadata) == ({"a": 1, "b": 5}, ["x", 'quo"te'], {"tenant": "a"})


async def test_concurrent_calls_coalesce_into_few_commits(open_app, app, add, raw_postgres, migrated_schema):
    await open_app(app)
    jobs = await asyncio.gather(*(add.enqueue(number) for number in range(500)))
    assert len({job.id for job in jobs}) == 500
    transactions = await raw_postgres.fetchval(f"SELECT count(DISTINCT xmin::text) FROM {migrated_schema}.jobs")
    assert transactions <= 20


async def test_many_keep_their_order(open_app, app, add):
    await open_app(app)
    jobs = await app.enqueue_many([add.request(number) for number in range(2500)])
    ids = [job.id for job in jobs]
    assert ids == sorted(ids)
    assert (await jobs[1234].info()).payload == {"a": 1234}


async def test_an_idempotency_key_makes_one_job_however_many_race(open_app, app, add, raw_postgres, migrated_schema):
    await open_app(app)
    jobs = await asyncio.gather(*(add.options(idempotency_key="once").enqueue(n) for n in range(50)))
    assert len({job.id for job in jobs}) == 1
    assert sum(job.created for job in jobs) == 1
    assert await count(raw_postgres, migrated_schema) == 1


async def test_a_delayed_job_waits(open_app, app, add):
    await open_app(app)
    delayed = await add.options(delay=timedelta(minutes=5)).enqueue(1)
    timed = await add.options(run_at=datetime.now(UTC) + timedelta(hours=1)).enqueue(1)
    past = await add.options(run_at=datetime.now(UTC) - timedelta(days=1)).enqueue(1)
    assert [await job.status() for job in (delayed, timed, past)] == ["SCHEDULED", "SCHEDULED", "PENDING"]


async def test_a_job_in_the_callers_transaction_is_pushed_after_its_commit(open_app, app, add, raw_postgres):
    await open_app(app)
    async with app.worker(concurrency=2):
        async with raw_postgres.transaction():
            job = await add.options(connection=raw_postgres).enqueue(40)
        assert await job.result(timeout=5) == 42


async def test_a_rolled_back_job_was_never_there(
    open_app, app, add, raw_postgres, migrated_schema, settings, raw_redis
):
    await open_app(app)
    transaction = raw_postgres.transaction()
    await transaction.start()
    await app.enqueue_many([add.request(1)], connection=raw_postgres)
    await transaction.rollback()
    assert await count(raw_postgres, migrated_schema) == 0
    assert not raw_redis.exists(f"{settings.prefix}:{{default}}:jobs")


@pytest.mark.parametrize(
    ("options", "arguments", "field"),
    [
        ({"priority": 0}, (1,), "priority"),
        ({"priority": 6}, (1,), "priority"),
        ({"priority": True}, (1,), "priority"),
        ({"queue": "a:b"}, (1,), "queue"),
        ({"queue": "a*"}, (1,), "queue"),
        ({"queue": "é"}, (1,), "queue"),
        ({"queue": "q" * 129}, (1,), "queue"),
        ({"run_at": datetime(2030, 1, 1)}, (1,), "run_at"),  # noqa: DTZ001 - that is the point
        ({"delay": float("nan")}, (1,), "delay"),
        ({"delay": -1}, (1,), "delay"),
        ({"delay": 1e12}, (1,), "delay"),
        ({"timeout": 0}, (1,), "timeout"),
        ({"max_retries": -1}, (1,), "max_retries"),
        ({"idempotency_key": ""}, (1,), "idempotency_key"),
        ({"idempotency_key": "a\0b"}, (1,), "idempotency_key"),
        ({"tags": ["a\0"]}, (1,), "tags"),
        ({"tags": "abc"}, (1,), "tags"),
        ({"depends_on": ["no id"]}, (1,), "depends_on"),
        ({"on_failure": "explode"}, (1,), "on_failure"),
        ({"colour": "red"}, (1,), "options"),
        ({}, (), "args"),
        ({}, (1, 2, 3, 4), "args"),
        ({}, (1, 2, object()), "payload"),
        ({}, (1, 2, "a\0b"), "payload['blob']"),
        ({}, (1, 2, [1.0, float("nan")]), "payload['blob'][1]"),
        ({}, (1, 2, "\ud800"), "payload"),
        ({}, (1, 2, "x" * (1 << 20)), "payload"),
    ],
)
async def test_bad_input_is_refused_before_any_write(
    open_app, app, add, raw_postgres, migrated_schema, options, arguments, field
):
    await open_app(app)
    with pytest.raises(InvalidInput) as refused:
        await add.options(**options).enqueue(*arguments)
    assert refused.value.field == field
    assert refused.value.limit
    assert await count(raw_postgres, migrated_schema) == 0


async def test_each_refusal_has_a_type_of_its_own(open_app, app, add):
    await open_app(app)
    with pytest.raises(UnknownJobType, match="job_type must be registered"):
        await app.enqueue("nobody")
    with pytest.raises(PayloadTooLarge, match="1048576 bytes"):
        await add.enqueue(1, blob="x" * (1 << 20))
    with pytest.raises(PayloadInvalid):
        await add.enqueue(1, blob=object())
    with pytest.raises(UnknownDependency, match="00000000-0000-7000-8000-000000000000"):
        await add.options(depends_on=["00000000-0000-7000-8000-000000000000"]).enqueue(1)


async def test_one_bad_request_keeps_the_others_out_too(open_app, app, add, raw_postgres, migrated_schema):
    await open_app(app)
    with pytest.raises(PayloadInvalid):
        await app.enqueue_many([add.request(1), add.request(object())])
    assert await count(raw_postgres, migrated_schema) == 0


async def test_a_cycle_is_refused(open_app, app, add, raw_postgres, migrated_schema):
    await open_app(app)
    first, second = "01890a5d-ac96-774b-bcce-b302099a8051", "01890a5d-ac96-774b-bcce-b302099a8052"
    requests = [
        add.options(job_id=first, depends_on=[second]).request(1),
        add.options(job_id=second, depends_on=[first]).request(1),
    ]
    with pytest.raises(DependencyCycle):
        await app.enqueue_many(requests)
    assert await count(raw_postgres, migrated_schema) == 0


async def test_a_closed_app_says_so(app, add):
    with pytest.raises(NotOpen):
        await add.enqueue(1)
