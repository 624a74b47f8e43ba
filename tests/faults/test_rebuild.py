"""How long a queue takes to be built from PostgreSQL after Redis was lost."""

from __future__ import annotations

import time

import pytest


@pytest.mark.parametrize("jobs", [100_000, pytest.param(1_000_000, marks=pytest.mark.heavy)])
@pytest.mark.timeout(1800)
async def test_a_lost_redis_is_rebuilt_in_bounded_time(stage, measured, jobs):
    model = await stage.enqueue("work", delay=3600)
    schema, names = stage.direct.schema, "job_type, queue, payload, payload_format, priority, mode, max_retries"
    # half of them ready, half of them scheduled; the row comes from PostgreSQL's own hand, which is quick
    await stage.sql.execute(
        f"INSERT INTO {schema}.jobs (job_id, status, run_at, {names})"
        f" SELECT gen_random_uuid(), CASE WHEN n % 2 = 0 THEN 'PENDING' ELSE 'SCHEDULED' END,"
        f" CASE WHEN n % 2 = 0 THEN now() ELSE run_at END, {names}"
        f" FROM {schema}.jobs, generate_series(2, $1) AS n WHERE job_id = $2",
        jobs,
        model.id,
        timeout=300,
    )
    await stage.sql.execute(f"ANALYZE {schema}.jobs", timeout=300)
    with stage.raw() as client:
        client.flushall()
        began = time.monotonic()
        stage.client._open().rebuilder.request("default")
        # many times what it takes where nothing else runs
        await stage.eventually(lambda: client.exists("gap006:{default}:generation"), "it is built", jobs / 1_000)
        measured(f"rebuild of {jobs:,} jobs after a loss of Redis", time.monotonic() - began)
        assert client.hlen("gap006:{default}:jobs") == jobs
        assert client.zcard("gap006:{default}:scheduled-queue") == jobs // 2
        assert client.zcard("gap006:{default}:medium-priority-queue") == jobs // 2
