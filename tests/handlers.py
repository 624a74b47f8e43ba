"""Handlers of the worker processes that tests start and kill; each writes what it did into a ledger that tenure
does not know.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
import time
from pathlib import Path

from tenure import Backoff, JobContext, Tenure

app = Tenure()


def note(ledger: str, event: str, context: JobContext) -> None:
    """Append one line; a single write of a short line is atomic."""
    line = {
        "event": event,
        "job": context.job_id,
        "fence": context.fence,
        "attempt": context.attempt,
        "pid": os.getpid(),
        "at": time.monotonic(),
    }
    with Path(ledger).open("a") as file:
        file.write(json.dumps(line) + "\n")


@app.job(backoff=Backoff(base=0.05, jitter="none"))
async def work(context: JobContext, ledger: str, seconds: float = 0.0) -> int:
    """Work for a while."""
    note(ledger, "start", context)
    await asyncio.sleep(seconds)
    note(ledger, "end", context)
    return context.fence


@app.job(backoff=Backoff(base=0.05, jitter="none"))
async def until(context: JobContext, ledger: str, path: str) -> int:
    """Work until a file is there."""
    note(ledger, "start", context)
    try:
        while not await asyncio.to_thread(Path(path).exists):
            await asyncio.sleep(0.02)
    except asyncio.CancelledError:
        note(ledger, "cancelled", context)
        raise
    note(ledger, "end", context)
    return context.fence


@app.job()
async def stubborn(context: JobContext, ledger: str, seconds: float) -> int:
    """Hold the loop, and so notice nothing, until the time is over; then complete."""
    note(ledger, "start", context)
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        time.sleep(0.01)
    note(ledger, "end", context)
    return context.fence


@app.job()
async def toil(context: JobContext, ledger: str, seconds: float) -> None:
    """Hold the loop, `TENURE_TEST_SLOWNESS` times as long in processes that have it."""
    note(ledger, "start", context)
    time.sleep(seconds * float(os.environ.get("TENURE_TEST_SLOWNESS", "1")))


@app.job(max_retries=10)
async def killer(context: JobContext, ledger: str, how: str = "exit") -> None:
    """End the process: `exit`, or the name of a signal."""
    note(ledger, "start", context)
    if how == "exit":
        os._exit(9)
    os.kill(os.getpid(), getattr(signal, how))
    await asyncio.sleep(60)


@app.job()
async def hog(context: JobContext, ledger: str, seconds: float) -> int:
    """Hold the interpreter's lock, as an extension that never gives it up, until the time is over."""
    note(ledger, "start", context)
    ctypes.PyDLL(None).usleep(round(seconds * 1_000_000))
    note(ledger, "end", context)
    return context.fence


@app.job()
async def bloat(megabytes: int) -> None:
    """Keep some memory for as long as the process lives."""
    KEPT.append(bytearray(os.urandom(1_000_000)) * megabytes)


KEPT: list[bytearray] = []
