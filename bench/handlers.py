"""The handlers that the benchmarks' worker processes run: `tenure worker bench.handlers:app`."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Final

from bench.sink import Sink
from tenure import JobContext, Retry, Tenure

QUEUE: Final = "bench"
# With its number and time the arguments are about 200 bytes as JSON, like those of the peers that users compare with.
FILLER: Final = {"user": "someone@example.org", "template": "welcome", "pad": "x" * 96}
RETRIED: Final = 10  # every tenth job of the life cycle fails once

app = Tenure()


@cache
def _sink() -> Sink:
    return Sink(Path(os.environ["TENURE_BENCH_SINK"]))


@app.job(queue=QUEUE, record="before")
async def before(number: int, sent: float, user: str, template: str, pad: str) -> None:  # noqa: ARG001 - payload
    """Do nothing; the start is committed first."""
    _sink().mark(number, sent)


@app.job(queue=QUEUE, record="behind")
async def behind(number: int, sent: float, user: str, template: str, pad: str) -> None:  # noqa: ARG001 - payload
    """Do nothing; the start is recorded with the end."""
    _sink().mark(number, sent)


@app.job(queue=QUEUE, record="before")
async def shaky(ctx: JobContext, number: int, sent: float, user: str, template: str, pad: str) -> Retry | None:  # noqa: ARG001 - payload
    """Fail the first attempt of every tenth job."""
    _sink().mark(number, sent)
    if number % RETRIED == 0 and ctx.attempt == 1:
        return Retry("fails once, on purpose", delay=0.05)
    return None


def arguments(number: int, sent: float = 0.0) -> dict[str, object]:
    """The arguments of one job."""
    return {"number": number, "sent": sent, **FILLER}
