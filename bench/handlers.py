"""The handlers of `tenure bench`, one that fails at times, and some that take a while: `tenure worker
bench.handlers:app`.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

from tenure import JobContext, Retry
from tenure.bench.handlers import app, sink

__all__ = ["RETRIED", "app", "holds", "keeps", "occupies", "shaky", "waits"]

RETRIED: Final = 10  # every tenth job of the life cycle fails once


@app.job(record="before")
async def shaky(ctx: JobContext, number: int, sent: float, user: str, template: str, pad: str) -> Retry | None:  # noqa: ARG001 - payload
    """Fail the first attempt of every tenth job."""
    sink().mark(number, sent)
    if number % RETRIED == 0 and ctx.attempt == 1:
        return Retry("fails once, on purpose", delay=0.05)
    return None


@app.job(record="before")
async def waits(number: int, sent: float, seconds: float) -> None:
    """Wait for something else."""
    sink().mark(number, sent)
    await asyncio.sleep(seconds)


@app.job(record="before")
async def holds(number: int, sent: float, seconds: float) -> None:
    """Hold the event loop; asleep, so that a machine of few cores can have many that do."""
    sink().mark(number, sent)
    time.sleep(seconds)  # noqa: ASYNC251 - on purpose


@app.job(record="before")
async def keeps(number: int, sent: float, user: str, template: str, pad: str) -> None:  # noqa: ARG001 - payload
    """Keep what it takes up for as long as its worker lives."""
    sink().mark(number, sent)
    await asyncio.Event().wait()


@app.job(record="before", cpu=True)
def occupies(number: int, sent: float, seconds: float) -> None:
    """Keep a process busy, likewise."""
    sink().mark(number, sent)
    time.sleep(seconds)
