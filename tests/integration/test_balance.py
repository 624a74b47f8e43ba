"""Who is slow, stuck or ill works less, and nobody keeps ready jobs from those who are idle."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import TYPE_CHECKING

from tests import cpu_handlers
from tests.handlers import toil

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tenure import Tenure


async def test_nothing_waits_for_a_process_while_another_worker_has_one(
    open_app, app: Tenure, tmp_path: Path, eventually, raw_postgres, migrated_schema, monkeypatch
):
    """One worker has leased a long job and eight short ones behind it; then a second one starts."""
    # On a busy machine its process takes so long to start that jobs are given back and forth meanwhile: as often as it
    # takes, for one that has been moved three times may stay behind the long one.
    monkeypatch.setattr("tenure._surplus._MOVES", 1_000)
    jobs = cpu_handlers.register(app)
    await open_app(app)
    go = tmp_path / "go"
    async with app.worker(concurrency=20, cpu_processes=1) as one:
        long = await jobs["until"].enqueue(str(go))
        await eventually((tmp_path / "go.begun").exists)
        short = [await jobs["where"].enqueue() for _ in range(8)]
        await eventually(lambda: one.running == 9)
        async with app.worker(concurrency=20, cpu_processes=1):
            results = [await job.result(timeout=20) for job in short]
            assert (await long.status()) == "PROCESSING"
            go.touch()
            mine = await long.result(timeout=20)
    assert mine not in {pid for pid, _, _ in results}
    rows = await raw_postgres.fetch(
        f"SELECT e.status, e.error, j.attempts FROM {migrated_schema}.job_executions e"
        f" JOIN {migrated_schema}.jobs j USING (job_id)"
    )
    assert {row["attempts"] for row in rows} == {1}  # what was given back has burnt no attempt
    given = [row["error"] for row in rows if row["status"] == "RELEASED"]
    assert len(given) >= 8
    assert set(given) == {"given back, other workers were idle"}


async def test_nothing_is_given_back_where_nobody_is_idle(open_app, app: Tenure, tmp_path: Path, eventually, caplog):
    jobs = cpu_handlers.register(app)
    await open_app(app)
    caplog.set_level("INFO", logger="tenure.balance")
    async with app.worker(concurrency=20, cpu_processes=1) as one:
        go = tmp_path / "go"
        long = await jobs["until"].enqueue(str(go))
        await eventually((tmp_path / "go.begun").exists)
        short = [await jobs["where"].enqueue() for _ in range(3)]
        await eventually(lambda: one.running == 4)
        looks = one._surplus
        await eventually(lambda: looks._pause > 0.5)  # it has looked, and found nobody
        go.touch()
        await asyncio.gather(*(job.result(timeout=20) for job in (long, *short)))
    assert "given back" not in caplog.text


async def test_a_slow_worker_gets_less(
    open_app, app: Tenure, spawn_worker, tmp_path: Path, eventually, monkeypatch: pytest.MonkeyPatch
):
    """Handlers hold the event loop, ten times as long in one process, which starts first and has a hundred slots."""
    work = app.job(name=toil.name)(toil.handler)
    await open_app(app)
    ledger = tmp_path / "ledger"

    def started() -> list[int]:
        return [json.loads(line)["pid"] for line in ledger.read_text().splitlines()] if ledger.exists() else []

    await app.enqueue_many([work.request(ledger=str(ledger), seconds=0.02) for _ in range(80)])
    monkeypatch.setenv("TENURE_TEST_SLOWNESS", "10")
    slow = spawn_worker("--concurrency", "100")
    await eventually(started)
    monkeypatch.delenv("TENURE_TEST_SLOWNESS")
    spawn_worker("--concurrency", "100")
    await eventually(lambda: len(started()) >= 80, timeout=30)
    worked = Counter(started())
    assert worked.total() == 80
    assert worked[slow.pid] < 40, worked


async def test_a_degraded_worker_takes_less_and_comes_back(open_app, app: Tenure, eventually):
    go = asyncio.Event()

    @app.job(max_retries=0, queue="ill")
    async def fail() -> None:
        raise RuntimeError

    @app.job(queue="ill")
    async def pass_() -> None:
        pass

    @app.job()
    async def hold() -> None:
        await go.wait()

    await open_app(app)
    async with (
        app.worker(concurrency=20, queues=["ill", "default"]) as ill,
        app.worker(concurrency=20, queues=["default"]) as well,
    ):
        for _ in range(300):
            await fail.enqueue()
        await eventually(lambda: ill.free_slots() == 4)  # a fifth
        for _ in range(24):
            await hold.enqueue()
        await eventually(lambda: (ill.running, well.running) == (4, 20))
        go.set()
        await eventually(lambda: (ill.running, well.running) == (0, 0))
        for _ in range(30):
            await asyncio.gather(*(pass_.enqueue() for _ in range(50)))
        # What has passed makes up for what has failed.
        await eventually(lambda: ill.free_slots() == 20)
