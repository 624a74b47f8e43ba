"""`tenure top`: queues and workers, again and again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group
from rich.live import Live

from tenure import Tenure, _validate
from tenure.cli._load import with_admin
from tenure.cli._output import JsonOption, console, print_json, table

if TYPE_CHECKING:
    from rich.table import Table

    from tenure.overview import Overview

_LATENCIES = ("wait p50 · p99 ms", "run p50 · p99 ms")
_MOST_LIMITS = 20
_MOST_WORKERS = 100  # shown; a terminal has no more lines


def top(
    *,
    interval: Annotated[float, typer.Option(help="Seconds between two looks.")] = 1.0,
    seconds: Annotated[float, typer.Option(help="How far back rates and latencies look.")] = 10.0,
    once: Annotated[bool, typer.Option("--once", help="Print it once.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Watch queues, workers, rates and latencies; Ctrl-C ends it. --json prints one look."""
    _validate.seconds("interval", interval, least=0.1, most=3600.0)
    if as_json:
        print_json(with_admin(lambda admin: admin.overview(seconds)))
        return
    if once:
        console().print(_shown(with_admin(lambda admin: admin.overview(seconds))))
        return
    asyncio.run(_watch(interval, seconds))


async def _watch(interval: float, seconds: float) -> None:
    async with Tenure() as app:
        with Live(_shown(await app.admin.overview(seconds)), auto_refresh=False, screen=True) as live:
            while True:
                live.update(_shown(await app.admin.overview(seconds)), refresh=True)
                await asyncio.sleep(interval)


def _shown(seen: Overview) -> Group:
    parts = [_queues(seen), _workers(seen)]
    if seen.limits:
        parts.insert(1, _limits(seen))
    if seen.unplaceable:
        parts.insert(1, _unplaceable(seen))
    return Group(*parts)


def _queues(seen: Overview) -> Table:
    depths = ("ready", "laned", "parked", "scheduled", "running", "dead")
    columns = ("queue", *depths, "workers", "begun/s", "failed %", *_LATENCIES)
    rows = [
        (
            one.queue,
            one.ready,
            one.laned,
            one.parked,
            one.scheduled,
            one.running,
            one.dead,
            one.workers,
            _round(one.per_second),
            None if one.failed is None else _round(100 * one.failed),
            _both(one.wait_p50_ms, one.wait_p99_ms),
            _both(one.run_p50_ms, one.run_p99_ms),
        )
        for one in seen.queues
    ]
    return table(f"queues, {seen.at:%H:%M:%S} UTC, the last {seen.seconds:g} s", columns, rows)


def _limits(seen: Overview) -> Table:
    rows = [(one.queue, one.limit, one.used, one.most, one.parked) for one in seen.limits[:_MOST_LIMITS]]
    return table("limits", ("queue", "limit", "used", "most", "lanes that wait"), rows)


def _unplaceable(seen: Overview) -> Table:
    rows = [(one.queue, one.requires, one.jobs, one.since) for one in seen.unplaceable]
    return table("jobs that no live worker can run", ("queue", "requires", "jobs", "since"), rows)


def _workers(seen: Overview) -> Table:
    columns = ("worker", "name", "status", "score", "running", "cpu %", "rss MB", "lag ms", "wait ms", "heard")
    rows = [
        (
            one.worker_id,
            one.name,
            one.status,
            one.score,
            None if one.running is None else f"{one.running} of {one.slots}",
            _round(one.cpu_percent),
            None if one.rss_bytes is None else round(one.rss_bytes / 1e6),
            one.lag_ms,
            one.queue_wait_ms,
            f"{one.heard:%H:%M:%S}",
        )
        for one in seen.workers[:_MOST_WORKERS]
    ]
    more = len(seen.workers) - len(rows)
    return table(f"workers: {len(seen.workers)}" + (f", {more} more than shown" if more else ""), columns, rows)


def _both(p50: float | None, p99: float | None) -> str | None:
    return None if p50 is None or p99 is None else f"{p50:.1f} · {p99:.1f}"


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
