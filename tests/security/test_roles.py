"""Each role does its work with what the shipped files give it, and is refused nothing on the way."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import asyncpg
import pytest

from tenure import JobFailed, Tenure, Unique
from tenure._engine import Engine, NoGeneration, new_ids
from tenure.errors import ConfigurationError, ScheduleNotFound
from tests.security.conftest import redis_client

if TYPE_CHECKING:
    from collections.abc import Iterator

    import redis


def shop(settings):
    """The application that every role runs or serves."""
    app = Tenure(settings)

    @app.job()
    async def double(number: int) -> int:
        return number * 2

    @app.job(max_retries=0)
    async def fail() -> None:
        raise RuntimeError("on purpose")

    @app.job(record="behind")
    async def quick(number: int) -> int:
        return number

    app.schedule("often", "* * * * * *", quick.request(8))

    @app.job()
    async def wait(seconds: float) -> None:
        await asyncio.sleep(seconds)

    return app, double, fail, quick, wait


@pytest.fixture
def admin(redis_users) -> Iterator[redis.Redis]:
    with redis_client(redis_users["admin"]) as one:
        yield one


@pytest.fixture
def nothing_refused(admin, caplog) -> Iterator[None]:
    """Neither store refused anything but `CLIENT SETINFO`, a courtesy of the client that Redis 7.0 does not know."""
    with caplog.at_level(logging.WARNING):
        yield
    refused = {entry["object"] for entry in admin.acl_log() if entry["reason"] in ("command", "key", "channel")}
    assert refused <= {"client|setinfo"}
    assert not [one.getMessage() for one in caplog.records if "refuse" in one.getMessage()]


async def test_with_tenants_limits_and_classes(access, eventually, admin, nothing_refused):
    """Everybody's part of it: limits are set, jobs pushed, leased, given back, counted, and all of it built again."""
    producer, double, *_ = shop(access["waiter"].settings)
    crew, *_ = shop(access["worker"].settings)
    office, *_ = shop(access["operator"].settings)
    eyes, *_ = shop(access["metrics"].settings)
    job = double.options(tenant="acme", requires={"gpu"}, resources={"mem": 1}, limit_key="k", cost=2.0)
    async with producer, crew, office, eyes:
        await office.admin.tenants.set("acme", weight=2, max_priority=2)
        await office.admin.limits.set("default", tenant="*", concurrency=5, queued=100, resources={"mem": 4})
        await office.admin.limits.set("default", job_type="double", rate=1000, period=1)
        waiting = await producer.enqueue_many([job.request(number) for number in range(10)])
        await eventually(lambda: _reported(eyes, ";mem=1"))
        async with crew.worker(capabilities={"gpu"}, resources={"mem": 8}) as worker:
            assert await waiting[0].result(10) == 0
            assert await (await double.enqueue(4)).result(10) == 8
            # whoever notices builds it, under its policy
            admin.flushall()
            built = producer._stores.rebuilder
            built.request("default")
            await built.settled()
            again = await job.enqueue(7)
            assert await again.result(15) == 14
            await office.admin.queues.fair("default", "share")
            await office.admin.queues.order("default", "shortest")
            assert await (await job.enqueue(8)).result(15) == 16
            await worker._maintenance.stop()
        await office.admin.queues.order("default")
        cancelled = await double.options(tenant="acme", delay=60).enqueue(1)
        await office.admin.cancel(cancelled.id)
        assert await office.admin.limits.remove("default", "rate", job_type="double")
        assert await office.admin.tenants.remove("acme")
        seen = await eyes.admin.overview()
        assert (seen.unplaceable, [one.used for one in seen.limits if one.used]) == ([], [])


async def _reported(app, ending: str) -> bool:
    return any(one.requires.endswith(ending) for one in (await app.admin.overview()).unplaceable)


async def test_producer_and_worker_do_all_of_theirs(access, eventually, nothing_refused):
    producer, double, fail, quick, _ = shop(access["waiter"].settings)
    crew, *_ = shop(access["worker"].settings)
    async with producer, crew, crew.worker():
        first = await double.enqueue(1)
        assert await first.result(10) == 2
        child = await double.options(depends_on=[first]).enqueue(2)
        parent = await double.options(delay=0.2, tags=["a"], metadata={"b": 1}).enqueue(3)
        other = await double.options(depends_on=[parent]).enqueue(4)
        assert [await one.result(10) for one in (child, parent, other)] == [4, 6, 8]
        assert await (await quick.enqueue(5)).result(10) == 5
        dead = await fail.enqueue()
        with pytest.raises(JobFailed, match="on purpose"):
            await dead.result(10)
        same = await double.options(idempotency_key="k").enqueue(6)
        assert (await double.options(idempotency_key="k").enqueue(6)).id == same.id
        flow = producer.workflow("order")
        start = flow.add(double.options(priority=1).request(1))
        last = flow.add(double.options(priority=5).request(number=start), after=[other.id])
        told = flow.on_complete(double.request(9))
        order = await flow.enqueue()
        assert (await order.result(last, 10), await order.result(told, 10)) == (4, 18)
        assert (await order.status()).jobs == {"COMPLETED": 2}
        connection = await asyncpg.connect(access["producer"].postgres)
        async with connection.transaction():
            own = await double.options(connection=connection).enqueue(7)
        assert await own.result(10) == 14
        await connection.close()


async def test_a_producer_replaces_with_the_role_for_it_alone(access, raw_postgres, migrated_schema):
    producer, double, *_ = shop(access["producer"].settings)
    async with producer:
        held = double.options(unique=Unique(key="k", hold=60), delay=60)
        first = await held.enqueue(1)
        assert (await held.enqueue(2)).id == first.id
        debounced = double.options(unique=Unique.debounce(60, key="k"))
        with pytest.raises(ConfigurationError, match="permission denied"):
            await debounced.enqueue(3)
        await raw_postgres.execute(f"GRANT {migrated_schema}_replacer TO {migrated_schema}_producer_login")
        assert (await debounced.enqueue(3)).conflict == "replaced"


async def test_a_producer_that_rebuilds_takes_out_what_was_cancelled_meanwhile(access, admin, nothing_refused):
    """Without the right to read results: whoever finds the queue unbuilt builds it."""
    producer, double, *_ = shop(access["producer"].settings)
    office, *_ = shop(access["operator"].settings)
    async with producer, office:
        cancelled, kept = await double.enqueue(1), await double.enqueue(2)
        assert await office.admin.cancel(cancelled.id) == "CANCELLED"
        admin.flushall()
        rebuilder = producer._stores.rebuilder
        rebuilder.request("default")
        await rebuilder.settled()
        # as if it had been cancelled behind the page that has it
        admin.hset(f"{access['producer'].settings.prefix}:{{default}}:jobs", cancelled.id, "1")
        await rebuilder._forget_cancelled("default", [cancelled.id, kept.id])
        jobs = admin.hkeys(f"{access['producer'].settings.prefix}:{{default}}:jobs")
    assert [job_id.decode() for job_id in jobs] == [kept.id]


async def test_a_worker_rescues_rebuilds_wakes_and_prunes(
    access, eventually, admin, raw_postgres, migrated_schema, nothing_refused
):
    producer, double, fail, *_ = shop(access["waiter"].settings)
    crew, *_ = shop(access["worker"].settings)
    async with producer, crew:
        lost = await double.enqueue(21)
        dying = Engine(
            access["worker"].redis,
            worker_id=new_ids(1)[0],
            prefix=access["worker"].settings.prefix,
            lease_ms=1000,
            on_event=lambda _: None,
        )
        await dying.open()
        batch = await eventually(lambda: _leased(dying))
        assert [lease.job_id for lease in batch] == [lost.id]
        dying.close()  # nobody extends its lease
        await _survive(crew, lost, double, fail, admin, raw_postgres, migrated_schema)


async def _survive(crew, lost, double, fail, admin, raw_postgres, migrated_schema):
    async with crew.worker() as survivor:
        assert await lost.result(15) == 42
        # Redis is lost: whoever notices builds it again.
        admin.flushall()
        assert await (await double.enqueue(4)).result(15) == 8
        # An idle worker looks by itself after 4 s at the earliest: it was woken.
        assert await (await double.enqueue(5)).result(2) == 10
        dead = await fail.enqueue()
        with pytest.raises(JobFailed):
            await dead.result(10)
        await raw_postgres.execute(
            f"UPDATE {migrated_schema}.dead_letter_queue SET created_at = now() - interval '99 days'"
        )
        await survivor._maintenance._prune()
        term = await survivor._registry.leader.term()
        assert term > 0
        await survivor._registry._copy(term)
        assert await raw_postgres.fetchval(f"SELECT count(*) FROM {migrated_schema}.dead_letter_queue") == 0


async def _leased(engine):
    try:
        return (await engine.lease("default", 1)).leases
    except NoGeneration:
        return []


async def _steer_a_workflow(producer, office, double):
    flow = producer.workflow("order", on_failure="cancel")
    first = flow.add(double.options(priority=1, delay=60).request(1))
    second = flow.add(double.options(priority=5).request(number=first))
    order = await flow.enqueue()
    assert (await office.admin.show(first.job_id)).priority == 5
    assert await office.admin.cancel(second.job_id) == "CANCELLED"
    assert (await office.admin.show(first.job_id)).priority == 1
    await office.admin.workflows.cancel(order.id)
    assert await office.admin.workflows.retry(order.id) == {first.job_id: "PENDING", second.job_id: "BLOCKED"}
    assert await office.admin.cancel(first.job_id, descendants=True) == "CANCELLED"
    [found] = await office.admin.workflows.list(name="order")
    assert found.status == "CANCELLED"


async def test_an_operator_looks_and_steers(access, eventually, nothing_refused):
    producer, double, fail, _, wait = shop(access["waiter"].settings)
    crew, *_ = shop(access["worker"].settings)
    office, *_ = shop(access["operator"].settings)
    async with producer, crew, office:
        blocked = await double.options(delay=60).enqueue(1)
        child = await double.options(depends_on=[blocked], on_failure="cancel").enqueue(2)
        await office.admin.queues.pause("default")
        assert await office.admin.queues.resume("default")
        schedules = office.admin.schedules
        for steer in (schedules.pause, schedules.trigger, schedules.resume, schedules.remove):
            with pytest.raises(ScheduleNotFound):
                await steer("none")
        assert await schedules.list() == []
        assert await office.admin.cancel(blocked.id) == "CANCELLED"
        assert (await office.admin.show(child.id)).status == "CANCELLED"
        assert await office.admin.retry(blocked.id) == "CANCELLED"
        await _steer_a_workflow(producer, office, double)
        async with crew.worker():
            assert await blocked.result(10) == 2
            dead = [await fail.enqueue() for _ in range(3)]
            for one in dead:
                with pytest.raises(JobFailed):
                    await one.result(10)
            assert len(await office.admin.dead_letters()) == 3
            assert (await office.admin.dead_letter(dead[0].id)).reason == "exhausted"
            assert await office.admin.retry(dead[0].id) == "FAILED"
            assert await office.admin.requeue_dead_letters(job_ids=[dead[1].id]) == 1
            assert await eventually(office.admin.purge_dead_letters) >= 1
            running = await wait.enqueue(60)
            await eventually(lambda: _is(office, running, "PROCESSING"))
            await office.admin.cancel(running.id)
            await eventually(lambda: _is(office, running, "CANCELLED"))
            assert [one.status for one in await office.admin.executions(running.id)] == ["CANCELLED"]
            assert await office.admin.workers()
        assert await office.admin.list_jobs(limit=10)
        assert await office.admin.stats()


async def _is(app, job, status):
    return (await app.admin.show(job.id)).status == status


async def test_metrics_are_read(access, eventually, nothing_refused):
    producer, double, *_ = shop(access["producer"].settings)
    eyes, *_ = shop(access["metrics"].settings)
    async with producer, eyes:
        await double.enqueue(1)
        await eventually(lambda: _counted(eyes))
        assert await eyes.admin.workers(live_only=False) == []
        engine = eyes._stores.engine
        await eventually(lambda: _pushed(engine))
        assert await engine.beats(new_ids(1)) == {}
        seen = await eyes.admin.overview()
        assert (seen.queues, seen.workers) == ([], [])
        with pytest.raises(ConfigurationError, match="permission denied for table jobs"):
            await eyes.admin.list_jobs()


async def _pushed(engine):
    return (await engine.depths("default")).jobs == 1


async def _counted(app):
    return [one.jobs["PENDING"] for one in await app.admin.stats()] == [1]


async def test_a_producer_without_results_is_told_so(access):
    producer, double, *_ = shop(access["producer"].settings)
    async with producer:
        job = await double.enqueue(1)
        with pytest.raises(ConfigurationError, match="permission denied for table jobs"):
            async with asyncio.timeout(5):
                await job.result()
        with pytest.raises(ConfigurationError, match="permission denied"):
            await job.status()
