"""The run itself: enqueue, work with four processes, kill one midway, compare the counts."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tenure._database import Database, connect, run_statement
from tenure._embedded import EmbeddedStores
from tenure._engine import Histogram, new_ids
from tenure._migrate import up
from tenure.demo.source import packages_of, priority_of
from tenure.errors import TenureError
from tenure.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tenure.app import Tenure
    from tenure.job import Job
    from tenure.job_type import JobRequest

SCHEMA: Final = "tenure_demo"
_CONCURRENCY: Final = 4
_PROBE_EVERY: Final = 0.05
_LOOK: Final = 0.25
_LONGEST: Final = 600.0


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far the demo is."""

    done: int
    total: int
    killed: int | None
    seconds: float


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What PostgreSQL says the demo came to; `disagreements` is empty where that is what was enqueued."""

    enqueued: int
    jobs: int
    completed: int
    failed: int
    unfinished: int
    dead_letters: int
    retries: int
    rescued: int
    duplicates: int
    seconds: float
    jobs_per_second: float
    pickup_p50_ms: float
    pickup_p99_ms: float
    report: Any
    disagreements: list[str]


async def run_demo(path: Path, *, workers: int, keep: bool, show: Callable[[Progress], None]) -> Summary:
    """Run the demo on the Python files under `path`; its schema and keys are its own, and dropped unless `keep`."""
    packages = packages_of(path)
    settings = Settings.from_env(
        schema=SCHEMA,
        prefix=f"demo-{new_ids(1)[0][-8:]}",
        lease_seconds=3.0,
        heartbeat_seconds=0.5,
        heartbeat_ttl_seconds=5.0,
    )
    async with AsyncExitStack() as undo:
        postgres_url, redis_url = settings.postgres_url, settings.redis_url
        if postgres_url is None or redis_url is None:
            embedded = EmbeddedStores(settings)
            own_postgres, own_redis = await embedded.start()
            undo.push_async_callback(embedded.stop)
            postgres_url, redis_url = postgres_url or own_postgres, redis_url or own_redis
        await _drop(postgres_url)
        await up(postgres_url, SCHEMA)
        if not keep:
            undo.push_async_callback(_drop, postgres_url)
        # Both this process and the workers read the same variables; the handlers' module makes its app of them.
        os.environ.update(
            TENURE_POSTGRES_URL=postgres_url,
            TENURE_REDIS_URL=redis_url,
            TENURE_SCHEMA=SCHEMA,
            TENURE_PREFIX=settings.prefix,
            TENURE_LEASE_SECONDS="3",
            TENURE_HEARTBEAT_SECONDS="0.5",
            TENURE_HEARTBEAT_TTL_SECONDS="5",
        )
        from tenure.demo.jobs import app  # noqa: PLC0415 - after the variables it reads

        await undo.enter_async_context(app)
        fleet = [_spawn() for _ in range(workers)]
        undo.callback(_stop, fleet)
        began = time.monotonic()
        jobs = await app.enqueue_many(_requests(packages))
        probes = await _watch(app, jobs, fleet, began, show)
        seconds = time.monotonic() - began
        report = await _report(jobs[-1])
        database = Database(postgres_url, schema=SCHEMA, max_connections=1)
        await database.open()
        undo.push_async_callback(database.close)
        return await _summary(database, len(jobs) + probes, seconds, report)


def _requests(packages: dict[str, list[Path]]) -> list[JobRequest]:
    """Every job of the demo; the report is the last one."""
    from tenure.demo.jobs import parse_file, report, summarise_package  # noqa: PLC0415 - see run_demo

    requests: list[JobRequest] = []
    package_ids = new_ids(len(packages))
    for package_id, (package, files) in zip(package_ids, packages.items(), strict=True):
        file_ids = new_ids(len(files))
        requests += [
            parse_file.options(job_id=file_id, priority=priority_of(file)).request(str(file))
            for file_id, file in zip(file_ids, files, strict=True)
        ]
        # A file that does not parse ends among the dead letters; its package is summarised all the same.
        waits = summarise_package.options(job_id=package_id, depends_on=file_ids, on_failure="run")
        requests.append(waits.request(package, file_ids))
    requests.append(report.options(depends_on=package_ids).request(package_ids))
    return requests


async def _watch(
    app: Tenure, jobs: list[Job], fleet: list[subprocess.Popen[bytes]], began: float, show: Callable[[Progress], None]
) -> int:
    """Show how far it is, probe, and kill a worker midway, until the report has ended; how many probes were sent."""
    probes: list[Job] = []
    probing = asyncio.create_task(_probe(app, probes))
    killed: int | None = None
    done = 0
    try:
        while done < len(jobs):
            await asyncio.sleep(_LOOK)
            queues = await app.admin.stats()
            counts = queues[0].jobs if queues else {}
            done = counts.get("COMPLETED", 0) + counts.get("FAILED", 0) + counts.get("CANCELLED", 0)
            if killed is None and done >= len(jobs) // 2:
                killed = fleet[0].pid
                fleet[0].send_signal(signal.SIGKILL)
            seconds = time.monotonic() - began
            show(Progress(done=min(done, len(jobs)), total=len(jobs), killed=killed, seconds=seconds))
            if seconds > _LONGEST:
                break
            if (await jobs[-1].info()).completed_at is not None:
                break
    finally:
        probing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await probing
    await _settled(app, len(jobs) + len(probes))
    return len(probes)


async def _probe(app: Tenure, sent: list[Job]) -> None:
    while True:
        # Shielded: a probe that is committed is counted, whenever this task is cancelled.
        sending = asyncio.ensure_future(app.enqueue("probe"))
        sending.add_done_callback(lambda done: sent.append(done.result()))
        await asyncio.shield(sending)
        await asyncio.sleep(_PROBE_EVERY)


async def _settled(app: Tenure, expected: int) -> None:
    """Wait until every job has ended."""
    give_up = time.monotonic() + 60.0
    while time.monotonic() < give_up:
        counts = (await app.admin.stats())[0].jobs
        if counts["COMPLETED"] + counts["FAILED"] + counts["CANCELLED"] >= expected:
            return
        await asyncio.sleep(_LOOK)


async def _report(job: Job) -> Any:
    try:
        return await job.result(timeout=10.0)
    except TenureError as error:
        return {"error": str(error)}


async def _summary(database: Database, enqueued: int, seconds: float, report: Any) -> Summary:
    found = dict((await database.fetch("demo_figures"))[0])
    pickups = Histogram()
    for row in await database.fetch("demo_pickups"):
        pickups.record(row["seconds"])
    disagreements = []
    for what, count, expected in (
        ("jobs", found["jobs"], enqueued),
        ("completed and failed", found["completed"] + found["failed"], enqueued),
        ("unfinished", found["unfinished"], 0),
        ("dead letters", found["dead_letters"], found["failed"]),
        ("duplicates", found["duplicates"], 0),
        ("without a result in the report", report.get("without_result", -1), found["failed"]),
    ):
        if count != expected:
            disagreements.append(f"{what}: expected {expected}, found {count}")
    return Summary(
        enqueued=enqueued,
        **found,
        seconds=round(seconds, 2),
        jobs_per_second=round(enqueued / seconds, 1),
        pickup_p50_ms=round(pickups.percentile(50) * 1000, 2),
        pickup_p99_ms=round(pickups.percentile(99) * 1000, 2),
        report=report,
        disagreements=disagreements,
    )


def _spawn() -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tenure", "worker", "tenure.demo.jobs:app", "--concurrency", str(_CONCURRENCY)]
    return subprocess.Popen([*command, "--log-level", "error"], start_new_session=True)  # noqa: S603 - an argument list of our own


def _stop(fleet: list[subprocess.Popen[bytes]]) -> None:
    for process in fleet:
        if process.poll() is None:
            process.terminate()
    for process in fleet:
        try:
            process.wait(15.0)
        except subprocess.TimeoutExpired:
            process.kill()


async def _drop(url: str) -> None:
    connection = await connect(url, schema=SCHEMA)
    try:
        await run_statement(connection, "demo_drop", SCHEMA)
    finally:
        await connection.close()
