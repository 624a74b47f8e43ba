"""Encrypted and signed jobs on real stores: what is readable there, what runs, and what is refused."""

from __future__ import annotations

import base64
import os
import time
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from tenure import JobFailed, Tenure, Unique
from tenure.errors import SealRefused

if TYPE_CHECKING:
    from pathlib import Path

    from tenure import Settings

CANARY = "c4n4ry-in-the-payload"
NEW = base64.b64encode(os.urandom(32)).decode()
OLD = base64.b64encode(os.urandom(32)).decode()


def write(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


@pytest.fixture
def sealed(settings, tmp_path) -> Settings:
    """Both encrypted and signed."""
    keys = write(tmp_path / "encryption", f"2026-11 {NEW}", "# the one before", f"2026-08 {OLD}")
    signing = write(tmp_path / "signing", f"s1 {OLD}")
    return replace(settings, encryption_keys=keys, signing_keys=signing)


def echoing(settings, **options):
    app = Tenure(settings)
    ran: list[object] = []

    @app.job(**options)
    async def echo(value: object) -> object:
        ran.append(value)
        return value

    @app.job()
    async def other(value: object) -> None:
        ran.append(("other", value))

    return app, echo, ran


@pytest.mark.parametrize("record", ["before", "behind"])
@pytest.mark.parametrize("payload_format", ["json", "msgpack"])
async def test_nobody_reads_along(
    sealed, eventually, raw_postgres, raw_redis, migrated_schema, prefix, record, payload_format
):
    """The canary is in neither store, before and after; both ends see it."""
    app, echo, ran = echoing(sealed, record=record, payload_format=payload_format)
    async with app:
        jobs = [await echo.enqueue(CANARY), *await app.enqueue_many([echo.request(CANARY)] * 3)]
        child = await echo.options(depends_on=jobs, timeout=30).enqueue([CANARY, None, 1])
        assert (await jobs[0].info()).payload == {"value": CANARY}
        before = await eventually(lambda: raw_redis.hgetall(f"{prefix}:{{default}}:jobs"))
        async with app.worker():
            assert [await job.result(10) for job in jobs] == [CANARY] * 4
            assert await child.result(10) == [CANARY, None, 1]
        assert (await child.info()).result == [CANARY, None, 1]
        assert ran[:4] == [CANARY] * 4
    assert CANARY.encode() not in b"".join(before.values())
    rows = await raw_postgres.fetch(f"SELECT payload, result FROM {migrated_schema}.jobs")
    assert len(rows) == 5
    for row in rows:
        assert CANARY.encode() not in row["payload"] + row["result"]
        assert row["payload"][:2] == b"\xc1S"
        assert row["result"][:2] == b"\xc1E"


@pytest.mark.parametrize("payload_format", ["json", "msgpack"])
async def test_results_are_handed_on_sealed(
    sealed, eventually, raw_postgres, raw_redis, migrated_schema, prefix, payload_format
):
    """From a result to another job's argument, and nobody reads along; a changed result is handed to nobody."""
    app, echo, ran = echoing(sealed, payload_format=payload_format)
    async with app:
        flow = app.workflow()
        first = flow.add(echo.request(CANARY))
        second = flow.add(echo.request([first, {"x": first}]))
        held = flow.add(echo.options(delay=3600).request("later"))
        late = flow.add(echo.request(first), after=[held])
        done = await flow.enqueue()
        async with app.worker():
            assert await done.result(second, 10) == [CANARY, {"x": CANARY}]
            change = "UPDATE {s}.jobs SET result = set_byte(result, 40, get_byte(result, 40) # 1) WHERE job_id = $1"
            await raw_postgres.execute(change.format(s=migrated_schema), first.job_id)
            await done.job(held).retry()
            with pytest.raises(JobFailed, match="changed, or is another"):
                await done.result(late, 10)
        assert (await app.admin.dead_letter(late.job_id)).reason == "refused"
        assert ran == [CANARY, [CANARY, {"x": CANARY}], "later"]
    for row in await raw_postgres.fetch(f"SELECT payload, result FROM {migrated_schema}.jobs"):
        assert CANARY.encode() not in row["payload"] + (row["result"] or b"")
    assert CANARY.encode() not in b"".join(raw_redis.hgetall(f"{prefix}:{{default}}:jobs").values())


async def test_without_keys_nothing_changes(app, open_app, raw_postgres, migrated_schema):
    @app.job()
    async def echo(value: str) -> str:
        return value

    await open_app(app)
    async with app.worker() as worker:
        assert await (await echo.enqueue(CANARY)).result(10) == CANARY
        from tenure._attempt import call_handler, ending_of

        assert (worker._runner._call_handler, worker._runner._ending_of) == (call_handler, ending_of)
    row = await raw_postgres.fetchrow(f"SELECT payload, result FROM {migrated_schema}.jobs")
    assert bytes(row["payload"]) == b'{"value":"%s"}' % CANARY.encode()


TAMPERED = {
    "another payload": ("payload = (SELECT payload FROM {s}.jobs WHERE job_id <> $1 LIMIT 1)", "changed|another"),
    "a bit of the payload": ("payload = set_byte(payload, 40, get_byte(payload, 40) # 1)", "changed|another"),
    "an unsealed payload": ("payload = '{{\"value\": 1}}'", "not signed|not encrypted"),
    "half of it": ("payload = substring(payload for 20)", "cut short"),
    "nothing": ("payload = ''", "not signed|not encrypted"),
    "another job type": ("job_type = 'other'", "changed|another"),
    "another format": ("payload_format = 'msgpack'", "changed|another"),
}
FOR_SIGNATURES = {
    "more retries": ("max_retries = 99", "changed after it was signed"),
    "another timeout": ("timeout_ms = 1", "changed after it was signed"),
    "another mode": ("mode = 'behind'", "changed after it was signed"),
}


@pytest.mark.parametrize(
    ("keys", "change"),
    [
        *(("encryption_keys", change) for change in TAMPERED),
        *(("signing_keys", change) for change in {**TAMPERED, **FOR_SIGNATURES}),
    ],
)
async def test_what_was_changed_is_not_run(
    sealed, eventually, raw_postgres, raw_redis, migrated_schema, prefix, keys, change
):
    """Whoever may write to the store, but has no key, makes dead letters at most; no retry follows."""
    other = {"encryption_keys": "signing_keys", "signing_keys": "encryption_keys"}[keys]
    app, echo, ran = echoing(replace(sealed, **{other: None}))
    expression, why = {**TAMPERED, **FOR_SIGNATURES}[change]
    async with app:
        job = await echo.options(delay=3600).enqueue("victim")
        await echo.options(delay=3600).enqueue("x" * 50)
        await eventually(lambda: raw_redis.hlen(f"{prefix}:{{default}}:jobs") == 2)
        await raw_postgres.execute(
            f"UPDATE {migrated_schema}.jobs SET {expression.format(s=migrated_schema)} WHERE job_id = $1::uuid", job.id
        )
        await app.admin.retry(job.id)
        async with app.worker():
            with pytest.raises(JobFailed, match=why):
                await job.result(10)
        assert ran == []
        assert (await app.admin.dead_letter(job.id)).reason == "refused"
        assert [one.status for one in await job.executions()] == ["FAILED"]


async def test_what_was_changed_in_redis_alone_is_not_run(sealed, eventually, raw_redis, prefix):
    """The descriptor is what a worker runs: it is believed no more than the row."""
    app, echo, ran = echoing(sealed)
    async with app:
        jobs = [await echo.enqueue(number) for number in range(2)]
        key = f"{prefix}:{{default}}:jobs"
        # A queue that is still being built would bring back what was there.
        await eventually(lambda: raw_redis.exists(f"{prefix}:{{default}}:generation") and raw_redis.hlen(key) == 2)
        first, second = (raw_redis.hget(key, job.id) for job in jobs)
        raw_redis.hset(key, mapping={jobs[0].id: second, jobs[1].id: first})
        async with app.worker():
            for job in jobs:
                with pytest.raises(JobFailed, match="another one"):
                    await job.result(10)
        assert ran == []


async def test_a_result_of_another_job_is_refused(sealed, raw_postgres, migrated_schema):
    app, echo, _ = echoing(sealed)
    async with app:
        jobs = [await echo.enqueue(number) for number in (1, 2)]
        async with app.worker():
            assert [await job.result(10) for job in jobs] == [1, 2]
        await raw_postgres.execute(
            f"UPDATE {migrated_schema}.jobs AS j SET result = o.result FROM {migrated_schema}.jobs AS o "
            "WHERE o.job_id <> j.job_id"
        )
        with pytest.raises(SealRefused, match="another job's"):
            await jobs[0].result(5)
        assert (await jobs[0].info()).result.startswith("(sealed: the result was changed")


async def test_a_signature_expires(sealed, eventually, monkeypatch, raw_redis, prefix):
    """By the clock of whoever runs it, counted from when the job may run."""
    app, echo, ran = echoing(replace(sealed, signature_seconds=60))
    async with app:
        old = await echo.enqueue("late")
        later = await echo.options(delay=60).enqueue("in time")
        await eventually(lambda: raw_redis.hlen(f"{prefix}:{{default}}:jobs") == 2)
        monkeypatch.setattr("tenure._seal.time", SimpleNamespace(time=lambda: time.time() + 61))
        await app.admin.retry(later.id)
        async with app.worker():
            with pytest.raises(JobFailed, match="expired"):
                await old.result(10)
            assert await later.result(10) == "in time"
        assert ran == ["in time"]


async def test_what_takes_another_jobs_place_is_sealed_for_it(sealed):
    app, echo, ran = echoing(sealed, unique=Unique(key="k", on_conflict="replace"))
    async with app:
        first = await echo.options(delay=3600).enqueue("old")
        job = await echo.enqueue(CANARY)
        assert (job.id, job.conflict) == (first.id, "replaced")
        async with app.worker():
            assert await job.result(10) == CANARY
    assert ran == [CANARY]


async def test_a_schedule_that_replaces_a_job_seals_it_too(sealed, raw_postgres, migrated_schema):
    app, echo, ran = echoing(sealed, unique=Unique(key="k", on_conflict="replace"))
    app.schedule("yearly", "0 0 1 1 *", echo.request(CANARY))
    async with app:
        first = await echo.options(delay=3600).enqueue("old")
        worker = app.worker()
        await worker._recurring.declare()
        await app.admin.schedules.trigger("yearly")
        await worker._recurring.run("default")
        await worker._publisher.drained()
        worker._end()
        [row] = await raw_postgres.fetch(f"SELECT job_id, payload, status FROM {migrated_schema}.jobs")
        assert (str(row["job_id"]), row["status"]) == (first.id, "PENDING")
        assert CANARY.encode() not in row["payload"]
        async with app.worker():
            assert await first.result(30) == CANARY
    assert ran == [CANARY]


async def test_keys_rotate(settings, tmp_path):
    """Old ones open what they sealed until they are retired; new ones seal."""

    def using(*lines: str) -> Settings:
        return replace(settings, encryption_keys=write(tmp_path / "keys", *lines))

    app, echo, _ = echoing(using(f"old {OLD}"))
    async with app:
        first = await echo.enqueue("by the old key")
        second = await echo.enqueue("by the old key")
        third = await echo.options(delay=3600).enqueue("by the old key")
    app, echo, _ = echoing(using(f"new {NEW}", f"old {OLD}"))
    async with app, app.worker():
        assert await app.job_handle(first.id).result(10) == "by the old key"
        fourth = await echo.options(delay=3600).enqueue("by the new key")
        assert await app.job_handle(second.id).result(10) == "by the old key"
    app, echo, _ = echoing(using(f"new {NEW}", "old retired"))
    async with app:
        await app.admin.retry(third.id)
        await app.admin.retry(fourth.id)
        async with app.worker():
            with pytest.raises(JobFailed, match="the key is retired: old"):
                await app.job_handle(third.id).result(10)
            assert await app.job_handle(fourth.id).result(10) == "by the new key"
        assert (await app.admin.show(third.id)).payload == "(sealed: the key is retired: old)"
    app, echo, _ = echoing(using(f"another {NEW}"))
    async with app:
        with pytest.raises(SealRefused, match="the key is not known here: new"):
            await app.job_handle(fourth.id).result(5)


async def test_whoever_has_no_keys_sees_that_it_is_sealed(sealed, settings):
    app, echo, _ = echoing(sealed)
    async with app:
        job = await echo.enqueue(CANARY)
        async with app.worker():
            await job.result(10)
        waiting = await echo.options(delay=3600).enqueue(CANARY)
    plain, _, ran = echoing(settings)
    async with plain:
        assert (await plain.admin.show(waiting.id)).payload == "(sealed: no keys are set here)"
        assert await plain.admin.list_jobs()
        with pytest.raises(SealRefused, match="no encryption keys are set here"):
            await plain.job_handle(job.id).result(5)
        await plain.admin.retry(waiting.id)
        async with plain.worker():
            with pytest.raises(JobFailed, match="does not fit the handler"):
                await plain.job_handle(waiting.id).result(10)
        assert ran == []


async def test_unsealed_jobs_are_refused_unless_a_switch_over_lasts(settings, sealed):
    app, echo, _ = echoing(settings)
    async with app:
        early, late = await echo.enqueue("early"), await echo.options(delay=3600).enqueue("late")
    app, *_ = echoing(replace(sealed, accept_unsealed=True))
    async with app, app.worker():
        assert await app.job_handle(early.id).result(10) == "early"
    app, *_ = echoing(sealed)
    async with app:
        await app.admin.retry(late.id)
        async with app.worker():
            with pytest.raises(JobFailed, match="not signed"):
                await app.job_handle(late.id).result(10)
