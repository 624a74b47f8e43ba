"""The handlers of `tenure bench`, and one that fails at times: `tenure worker bench.handlers:app`."""

from __future__ import annotations

from typing import Final

from tenure import JobContext, Retry
from tenure.bench.handlers import app, sink

__all__ = ["RETRIED", "app", "shaky"]

RETRIED: Final = 10  # every tenth job of the life cycle fails once


@app.job(record="before")
async def shaky(ctx: JobContext, number: int, sent: float, user: str, template: str, pad: str) -> Retry | None:  # noqa: ARG001 - payload
    """Fail the first attempt of every tenth job."""
    sink().mark(number, sent)
    if number % RETRIED == 0 and ctx.attempt == 1:
        return Retry("fails once, on purpose", delay=0.05)
    return None
