"""A job runs where its worker offers what it requires, and nobody is asked for what nobody offers."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections import Counter

import pytest

from tenure.errors import InvalidInput
from tests.fix_apps import environment
from tests.fix_waiting import has_status


@pytest.fixture
def work(app):
    @app.job()
    async def work(number: int = 0) -> int:
        return number

    return work


async def ran_on(job) -> str | None:
    [execution] = await job.executions()
    return execution.worker_id


async def test_each_job_runs_on_a_worker_that_offers_what_it_requires(app, work, open_app):
    await open_app(app)
    kinds = {
        "gpu": work.options(requires={"gpu"}),
        "eu": work.options(requires={"region:eu"}),
        "both": work.options(requires={"region:eu", "gpu"}),
        "none": work.options(),
    }
    jobs = {name: await app.enqueue_many([kind.request() for _ in range(10)]) for name, kind in kinds.items()}
    async with (
        app.worker(capabilities={"gpu"}) as gpu,
        app.worker(capabilities=["region:eu", "gpu", "spare"]) as both,
        app.worker() as plain,
    ):
        later = await kinds["gpu"].enqueue()
        for job in (*(job for some in jobs.values() for job in some), later):
            await job.result(timeout=20)
    ids = {gpu.worker_id: "gpu", both.worker_id: "both", plain.worker_id: "plain"}
    where = {name: Counter([ids[str(await ran_on(job))] for job in some]) for name, some in jobs.items()}
    assert set(where["both"]) == {"both"}
    assert set(where["eu"]) == {"both"}
    assert set(where["gpu"]) <= {"gpu", "both"}
    assert ids[str(await ran_on(later))] in {"gpu", "both"}
    assert where["none"].total() == 10


async def test_what_running_jobs_take_up_is_never_more_than_there_is(app, open_app):
    await open_app(app)
    running = Counter()
    most = Counter()

    def take(**amounts: float) -> None:
        running.update(amounts)
        for name in running:
            most[name] = max(most[name], running[name])

    @app.job(resources={"gpu": 1, "mem": 1.5})
    async def train() -> None:
        take(gpu=1, mem=1.5)
        await asyncio.sleep(0.01)
        take(gpu=-1, mem=-1.5)

    @app.job(resources={"mem": 2})
    async def sort() -> None:
        take(mem=2)
        await asyncio.sleep(0.01)
        take(mem=-2)

    jobs = await app.enqueue_many([kind.request() for _ in range(30) for kind in (train, sort)])
    async with app.worker(concurrency=20, resources={"gpu": 2, "mem": 4}):
        for job in jobs:
            await job.result(timeout=30)
        # what was given back is there again, to the thousandth
        again = await app.enqueue_many([train.request(), train.request()])
        for job in again:
            await job.result(timeout=10)
    assert most["gpu"] == 2
    assert 2 <= most["mem"] <= 4
    assert +running == {}


async def test_what_failed_timed_out_and_was_cancelled_is_given_back(app, open_app, eventually):
    await open_app(app)
    stuck = asyncio.Event()

    @app.job(resources={"gpu": 1}, max_retries=0)
    async def end(how: str) -> str:
        if how == "raise":
            raise RuntimeError("boom")
        if how == "hang":
            await stuck.wait()
        return how

    async with app.worker(concurrency=5, resources={"gpu": 1}) as worker:
        failed = await end.enqueue("raise")
        timed_out = await end.options(timeout=0.05).enqueue("hang")
        cancelled = await end.enqueue("hang")
        for job in (failed, timed_out):
            await eventually(lambda job=job: has_status(job, "FAILED"))
        await eventually(lambda: worker.running == 1)
        await cancelled.cancel()
        assert await (await end.enqueue("well")).result(timeout=10) == "well"


async def test_jobs_that_nobody_can_run_are_reported_and_wake_nobody(
    app, work, open_app, raw_redis, prefix, settings, eventually
):
    await open_app(app)
    heard = raw_redis.pubsub(ignore_subscribe_messages=True)
    async with app.worker(capabilities={"cpu"}, resources={"gpu": 1}):
        await (await work.options(requires={"cpu"}).enqueue()).result(timeout=10)
        await eventually(lambda: raw_redis.zcard(f"{prefix}:{{default}}:idle") == 1)
        heard.psubscribe(f"{prefix}:worker:*:inbox")
        await eventually(lambda: raw_redis.pubsub_numpat() > 0)
        nobodys = work.options(requires={"tpu"}, resources={"gpu": 1})
        jobs = await app.enqueue_many([nobodys.request(number) for number in range(3)])
        too_much = await work.options(resources={"gpu": 2}).enqueue()
        await eventually(lambda: _laned(app, 4))
        seen = await app.admin.overview()
        assert {(one.queue, one.requires, one.jobs) for one in seen.unplaceable} == {
            ("default", "tpu;gpu=1", 3),
            ("default", ";gpu=2", 1),
        }
        assert all(one.since is not None for one in seen.unplaceable)
        [queue] = [one for one in seen.queues if one.queue == "default"]
        assert (queue.ready, queue.laned) == (4, 4)
        found = subprocess.run(
            [sys.executable, "-m", "tenure", "doctor", "--json"],
            env=environment(settings),
            capture_output=True,
            check=False,
        )
        told = [one for one in json.loads(found.stdout) if one["name"] == "jobs that nobody can run"]
        assert {one["level"] for one in told} == {"warn"}
        assert any("3 require tpu;gpu=1, since" in one["text"] for one in told)
        assert raw_redis.zcard(f"{prefix}:{{default}}:idle") == 1
        assert heard.get_message() is None
    async with app.worker(capabilities={"tpu"}, resources={"gpu": 2}):
        for job in (*jobs, too_much):
            await job.result(timeout=10)
    heard.close()


async def _laned(app, count: int) -> bool:
    return (await app._stores.engine.depths("default")).laned == count


async def test_a_worker_that_sleeps_is_woken_for_what_it_offers(app, work, open_app, raw_redis, prefix, eventually):
    """Of two that sleep the one that can: the other's own look may be 6 s away."""
    await open_app(app)
    idle = f"{prefix}:{{default}}:idle"
    async with app.worker(), app.worker(capabilities={"gpu"}) as gpu:
        await (await work.enqueue()).result(timeout=10)
        for number in range(5):
            await eventually(lambda: raw_redis.zcard(idle) == 2)
            job = await work.options(requires={"gpu"}).enqueue(number)
            assert await job.result(timeout=3) == number
            assert await ran_on(job) == gpu.worker_id


async def test_freed_resources_are_offered_at_once(app, open_app, eventually):
    """Nobody wakes the worker for what it could not take: it looks itself when something is given back."""
    await open_app(app)
    gates = [asyncio.Event() for _ in range(4)]

    @app.job(resources={"gpu": 1})
    async def hold(number: int) -> None:
        await gates[number].wait()

    async with app.worker(concurrency=10, resources={"gpu": 2}) as worker:
        jobs = [await hold.enqueue(number) for number in range(4)]
        await eventually(lambda: worker.running == 2)
        for number in range(4):
            gates[number].set()
            await jobs[number].result(timeout=3)


async def test_the_command_line(app, work, open_app, settings, spawn_worker, eventually):
    await open_app(app)
    spawn_worker("--capability=gpu", "--capability=region:eu", "--resource=gpu=2", "--resource=mem=0.5")
    [worker] = await eventually(app.admin.workers, timeout=30.0)
    assert (worker.capabilities, worker.resources) == (["gpu", "region:eu"], {"gpu": 2.0, "mem": 0.5})
    command = [sys.executable, "-m", "tenure", "workers"]
    shown = subprocess.run(command, env=environment(settings), capture_output=True, text=True, check=True).stdout
    assert "gpu,region:eu;gpu=2,mem=0.5" in shown
    enqueue = [sys.executable, "-m", "tenure", "job", "enqueue", "tests.handlers:app", "work", '{"ledger": "x"}']
    options = ["--tenant=acme", "--requires=tpu", "--resource=cpu=2", "--limit-key=customer:42", "--cost=2.5"]
    job_id = subprocess.run(
        [*enqueue, *options], env=environment(settings), capture_output=True, text=True, check=True
    ).stdout.strip()
    info = await app.admin.show(job_id)
    assert (info.tenant, info.requires, info.limit_key, info.cost) == ("acme", "tpu;cpu=2", "customer:42", 2.5)
    shown = subprocess.run(
        [sys.executable, "-m", "tenure", "job", "show", job_id],
        env=environment(settings),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "tpu;cpu=2" in shown


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("tenant", {"tenant": ""}),
        ("tenant", {"tenant": "-"}),
        ("tenant", {"tenant": "a|b"}),
        ("tenant", {"tenant": "a:b"}),
        ("tenant", {"tenant": "x" * 65}),
        ("tenant", {"tenant": 7}),
        ("requires", {"requires": "gpu"}),
        ("requires", {"requires": {"a b"}}),
        ("requires", {"requires": {"a|b"}}),
        ("requires", {"requires": {"a,b"}}),
        ("requires", {"requires": {"-"}}),
        ("requires", {"requires": [f"c{number}" for number in range(17)]}),
        ("requires", {"requires": 5}),
        ("resources", {"resources": ["gpu"]}),
        ("resources", {"resources": {"a:b": 1}}),
        ("resources.gpu", {"resources": {"gpu": 0}}),
        ("resources.gpu", {"resources": {"gpu": -1}}),
        ("resources.gpu", {"resources": {"gpu": 1e6 + 1}}),
        ("resources.gpu", {"resources": {"gpu": 0.0001}}),
        ("resources.gpu", {"resources": {"gpu": float("nan")}}),
        ("resources.gpu", {"resources": {"gpu": True}}),
        ("resources", {"resources": {f"r{number}": 1 for number in range(17)}}),
        ("limit_key", {"limit_key": "a b"}),
        ("limit_key", {"limit_key": "x" * 129}),
        ("cost", {"cost": 0}),
        ("cost", {"cost": 1e6 + 1}),
        ("cost", {"cost": float("inf")}),
    ],
)
async def test_what_cannot_be_a_lane_is_refused_before_anything_is_written(app, work, open_app, field, options):
    await open_app(app)
    with pytest.raises(InvalidInput) as refused:
        await work.options(**options).enqueue()
    assert refused.value.field == field
    with pytest.raises(InvalidInput):
        app.job(name="other", **options)
    assert await app.admin.list_jobs() == []


async def test_the_bounds_themselves_are_inside(app, work, open_app):
    await open_app(app)
    widest = work.options(
        tenant="t" * 64,
        requires=[f"{number:02}{'c' * 20}" for number in range(16)],
        resources={"gpu": 0.001, "mem": 1_000_000},
        limit_key="k:@/._-" + "k" * 121,
        cost=0.001,
    )
    info = await (await widest.enqueue()).info()
    assert info.requires is not None
    assert info.requires.endswith(";gpu=0.001,mem=1000000")
    assert info.cost == 0.001
    with pytest.raises(InvalidInput, match="512 characters together"):
        await work.options(requires=[f"{number:02}{'c' * 40}" for number in range(16)]).enqueue()


async def test_jobs_that_leave_no_trace_of_their_start_hold_nothing(app, open_app):
    @app.job(record="behind")
    async def quick() -> None: ...

    await open_app(app)
    for options in ({"limit_key": "k"}, {"resources": {"gpu": 1}}):
        with pytest.raises(InvalidInput, match="behind"):
            await quick.options(**options).enqueue()
    async with app.worker(capabilities={"gpu"}):
        await (await quick.options(requires={"gpu"}, tenant="acme").enqueue()).result(timeout=10)


def test_a_worker_offers_what_can_be_told(app):
    for offered in (
        {"capabilities": {"a|b"}},
        {"capabilities": "gpu"},
        {"resources": {"gpu": 0}},
        {"resources": {"a,b": 1}},
    ):
        with pytest.raises(InvalidInput):
            app.worker(**offered)
