"""Unique for a time: keys that are held, calls that are debounced, windows with one job."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from tenure import Unique


async def test_hold_keeps_the_key_after_the_end(open_app, app, sync, raw_postgres, migrated_schema):
    await open_app(app)
    unique = Unique(key="k", hold=timedelta(hours=1))
    async with app.worker():
        first = await sync.options(unique=unique).enqueue("a")
        await first.result(timeout=5)
        assert (await sync.options(unique=unique).enqueue("a")).id == first.id
        await raw_postgres.execute(f"UPDATE {migrated_schema}.jobs SET completed_at = now() - interval '61 minutes'")
        calls = await asyncio.gather(*(sync.options(unique=unique).enqueue("a") for _ in range(20)))
        assert len({job.id for job in calls} - {first.id}) == 1
        assert sum(job.created for job in calls) == 1


async def test_debounce_runs_the_last_call_and_not_later_than_its_bound(open_app, app, sync, ran):
    await open_app(app)
    quiet = sync.options(unique=Unique.debounce(1.0, arguments=("user",)))
    bounded = sync.options(unique=Unique.debounce(3600, at_most=2.0, arguments=("user",)))
    async with app.worker():
        # so few that they are made within the times, however busy the machine is
        jobs = [await quiet.enqueue("quiet", page) for page in range(8)]
        again = [await bounded.enqueue("bounded", page) for page in range(4)]
        assert (await jobs[-1].result(timeout=20), await again[-1].result(timeout=20)) == (7, 3)
    assert len({job.id for job in jobs}) == len({job.id for job in again}) == 1
    assert sorted(ran) == [("bounded", 3), ("quiet", 7)]


async def test_throttle_makes_one_job_per_window(open_app, app, sync, raw_postgres, migrated_schema):
    await open_app(app)
    window = 10 * 366 * 86_400.0 / 2
    drop = sync.options(unique=Unique.throttle(window, arguments=("user",)))
    async with app.worker():
        first = await drop.enqueue("a")
        await first.result(timeout=5)
        assert (await drop.enqueue("a", 2)).id == first.id
        later = sync.options(unique=Unique.throttle(window, rest="later", arguments=("user",)))
        now = await later.enqueue("b")
        jobs = await asyncio.gather(*(later.enqueue("b", page) for page in range(10)))
        assert len({job.id for job in jobs}) == 1
        assert sum(job.created for job in jobs) == 1
        info = await jobs[0].info()
        assert (info.status, jobs[0].id != now.id) == ("SCHEDULED", True)
        assert info.run_at.timestamp() % window == pytest.approx(0, abs=0.01)
