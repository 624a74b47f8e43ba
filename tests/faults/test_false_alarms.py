"""Workers that live are not declared failed, however long what they send is on its way; one that dies is."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import replace

import pytest

from tests.faults.words import listen, said


@pytest.mark.parametrize(
    "seconds", [8.0, pytest.param(600.0, marks=[pytest.mark.heavy, pytest.mark.timeout(700)])], ids=["short", "whole"]
)
async def test_no_healthy_worker_is_declared_failed(stage, measured, seconds):
    """Every answer of Redis takes 200 ms to 2 s, at beats of 1 s; the TTL is out of the way."""
    chance = random.Random(0)
    settings = replace(stage.settings, heartbeat_seconds=1.0, heartbeat_ttl_seconds=60.0, lease_seconds=30.0)
    schema = stage.direct.schema
    await listen(stage)
    far = stage.spawn(3, settings=settings)
    # a fourth one is not delayed: it sees and tells at once what it takes for a death
    stage.spawn(settings=replace(settings, redis_url=stage.direct.redis_url, postgres_url=stage.direct.postgres_url))
    await stage.ready()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        stage.redis.slow(chance.uniform(0.1, 1.0))  # in each direction
        await asyncio.sleep(chance.uniform(0.0, 1.0))  # a delay that does not change is none for beats
    failed, suspected = await said(stage, "FAILED"), await said(stage, "SUSPECT")
    measured(f"{seconds:g} s of 200 ms to 2 s of delay, workers declared failed", failed.total(), "of 4")
    measured(f"{seconds:g} s of 200 ms to 2 s of delay, workers suspected", suspected.total(), "times")
    assert not failed
    assert all(process.poll() is None for process in far)
    if seconds < 60:
        return
    # and yet who dies is found out
    far[0].kill()
    began = time.monotonic()
    dead = f"SELECT status = 'FAILED' FROM {schema}.workers WHERE pid = {far[0].pid}"
    await stage.eventually(lambda: stage.sql.fetchval(dead), "the dead one is declared failed", 30)
    measured(f"after {seconds:g} s of that, a killed worker is declared failed after", time.monotonic() - began)
