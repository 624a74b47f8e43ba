"""Handlers in processes: they end when they are told to, whatever they do, and take nothing else along."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import replace
from typing import TYPE_CHECKING

import psutil
import pytest

from tenure import JobCancelled, JobContext, JobFailed, Tenure
from tenure.errors import InvalidInput
from tests import cpu_handlers

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def jobs(app):
    return cpu_handlers.register(app, max_retries=1, backoff=cpu_handlers.AT_ONCE)


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def spinning(path: Path) -> int:
    """The process that spins, 0 while none does."""
    return int(path.read_text().split()[-1]) if path.exists() and path.read_text().endswith("\n") else 0


async def test_they_run_beside_each_other_and_not_here(open_app, app, jobs):
    await open_app(app)
    async with app.worker(concurrency=4, cpu_processes=2):
        made = [await jobs["where"].enqueue(0.5) for _ in range(2)]
        (one, began, ended), (other, began_too, ended_too) = [await job.result(timeout=20) for job in made]
        assert len({one, other, os.getpid()}) == 3
        assert max(began, began_too) < min(ended, ended_too)
        # and they are kept
        assert (await (await jobs["where"].enqueue()).result(timeout=20))[0] in {one, other}
        assert await (await jobs["measure"].enqueue("ab", 3)).result(timeout=20) == "ababab"
    assert await asyncio.to_thread(_all_gone, {one, other})


async def test_they_are_handed_what_their_parents_returned(open_app, app, jobs):
    await open_app(app)
    flow = app.workflow()
    last = flow.add(jobs["measure"].request(flow.add(jobs["measure"].request("ab", 2)), 2))
    done = await flow.enqueue()
    async with app.worker(cpu_processes=1):
        assert await done.result(last, 20) == "abababab"


def _all_gone(pids: set[int]) -> bool:
    psutil.wait_procs([psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)], timeout=10)
    return all(map(gone, pids))


async def test_a_timeout_kills_what_never_yields(open_app, app, jobs, tmp_path, eventually):
    await open_app(app)
    path = tmp_path / "pid"
    async with app.worker(cpu_processes=1):
        job = await jobs["spin"].options(timeout=1.0, max_retries=0).enqueue(str(path))
        with pytest.raises(JobFailed, match="timed out after 1000 ms"):
            await job.result(timeout=20)
        await eventually(lambda: gone(spinning(path)))
        # its place is free again
        assert await (await jobs["measure"].enqueue("a")).result(timeout=20) == "aa"


async def test_a_cancellation_kills_it(open_app, app, jobs, tmp_path, eventually):
    await open_app(app)
    path = tmp_path / "pid"
    async with app.worker(cpu_processes=1):
        job = await jobs["spin"].enqueue(str(path))
        await eventually(lambda: spinning(path))
        await job.cancel()
        with pytest.raises(JobCancelled):
            await job.result(timeout=20)
        await eventually(lambda: gone(spinning(path)))


async def test_a_stopping_worker_kills_and_gives_back(open_app, app, jobs, tmp_path, eventually):
    await open_app(app)
    path = tmp_path / "pid"
    worker = app.worker()
    await worker.start()
    job = await jobs["spin"].enqueue(str(path))
    await eventually(lambda: spinning(path))
    await worker.stop(0.0)
    await eventually(lambda: gone(spinning(path)))
    info = await job.info()
    assert (info.status, info.attempts) == ("PENDING", 0)


async def test_a_crash_is_a_failed_attempt_and_nothing_else(open_app, app, jobs, tmp_path):
    await open_app(app)
    async with app.worker(cpu_processes=2) as worker:
        neighbour = await jobs["where"].enqueue(1.0)
        crashed = await jobs["crash"].enqueue(str(tmp_path / "once"))
        left = await jobs["leave"].options(max_retries=0).enqueue()
        assert await crashed.result(timeout=20) == "survived"
        [first, second] = await crashed.executions()
        assert "the handler's process ended: killed by SIGSEGV" in first.error
        assert second.status == "COMPLETED"
        with pytest.raises(JobFailed, match="the handler's process ended: exit code 7"):
            await left.result(timeout=20)
        assert await neighbour.result(timeout=20)
        assert worker.running == 0


@pytest.mark.parametrize(
    ("kind", "status", "error"),
    [
        ("cancel", "CANCELLED", "not wanted"),
        ("dead", "FAILED", "no use"),
        ("retry", "SCHEDULED", "again"),
        ("snooze", "SCHEDULED", None),
        ("object", "FAILED", "result must be encodable as json"),
    ],
)
async def test_verdicts_cross(open_app, app, jobs, eventually, kind, status, error):
    await open_app(app)
    async with app.worker():
        job = await jobs["verdict"].enqueue(kind)

        async def settled():
            found = await job.executions()
            return found and found[0].status != "RUNNING" and (await job.info()).status == status

        await eventually(settled)
        [execution] = await job.executions()
        assert (execution.error is None) if error is None else (error in execution.error)


async def test_results_have_their_limit(open_app, settings):
    app = Tenure(replace(settings, max_result_bytes=1000))
    jobs = cpu_handlers.register(app)
    await open_app(app)
    async with app.worker():
        with pytest.raises(JobFailed, match="result must be at most 1000 bytes"):
            await (await jobs["verdict"].enqueue("long")).result(timeout=20)


@pytest.mark.parametrize(("what", "said"), [("a reason", "ValueError: a reason"), ("exit", "SystemExit: leaving")])
async def test_what_it_raises_is_in_the_audit_with_its_place(open_app, app, jobs, what, said):
    await open_app(app)
    async with app.worker():
        job = await jobs["explode"].options(max_retries=0).enqueue(what)
        with pytest.raises(JobFailed):
            await job.result(timeout=20)
        [execution] = await job.executions()
        assert said in execution.error
        assert "cpu_handlers.py" in execution.error


async def test_it_does_not_outlive_its_worker(settings, spawn_worker, tmp_path, eventually, open_app, app, jobs):
    """A killed worker's leases pass on: what it ran must not go on beside its successor."""
    await open_app(app)
    path = tmp_path / "pid"
    process = spawn_worker(target="tests.cpu_handlers:app")
    job = await jobs["spin"].enqueue(str(path))
    await eventually(lambda: spinning(path), timeout=20)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    await eventually(lambda: gone(spinning(path)))
    await app.admin.cancel(job.id)


def test_what_another_process_could_not_find_is_refused(app):
    def local() -> None: ...

    async def loops() -> None: ...

    def wants(context: JobContext) -> None: ...

    with pytest.raises(InvalidInput, match="handler must be a function of a module"):
        app.job(cpu=True)(local)
    with pytest.raises(InvalidInput, match="cpu must be False for an async handler"):
        app.job(cpu=True)(loops)
    with pytest.raises(InvalidInput, match="cpu must be False for a handler that takes a context"):
        app.job(cpu=True)(wants)
