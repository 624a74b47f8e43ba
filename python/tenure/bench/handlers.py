"""The handlers that measured workers run: `tenure worker tenure.bench.handlers:app`."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from tenure.app import Tenure
from tenure.bench.sink import SINK_VARIABLE, Sink

app = Tenure()


@cache
def sink() -> Sink:
    """This process's marks, in the directory that the environment names."""
    return Sink(Path(os.environ[SINK_VARIABLE]))


@app.job(record="before")
async def before(number: int, sent: float, user: str, template: str, pad: str) -> None:  # noqa: ARG001 - payload
    """Do nothing; the start is committed first."""
    sink().mark(number, sent)


@app.job(record="behind")
async def behind(number: int, sent: float, user: str, template: str, pad: str) -> None:  # noqa: ARG001 - payload
    """Do nothing; the start is recorded with the end."""
    sink().mark(number, sent)
