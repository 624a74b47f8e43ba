"""An end is PostgreSQL's word: whoever may write to Redis can neither cancel a job nor end it."""

from __future__ import annotations

import asyncio
import logging

import pytest

from tenure import JobCancelled, Tenure
from tests.security.conftest import redis_client


async def test_a_forged_request_to_stop_is_not_believed(access, eventually, raw_postgres, migrated_schema, caplog):
    """Sent as a message and set as a mark, by users that may do either; a real one is obeyed."""
    settings = access["worker"].settings
    crew = Tenure(settings)
    going = asyncio.Event()
    started: list[int] = []

    @crew.job()
    async def wait() -> str:
        started.append(1)
        await going.wait()
        return "done"

    producer = Tenure(access["waiter"].settings)
    producer.job(name="wait")(wait.handler)
    office = Tenure(access["operator"].settings)
    async with crew, producer, office, crew.worker() as worker:
        job, other = [await producer.enqueue("wait") for _ in range(2)]
        await eventually(lambda: len(started) == 2)
        fence = await raw_postgres.fetchval(f"SELECT fence FROM {migrated_schema}.jobs WHERE job_id = $1::uuid", job.id)
        with caplog.at_level(logging.WARNING), redis_client(access["producer"].redis) as forger:
            forger.publish(f"{settings.prefix}:worker:{worker.worker_id}:inbox", f"cancel {job.id}:{fence} default")
            await eventually(lambda: caplog.text.count("nobody cancelled") == 1)
        with caplog.at_level(logging.WARNING), redis_client(access["operator"].redis) as forger:
            forger.sadd(f"{settings.prefix}:{{default}}:cancelled", f"{job.id}:{fence}")
            await eventually(lambda: caplog.text.count("nobody cancelled") >= 2)
        assert await office.admin.cancel(other.id) == "PROCESSING"
        with pytest.raises(JobCancelled):
            await other.result(10)
        going.set()
        assert await job.result(10) == "done"
