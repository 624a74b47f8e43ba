"""A limit is never exceeded in the whole fleet, whatever dies, and costs those that it does not limit nothing."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sys
from collections import Counter, defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import redis

from tenure import Backoff, Cancel, Dead, Retry, Snooze, Tenure
from tenure._engine import NoGeneration
from tenure._reconcile import Reconciler
from tenure.errors import InvalidInput, StoreUnavailable
from tests.fix_apps import environment
from tests.integration.test_cli_worker import tenure
from tests.invariants import assert_invariants

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path


class Ledger:
    """What ran beside what, by the handlers' own word."""

    def __init__(self) -> None:
        self.running: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.began: list[str] = []

    async def run(self, name: str, seconds: float) -> None:
        self.began.append(name)
        self.running[name] += 1
        self.most[name] = max(self.most[name], self.running[name])
        try:
            await asyncio.sleep(seconds)
        finally:
            self.running[name] -= 1


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


def register(app, ledger: Ledger, **options):
    """The two types of an app, whose jobs say what they are to the ledger."""

    @app.job(max_retries=50, backoff=Backoff(base=0.01, cap=0.02), **options)
    async def mail(name: str, seconds: float = 0.01) -> str:
        await ledger.run(name, seconds * random.uniform(0.5, 1.5))
        return name

    @app.job(max_retries=50, backoff=Backoff(base=0.01, cap=0.02), **options)
    async def video(name: str, seconds: float = 0.01) -> str:
        await ledger.run(name, seconds * random.uniform(0.5, 1.5))
        return name

    return mail, video


SCOPES = [
    pytest.param({}, [("mail", {}, 2), ("video", {}, 2)], id="queue"),
    pytest.param({"job_type": "mail"}, [("mail", {}, 2), ("video", {}, None)], id="type"),
    pytest.param(
        {"tenant": "acme"}, [("mail", {"tenant": "acme"}, 2), ("mail", {"tenant": "free"}, None)], id="tenant"
    ),
    pytest.param({"tenant": "*"}, [("mail", {"tenant": "a"}, 2), ("mail", {"tenant": "b"}, 2)], id="each tenant"),
    pytest.param({"key": "*"}, [("mail", {"limit_key": "k:1"}, 2), ("video", {"limit_key": "k:2"}, 2)], id="each key"),
    pytest.param({"key": "k:1"}, [("mail", {"limit_key": "k:1"}, 2), ("mail", {"limit_key": "k:2"}, None)], id="key"),
]


@pytest.mark.parametrize(("where", "kinds"), SCOPES)
async def test_no_more_run_at_a_time(app, open_app, ledger, raw_postgres, migrated_schema, where, kinds):
    """In three workers with room for thirty; the others are not held up, and everything runs."""
    types = dict(zip(("mail", "video"), register(app, ledger), strict=True))
    await open_app(app)
    await app.admin.limits.set("default", concurrency=2, **where)
    requests = [
        types[job_type].options(**options).request(str(number))
        for number, (job_type, options, _) in enumerate(kinds)
        for _ in range(40)
    ]
    random.shuffle(requests)
    async with app.worker(concurrency=10), app.worker(concurrency=10), app.worker(concurrency=10):
        jobs = await app.enqueue_many(requests)
        for job in jobs:
            await job.result(timeout=60)
    for number, (_, _, most) in enumerate(kinds):
        assert most is None or ledger.most[str(number)] <= most
        assert ledger.began.count(str(number)) == 40
    await assert_invariants(raw_postgres, migrated_schema, jobs=80)


async def test_the_whole_queue_together(app, open_app, ledger):
    mail, video = register(app, ledger)
    await open_app(app)
    await app.admin.limits.set("default", concurrency=3)
    jobs = await app.enqueue_many([kind.request("all") for _ in range(30) for kind in (mail, video)])
    async with app.worker(concurrency=10), app.worker(concurrency=10):
        for job in jobs:
            await job.result(timeout=60)
    assert ledger.most["all"] == 3


async def test_peers_go_on_while_a_limit_is_at_its_ceiling(app, open_app, ledger, eventually):
    """As many jobs as there are wait for a limit; others are leased as if they were not there."""
    mail, _ = register(app, ledger)
    gate = asyncio.Event()

    @app.job()
    async def gated() -> None:
        await gate.wait()

    await open_app(app)
    await app.admin.limits.set("default", tenant="stuck", concurrency=1)
    await app.enqueue_many([gated.options(tenant="stuck").request() for _ in range(2000)])
    async with app.worker(concurrency=4) as worker:
        await eventually(lambda: worker.running == 1)
        jobs = await app.enqueue_many([mail.options(tenant="free").request("free") for _ in range(50)])
        for job in jobs:
            await job.result(timeout=20)
        assert worker.running == 1
        [full] = [one for one in (await app.admin.overview()).limits if one.limit == "tenant stuck"]
        assert (full.used, full.most) == (1.0, 1.0)
        assert full.parked >= 1
        assert await app.admin.limits.remove("default", "concurrency", tenant="stuck") is True
        await eventually(lambda: worker.running == 4)
        gate.set()


async def test_what_ends_in_any_way_gives_its_place_back(app, open_app, eventually, raw_postgres, migrated_schema):
    await open_app(app)
    stuck = asyncio.Event()
    seen: Counter[str] = Counter()

    @app.job(max_retries=1, backoff=Backoff(base=0.01, cap=0.01), limit_key="one")
    async def end(how: str) -> object:
        seen[how] += 1
        match how:
            case "raise":
                raise RuntimeError("boom")
            case "hang":
                await stuck.wait()
            case "retry":
                return Retry("again", delay=0.01)
            case "snooze":
                return Snooze(0.01) if seen[how] < 3 else how
            case "cancel":
                return Cancel("not wanted")
            case "dead":
                return Dead("no use")
        return how

    await app.admin.limits.set("default", key="*", concurrency=1)
    async with app.worker(concurrency=5) as worker:
        jobs = {how: await end.enqueue(how) for how in ("raise", "retry", "snooze", "cancel", "dead", "well")}
        expired = await end.options(expires_in=0.001).enqueue("expired")
        late = await end.options(timeout=0.05).enqueue("hang")
        ends = {
            "raise": "FAILED", "retry": "FAILED", "snooze": "COMPLETED", "cancel": "CANCELLED", "dead": "FAILED",
            "well": "COMPLETED",
        }  # fmt: skip
        for how, status in ends.items():
            await eventually(lambda how=how, status=status: _is(jobs[how], status), timeout=20.0)
        await eventually(lambda: _is(late, "FAILED"), timeout=20.0)
        await eventually(lambda: _is(expired, "CANCELLED"), timeout=20.0)
        hung = await end.enqueue("hang")
        await eventually(lambda: worker.running == 1)
        waiting = [await end.enqueue("well") for _ in range(3)]
        await waiting[0].cancel()
        await hung.cancel()
        for job in waiting[1:]:
            await job.result(timeout=20)
    await assert_invariants(raw_postgres, migrated_schema)


async def _is(job, status: str) -> bool:
    return await job.status() == status


async def test_a_stopped_worker_gives_back_what_it_did_not_finish(app, open_app, ledger, eventually):
    mail, _ = register(app, ledger, limit_key="one")
    await open_app(app)
    await app.admin.limits.set("default", key="one", concurrency=1)
    async with app.worker() as worker:
        first = await mail.enqueue("x", 60)
        await eventually(lambda: worker.running == 1)
        await worker.stop(grace=0.01)
    second = await mail.options(priority=5).enqueue("x")
    async with app.worker():
        await second.result(timeout=20)
    await first.cancel()


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


async def test_no_more_begin_in_any_time_than_the_rate_allows(app, open_app, ledger, eventually):
    """By Redis' clock, which each lease call tells: in every window no more than the burst and what has flown in."""
    mail, video = register(app, ledger)
    await open_app(app)
    await app.admin.limits.set("default", job_type="mail", rate=20, period=0.5, burst=4)
    await app.enqueue_many([mail.request("x") for _ in range(60)])
    others = await app.enqueue_many([video.request("y") for _ in range(30)])
    engine = app._stores.engine
    await eventually(lambda: _laned(app, 60))
    at: list[int] = []
    free: list[str] = []
    while len(at) < 30:
        batch = await engine.lease("default", 10)
        at += [batch.now_ms for lease in batch.leases if lease.job_type == "mail"]
        free += [lease.job_id for lease in batch.leases if lease.job_type == "video"]
        await asyncio.sleep(0.01)
    for first in range(len(at)):
        for last in range(first, len(at)):
            # a token every 25 ms; a millisecond is the clock's own
            assert last - first + 1 <= 4 + (at[last] - at[first] + 1) / 25 + 1e-9
    # what is not limited did not wait for a token
    assert set(free) == {job.id for job in others}


async def _laned(app, at_least: int) -> bool:
    return (await app._stores.engine.depths("default")).laned >= at_least


async def test_a_rate_is_kept_by_workers_that_sleep_between(app, open_app, ledger):
    """Nobody else wakes them for the next token."""
    mail, _ = register(app, ledger, limit_key="k")
    await open_app(app)
    await app.admin.limits.set("default", key="k", rate=10, period=1.0, burst=1)
    async with app.worker():
        jobs = await app.enqueue_many([mail.request("x") for _ in range(15)])
        for job in jobs:
            await job.result(timeout=20)


async def test_a_tenants_jobs_take_up_no_more_than_its_quota(app, open_app, ledger):
    """Of a resource that the workers have more of; whoever has no quota takes what is there."""
    running: Counter[str] = Counter()
    most: Counter[str] = Counter()

    @app.job()
    async def train(whose: str, amount: float) -> None:
        running[whose] += amount
        most[whose] = max(most[whose], running[whose])
        await asyncio.sleep(0.01)
        running[whose] -= amount

    await open_app(app)
    await app.admin.limits.set("default", tenant="*", resources={"gpu": 3})
    await app.admin.limits.set("default", tenant="large", resources={"gpu": 5})
    requests = [
        train.options(tenant=whose, resources={"gpu": amount}).request(whose, amount)
        for whose in ("small", "large")
        for amount in (1, 2, 0.5) * 15
    ]
    async with app.worker(concurrency=20, resources={"gpu": 20}), app.worker(concurrency=20, resources={"gpu": 20}):
        for job in await app.enqueue_many(requests):
            await job.result(timeout=60)
    assert 2 <= most["small"] <= 3
    assert 3 < most["large"] <= 5


async def test_a_limit_set_while_jobs_wait_and_run(app, open_app, ledger, eventually):
    """What runs goes on, and counts; nothing more begins before there is room."""
    gate = asyncio.Event()

    @app.job()
    async def hold(name: str) -> str:
        ledger.began.append(name)
        await gate.wait()
        return name

    await open_app(app)
    async with app.worker(concurrency=6) as worker:
        held = await app.enqueue_many([hold.request("held") for _ in range(5)])
        # begun, so that PostgreSQL knows: a lease that is not started when the queue is built again is given up
        await eventually(lambda: len(ledger.began) == 5)
        await app.admin.limits.set("default", concurrency=3)
        more = await app.enqueue_many([hold.request("more") for _ in range(20)])
        await eventually(lambda: _waiting(app, 20))
        await app.admin.limits.set("default", concurrency=4)  # in place
        assert (await worker._engine.lease("default", 10)).leases == []
        assert worker.running == 5
        await app.admin.limits.set("default", concurrency=6)
        await eventually(lambda: ledger.began == ["held"] * 5 + ["more"])
        assert worker.running == 6
        gate.set()
        for job in (*held, *more):
            await job.result(timeout=20)


async def _waiting(app, count: int) -> bool:
    depths = await app._stores.engine.depths("default")
    return depths.laned + depths.medium == count


async def test_whoever_knows_nothing_of_a_limit_slips_past_none(app, open_app, settings, ledger):
    """A producer that was there before pushes jobs without a word of it."""
    mail, _ = register(app, ledger)
    beside = Tenure(settings)
    unaware, _ = register(beside, ledger)
    await open_app(app)
    await open_app(beside)
    await unaware.options(delay=60).enqueue("y")
    await app.admin.limits.set("default", concurrency=1)
    async with app.worker(concurrency=10):
        jobs = await asyncio.gather(*(kind.enqueue("x") for _ in range(15) for kind in (unaware, mail)))
        for job in jobs:
            await job.result(timeout=30)
    assert ledger.most["x"] == 1


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


async def test_from_the_command_line(app, open_app, settings):
    await open_app(app)

    async def run(*arguments: str) -> tuple[int, str]:
        command = (sys.executable, "-m", "tenure", *arguments)
        process = await asyncio.create_subprocess_exec(
            *command, env=environment(settings), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        out, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode()

    assert await run("limit", "set", "mails", "--concurrency=5", "--queued=100") == (0, "limited: mails\n")
    assert (await run("limit", "set", "mails", "--tenant=*", "--rate=10", "--period=60", "--resource=gpu=1.5"))[0] == 0
    limits = await tenure(settings, "limit", "list", "--queue", "mails")
    assert [(one["kind"], one["scope"], one["name"], one["amount"]) for one in limits] == [
        ("concurrency", "queue", "*", 5.0),
        ("queued", "queue", "*", 100.0),
        ("rate", "tenant", "*", 10.0),
        ("resource", "tenant", "*", 1.5),
    ]
    assert "gpu" in (await run("limit", "list"))[1]
    assert await run("limit", "remove", "mails", "resource", "--tenant=*") == (0, "removed: mails\n")
    assert await run("limit", "remove", "mails", "resource", "--tenant=*") == (0, "was not limited: mails\n")
    assert (await run("limit", "set", "mails"))[0] == 2
    assert (await run("limit", "set", "mails", "--rate=0"))[0] == 2
    assert await run("tenant", "set", "acme", "--weight=2", "--max-priority=3") == (0, "set: acme\n")
    [acme] = await tenure(settings, "tenant", "list")
    assert acme == {"tenant": "acme", "weight": 2.0, "max_priority": 3}
    assert await run("tenant", "remove", "acme") == (0, "removed: acme\n")
    assert await run("queue", "order", "mails", "ageing", "--ageing=30") == (0, "ordered by ageing: mails\n")
    assert await run("queue", "fair", "mails", "time") == (0, "shared by time: mails\n")
    [policy] = await tenure(settings, "queue", "policies")
    assert (policy["order_by"], policy["ageing"], policy["fair"]) == ("ageing", 30.0, "time")


@pytest.mark.parametrize(
    "limit",
    [
        {},
        {"concurrency": -1},
        {"concurrency": 1.5},
        {"rate": 0},
        {"rate": 1, "period": 0},
        {"rate": 1, "burst": 0},
        {"burst": 1},
        {"queued": -1},
        {"resources": {"gpu": 1}},
        {"tenant": "*", "resources": {"a:b": 1}},
        {"tenant": "*", "resources": {"gpu": 0.0001}},
        {"tenant": "a|b", "concurrency": 1},
        {"key": "a b", "concurrency": 1},
        {"job_type": "*", "concurrency": 1},
        {"job_type": "a", "tenant": "b", "concurrency": 1},
    ],
)
async def test_what_is_no_limit_is_refused_before_anything_is_written(app, open_app, limit):
    await open_app(app)
    with pytest.raises(InvalidInput):
        await app.admin.limits.set("default", **limit)
    assert await app.admin.limits.list() == []
