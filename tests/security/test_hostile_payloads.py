"""What stands in a store is data: it names no code, and whoever put it there gets none run."""

from __future__ import annotations

import pickle
from pathlib import Path

import asyncpg
import pytest

from tenure import JobFailed, Tenure
from tests.security.conftest import connected, redis_client


class Bomb:
    """Makes a file where it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (Path(self.path),)


@pytest.fixture
def keep(app):
    @app.job(max_retries=0)
    async def keep(value: object = None) -> object:
        return value

    return keep


@pytest.mark.parametrize("payload_format", ["json", "msgpack"])
@pytest.mark.parametrize("kind", ["pickle", "yaml", "jsonpickle", "python", "deep", "deeper", "nothing"])
async def test_no_payload_is_code(open_app, app, keep, raw_postgres, migrated_schema, tmp_path, kind, payload_format):
    """Whoever can write rows makes dead letters."""
    path = tmp_path / "ran"
    payload = {
        "pickle": pickle.dumps(Bomb(str(path))),
        "yaml": f"!!python/object/apply:os.system ['touch {path}']".encode(),
        "jsonpickle": b'{"py/reduce": [{"py/function": "os.system"}, {"py/tuple": ["touch %s"]}]}' % bytes(path),
        "python": f"__import__('pathlib').Path({str(path)!r}).touch()".encode(),
        "deep": b"[" * 100_000,
        "deeper": b'{"value": ' + b"[" * 100_000 if payload_format == "json" else b"\x81\xa5value" + b"\x91" * 100_000,
        "nothing": b"",
    }[kind]
    await open_app(app)
    job = await keep.options(delay=3600).enqueue(1)
    await raw_postgres.execute(
        f"UPDATE {migrated_schema}.jobs SET payload = $1, payload_format = $2", payload, payload_format
    )
    await app.admin.retry(job.id)
    async with app.worker():
        with pytest.raises(JobFailed, match="the payload does not fit the handler"):
            await job.result(10)
    assert not path.exists()
    assert (await app.admin.dead_letter(job.id)).reason == "invalid"


@pytest.mark.parametrize("job_type", ["os.system", "builtins.eval", "keep.__class__", "tests.handlers.work"])
async def test_no_job_type_is_imported(open_app, app, keep, raw_postgres, migrated_schema, job_type):
    await open_app(app)
    job = await keep.options(delay=3600).enqueue("touch /tmp/x")
    await raw_postgres.execute(f"UPDATE {migrated_schema}.jobs SET job_type = $1", job_type)
    await app.admin.retry(job.id)
    async with app.worker():
        with pytest.raises(JobFailed, match="no handler is registered here"):
            await job.result(10)
    assert (await app.admin.dead_letter(job.id)).reason == "unknown_job_type"


@pytest.mark.parametrize(
    "payload", [b'{"value": 1, "value": 2}', b'{"value": 1, "__class__": "x"}', b'{"self": 1}', b"[1]", b"null"]
)
async def test_what_does_not_fit_the_handler_is_not_run(open_app, app, raw_postgres, migrated_schema, payload):
    """Fields that the handler does not have are refused; of one that is given twice the last counts."""
    ran = []

    @app.job(max_retries=0)
    async def keep(value: int) -> int:
        ran.append(value)
        return value

    await open_app(app)
    job = await keep.options(delay=3600).enqueue(1)
    await raw_postgres.execute(f"UPDATE {migrated_schema}.jobs SET payload = $1", payload)
    await app.admin.retry(job.id)
    async with app.worker():
        if payload.startswith(b'{"value": 1, "value"'):
            assert await job.result(10) == 2
        else:
            with pytest.raises(JobFailed, match="does not fit"):
                await job.result(10)
            assert ran == []


async def test_a_format_that_is_none_is_not_looked_up(open_app, app, keep, eventually, raw_redis, prefix):
    """Redis' descriptor may name any format: one that is not known fails the attempt, and PostgreSQL's is run next."""
    await open_app(app)
    job = await keep.options(max_retries=1).enqueue(7)
    key = f"{prefix}:{{default}}:jobs"
    await eventually(lambda: raw_redis.exists(f"{prefix}:{{default}}:generation"))  # nobody writes it again
    text = await eventually(lambda: raw_redis.hget(key, job.id))
    raw_redis.hset(key, job.id, text.replace(b" json ", b" pickle "))
    async with app.worker():
        assert await job.result(15) == 7
    assert [one.status for one in await job.executions()] == ["FAILED", "COMPLETED"]


HOSTILE = {
    "job_type": "'a:b'",
    "job_type ": "'two words'",
    "job_type  ": "E'a\nb'",
    "queue": "'a:{b}'",
    "payload": "'\\x00'",
    "tags": "ARRAY['a', '', 'x']",
    "tags ": "ARRAY[NULL]",
    "tags  ": "ARRAY[['a'], ['b']]",
    "metadata": "'[1]'",
    "idempotency_key": "E'\r\n'",
}


async def test_rows_of_a_hostile_producer_harm_only_themselves(
    access, eventually, raw_redis, raw_postgres, migrated_schema, redis_users
):
    """Whoever may insert may insert anything that the table allows. Others' jobs run all the same, also after Redis was
    lost and the queue is built again from those very rows.
    """
    async with connected(access["producer"].postgres) as connection:
        for column, value in HOSTILE.items():
            kind = {"job_type": "'keep'"} | {column.strip(): value}
            await connection.execute(
                f"INSERT INTO {migrated_schema}.jobs (job_id, {', '.join(kind)}) "
                f"VALUES (gen_random_uuid(), {', '.join(kind.values())})"
            )
        for moment in ("infinity", "-infinity", "4713-01-01 BC", "294276-12-31", "3000-01-01", "1969-12-31"):
            with pytest.raises(asyncpg.CheckViolationError, match="jobs_run_at_range"):
                await connection.execute(
                    f"INSERT INTO {migrated_schema}.jobs (job_id, job_type, run_at) "
                    f"VALUES (gen_random_uuid(), 'keep', '{moment}')"
                )
    producer = Tenure(access["waiter"].settings)
    crew = Tenure(access["worker"].settings)
    for app in (producer, crew):

        @app.job(name="keep", max_retries=0)
        async def keep(value: int) -> int:
            return value

    async with producer, crew, crew.worker():
        first = await producer.enqueue("keep", {"value": 1})
        assert await first.result(10) == 1
        with redis_client(redis_users["admin"]) as client:
            client.flushall()
        assert await (await producer.enqueue("keep", {"value": 2})).result(10) == 2
    async with Tenure(access["operator"].settings) as office:
        assert len(await office.admin.list_jobs(limit=100)) == len(HOSTILE) + 2
        assert await office.admin.stats()
