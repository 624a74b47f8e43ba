"""`tenure worker`: one process, or a small parent that keeps several alive."""

from __future__ import annotations

import asyncio
import functools
import gc
import os
import sys
from typing import Annotated, Any

import typer

from tenure import _validate
from tenure.cli._load import load_app
from tenure.cli._logs import set_up_logs
from tenure.cli._output import amounts
from tenure.cli._work import work
from tenure.errors import InvalidInput
from tenure.supervisor.group import MOST, Group
from tenure.supervisor.pulse import PARENT_VARIABLE, RESTART, Pulse
from tenure.supervisor.run import keep_alive
from tenure.supervisor.supervisor import Supervisor


def worker(
    target: Annotated[str, typer.Argument(metavar="MODULE:APP", help="Where the handlers are registered.")],
    *,
    queue: Annotated[list[str] | None, typer.Option(help="May be repeated. Defaults to the handlers' queues.")] = None,
    concurrency: Annotated[int, typer.Option(help="The most jobs at a time, per worker.")] = 10,
    processes: Annotated[int, typer.Option(help="How many worker processes.")] = 1,
    workers: Annotated[int, typer.Option(help="How many workers, per process.")] = 1,
    cpu_processes: Annotated[
        int | None, typer.Option(help="For cpu handlers, per worker. Defaults to the cores, at most concurrency.")
    ] = None,
    capability: Annotated[
        list[str] | None, typer.Option(help="What it offers to jobs that ask for it. May be repeated.")
    ] = None,
    resource: Annotated[
        list[str] | None, typer.Option(help="NAME=AMOUNT, what it has for jobs that take it up. May be repeated.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Shown in the registry. Defaults to host and process.")] = None,
    worker_type: Annotated[str, typer.Option("--type", help="Of what kind it is, for the registry.")] = "default",
    label: Annotated[list[str] | None, typer.Option(help="NAME=TEXT, for the registry. May be repeated.")] = None,
    grace: Annotated[float | None, typer.Option(help="Seconds that running jobs are given at the end.")] = None,
    wedged_seconds: Annotated[
        float, typer.Option(help="With --processes: a process whose event loop stands still for so long is killed.")
    ] = 60.0,
    check: Annotated[bool, typer.Option("--check", help="Only say whether it could be started.")] = False,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
    log_format: Annotated[str, typer.Option(help="text or json.")] = "text",
) -> None:
    """Work. SIGTERM or SIGINT ends it gracefully, a second one at once."""
    # Not for the processes that handlers start.
    parent, pulse = int(os.environ.pop(PARENT_VARIABLE, "0")), Pulse()
    set_up_logs(log_level, log_format)
    _validate.whole("processes", processes, 1, MOST)
    labels = _labels(label or [])
    resources = amounts(resource or [])
    # The parent imports it too: what is wrong with it is told once, not by every process again and again.
    app = load_app(target)
    group = Group(
        name="worker",
        app=target,
        processes=processes,
        workers_per_process=workers,
        queues=tuple(queue or ()),
        concurrency=concurrency,
        cpu_processes=cpu_processes,
        capabilities=tuple(capability or ()),
        resources=resources,
        labels=labels,
        type=worker_type,
        worker_name=name,
        grace_seconds=grace,
        wedged_seconds=wedged_seconds,
        log_level=log_level,
        log_format=log_format,
    )
    if check:
        return
    if processes > 1:
        raise typer.Exit(asyncio.run(keep_alive(Supervisor([group]))))
    # What was imported lives as long as the process: the collector need not look at it again.
    gc.collect()
    gc.freeze()
    make = functools.partial(
        app.worker,
        queues=queue,
        concurrency=concurrency,
        cpu_processes=cpu_processes,
        name=name,
        worker_type=worker_type,
        labels=labels,
        capabilities=group.capabilities,
        resources=resources,
    )
    grace = app.settings.grace_seconds if grace is None else grace
    if _runner()(work(app, [make] * workers, grace, parent, pulse)):
        raise typer.Exit(RESTART)


def _runner() -> Any:
    if sys.platform == "win32":
        return asyncio.run
    import uvloop  # noqa: PLC0415 - not on Windows

    return uvloop.run


def _labels(given: list[str]) -> dict[str, str]:
    """Labels as they were given, NAME=TEXT."""
    for one in given:
        if "=" not in one:
            raise InvalidInput("label", "NAME=TEXT", one)
    return _validate.labels(dict(one.split("=", 1) for one in given))
