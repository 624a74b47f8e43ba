"""`tenure bench` on stores that hold other work: what it prints, refuses, and leaves behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.fix_apps import environment

if TYPE_CHECKING:
    import asyncpg
    import redis

    from tenure import Settings, Tenure

SMALL = ("--jobs", "200", "--seconds", "0.2", "--rate", "200", "--mode", "before")


def bench(settings: Settings, *arguments: str, wait: bool = True) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tenure", "bench", *arguments]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, env=environment(settings), stdout=pipe, stderr=pipe, text=True)
    if wait:
        process.wait(50)
    return process


@pytest.fixture
async def users_job(settings: Settings, app: Tenure) -> str:
    """A job of the user's, waiting."""

    @app.job()
    async def mine() -> None: ...

    async with app:
        return (await mine.enqueue()).id


async def left(connection: asyncpg.Connection, settings: Settings, table: str) -> int:
    return await connection.fetchval(f"SELECT count(*) FROM {settings.schema}.{table}")


async def test_figures_come_and_nothing_stays(settings, users_job, raw_postgres, raw_redis, prefix):
    keys = set(raw_redis.scan_iter(f"{prefix}:*"))
    process = bench(settings, "--part", "enqueue", "--part", "drain", "--part", "latency", *SMALL, "--json")
    out, err = process.communicate()
    assert process.returncode == 0, err
    found = {one["part"]: one for one in json.loads(out)}
    assert list(found) == ["enqueue", "drain", "latency"]
    assert all(
        found["enqueue"]["figures"][name] > 0
        for name in ("one_by_one", "callers_100", "bulk_1000", "unique_1000", "kept_1000")
    )
    assert found["drain"]["case"] == {"mode": "before", "jobs": 200, "processes": 1, "concurrency": 100}
    assert found["drain"]["figures"]["per_second"] > 0
    assert found["latency"]["figures"]["jobs"] == 40
    assert 0 < found["latency"]["figures"]["p50_ms"] <= found["latency"]["figures"]["p99_ms"]
    assert [await left(raw_postgres, settings, table) for table in ("jobs", "job_executions", "workers")] == [1, 0, 0]
    assert await raw_postgres.fetchval(f"SELECT status FROM {settings.schema}.jobs") == "PENDING"
    # those with a time to live may be gone meanwhile
    assert set(raw_redis.scan_iter(f"{prefix}:*")) <= keys


async def test_a_killed_run_is_cleared_away_by_name(settings, users_job, raw_postgres, raw_redis: redis.Redis, prefix):
    process = bench(settings, "--part", "drain", "--jobs", "100000", "--mode", "before", wait=False)
    give_up = time.monotonic() + 60
    query = f"SELECT queue FROM {settings.schema}.jobs WHERE queue LIKE 'tenure-bench-%' LIMIT 1"
    while (queue := await raw_postgres.fetchval(query)) is None:
        assert time.monotonic() < give_up
    process.send_signal(signal.SIGKILL)
    process.communicate()
    again = bench(settings, "--forget", queue)
    _, err = again.communicate()
    assert again.returncode == 0, err
    assert await left(raw_postgres, settings, "jobs") == 1
    assert not list(raw_redis.scan_iter(f"{prefix}:{{{queue}}}:*"))


@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGTERM])
async def test_who_ends_it_is_left_nothing(settings, users_job, raw_postgres, raw_redis, prefix, asked):
    process = bench(settings, "--part", "latency", "--seconds", "30", "--mode", "before", wait=False)
    give_up = time.monotonic() + 60
    query = f"SELECT count(*) FROM {settings.schema}.jobs WHERE queue LIKE 'tenure-bench-%' AND status = 'COMPLETED'"
    while not await raw_postgres.fetchval(query):
        assert time.monotonic() < give_up
    process.send_signal(asked)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert [await left(raw_postgres, settings, table) for table in ("jobs", "workers")] == [1, 0]
    assert not list(raw_redis.scan_iter(f"{prefix}:{{tenure-bench-*"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--part", "nothing"), "part must be one of enqueue, drain, latency, lone: 'nothing'"),
        (("--mode", "beside"), "mode must be one of before, behind: 'beside'"),
        (("--rate", "0"), "rate must be a whole number from 1 to 1000000: 0"),
        (("--jobs", "0"), "jobs must be a whole number from 1 to 4000000: 0"),
        (("--forget", "default"), "queue must be one of a benchmark, tenure-bench-…: 'default'"),
        (("--forget", "tenure-bench-x"), "queue must be a UUID: 'x'"),
    ],
)
async def test_what_cannot_be_measured_is_refused(settings, raw_postgres, arguments, message):
    process = bench(settings, *arguments)
    _, err = process.communicate()
    assert (process.returncode, os.linesep in err) == (2, True)
    assert message in err
    assert await left(raw_postgres, settings, "jobs") == 0
