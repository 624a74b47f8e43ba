"""No more run at a time than a limit says, in the whole fleet, and it costs those that it does not limit nothing."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest

from tenure import Backoff, Cancel, Dead, Retry, Snooze, Tenure
from tests.fix_waiting import has_status
from tests.integration.limits.ledger import register
from tests.invariants import assert_invariants

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
            await eventually(lambda how=how, status=status: has_status(jobs[how], status), timeout=20.0)
        await eventually(lambda: has_status(late, "FAILED"), timeout=20.0)
        await eventually(lambda: has_status(expired, "CANCELLED"), timeout=20.0)
        hung = await end.enqueue("hang")
        await eventually(lambda: worker.running == 1)
        waiting = [await end.enqueue("well") for _ in range(3)]
        await waiting[0].cancel()
        await hung.cancel()
        for job in waiting[1:]:
            await job.result(timeout=20)
    await assert_invariants(raw_postgres, migrated_schema)


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
