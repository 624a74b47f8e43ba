"""The registry of workers, and the heartbeats that it is written from."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from tenure import Tenure
from tenure._registry import LEADERSHIP
from tenure._samples import read_sample


async def one_row(raw_postgres, schema, name):
    return await raw_postgres.fetchrow(f"SELECT * FROM {schema}.workers WHERE worker_name = $1", name)


async def test_a_worker_is_seen_from_its_start_to_its_end(open_app, app, eventually, raw_postgres, migrated_schema):
    @app.job(queue="mail")
    async def idle() -> None: ...

    await open_app(app)
    async with app.worker(concurrency=3, name="one", worker_type="press", labels={"zone": "b"}):
        [worker] = await app.admin.workers()
        assert (worker.worker_name, worker.queues, worker.concurrency) == ("one", ["mail"], 3)
        assert (worker.worker_type, worker.labels, worker.status) == ("press", {"zone": "b"}, "STARTING")

        async def beaten() -> bool:
            row = await one_row(raw_postgres, migrated_schema, "one")
            return row["status"] == "ACTIVE" and json.loads(row["health"])["capacity"] == 3

        await eventually(beaten)
    assert await app.admin.workers() == []
    [gone] = await app.admin.workers(live_only=False)
    assert gone.status == "STOPPED"
    assert gone.stopped_at is not None


async def test_a_silent_worker_is_declared_failed(open_app, app, eventually, raw_postgres, migrated_schema):
    @app.job()
    async def idle() -> None: ...

    await open_app(app)
    await raw_postgres.execute(
        f"INSERT INTO {migrated_schema}.workers (worker_id, worker_name, status, last_heartbeat) "
        "VALUES (gen_random_uuid(), 'silent', 'ACTIVE', now() - interval '1 hour')"
    )
    async with app.worker():

        async def failed() -> bool:
            return (await one_row(raw_postgres, migrated_schema, "silent"))["status"] == "FAILED"

        await eventually(failed)


async def test_a_worker_that_was_declared_failed_and_beats_has_not(
    open_app, app, eventually, raw_postgres, migrated_schema
):
    @app.job()
    async def idle() -> None: ...

    await open_app(app)
    async with app.worker(name="one"):
        await raw_postgres.execute(f"UPDATE {migrated_schema}.workers SET status = 'FAILED', stopped_at = now()")

        async def back() -> bool:
            row = await one_row(raw_postgres, migrated_schema, "one")
            return (row["status"], row["stopped_at"]) == ("ACTIVE", None)

        await eventually(back)


async def test_the_samples_say_how_a_worker_fares(
    open_app, app, eventually, raw_postgres, migrated_schema, raw_redis, prefix
):
    release = asyncio.Event()

    @app.job(max_retries=0)
    async def fail() -> None:
        raise RuntimeError("on purpose")

    @app.job()
    async def hold() -> None:
        await release.wait()

    await open_app(app)
    await app.enqueue_many([fail.request() for _ in range(40)])
    await asyncio.sleep(0.05)  # not waited for: time that the jobs are to have waited
    await hold.enqueue()
    async with app.worker(concurrency=4, name="one") as worker:
        engine = app._open().engine

        async def telling():
            sample = read_sample((await engine.beats([worker.worker_id])).get(worker.worker_id, b""))
            return sample if sample and sample.error_rate == 1.0 and sample.running == 1 else None

        sample = await eventually(telling)
        assert (sample.name, sample.capacity, sample.held, sample.queues) == ("one", 4, 1, ("default",))
        assert (sample.wedged, sample.every_ms, sample.status) == (False, 300, "ACTIVE")
        assert sample.score < 50
        assert sample.rss_bytes > 10_000_000
        assert sample.load == 0.25

        async def degraded():
            row = await one_row(raw_postgres, migrated_schema, "one")
            return row if row["status"] == "DEGRADED" and row["load"] == 0.25 else None

        row = await eventually(degraded)
        assert row["health_score"] < 50
        assert json.loads(row["health"])["error_rate"] == 1.0

        async def several() -> bool:
            return len((await engine.series([worker.worker_id]))[worker.worker_id]) > 2

        await eventually(several)
        lines = [json.loads(line) for line in (await engine.series([worker.worker_id]))[worker.worker_id]]
        times = [line[0] for line in lines]
        assert times == sorted(times, reverse=True)
        # by Redis' clock
        seconds, micros = raw_redis.time()
        assert 0 <= seconds * 1000 + micros / 1000 - times[0] < 5000
        assert any(line[7] >= 50 for line in lines), "nothing says that jobs have waited"
        assert raw_redis.pttl(f"{prefix}:worker:{worker.worker_id}:samples") > 0
        release.set()


async def test_a_slow_fleet_counts_as_alive_no_longer_than_its_ttl(
    open_app, app, eventually, raw_postgres, migrated_schema, raw_redis, prefix
):
    """What nobody's beat renews is gone after the TTL, and says so in the registry within a copy."""

    @app.job()
    async def idle() -> None: ...

    await open_app(app)
    async with app.worker(name="one"), app.worker(name="two") as other:
        await asyncio.to_thread(other._engine.core.stop_heartbeat)
        heard = (await one_row(raw_postgres, migrated_schema, "two"))["last_heartbeat"]

        async def failed():
            row = await one_row(raw_postgres, migrated_schema, "two")
            return row if row["status"] == "FAILED" else None

        row = await eventually(failed)
        assert (row["stopped_at"] - heard).total_seconds() < 2.0 + 3 * 0.3 + 1.0
        assert (await one_row(raw_postgres, migrated_schema, "one"))["status"] == "ACTIVE"


async def test_after_a_loss_of_redis_nobody_is_declared_failed(
    open_app, app, settings, eventually, raw_postgres, migrated_schema, raw_redis, prefix
):
    @app.job()
    async def idle() -> None: ...

    await open_app(app)
    async with app.worker(name="one"), app.worker(name="two"):
        await raw_postgres.execute(f"UPDATE {migrated_schema}.workers SET last_heartbeat = now() - interval '1 hour'")
        for key in raw_redis.scan_iter(f"{prefix}:worker:*"):
            raw_redis.delete(key)
        raw_redis.delete(f"{prefix}:fleet:roster")

        async def heard() -> bool:
            rows = await raw_postgres.fetch(
                f"SELECT last_heartbeat > now() - interval '1 m' AS h FROM {migrated_schema}.workers"
            )
            return all(row["h"] for row in rows)

        await eventually(heard)
        rows = await raw_postgres.fetch(f"SELECT status, stopped_at FROM {migrated_schema}.workers")
        assert [tuple(row) for row in rows] == [("ACTIVE", None)] * 2


@pytest.mark.parametrize("count", [1, 30])
async def test_statements_per_interval_do_not_grow_with_the_fleet(open_app, app, eventually, monkeypatch, count):
    """Two for each copy, however many workers beat; to start and to stop them takes as many for 30 as for one."""

    @app.job()
    async def idle() -> None: ...

    await open_app(app)
    database = app._open().database
    asked = []
    fetch = database.fetch

    async def counted(name, *args, **options):
        asked.append(name)
        return await fetch(name, *args, **options)

    monkeypatch.setattr(database, "fetch", counted)
    workers = [app.worker(name=str(number)) for number in range(count)]
    await asyncio.gather(*(worker.start() for worker in workers))
    assert asked.count("register_workers") <= 15  # they connect to Redis first, some sooner than others
    await eventually(lambda: asked.count("mark_stale_workers") >= 3)
    copies = asked.count("heartbeats")
    assert copies <= asked.count("mark_stale_workers") + 3
    rows = await fetch("list_workers", True)
    assert len(rows) == count
    assert {row["status"] for row in rows} == {"ACTIVE"}
    await asyncio.gather(*(worker.stop(1.0) for worker in workers))
    assert asked.count("worker_status") <= 20  # each by itself would be 60
    # nothing else is asked by the workers' side of the fleet
    fleet = {"register_workers", "worker_status", "heartbeats", "mark_stale_workers", "raise_term"}
    assert {name for name in asked if "worker" in name or name in fleet} <= fleet | {"workers_of_queue"}


async def test_hostile_beats_harm_themselves_alone(
    open_app, app, eventually, raw_postgres, migrated_schema, raw_redis, prefix
):
    @app.job()
    async def idle() -> None: ...

    await open_app(app)
    async with app.worker(name="one") as worker:
        ghost = "0" * 8 + "-0000-0000-0000-" + "0" * 12
        odd = [b"[]", b"\xff", b'{"score":1e400}', b'{"running":"x"}', b"[" * 10_000, b'{"name":"\\u0000","score":-5}']
        odd.append(b'{"running":%s,"capacity":1}' % (b"9" * 400))
        for number, sample in enumerate(odd):
            one = f"{number}{ghost[1:]}"
            raw_redis.set(f"{prefix}:worker:{one}:heartbeat", sample)
            raw_redis.zadd(f"{prefix}:fleet:roster", {one: 9e15})
        raw_redis.zadd(f"{prefix}:fleet:roster", {"x": 1, b"y' OR 1": 9e15, "": 9e15})
        await raw_postgres.execute(f"UPDATE {migrated_schema}.workers SET health = '{{}}'")

        async def copied() -> bool:
            return (await one_row(raw_postgres, migrated_schema, "one"))["health"] != "{}"

        await eventually(copied)
        assert await raw_postgres.fetchval(f"SELECT count(*) FROM {migrated_schema}.workers") == 1
        # a forged word ends nobody: STOPPED and FAILED are not a sample's to say
        for status in ("STOPPED", "FAILED", "nonsense"):
            assert read_sample(b'{"status":"%s"}' % status.encode()).registered_status == "ACTIVE"
        assert worker.running == 0


async def test_a_killed_leader_is_succeeded_within_seconds(
    spawn_worker, eventually, raw_postgres, migrated_schema, raw_redis, prefix
):
    leader = f"SELECT term, holder FROM {migrated_schema}.leaders WHERE leadership = '{LEADERSHIP}'"
    workers = f"SELECT count(*) FROM {migrated_schema}.workers WHERE health <> '{{}}'"
    first = spawn_worker()
    row = await eventually(lambda: raw_postgres.fetchrow(leader))
    assert row["holder"].endswith(f":{first.pid}")
    second = spawn_worker()

    async def both_are_copied() -> bool:
        return await raw_postgres.fetchval(workers) == 2

    await eventually(both_are_copied)
    first.kill()
    began = time.monotonic()

    async def succeeded():
        row = await raw_postgres.fetchrow(leader)
        return row if row["term"] == 2 else None

    row = await eventually(succeeded)
    assert time.monotonic() - began < 5.0
    assert row["holder"].endswith(f":{second.pid}")

    async def told() -> bool:
        query = f"SELECT status FROM {migrated_schema}.workers WHERE pid = {first.pid}"
        return await raw_postgres.fetchval(query) == "FAILED"

    await eventually(told)


async def test_a_leader_that_stops_is_succeeded_at_once(
    open_app, app, settings, eventually, raw_postgres, migrated_schema
):
    @app.job()
    async def idle() -> None: ...

    await open_app(app)
    other = await open_app(Tenure(settings))
    term = f"SELECT term FROM {migrated_schema}.leaders WHERE leadership = '{LEADERSHIP}'"
    async with app.worker(name="one"):
        await eventually(lambda: raw_postgres.fetchval(term))
        async with other.worker(queues=["default"], name="two"):
            await app._open().registry.stop()
            claim = other._open().registry.leader

            async def leads() -> bool:
                return await claim.term() == 2

            await eventually(leads)
