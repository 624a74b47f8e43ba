"""The life of one worker process: its workers start together, and it ends when it is told to, or all of them are."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tenure.app import Tenure
    from tenure.supervisor.pulse import Pulse
    from tenure.worker import Worker

logger = logging.getLogger("tenure.cli")

_LOOK_FOR_PARENT: Final = 1.0


async def work(app: Tenure, make: Sequence[Callable[[], Worker]], grace: float, parent: int, pulse: Pulse) -> bool:
    """Work until told to stop; whether a successor is wanted.

    Args:
        app: whose handlers are run.
        make: make the workers, when the app is open.
        grace: seconds that running jobs are given at the end.
        parent: the process without which this one shall not be; 0 for none.
        pulse: tells it how this one fares.
    """
    stopping = asyncio.Event()
    _stop_on_signals(stopping)
    watch = asyncio.create_task(_watch_parent(parent, stopping)) if parent else None
    async with app:
        workers = [one() for one in make]
        await _start(workers)
        pulse.ready(workers, grace)
        ends = await asyncio.gather(*(_serve(one, stopping, grace) for one in workers), return_exceptions=True)
        pulse.stop()
    if watch is not None:
        watch.cancel()
    for end in ends:
        if isinstance(end, BaseException):
            raise end
    return True in ends


async def _start(workers: Sequence[Worker]) -> None:
    """Start them together, which enters them in the registry by one statement; all of them or none."""
    started = await asyncio.gather(*(one.start() for one in workers), return_exceptions=True)
    failed = [result for result in started if isinstance(result, BaseException)]
    if failed:
        whole = [one for one, result in zip(workers, started, strict=True) if result is None]
        await asyncio.gather(*(one.stop(0.0) for one in whole), return_exceptions=True)
        raise failed[0]


async def _serve(worker: Worker, stopping: asyncio.Event, grace: float) -> bool:
    """Until this worker is told to end, or the process is; whether a successor of the process is wanted.

    One of several that is told to stop ends alone, the others go on. One that is told to restart takes them along: what
    is started anew is a process.
    """
    asked = asyncio.create_task(worker.end_asked())
    told = asyncio.create_task(stopping.wait())
    await asyncio.wait((asked, told), return_when=asyncio.FIRST_COMPLETED)
    if asked.done() and asked.result():
        stopping.set()
    await worker.stop(grace)
    restart = asked.done() and asked.result()
    asked.cancel()
    told.cancel()
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
