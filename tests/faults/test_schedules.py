"""Schedules while their workers are killed, restarted and told wrong times: every moment once, none left out."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta

import pytest

from tests.faults.test_clock import LIBRARIES, skewed


async def moments(stage) -> list[datetime]:
    """The moments that were enqueued; one that was enqueued twice is there twice."""
    rows = await stage.sql.fetch(f"SELECT metadata ->> 'scheduled_at' AS at FROM {stage.direct.schema}.jobs")
    return sorted(datetime.fromisoformat(row["at"]) for row in rows)


async def reached(stage, count: int) -> None:
    """Wait until so many moments were enqueued."""

    async def there() -> bool:
        return len(await moments(stage)) >= count

    await stage.eventually(there, f"{count} moments were enqueued", 30)


@pytest.mark.parametrize("clocks", [("", "", ""), ("", "+1h", "-1h")], ids=["right clocks", "wrong clocks"])
async def test_restarts_and_wrong_clocks_fire_no_moment_twice(stage, clocks):
    if any(clocks) and not LIBRARIES:
        pytest.skip("libfaketime is not installed (Debian: faketime)")

    def start(clock: str):
        [process] = stage.spawn(env=skewed(clock) if clock else None, target="tests.ticking:app")
        return process

    running = [start(clock) for clock in clocks]
    await reached(stage, 1)
    for place, clock in enumerate(clocks):
        # whoever holds the queue's duty is among them: then another goes on when its hold of 3 s ends
        running[place].kill()
        running[place].wait()
        running[place] = start(clock)
        await reached(stage, len(await moments(stage)) + 2)
    found = await moments(stage)
    assert {later - earlier for earlier, later in itertools.pairwise(found)} == {timedelta(seconds=1)}


async def test_a_clock_of_postgresql_that_is_put_back_fires_no_moment_twice(stage):
    """Stands for it: the row is put back, so that PostgreSQL reaches the moments again that were enqueued already."""
    stage.spawn(2, target="tests.ticking:app")
    await reached(stage, 3)
    back = await stage.sql.fetchval(
        f"UPDATE {stage.direct.schema}.schedules SET next_at = next_at - interval '3 s' RETURNING next_at"
    )
    so_far = len(await moments(stage))

    async def past_it() -> bool:
        query = f"SELECT next_at FROM {stage.direct.schema}.schedules"
        return await stage.sql.fetchval(query) > back + timedelta(seconds=4)

    await stage.eventually(past_it, "the schedule went over the same moments", 30)
    await reached(stage, so_far + 1)
    found = await moments(stage)
    assert {later - earlier for earlier, later in itertools.pairwise(found)} == {timedelta(seconds=1)}
