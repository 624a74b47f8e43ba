"""Every size has a limit: at it all is well, one above it there is a typed error and nothing was written."""

from __future__ import annotations

import json
import resource
import sys
from dataclasses import replace

import pytest

from tenure import Cancel, Dead, InvalidInput, JobCancelled, JobContext, JobFailed, Retry, Tenure
from tenure._attempt import stored_text
from tenure.errors import PayloadInvalid, PayloadTooLarge

LONGEST_ERROR = 8 * 1024


async def count(connection, schema: str) -> int:
    return await connection.fetchval(f"SELECT count(*) FROM {schema}.jobs")


METADATA = len(json.dumps({"a": ""}, separators=(",", ":")))
AT_THE_LIMIT = {
    "queue": (lambda n: {"queue": "q" * n}, 128),
    "idempotency_key": (lambda n: {"idempotency_key": "k" * n}, 255),
    "tags": (lambda n: {"tags": ["t"] * n}, 50),
    "a tag": (lambda n: {"tags": ["t" * n]}, 255),
    "metadata": (lambda n: {"metadata": {"a": "m" * (n - METADATA)}}, 16 * 1024),
    "max_retries": (lambda n: {"max_retries": n}, 1000),
    "priority": (lambda n: {"priority": n}, 5),
    "timeout": (lambda n: {"timeout": n}, 24 * 86_400),
    "delay": (lambda n: {"delay": n}, 10 * 366 * 86_400),
}


@pytest.mark.parametrize("what", AT_THE_LIMIT)
async def test_options(open_app, app, keep, raw_postgres, migrated_schema, what):
    """PostgreSQL takes what the API takes."""
    options, limit = AT_THE_LIMIT[what]
    await open_app(app)
    with pytest.raises(InvalidInput):
        await keep.options(**options(limit + 1)).enqueue()
    assert await count(raw_postgres, migrated_schema) == 0
    await keep.options(**options(limit)).enqueue()
    assert await count(raw_postgres, migrated_schema) == 1


def test_names(settings):
    app = Tenure(settings)
    app.job(name="n" * 255)(print_nothing)
    with pytest.raises(InvalidInput, match="job_type"):
        app.job(name="n" * 256)(print_nothing)
    for field in ("prefix",):
        replace(settings, **{field: "p" * 128})
        with pytest.raises(InvalidInput, match=field):
            replace(settings, **{field: "p" * 129})


async def print_nothing() -> None: ...


async def test_workers(open_app, app, keep):
    await open_app(app)
    for bad in ({"name": "w" * 256}, {"name": ""}, {"name": "a\0"}, {"concurrency": 10_001}, {"queues": ["a:b"]}):
        with pytest.raises(InvalidInput):
            app.worker(**bad)
    async with app.worker(name="w" * 255):
        [one] = await app.admin.workers()
        assert one.worker_name == "w" * 255


PAYLOADS = [
    ("x" * (64 << 20), PayloadTooLarge),
    (list(range(1_000_000)), PayloadTooLarge),
    ({str(number): number for number in range(1_000_000)}, PayloadTooLarge),
    (float("nan"), PayloadInvalid),
    ([float("inf")], PayloadInvalid),
    ("\ud800", PayloadInvalid),
    ({"a": ["\0"]}, PayloadInvalid),
    (b"\xff" * (2 << 20), PayloadTooLarge),
    ({1, 2, object()}, PayloadInvalid),
]


@pytest.mark.parametrize(("value", "kind"), PAYLOADS, ids=range(len(PAYLOADS)))
async def test_payloads(open_app, app, keep, raw_postgres, migrated_schema, value, kind):
    await open_app(app)
    with pytest.raises(kind) as refused:
        await keep.enqueue(value)
    assert len(str(refused.value)) < 300
    assert await count(raw_postgres, migrated_schema) == 0


@pytest.mark.parametrize(
    "value", [{}, "", 0, None, [], 2**63, -(2**63), "\u2028\ufeff\U0001f600", [[]] * 1000], ids=repr
)
async def test_odd_payloads_that_fit(open_app, app, keep, value):
    await open_app(app)
    async with app.worker():
        assert await (await keep.enqueue(value)).result(10) == value


async def test_refusing_much_costs_little(open_app, app, keep):
    """64 MiB refused again and again: what was encoded is given back."""
    await open_app(app)
    value = "x" * (64 << 20)
    with pytest.raises(PayloadTooLarge):
        await keep.enqueue(value)
    scale = 1024 if sys.platform == "darwin" else 1
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // scale
    for _ in range(5):
        with pytest.raises(PayloadTooLarge):
            await keep.enqueue(value)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // scale - before < 100 * 1024


async def test_progress_notes(open_app, app):
    @app.job(max_retries=0)
    async def report(context: JobContext, size: int) -> None:
        await context.progress(0.5, "n" * size)

    await open_app(app)
    async with app.worker():
        job = await report.enqueue(1000)
        await job.result(10)
        assert len((await job.info()).progress_note) == 1000
        with pytest.raises(JobFailed, match="note must be text of 1 to 1000 bytes"):
            await (await report.enqueue(1001)).result(10)


VERDICTS = {
    "dead": Dead,
    "retry": Retry,
    "cancel": Cancel,
}


@pytest.mark.parametrize("kind", VERDICTS)
@pytest.mark.parametrize("text", ["e" * (1 << 20), "\0", "\ud800", "é" * LONGEST_ERROR, 5], ids=range(5))
async def test_verdicts_say_what_can_be_stored(open_app, app, raw_postgres, migrated_schema, kind, text):
    """Whatever a handler says of itself is stored as far as it can be; its neighbours' endings are not held up."""

    @app.job(max_retries=0)
    async def say() -> object:
        return VERDICTS[kind](text)

    await open_app(app)
    async with app.worker():
        job = await say.enqueue()
        with pytest.raises((JobFailed, JobCancelled)):
            await job.result(10)
        assert len(await job.executions()) == 1
    error = await raw_postgres.fetchval(f"SELECT error FROM {migrated_schema}.jobs")
    assert error
    assert len(error.encode()) <= LONGEST_ERROR


async def test_raised_errors_are_cut_and_say_so(open_app, app):
    @app.job(max_retries=0)
    async def fail() -> None:
        raise ValueError("begin" + "e" * (1 << 20) + "the end")

    await open_app(app)
    async with app.worker():
        with pytest.raises(JobFailed) as failed:
            await (await fail.enqueue()).result(10)
    assert failed.value.error.startswith("… (cut)\n")
    assert failed.value.error.endswith("the end")
    assert len(failed.value.error.encode()) <= LONGEST_ERROR


@pytest.mark.parametrize(
    ("said", "stored"),
    [
        ("cannot reach postgresql://u:c4n4ry@h/d now", "cannot reach postgresql://***@h/d now"),
        ("redis://:c4n4ry@h:1", "redis://***@h:1"),
        ("https://u:c4n4ry/with/slashes@h", "https://***@h"),
        ("https://h/a@b and mail:a@b", "https://h/a@b and mail:a@b"),
        ("http://h:80/a", "http://h:80/a"),
    ],
)
def test_passwords_of_urls_are_not_stored(said, stored):
    """Drivers like to repeat a URL in what they raise."""
    assert stored_text(said) == stored
