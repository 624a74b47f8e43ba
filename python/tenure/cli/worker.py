"""`tenure worker`: one process, or a small parent that keeps several alive."""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
import os
import signal
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tenure import _validate
from tenure.cli._load import load_app
from tenure.cli._logs import set_up_logs
from tenure.cli._output import amounts
from tenure.cli._parent import PARENT_VARIABLE, RESTART, Parent
from tenure.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenure.app import Tenure
    from tenure.worker import Worker

logger = logging.getLogger("tenure.cli")

_LOOK_FOR_PARENT = 1.0


def worker(
    target: Annotated[str, typer.Argument(metavar="MODULE:APP", help="Where the handlers are registered.")],
    *,
    queue: Annotated[list[str] | None, typer.Option(help="May be repeated. Defaults to the handlers' queues.")] = None,
    concurrency: Annotated[int, typer.Option(help="The most jobs at a time, per process.")] = 10,
    processes: Annotated[int, typer.Option(help="How many worker processes.")] = 1,
    cpu_processes: Annotated[
        int | None, typer.Option(help="For cpu handlers, per process. Defaults to the cores, at most concurrency.")
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
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
    log_format: Annotated[str, typer.Option(help="text or json.")] = "text",
) -> None:
    """Work. SIGTERM or SIGINT ends it gracefully, a second one at once."""
    # Not for the processes that handlers start.
    parent = int(os.environ.pop(PARENT_VARIABLE, "0"))
    set_up_logs(log_level, log_format)
    _validate.whole("processes", processes, 1, 1000)
    if grace is not None:
        _validate.seconds("grace", grace, most=86_400.0)
    labels = _labels(label or [])
    resources = amounts(resource or [])
    # The parent imports it too: what is wrong with it is told once, not by every process again and again.
    app = load_app(target)
    if processes > 1:
        options = {"queue": queue, "concurrency": concurrency, "name": name, "type": worker_type, "label": label}
        options |= {"cpu-processes": cpu_processes, "capability": capability, "resource": resource}
        logs = {"log-level": log_level, "log-format": log_format}
        command = _command(target, {**options, "grace": grace, "processes": 1, **logs})
        raise typer.Exit(Parent(command, processes).run())
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
        capabilities=capability or (),
        resources=resources,
    )
    restart = _runner()(_work(app, make, app.settings.grace_seconds if grace is None else grace, parent))
    if restart:
        raise typer.Exit(RESTART)


def _command(target: str, options: dict[str, Any]) -> list[str]:
    """The arguments of one worker process."""
    command = [sys.executable, "-m", "tenure", "worker"]
    for name, given in options.items():
        values = given if isinstance(given, list) else [given]
        command += [f"--{name}={value}" for value in values if value is not None]
    return [*command, "--", target]


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


async def _work(app: Tenure, make: Callable[[], Worker], grace: float, parent: int) -> bool:
    """Whether a successor is wanted."""
    stopping = asyncio.Event()
    _stop_on_signals(stopping)
    watch = asyncio.create_task(_watch_parent(parent, stopping)) if parent else None
    async with app:
        running = make()
        await running.start()
        asked = asyncio.create_task(running.end_asked())
        asked.add_done_callback(lambda _: stopping.set())
        await stopping.wait()
        await running.stop(grace)
    if watch is not None:
        watch.cancel()
    restart = asked.done() and asked.result()
    asked.cancel()
    return restart


def _stop_on_signals(stopping: asyncio.Event) -> None:
    """The first signal sets `stopping`; the second ends the process, even while a handler holds the loop."""
    loop = asyncio.get_running_loop()
    asked = False

    def begin(number: int) -> None:
        logger.info("signal %s, finishing what runs; again to leave at once", signal.Signals(number).name)
        stopping.set()

    def on_signal(number: int, _frame: object) -> None:
        nonlocal asked
        if asked:
            # Leases of what still runs expire and are rescued. A log line may be half written below this frame.
            os.write(2, b"second signal, leaving at once\n")
            os._exit(128 + number)
        asked = True
        loop.call_soon_threadsafe(begin, number)

    # Not the loop's own handlers: those wait for the loop, which the code of a handler may hold.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)


async def _watch_parent(parent: int, stopping: asyncio.Event) -> None:
    """Stop if the parent that started this process is gone: nobody would replace or stop it.

    Asked once a second, which works everywhere; a death signal (prctl) is Linux's alone.
    """
    while os.getppid() == parent:  # noqa: ASYNC110 - nobody could set an event
        await asyncio.sleep(_LOOK_FOR_PARENT)
    logger.warning("the parent process is gone, stopping")
    stopping.set()
