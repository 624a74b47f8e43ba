"""Bad input gets one typed error before anything is written, and harms nobody who enqueues at the same moment."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tenure import InvalidInput, JobFailed, JobRequest, Tenure
from tenure.errors import DependencyCycle, PayloadInvalid, PayloadTooLarge, UnknownDependency, UnknownJobType

ID = "01890a5d-ac96-774b-bcce-b302099a8051"
NASTY = [
    "'; DROP TABLE jobs; --",
    "%s %d {0} $1",
    "back\\slash \"quote\" 'single'",
    "{a,b}",
    "é\u202e\U0001f600",
    "a\r\nb\x1b[31m",
]


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"run_at": datetime(1, 1, 1, tzinfo=UTC)}, "run_at"),
        ({"run_at": datetime.max.replace(tzinfo=UTC)}, "run_at"),
        ({"run_at": "tomorrow"}, "run_at"),
        ({"run_at": datetime(2026, 1, 1, tzinfo=UTC), "delay": 1}, "delay"),
        ({"delay": "1"}, "delay"),
        ({"delay": timedelta(days=-1)}, "delay"),
        ({"delay": float("inf")}, "delay"),
        ({"timeout": float("nan")}, "timeout"),
        ({"timeout": "x"}, "timeout"),
        ({"metadata": "abc"}, "metadata"),
        ({"metadata": [1]}, "metadata"),
        ({"metadata": {1: 2}}, "metadata"),
        ({"metadata": {"a": "\0"}}, "metadata['a']"),
        ({"metadata": {"a": "x" * (1 << 14)}}, "metadata"),
        ({"tags": 7}, "tags"),
        ({"tags": ["x"] * 51}, "tags"),
        ({"depends_on": 5}, "depends_on"),
        ({"depends_on": [None]}, "depends_on"),
        ({"depends_on": ID}, "depends_on"),
        ({"idempotency_key": 5}, "idempotency_key"),
        ({"idempotency_key": "k" * 256}, "idempotency_key"),
        ({"queue": 5}, "queue"),
        ({"queue": "a:{b}"}, "queue"),
        ({"priority": []}, "priority"),
        ({"max_retries": 2.0}, "max_retries"),
        ({"job_id": "mine"}, "job_id"),
    ],
    ids=str,
)
async def test_one_typed_error_each(open_app, app, keep, raw_postgres, migrated_schema, options, field):
    await open_app(app)
    with pytest.raises(InvalidInput) as refused:
        await keep.options(**options).enqueue()
    assert refused.value.field == field
    assert await raw_postgres.fetchval(f"SELECT count(*) FROM {migrated_schema}.jobs") == 0


async def test_whoever_errs_errs_alone(open_app, app, keep, raw_postgres, migrated_schema):
    """Single calls share a statement; what is wrong with one of them must not reach the others."""
    await open_app(app)
    bad = [
        keep.enqueue(object()),
        keep.enqueue("a\0"),
        app.enqueue("nobody"),
        _late(keep, datetime.max.replace(tzinfo=UTC)),
        _late(keep, datetime(1, 1, 1, tzinfo=UTC)),
    ]
    good = [keep.enqueue(number) for number in range(20)]
    outcomes = await asyncio.gather(*good[:10], *bad, *good[10:], return_exceptions=True)
    assert [type(one) for one in outcomes if isinstance(one, Exception)] == [
        PayloadInvalid,
        PayloadInvalid,
        UnknownJobType,
        InvalidInput,
        InvalidInput,
    ]
    assert await raw_postgres.fetchval(f"SELECT count(*) FROM {migrated_schema}.jobs") == 20


async def _late(keep, moment: datetime):
    return await keep.options(run_at=moment).enqueue()


@pytest.mark.parametrize(("size", "fits"), [(99, True), (100, True), (101, False), (1 << 26, False)])
async def test_the_payload_limit_is_exact(open_app, settings, raw_postgres, migrated_schema, size, fits):
    app = Tenure(replace(settings, max_payload_bytes=100))

    @app.job()
    async def keep(v: str) -> None: ...

    await open_app(app)
    text = "x" * (size - len('{"v":""}'))
    if fits:
        await keep.enqueue(text)
    else:
        with pytest.raises(PayloadTooLarge, match=f"payload must be at most 100 bytes: {size}"):
            await keep.enqueue(text)
    assert await raw_postgres.fetchval(f"SELECT count(*) FROM {migrated_schema}.jobs") == fits


@pytest.mark.parametrize(("size", "fits"), [(100, True), (101, False)])
async def test_the_result_limit_is_exact(open_app, settings, size, fits):
    app = Tenure(replace(settings, max_result_bytes=100))

    @app.job(max_retries=5)
    async def make(size: int) -> str:
        return "x" * (size - 2)

    await open_app(app)
    async with app.worker():
        job = await make.enqueue(size)
        if fits:
            assert len(await job.result(timeout=5)) == size - 2
        else:
            with pytest.raises(JobFailed, match="result must be at most 100 bytes: 101"):
                await job.result(timeout=5)
            assert len(await job.executions()) == 1


@pytest.mark.parametrize("text", NASTY)
async def test_nasty_text_is_kept_as_it_is(open_app, app, keep, raw_postgres, migrated_schema, text):
    await open_app(app)
    job = await keep.options(tags=[text], metadata={text: text}, idempotency_key=text).enqueue(text)
    again = await keep.options(idempotency_key=text).enqueue("other")
    assert (again.id, again.created) == (job.id, False)
    row = await raw_postgres.fetchrow(f"SELECT tags, metadata, idempotency_key FROM {migrated_schema}.jobs")
    assert (row["tags"], json.loads(row["metadata"]), row["idempotency_key"]) == ([text], {text: text}, text)
    assert [one.job_id for one in await app.admin.list_jobs(tag=text)] == [job.id]
    assert await app.admin.list_jobs(queue=text) == []
    async with app.worker():
        assert await job.result(timeout=5) == text


async def test_a_job_type_is_looked_up_never_imported(open_app, app, keep):
    await open_app(app)
    for name in ("os.system", "../x", "keep.__class__", "builtins:eval", "k" * 10_000, "\uff4beep", ""):
        with pytest.raises(UnknownJobType):
            await app.enqueue(name)
        with pytest.raises(UnknownJobType):
            await app.enqueue_many([JobRequest(name, {})])


async def test_an_id_is_given_once_in_a_call(open_app, app, keep, raw_postgres, migrated_schema):
    await open_app(app)
    requests = [keep.options(job_id=ID).request(1), keep.options(job_id=ID).request(2)]
    with pytest.raises(InvalidInput, match="job_id must be given to one request of a call"):
        await app.enqueue_many(requests)
    assert await raw_postgres.fetchval(f"SELECT count(*) FROM {migrated_schema}.jobs") == 0


async def test_a_job_cannot_wait_for_itself(open_app, app, keep):
    await open_app(app)
    with pytest.raises(DependencyCycle):
        await keep.options(job_id=ID, depends_on=[ID]).enqueue()


async def test_one_unknown_parent_keeps_the_whole_call_out(open_app, app, keep, raw_postgres, migrated_schema):
    await open_app(app)
    requests = [keep.request(1), keep.options(depends_on=[ID]).request(2)]
    with pytest.raises(UnknownDependency, match=ID):
        await app.enqueue_many(requests)
    assert await raw_postgres.fetchval(f"SELECT count(*) FROM {migrated_schema}.jobs") == 0


async def test_an_empty_call_makes_nothing(open_app, app, keep):
    await open_app(app)
    assert await app.enqueue_many([]) == []
