"""Limits hold whatever dies: workers, Redis, or the word of a limit on its way there."""

from __future__ import annotations

import asyncio
import json
import random
import signal
from collections import Counter, defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import redis

from tenure import Tenure
from tenure._engine import NoGeneration
from tenure._reconcile import Reconciler
from tenure.errors import StoreUnavailable
from tests.invariants import assert_invariants

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path
from tests.integration.limits.ledger import register


async def test_a_killed_workers_places_are_free_when_its_leases_are(
    app, open_app, settings, spawn_worker, tmp_path, eventually, raw_postgres, migrated_schema
):
    """Processes are killed while they hold both places; what is rescued and what waits share the two again."""
    from tests import handlers

    ledger = tmp_path / "ledger"
    ledger.touch()
    producer = Tenure(settings)
    work = producer.job(name="work")(handlers.work.handler)
    await open_app(producer)
    await producer.admin.limits.set("default", key="*", concurrency=2)
    jobs = await producer.enqueue_many(
        [work.options(limit_key="k").request(ledger=str(ledger), seconds=0.15) for _ in range(24)]
    )
    workers = [spawn_worker("--concurrency=5") for _ in range(3)]
    killed: set[int] = set()
    for _ in range(2):
        holder = await eventually(lambda: next((one for one in workers if _holds(ledger, one)), None), timeout=30.0)
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        killed.add(holder.pid)
        workers.append(spawn_worker("--concurrency=5"))
    for job in jobs:
        await job.result(timeout=60)
    assert most_at_once(_lines(ledger), killed) <= 2
    await assert_invariants(raw_postgres, migrated_schema, jobs=24)


def _lines(ledger: Path) -> list[dict]:
    return [json.loads(line) for line in ledger.read_text().splitlines()]


def _holds(ledger: Path, worker: subprocess.Popen[bytes]) -> bool:
    """Whether a living process has begun what it has not ended."""
    open_jobs: Counter[tuple[str, int]] = Counter()
    for line in _lines(ledger):
        if line["pid"] == worker.pid and worker.poll() is None:
            open_jobs[line["job"], line["fence"]] += 1 if line["event"] == "start" else -1
    return any(open_jobs.values())


def most_at_once(lines: list[dict], killed: set[int]) -> int:
    """How many ran at a time at most; what a killed process did not end, ended with the last that it wrote."""
    ended = {(line["job"], line["fence"]) for line in lines if line["event"] != "start"}
    last = defaultdict(float)
    for line in lines:
        last[line["pid"]] = max(last[line["pid"]], line["at"])
    changes = []
    for line in lines:
        changes.append((line["at"], 1 if line["event"] == "start" else -1))
        if line["event"] == "start" and line["pid"] in killed and (line["job"], line["fence"]) not in ended:
            changes.append((last[line["pid"]], -1))
    now = most = 0
    for _, change in sorted(changes):
        now += change
        most = max(most, now)
    return most


@pytest.mark.parametrize("where", [{}, {"tenant": "*"}, {"key": "*"}], ids=["queue", "tenants", "keys"])
async def test_flushall_at_any_instant_exceeds_no_limit(
    open_app, settings, ledger, private_valkey, raw_postgres, migrated_schema, where
):
    server = private_valkey()
    # leases that outlast any pause of the machine: none is taken back from a handler that runs
    app = Tenure(replace(settings, redis_url=server.url, lease_seconds=20.0))
    mail, _ = register(app, ledger)
    await open_app(app)
    await app.admin.limits.set("default", concurrency=3, **where)
    bound = mail.options(tenant="acme", limit_key="k")
    async with app.worker(concurrency=10), app.worker(concurrency=10):

        async def enqueue() -> list:
            jobs = []
            for _ in range(20):
                jobs += await app.enqueue_many([bound.request("x") for _ in range(8)])
                await asyncio.sleep(0.02)
            return jobs

        enqueueing = asyncio.create_task(enqueue())
        with redis.from_url(server.url) as client:
            for _ in range(8):
                await asyncio.sleep(random.uniform(0.02, 0.2))
                client.flushall()
        for job in await enqueueing:
            await job.result(timeout=60)
    assert ledger.most["x"] == 3
    await assert_invariants(raw_postgres, migrated_schema, jobs=160)


async def test_a_restart_without_data_exceeds_no_limit(
    open_app, settings, ledger, private_valkey, raw_postgres, migrated_schema
):
    server = private_valkey()
    app = Tenure(replace(settings, redis_url=server.url, lease_seconds=20.0))
    mail, _ = register(app, ledger)
    await open_app(app)
    await app.admin.limits.set("default", job_type="mail", concurrency=2)
    async with app.worker(concurrency=10):
        jobs = await app.enqueue_many([mail.request("x", 0.03) for _ in range(80)])
        for _ in range(2):
            await asyncio.sleep(0.2)
            server.kill()
            server.forget()
            await asyncio.sleep(0.2)
            server.start()
        for job in jobs:
            await job.result(timeout=60)
    assert ledger.most["x"] == 2
    await assert_invariants(raw_postgres, migrated_schema, jobs=80)


async def test_a_limit_that_redis_was_not_told_of_is_told_when_it_is_back(
    open_app, settings, ledger, private_valkey, eventually
):
    server = private_valkey()
    app = Tenure(replace(settings, redis_url=server.url))
    mail, _ = register(app, ledger)
    await open_app(app)
    await (await mail.options(delay=60).enqueue("later")).status()
    server.kill()
    for where in ({"tenant": "acme"}, {}):
        with pytest.raises(StoreUnavailable):
            await app.admin.limits.set("default", concurrency=1, **where)
    assert len(await app.admin.limits.list()) == 2
    server.start()
    stores = app._stores
    reconciler = Reconciler(stores.database, stores.engine, "default", stores.rebuilder.request)

    async def looked() -> bool:
        try:
            await reconciler.look()
        except StoreUnavailable:
            return False
        except NoGeneration:
            app._stores.rebuilder.request("default")
            return False
        return True

    await eventually(looked)
    assert await _policy(app, {"limit|queue": "1", "limit|tenant|acme": "1"}) == "same"
    jobs = await app.enqueue_many([mail.request("x") for _ in range(10)])
    async with app.worker(concurrency=5):
        for job in jobs:
            await job.result(timeout=20)
    assert ledger.most["x"] == 1


async def test_the_workers_follow_by_themselves(app, open_app, ledger, raw_postgres, migrated_schema, eventually):
    """Recorded in PostgreSQL by whoever could not tell Redis, a limit holds within seconds, the queue built again."""
    mail, _ = register(app, ledger)
    await open_app(app)
    async with app.worker(concurrency=5):
        await (await mail.enqueue("before")).result(timeout=10)
        await raw_postgres.execute(
            f"INSERT INTO {migrated_schema}.limits (queue, kind, scope, amount) "
            "VALUES ('default', 'concurrency', 'queue', 1)"
        )
        await eventually(lambda: _limited(app), timeout=20.0)
        for job in await app.enqueue_many([mail.request("x") for _ in range(20)]):
            await job.result(timeout=20)
    assert ledger.most["x"] == 1


async def _limited(app) -> bool:
    """Whether Redis knows of the limit: its policy stands as it is."""
    return await _policy(app, {"limit|queue": "1"}) == "same"


async def _policy(app, fields: dict[str, str]) -> str:
    return await app._stores.engine.set_policy("default", fields)
