"""Workers that die, pause, wedge or take their process along, alone and together with their stores."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections import Counter
from dataclasses import replace

import pytest

from tenure import JobFailed


async def held(stage, process, count: int) -> list:
    """Jobs that this worker, and no other, is running until the gate opens."""
    gate = stage.directory / f"held{process.pid}"
    jobs = [await stage.enqueue("until", str(gate)) for _ in range(count)]
    ids = {job.id for job in jobs}

    def running() -> bool:
        return Counter(line["pid"] for line in stage.lines("start") if line["job"] in ids)[process.pid] == count

    await stage.eventually(running, "the worker runs them")
    return jobs


async def test_a_killed_workers_jobs_run_again_within_lease_and_sweep(stage, measured):
    """With leases of 5 s and a sweep every second: the last of them within 8 s."""
    settings = replace(
        stage.settings, lease_seconds=5.0, heartbeat_seconds=1.5, heartbeat_ttl_seconds=5.0, rescue_seconds=1.0
    )
    (victim,) = stage.spawn(concurrency=20, settings=settings)
    await stage.ready()
    jobs = {job.id for job in await held(stage, victim, 20)}
    stage.spawn(concurrency=20, settings=settings)
    await stage.ready(2)
    victim.kill()
    killed = time.monotonic()
    # a look-out of its own, so that the time is not rounded up to a poll's
    await stage.eventually(
        lambda: sum(line["fence"] == 2 and line["job"] in jobs for line in stage.lines("start")) == 20, "rescued"
    )
    took = time.monotonic() - killed
    measured("a killed worker's last job runs again after (lease 5 s, sweep 1 s)", took)
    assert took < 8
    (stage.directory / f"held{victim.pid}").touch()
    report = await stage.proven()
    assert report["duplicates"] == 0


async def test_pause_one_kill_another_resume_the_first(stage):
    (killed,) = stage.spawn()
    await stage.ready()
    await held(stage, killed, 1)
    (paused,) = stage.spawn()
    await stage.ready(2)
    async with stage.load():
        await stage.ended(20)
        paused.send_signal(signal.SIGSTOP)
        stage.spawn()
        await asyncio.sleep(1.5)
        killed.kill()
        (stage.directory / f"held{killed.pid}").touch()
        await asyncio.sleep(1.5)
        paused.send_signal(signal.SIGCONT)
        await stage.ended(len(stage.acked))
    report = await stage.proven()
    lost = await stage.sql.fetchval(f"SELECT count(*) FROM {stage.direct.schema}.job_executions WHERE status = 'LOST'")
    assert lost > 0, "no lease was lost: this run says nothing"
    assert report["refused"] == 0


@pytest.mark.parametrize("fault", ["flush", "restart without data", "cut postgresql", "both stores away"])
async def test_a_paused_worker_comes_back_into_another_world(stage, fault):
    """Two faults at a time: what a process learned before its pause is no longer true after it."""
    paused, _ = stage.spawn(2)
    await stage.ready()
    async with stage.load():
        await stage.ended(20)
        paused.send_signal(signal.SIGSTOP)
        await asyncio.sleep(1)
        match fault:
            case "flush":
                with stage.raw() as client:
                    client.flushall()
            case "restart without data":
                stage.server.restart(keep_data=False)
            case "cut postgresql":
                stage.postgres.cut()
            case _:
                stage.postgres.refuse()
                stage.redis.refuse()
                await asyncio.sleep(0.5)
        await asyncio.sleep(2)
        paused.send_signal(signal.SIGCONT)
        await asyncio.sleep(0.5)
        stage.postgres.heal()
        stage.redis.heal()
    await stage.proven()


@pytest.mark.parametrize("how", ["SIGSEGV", "SIGABRT"])
async def test_poison_is_buried_and_its_neighbours_are_not(stage, how):
    stage.spawn(4, concurrency=2)
    await stage.ready()
    poison = await stage.enqueue("killer", how)
    async with stage.load(30):
        with pytest.raises(JobFailed, match="the worker was lost"):
            await poison.result(timeout=25)
    assert [process.poll() for process in stage.workers].count(-getattr(signal, how)) == 3
    assert (await stage.client.admin.dead_letter(poison.id)).reason == "poison"
    await stage.proven()
    letters = await stage.client.admin.dead_letters(limit=10)
    assert [letter.job_id for letter in letters] == [poison.id]


@pytest.mark.parametrize("handler", ["stubborn", "hog"])
async def test_a_wedged_worker_keeps_its_lease_and_others_do_the_work(stage, handler):
    """Its loop (or its interpreter) is held for three leases: it beats all the same, and its job is not run twice."""
    (wedged,) = stage.spawn()
    await stage.ready()
    job = await stage.enqueue(handler, 6.0)
    await stage.eventually(lambda: stage.lines("start"), "it holds the loop")
    began = time.monotonic()
    stage.spawn()
    await stage.ready(2)
    waits = []
    while time.monotonic() - began < 5.5:
        asked = time.monotonic()
        await (await stage.enqueue("work")).result(timeout=10)
        waits.append(time.monotonic() - asked)
        await asyncio.sleep(0.05)
    with stage.raw() as client:
        samples = [json.loads(client.get(key)) for key in client.keys("gap006:worker:*:heartbeat")]
    assert {sample["pid"]: sample["wedged"] for sample in samples}[wedged.pid], "its beat says so"
    # one wake-up may have gone to the wedged one: then the other one's next look of its own finds the job
    assert max(waits) < 7
    assert sorted(waits)[len(waits) // 2] < 0.5
    assert await job.result(timeout=10) == 1
    report = await stage.proven()
    assert report["duplicates"] == 0


@pytest.mark.parametrize("handler", ["stubborn", "hog"])
async def test_a_job_whose_timeout_is_long_over_leaves_a_wedged_worker(stage, handler):
    """Nobody can cancel it there; it runs elsewhere, and what the wedged one says when its loop turns again changes
    nothing.
    """
    (wedged,) = stage.spawn()
    await stage.ready()
    job = await stage.enqueue(handler, 8.0, timeout=1.0)
    await stage.eventually(lambda: stage.lines("start"), "it holds the loop")
    held = time.monotonic()
    [other] = stage.spawn()
    await stage.eventually(lambda: len(stage.lines("start")) == 2, "it runs again")
    # the timeout, a lease's time for settling it, a lease that was extended just before, the sweep
    bound = 1.0 + 2 * stage.direct.lease_seconds + stage.direct.rescue_seconds
    assert time.monotonic() - held < bound + 2.0
    assert [line["pid"] for line in stage.lines("start")] == [wedged.pid, other.pid]
    await job.cancel()
    await stage.eventually(lambda: [line for line in stage.lines("end") if line["pid"] == wedged.pid], "it ended late")
    other.kill()
    await stage.everyone_works()
    first, *_ = await job.executions()
    assert (first.fence, first.status) == (1, "LOST")
    assert await job.status() != "COMPLETED"


async def test_many_holders_of_the_maintenance_duty_do_no_harm(stage):
    """Redis forgets who has the duty all the time, so every worker promotes, rescues and reconciles at once."""
    victim, paused, _ = stage.spawn(3)
    await stage.ready()
    duty, forgotten = "gap006:{default}:duty", 0
    jobs = []
    with stage.raw() as client:
        assert client.exists(duty), client.keys()
        async with stage.load(60):
            jobs += [await stage.enqueue("work", delay=delay / 20) for delay in range(60)]
            await stage.ended(20)
            paused.send_signal(signal.SIGSTOP)
            victim.kill()
            began = time.monotonic()
            # who waits for the duty asks again when the hold it was told of would have run out: every 3 s
            while (waited := time.monotonic() - began) < 4 or (forgotten <= 3 and waited < 30):
                forgotten += client.delete(duty)
                await asyncio.sleep(0.02)
                if waited > 3:
                    paused.send_signal(signal.SIGCONT)
    assert forgotten > 3, "nobody else took the duty: this run says nothing"
    report = await stage.proven()
    assert report["refused"] == 0
