"""The demo: a source tree, a worker killed midway, counts that agree, or an exit code that says that they do not."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import uuid
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

# Long enough to parse that a worker surely holds some midway.
TEXT = "class C:\n    def f(self): ...\n" * 4_000
BROKEN = {(0, 3), (1, 1), (2, 19)}
DEMO = [sys.executable, "-m", "tenure", "demo", "--json", "--path"]


@pytest.fixture
def tree(tmp_path) -> Path:
    """60 files in three packages; three of them do not parse."""
    for package in range(3):
        (tmp_path / f"package{package}").mkdir()
        for number in range(20):
            text = "def broken(:\n" if (package, number) in BROKEN else TEXT
            (tmp_path / f"package{package}" / f"m{number}.py").write_text(text)
    return tmp_path


@pytest.fixture
def environ(postgres_url, redis_url) -> dict[str, str]:
    """Where the stores are; the demo's schema is its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TENURE_")}
    return {**kept, "TENURE_POSTGRES_URL": postgres_url, "TENURE_REDIS_URL": redis_url}


async def start(arguments, environ):
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(*arguments, env=environ, stdout=pipe, stderr=pipe)


async def run(arguments, environ):
    process = await start(arguments, environ)
    out, err = await process.communicate()
    return process.returncode, out, err.decode()


async def test_the_counts_agree_through_a_kill(tree, environ, raw_postgres, raw_redis):
    code, out, err = await run([*DEMO, str(tree)], environ)
    assert code == 0, err
    summary = json.loads(out)
    found, report = summary["figures"], summary["report"]
    assert summary["disagreements"] == []
    assert (summary["files"], summary["packages"]) == (60, 3)
    assert summary["enqueued"] == found["jobs"] == 60 + 3 + 1 + summary["probes"]
    assert found["failed"] == found["dead_letters"] == 3
    assert found["completed"] == summary["enqueued"] - 3
    assert found["retries"] >= 3 * 2 - found["rescued"]
    assert found["rescued"] > 0
    assert found["duplicates"] == found["unfinished"] == found["misaudited"] == found["wrongly_dead"] == 0
    assert 0 < found["pickup_p50_ms"] <= found["pickup_p99_ms"]
    assert report["packages"] == 3
    assert report["files"] == 57
    assert report["without_result"] == 3
    assert report["functions"] == report["classes"] == 57 * 4_000
    assert f"killed worker process {summary['killed']} (SIGKILL)" in err
    assert "their leases ran out" in err
    # No job stays behind, only what says that the queue is built, who looked after it and who was idle last, and for an
    # hour how the killed worker fared.
    assert not await raw_postgres.fetchval("SELECT to_regnamespace('tenure_demo') IS NOT NULL")
    left = {key.decode().rpartition(":")[2] for key in raw_redis.scan_iter("tenure-demo:*", 1000)}
    assert left <= {"generation", "duty", "idle", "heartbeat", "samples", "roster", "registry"}


async def test_a_tampered_count_is_named_and_exits_with_1(tree, environ, raw_postgres, eventually):
    process = await start([*DEMO, str(tree)], environ)

    async def tampered():
        if not await raw_postgres.fetchval("SELECT to_regclass('tenure_demo.jobs') IS NOT NULL"):
            return False
        # A job that nobody enqueued, and that completed without an attempt.
        return await raw_postgres.fetchval(
            "INSERT INTO tenure_demo.jobs (job_id, job_type, status, completed_at)"
            " SELECT $1, 'parse_file', 'COMPLETED', now() FROM tenure_demo.jobs LIMIT 1 RETURNING true",
            uuid.uuid4(),
        )

    await eventually(tampered, 20.0)
    out, err = await process.communicate()
    assert process.returncode == 1, err
    summary = json.loads(out)
    enqueued = summary["enqueued"]
    assert summary["disagreements"] == [
        f"jobs: {enqueued + 1}, expected {enqueued}",
        f"completed and failed jobs: {enqueued + 1}, expected {enqueued}",
        "jobs whose attempts are not one row a fence: 1, expected 0",
    ]
    assert b"the counts disagree, jobs: " in err


async def test_a_second_demo_at_the_same_time_is_refused(tree, environ, raw_postgres):
    assert await raw_postgres.fetchval("SELECT pg_try_advisory_lock(hashtextextended('tenure_demo', 0))")
    code, out, err = await run([*DEMO, str(tree)], environ)
    assert (code, out) == (2, b"")
    assert "error: another demo runs on this database, in schema: tenure_demo" in err


async def test_a_path_that_is_none_is_refused(tmp_path, environ):
    code, out, err = await run([*DEMO, str(tmp_path / "nowhere")], environ)
    assert (code, out) == (2, b"")
    assert "error: path must be a directory: " in err
