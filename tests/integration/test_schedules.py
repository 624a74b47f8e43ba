"""Recurring jobs: each moment once, whoever is there, and not while they are paused."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import pytest

from tenure import Tenure
from tenure.errors import ScheduleNotFound

NEVER = "0 0 29 2 *"


def program(settings, cron, **options):
    """A program with one schedule; its job keeps the moments it was run for."""
    app = Tenure(settings)
    ran: list[int] = []

    @app.job()
    async def tidy(days: int) -> int:
        ran.append(days)
        return days

    app.schedule("nightly", cron, tidy.request(days=3), **options)
    return app, ran


@pytest.fixture
def jobs(raw_postgres, migrated_schema):
    """The moments of the jobs there are, or None for a trigger."""

    async def moments() -> list[str | None]:
        rows = await raw_postgres.fetch(
            f"SELECT metadata ->> 'scheduled_at' AS at FROM {migrated_schema}.jobs ORDER BY job_id"
        )
        return [row["at"] for row in rows]

    return moments


@pytest.fixture
def set_back(raw_postgres, migrated_schema):
    """Put the next moment of the schedule so far into the past."""

    async def change(**by) -> datetime:
        change = f"UPDATE {migrated_schema}.schedules SET next_at = date_trunc('minute', now()) - $1::interval"
        return await raw_postgres.fetchval(f"{change} RETURNING next_at", timedelta(**by))

    return change


async def test_each_second_once_on_two_programs(settings, eventually, jobs):
    """Both declare it and one looks; each moment makes one job, late on a busy machine, but none is left out."""
    (first, ran), (second, also) = (program(settings, "* * * * * *", missed="all") for _ in range(2))
    async with first, second, first.worker(), second.worker():
        await eventually(lambda: len(ran) + len(also) >= 3)
        info = (await first.admin.schedules.list())[0]
    moments = await jobs()
    assert len(moments) == len(set(moments)) >= 3
    times = sorted(datetime.fromisoformat(moment) for moment in moments)
    assert {later - earlier for earlier, later in itertools.pairwise(times)} == {timedelta(seconds=1)}
    assert set(ran + also) == {3}
    assert info.next_at > info.last_at


async def test_many_at_once_enqueue_a_moment_once(settings, set_back, jobs):
    """The row's lock lets one through, whoever thinks that it holds the duty."""
    app, _ = program(settings, NEVER)
    async with app, AsyncExitStack() as stack:
        workers = [app.worker() for _ in range(8)]
        for worker in workers[:1]:
            await worker._recurring.declare()
        await set_back(minutes=0)
        for worker in workers:
            stack.callback(worker._end)
        await asyncio.gather(*(worker._recurring.run("default") for worker in workers))
        assert len(await jobs()) == 1
        # The clock is put back, or a backup played in: the moment comes again, its job does not.
        await set_back(minutes=0)
        await asyncio.gather(*(worker._recurring.run("default") for worker in workers))
        assert len(await jobs()) == 1


@pytest.mark.parametrize(("missed", "count"), [("one", 1), ("all", 11), ("skip", 1)])
async def test_an_outage(settings, raw_postgres, migrated_schema, set_back, jobs, missed, count):
    """Ten minutes without a worker; the eleventh moment is a few seconds old, which is not missed."""
    app, _ = program(settings, "* * * * *", missed=missed)
    async with app:
        worker = app.worker()
        await worker._recurring.declare()
        first = await set_back(minutes=10)
        assert await worker._recurring.run("default") == 0.0
        moments = [datetime.fromisoformat(moment) for moment in await jobs()]
        # at the turn of a minute there is one more
        assert len(moments) in (count, count + (missed == "all"))
        assert moments[-1] >= first + timedelta(minutes=10)
        next_at = await raw_postgres.fetchval(f"SELECT next_at FROM {migrated_schema}.schedules")
        assert moments[-1] < next_at <= datetime.now(UTC) + timedelta(minutes=1)
        worker._end()


async def test_long_missed_moments_are_skipped(settings, raw_postgres, migrated_schema, jobs):
    app, _ = program(settings, "0 3 * * *", missed="skip")
    async with app:
        worker = app.worker()
        await worker._recurring.declare()
        hour = datetime.now(UTC).replace(hour=3, minute=0, second=0, microsecond=0) - timedelta(days=3)
        await raw_postgres.execute(f"UPDATE {migrated_schema}.schedules SET next_at = $1", hour)
        now = datetime.now(UTC)
        await worker._recurring.run("default")
        last = now.replace(hour=3, minute=0, second=0, microsecond=0)
        if not timedelta(0) <= now - last <= timedelta(minutes=2):
            assert await jobs() == []
        worker._end()


async def test_paused_triggered_resumed_removed(settings, eventually, set_back, jobs):
    app, ran = program(settings, NEVER)
    async with app:
        with pytest.raises(ScheduleNotFound, match="nightly"):
            await app.admin.schedules.pause("nightly")
        async with app.worker():
            schedules = app.admin.schedules
            await schedules.pause("nightly")
            await set_back(minutes=5)
            await schedules.trigger("nightly")
            await eventually(lambda: ran == [3])
            assert await jobs() == [None]
            assert (await schedules.list())[0].paused
        async with app.worker():  # a restart changes nothing
            assert (await schedules.list())[0].paused
            assert (await schedules.resume("nightly")) > datetime.now(UTC) + timedelta(days=1)
            assert not (await schedules.list())[0].paused
        await schedules.remove("nightly")
        assert await schedules.list() == []
    assert await jobs() == [None]


async def test_a_changed_expression_begins_anew_and_an_unchanged_one_goes_on(settings, set_back):
    app, _ = program(settings, NEVER)
    async with app:
        worker = app.worker()
        await worker._recurring.declare()
        before = await set_back(minutes=-60)
        await worker._recurring.declare()
        assert [one.next_at for one in await app.admin.schedules.list()] == [before]
        changed, _ = program(settings, "0 0 1 1 *")
        async with changed:
            other = changed.worker()
            await other._recurring.declare()
            [info] = await app.admin.schedules.list()
            other._end()
        assert (info.cron, info.next_at.day, info.next_at.month) == ("0 0 1 1 *", 1, 1)
        worker._end()
