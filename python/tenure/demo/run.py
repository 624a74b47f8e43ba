"""The run itself: enqueue, work with some processes, kill one midway, compare the counts."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tenure._engine import new_ids
from tenure.demo import stage
from tenure.demo.figures import Figures, disagreements, read_figures
from tenure.demo.fleet import Fleet
from tenure.demo.source import packages_of, priority_of
from tenure.errors import TenureError
from tenure.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tenure._database import Database
    from tenure.app import Tenure
    from tenure.job import Job
    from tenure.job_type import JobRequest

_PROBE_EVERY: Final = 0.05
_LOOK: Final = 0.1
_STALLED: Final = 90.0  # seconds without the end of any job after which the demo gives up; a handler may take 60


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far the demo is; `held` is how many jobs the killed worker had under way."""

    done: int
    total: int
    retries: int
    rescued: int
    killed: int | None
    held: int
    seconds: float


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What the demo came to; `disagreements` is empty where PostgreSQL's counts are what was enqueued."""

    enqueued: int
    files: int
    packages: int
    probes: int
    killed: int | None
    seconds: float
    jobs_per_second: float
    figures: Figures
    report: dict[str, Any]
    disagreements: list[str]


async def run_demo(path: Path, *, workers: int, keep: bool, show: Callable[[Progress], None]) -> Summary:
    """Run the demo on the Python files under `path`; its schema is its own, and dropped at the end unless `keep`."""
    packages = packages_of(path)
    async with AsyncExitStack() as undo:
        postgres_url, redis_url = await undo.enter_async_context(stage.stores(Settings.from_env()))
        database = await undo.enter_async_context(stage.schema(postgres_url, keep=keep))
        variables = stage.variables(postgres_url, redis_url)
        # The handlers' module makes its app of the environment, here as in the workers.
        os.environ.update(variables)
        from tenure.demo.jobs import app, parse_file  # noqa: PLC0415 - after the variables it reads

        await undo.enter_async_context(app)
        if not keep:
            undo.push_async_callback(app.admin.purge_dead_letters)  # their entries in Redis
        fleet = Fleet(workers, variables)
        undo.push_async_callback(fleet.stop)
        began = time.monotonic()
        jobs = await app.enqueue_many(_requests(packages))
        probes = await _watch(app, database, len(jobs), fleet, show)
        seconds = time.monotonic() - began
        report = await _report(jobs[-1])
        found = await read_figures(database, app.admin, parse_file)
        files = sum(map(len, packages.values()))
        enqueued = len(jobs) + probes
        return Summary(
            enqueued=enqueued,
            files=files,
            packages=len(packages),
            probes=probes,
            killed=fleet.killed.pid if fleet.killed else None,
            seconds=round(seconds, 2),
            jobs_per_second=round(enqueued / seconds, 1),
            figures=found,
            report=report,
            disagreements=disagreements(found, report, enqueued=enqueued, files=files),
        )


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
    requests.append(report.options(depends_on=package_ids, on_failure="run").request(package_ids))
    return requests


async def _watch(app: Tenure, database: Database, total: int, fleet: Fleet, show: Callable[[Progress], None]) -> int:
    """Show how far it is, probe, and kill a worker midway, until every job has ended; how many probes were sent."""
    began = moved = time.monotonic()
    sent: list[asyncio.Future[Job]] = []
    probing: asyncio.Task[None] | None = None
    done = 0
    try:
        while done < total:
            await asyncio.sleep(_LOOK)
            row = (await database.fetch("demo_progress"))[0]
            show(_progress(row, total, fleet, began))
            fleet.check()
            if row["done"] > done:
                done, moved = row["done"], time.monotonic()
            if time.monotonic() - moved > _STALLED:
                break  # the counts will say what is missing
            if probing is None and done and not row["urgent"]:
                # Not before: a probe would measure the small files that were enqueued ahead of it.
                probing = asyncio.create_task(_probe(app, sent))
            if fleet.killed is None and total // 3 <= done < total:
                await fleet.kill_one(database)
    finally:
        if probing is not None:
            probing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await probing
    await asyncio.gather(*sent)
    await _all_ended(database)
    return len(sent)


def _progress(row: Any, total: int, fleet: Fleet, began: float) -> Progress:
    pid, held = fleet.killed or (None, 0)
    return Progress(
        done=min(row["done"], total),
        total=total,
        retries=row["retries"],
        rescued=row["rescued"],
        killed=pid,
        held=held,
        seconds=time.monotonic() - began,
    )


async def _probe(app: Tenure, sent: list[asyncio.Future[Job]]) -> None:
    """Enqueue urgent jobs at a steady pace, whether or not the ones before have been picked up."""
    while True:
        # Shielded: a probe that may be committed is counted, whenever this task is cancelled.
        sent.append(asyncio.ensure_future(app.enqueue("probe")))
        await asyncio.shield(sent[-1])
        await asyncio.sleep(_PROBE_EVERY)


async def _all_ended(database: Database) -> None:
    """The last probes need a moment more."""
    give_up = time.monotonic() + 10.0
    while (await database.fetch("demo_progress"))[0]["unfinished"]:
        if time.monotonic() > give_up:
            return  # the counts will say so
        await asyncio.sleep(_LOOK)


async def _report(job: Job) -> dict[str, Any]:
    try:
        return dict(await job.result(timeout=1.0))
    except TenureError as error:
        return {"error": str(error)}
