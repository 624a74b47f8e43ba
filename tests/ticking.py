"""A program that worker processes of tests run: a job every second."""

from __future__ import annotations

from tenure import Tenure

app = Tenure()


@app.job()
async def tick() -> None:
    """Nothing; that it was enqueued is what counts."""


app.schedule("every-second", "* * * * * *", tick.request(), missed="all")
