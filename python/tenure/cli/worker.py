"""`tenure worker`: one process, or a small parent that keeps several alive."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
from typing import Annotated, Any, Final, Optional

import typer

from tenure import _validate
from tenure.cli._load import load_app
from tenure.cli._logs import set_up_logs
from tenure.cli._parent import Parent

logger = logging.getLogger("tenure.cli")

# Set by the parent: a worker whose parent is gone stops.
PARENT_VARIABLE: Final = "_TENURE_PARENT"
_LOOK_FOR_PARENT: Final = 1.0


def worker(
    target: Annotated[str, typer.Argument(metavar="MODULE:APP", help="Where the handlers are registered.")],
    queue: Annotated[Optional[list[str]], typer.Option(help="May be given several times; all that handlers name.")] = None,
    concurrency: Annotated[int, typer.Option(help="The most jobs at a time, per process.")] = 10,
    processes: Annotated[int, typer.Option(help="How many worker processes.")] = 1,
    name: Annotated[Optional[str], typer.Option(help="Shown in the registry.")] = None,
    grace: Annotated[Optional[float], typer.Option(help="Seconds that running jobs are given at the end.")] = None,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
    log_format: Annotated[str, typer.Option(help="text or json.")] = "text",
) -> None:
    """Work. SIGTERM or SIGINT ends it gracefully, a second one at once."""
    set_up_logs(log_level, log_format)
    _validate.whole("processes", processes, 1, 1000)
    app = load_app(target)
    if processes > 1:
        raise typer.Exit(Parent(_child_command(), processes).run())
    # What was imported lives as long as the process: the collector need not look at it again.
    gc.collect()
    gc.freeze()
    _runner()(_work(app, queue, concurrency, name, grace))


def _child_command() -> list[str]:
    """The same command for one process."""
    arguments = sys.argv[1:]
    command = [sys.executable, "-m", "tenure"]
    skip = False
    for argument in arguments:
        if skip:
            skip = False
        elif argument == "--processes":
            skip = True
        elif not argument.startswith("--processes="):
            command.append(argument)
    return command


def _runner() -> Any:
    if sys.platform == "win32":
        return asyncio.run
    import uvloop  # noqa: PLC0415 - not on Windows

    return uvloop.run


async def _work(app: Any, queues: list[str] | None, concurrency: int, name: str | None, grace: float | None) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop(number: int) -> None:
        if stopping.is_set():
            # Leases of what still runs expire and are rescued.
            logger.warning("second signal, leaving at once")
            os._exit(128 + number)
        logger.info("signal %s, finishing what runs; again to leave at once", signal.Signals(number).name)
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    orphaned = loop.create_task(_parent_gone(stopping))
    async with app:
        running = app.worker(queues=queues, concurrency=concurrency, name=name)
        await running.start()
        await stopping.wait()
        await running.stop(app.settings.grace_seconds if grace is None else grace)
    orphaned.cancel()


async def _parent_gone(stopping: asyncio.Event) -> None:
    """Stop if the parent that started this process is gone: nobody would replace or stop it."""
    parent = int(os.environ.get(PARENT_VARIABLE) or 0)
    while parent and not stopping.is_set():
        await asyncio.sleep(_LOOK_FOR_PARENT)
        if os.getppid() != parent:
            logger.warning("the parent process is gone, stopping")
            stopping.set()
