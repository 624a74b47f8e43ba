"""Real worker processes, killed, stopped, continued and told to leave."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tenure import JobFailed
from tests.handlers import killer, stubborn, until, work
from tests.invariants import assert_invariants

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
async def client(settings, open_app):
    """An app with the handlers' names, to enqueue with."""
    from tenure import Tenure

    app = Tenure(settings)
    for job_type in (work, until, stubborn, killer):
        app.job(name=job_type.name, max_retries=job_type.defaults.max_retries)(job_type.handler)
    return await open_app(app)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """What handlers note down."""
    path = tmp_path / "ledger"
    path.touch()
    return path


def events(ledger: Path, event: str) -> list[dict]:
    """The lines of one kind."""
    lines = [json.loads(line) for line in ledger.read_text().splitlines()]
    return [line for line in lines if line["event"] == event]


async def test_a_killed_workers_jobs_run_again(client, spawn_worker, ledger, eventually, settings, raw_postgres):
    victim = spawn_worker("--concurrency", "5")
    jobs = [await client.enqueue("until", {"ledger": str(ledger), "path": str(ledger) + ".go"}) for _ in range(5)]
    await eventually(lambda: len(events(ledger, "start")) == 5)
    spawn_worker("--concurrency", "5")
    await eventually(lambda: workers_live(client, 2))
    victim.kill()
    killed = time.monotonic()
    await eventually(lambda: len(events(ledger, "start")) == 10, timeout=20)
    # P4: lease time and sweep, and what a busy machine adds
    bound = settings.lease_seconds + settings.rescue_seconds
    assert time.monotonic() - killed < bound + 5.0
    (ledger.parent / (ledger.name + ".go")).touch()
    assert [await job.result(timeout=10) for job in jobs] == [2] * 5
    audit = await jobs[0].executions()
    assert [(one.fence, one.attempt, one.status) for one in audit] == [(1, 1, "LOST"), (2, 2, "COMPLETED")]
    await assert_invariants(raw_postgres, settings.schema, jobs=5)


async def workers_live(client, count: int) -> bool:
    """Whether so many workers are registered."""
    return len(await client.admin.workers()) >= count


async def test_a_stopped_worker_that_goes_on_changes_nothing(
    client, spawn_worker, ledger, eventually, settings, raw_postgres
):
    """The zombie write: paused past its lease, continued after another one took the job, it completes."""
    zombie = spawn_worker("--concurrency", "1")
    job = await client.enqueue("stubborn", {"ledger": str(ledger), "seconds": 1.0})
    await eventually(lambda: len(events(ledger, "start")) == 1)
    zombie.send_signal(signal.SIGSTOP)
    spawn_worker("--concurrency", "1")
    assert await job.result(timeout=20) == 2
    zombie.send_signal(signal.SIGCONT)
    await eventually(lambda: {line["fence"] for line in events(ledger, "end")} == {1, 2}, timeout=20)
    # it takes work again: it is well, only its lease was lost
    others = [await client.enqueue("work", {"ledger": str(ledger)}) for _ in range(10)]
    for other in others:
        await other.result(timeout=10)
    assert await job.result(timeout=5) == 2
    assert [(one.fence, one.status) for one in await job.executions()] == [(1, "LOST"), (2, "COMPLETED")]
    await assert_invariants(raw_postgres, settings.schema, jobs=11)


async def test_a_job_that_kills_its_worker_is_poison(client, spawn_worker, ledger, eventually, settings, raw_postgres):
    spawn_worker("--concurrency", "2", "--processes", "2")
    poison = await client.enqueue("killer", {"ledger": str(ledger)})
    with pytest.raises(JobFailed):
        await poison.result(timeout=50)
    assert (await client.admin.dead_letter(poison.id)).reason == "poison"
    assert [one.status for one in await poison.executions()] == ["LOST"] * 3
    # its worker processes were replaced
    job = await client.enqueue("work", {"ledger": str(ledger)})
    await job.result(timeout=30)
    await assert_invariants(raw_postgres, settings.schema, jobs=2)


async def test_sigterm_drains_and_gives_the_rest_back(client, spawn_worker, ledger, eventually, settings):
    leaving = spawn_worker("--concurrency", "2", "--grace", "1")
    quick = await client.enqueue("work", {"ledger": str(ledger), "seconds": 0.6})
    long = await client.enqueue("until", {"ledger": str(ledger), "path": str(ledger) + ".go"})
    await eventually(lambda: len(events(ledger, "start")) == 2)
    leaving.terminate()
    await eventually(lambda: leaving.poll() is not None, timeout=15)
    assert leaving.returncode == 0
    assert await quick.status() == "COMPLETED"
    info = await long.info()
    assert (info.status, info.attempts) == ("PENDING", 0)
    assert await client.admin.workers() == []
    (ledger.parent / (ledger.name + ".go")).touch()
    spawn_worker()
    await long.result(timeout=15)
    audit = await long.executions()
    assert [(one.attempt, one.fence, one.status) for one in audit] == [(1, 1, "RELEASED"), (1, 2, "COMPLETED")]


async def test_a_second_signal_is_obeyed_at_once(client, spawn_worker, ledger, eventually):
    leaving = spawn_worker("--concurrency", "1", "--grace", "60")
    await client.enqueue("until", {"ledger": str(ledger), "path": str(ledger) + ".go"})
    await eventually(lambda: len(events(ledger, "start")) == 1)
    leaving.terminate()
    workers = await client.admin.workers()

    async def draining() -> bool:
        return (await client.admin.workers())[0].status == "DRAINING"

    await eventually(draining)
    assert workers
    leaving.terminate()
    await eventually(lambda: leaving.poll() is not None, timeout=5)
    assert leaving.returncode == 128 + signal.SIGTERM


async def test_a_parent_keeps_its_number_of_children(client, spawn_worker, eventually):
    parent = spawn_worker("--processes", "2")
    await eventually(lambda: workers_live(client, 2))
    first = {worker.pid for worker in await client.admin.workers()}
    os.kill(min(first), signal.SIGKILL)

    async def replaced() -> bool:
        return any(worker.pid not in first for worker in await client.admin.workers())

    await eventually(replaced, timeout=15)
    parent.terminate()
    await eventually(lambda: parent.poll() is not None, timeout=15)
    assert parent.returncode == 0
