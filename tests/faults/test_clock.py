"""Workers whose wall clocks are wrong: leases, rescue and order do not care (a preloaded libfaketime)."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))

pytestmark = pytest.mark.skipif(not LIBRARIES, reason="libfaketime is not installed (Debian: faketime)")


def skewed(shift: str) -> dict[str, str]:
    """The environment of a process whose wall clock, and no other, is shifted."""
    return {"LD_PRELOAD": str(LIBRARIES[0]), "FAKETIME": shift, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


async def test_a_shifted_clock_costs_no_lease_and_starts_nothing_early(stage):
    ahead, behind, right = (
        *stage.spawn(env=skewed("+1h")),
        *stage.spawn(env=skewed("-1h")),
        *stage.spawn(),
    )
    await stage.ready()
    for process, hours in ((ahead, 1), (behind, -1)):
        stamp = time.strftime("%Y-%m-%dT%H", time.gmtime(time.time() + hours * 3600))
        await stage.eventually(
            lambda process=process, stamp=stamp: stamp in stage.log(process), "its log shows that its clock is shifted"
        )
    gate = stage.directory / "long"
    long = [await stage.enqueue("until", str(gate)) for _ in range(9)]
    asked = time.monotonic()
    delayed = await asyncio.gather(*(stage.enqueue("work", delay=3.0) for _ in range(20)))
    async with stage.load(50):
        await asyncio.sleep(1)
        assert {await job.status() for job in delayed} == {"SCHEDULED"}, "started early by a clock that is ahead"
        for job in delayed:
            await job.result(timeout=30)
        assert time.monotonic() - asked < 60, "held up by a clock that is behind"
    # all of them have run for longer than a lease
    gate.touch()
    assert [await job.result(timeout=10) for job in long] == [1] * 9
    for process in (ahead, behind, right):
        assert "leases rescued" not in stage.log(process)
        assert "worker failed" not in stage.log(process)
    report = await stage.proven()
    assert report["duplicates"] == 0


@pytest.mark.parametrize("shift", ["+1h", "-1h"])
async def test_a_rescuer_with_a_wrong_clock_rescues_in_time(stage, shift):
    """The one that is left to rescue has a wrong clock: what is alive is left alone, what is dead comes back."""
    (victim,) = stage.spawn()
    await stage.ready()
    gate = stage.directory / "gate"
    jobs = [await stage.enqueue("until", str(gate)) for _ in range(5)]
    await stage.eventually(lambda: len(stage.lines("start")) == 5, "they run")
    stage.spawn(env=skewed(shift))
    await stage.ready(2)
    await asyncio.sleep(3)  # longer than a lease
    assert len(stage.lines("start")) == 5, "a live lease was taken"
    victim.kill()
    killed = time.monotonic()
    await stage.eventually(lambda: len(stage.lines("start")) == 10, "they run again")
    # the duty passes on when its hold of 3 s ends
    assert time.monotonic() - killed < 7
    gate.touch()
    assert [await job.result(timeout=10) for job in jobs] == [2] * 5
    await stage.proven()
