"""What comes back needs no place under a limit on waiting jobs: it may exceed it, and is never lost."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Any

import pytest

from tenure import Backoff, Dead, QuotaExceeded, Retry, Snooze, Tenure
from tenure import _quota as quota
from tests import handlers
from tests.integration.test_quota import waiting
from tests.invariants import assert_invariants

if TYPE_CHECKING:
    from pathlib import Path

    from tenure.job import Job

MOST = 2
_LATER = 3600.0  # no test waits for it


@pytest.fixture(autouse=True)
def _known_at_once(monkeypatch):
    """What a test sets is known to the next enqueue."""
    monkeypatch.setattr(quota, "_FRESH", 0.0)
    monkeypatch.setattr(quota, "_STALE", 0.0)


class Returning:
    """A type whose jobs run until they are let go, and end their first run as their argument says."""

    def __init__(self, app: Tenure) -> None:
        self.go, self.runs = asyncio.Event(), dict[str, int]()
        ends = {"retry": Retry("again", delay=_LATER), "snooze": Snooze(_LATER), "dead": Dead("no use")}

        @app.job(max_retries=1, backoff=Backoff(base=_LATER, cap=_LATER, jitter="none"), record="before")
        async def returns(how: str) -> object:
            self.runs[how] = self.runs.get(how, 0) + 1
            if self.runs[how] > 1:
                return how
            await self.go.wait()
            if how == "raise":
                raise RuntimeError("boom")
            return ends.get(how, how)

        self.job_type = returns


async def full(job_type: Any) -> None:
    """No place is left."""
    with pytest.raises(QuotaExceeded):
        await job_type.enqueue("refused")


@pytest.mark.parametrize(
    ("how", "status"), [("raise", "SCHEDULED"), ("retry", "SCHEDULED"), ("snooze", "SCHEDULED"), ("stop", "PENDING")]
)
@pytest.mark.parametrize("scope", [{}, {"job_type": "returns"}, {"tenant": "*"}, {"key": "k"}], ids=str)
async def test_what_was_running_comes_back_above_the_limit(
    app, open_app, eventually, raw_postgres, migrated_schema, how, status, scope
):
    """Retried, snoozed or given back by a worker that stops, while others have taken all places."""
    returning = Returning(app)
    bound = returning.job_type.options(tenant="acme", limit_key="k")
    later = returning.job_type.options(tenant="acme", limit_key="k", delay=_LATER)
    await open_app(app)
    await app.admin.limits.set("default", queued=MOST, **scope)
    async with app.worker(concurrency=MOST) as worker:
        came_back = await app.enqueue_many([bound.request(how) for _ in range(MOST - 1)])
        await eventually(lambda: returning.runs.get(how) == MOST - 1)
        others = await app.enqueue_many([later.request("other") for _ in range(MOST)])
        await full(bound)
        if how == "stop":
            await worker.stop(grace=0.01)
        returning.go.set()
        await eventually(lambda: _all(came_back, status))
        assert await waiting(raw_postgres, migrated_schema) == 2 * MOST - 1
        await full(bound)
    await _run_all(app, [*came_back, *others], status)
    await assert_invariants(raw_postgres, migrated_schema, jobs=2 * MOST - 1)
    assert (await bound.enqueue("there is room again")).created


async def test_a_dead_letter_comes_back_above_the_limit(app, open_app, eventually, raw_postgres, migrated_schema):
    returning = Returning(app)
    returning.go.set()
    await open_app(app)
    await app.admin.limits.set("default", queued=1)
    async with app.worker():
        dead = await returning.job_type.enqueue("dead")
        await eventually(lambda: _all([dead], "FAILED"))
    other = await returning.job_type.options(delay=_LATER).enqueue("other")
    await full(returning.job_type)
    assert await app.admin.requeue_dead_letters(job_ids=[dead.id]) == 1
    assert await waiting(raw_postgres, migrated_schema) == 2
    await full(returning.job_type)
    await _run_all(app, [dead, other], "PENDING")


async def test_what_a_killed_worker_had_comes_back_above_the_limit_and_after_a_loss_of_redis(
    open_app, settings, spawn_worker, tmp_path, eventually, raw_postgres, migrated_schema, raw_redis
):
    app = Tenure(settings)
    until = app.job(name="until", backoff=Backoff(base=0.05, jitter="none"))(handlers.until.handler)
    ledger, gate = tmp_path / "ledger", tmp_path / "gate"
    ledger.touch()
    bound, soon = until.options(tenant="acme"), until.options(tenant="acme", delay=0.1)
    arguments = {"ledger": str(ledger), "path": str(gate)}
    await open_app(app)
    await app.admin.limits.set("default", tenant="acme", queued=MOST)
    worker = spawn_worker("--concurrency=5")
    held = await app.enqueue_many([bound.request(**arguments) for _ in range(MOST)])
    await eventually(lambda: _started(ledger) == MOST, timeout=30.0)
    others = await app.enqueue_many([soon.request(**arguments) for _ in range(MOST)])
    await app.admin.queues.pause("default")
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    async with app.worker(concurrency=5):  # rescues, and leases nothing of a queue that is paused
        await eventually(lambda: _all(held, "PENDING"), timeout=30.0)
        assert await waiting(raw_postgres, migrated_schema) == 2 * MOST
        raw_redis.flushall()
        with pytest.raises(QuotaExceeded):
            await bound.enqueue(**arguments)
        gate.touch()
        await app.admin.queues.resume("default")
        for job in (*held, *others):
            await job.result(timeout=30)
    await assert_invariants(raw_postgres, migrated_schema, jobs=2 * MOST)


def _started(ledger: Path) -> int:
    return ledger.read_text().count('"start"')


async def _all(jobs: list[Job], status: str) -> bool:
    return [await job.status() for job in jobs] == [status] * len(jobs)


async def _run_all(app: Tenure, jobs: list[Job], status: str) -> None:
    """Have all of them run now, however late they are due; each returns its own argument."""
    for job in jobs:
        if await job.status() == "SCHEDULED":
            assert await app.admin.retry(job.id) == "SCHEDULED"
    async with app.worker():
        for job in jobs:
            assert await job.result(timeout=20) == (await job.info()).payload["how"]
