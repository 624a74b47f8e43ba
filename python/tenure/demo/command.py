"""`tenure demo`."""

from __future__ import annotations

import asyncio
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tenure.cli._output import JsonOption, print_json
from tenure.demo.run import Progress as Step
from tenure.demo.run import run_demo
from tenure.demo.source import standard_library
from tenure.demo.table import print_summary

_COLUMNS = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())


def demo(
    path: Annotated[Path | None, typer.Option(help="A source tree. Defaults to the standard library's.")] = None,
    workers: Annotated[int, typer.Option(min=2, max=64, help="Worker processes; one of them is killed.")] = 4,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the demo's schema, to look at it.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Parse a source tree with one job per file, kill a worker midway, and show that nothing was lost or done twice."""
    root = path or standard_library()
    console = Console(stderr=True)
    console.print(f"parsing {escape(str(root))} with {workers} worker processes; one of them will be killed")
    with Progress(*_COLUMNS, console=console) as progress:
        summary = asyncio.run(run_demo(root, workers=workers, keep=keep, show=_Shown(progress).show))
    if as_json:
        print_json(summary)
    else:
        print_summary(summary)
    if summary.killed is None:
        console.print("no worker held a job at the moment of the kill, so none was killed: the tree is too small")
    if summary.disagreements:
        for disagreement in summary.disagreements:
            console.print(f"the counts disagree, {disagreement}")
        raise typer.Exit(1)


class _Shown:
    """The live bar, and one line each when a worker is killed and when its jobs come back."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._bar = progress.add_task("starting", total=None)
        self._killed_at: float | None = None
        self._rescued = 0

    def show(self, step: Step) -> None:
        rate = step.done / step.seconds if step.seconds else 0.0
        text = f"{rate:5.0f} jobs/s, retries {step.retries}, rescued {step.rescued}"
        self._progress.update(self._bar, completed=step.done, total=step.total, description=text)
        print_line = self._progress.console.print
        if step.killed is not None and self._killed_at is None:
            self._killed_at = step.seconds
            print_line(f"killed worker process {step.killed} (SIGKILL) while it held {step.held} jobs")
        if self._killed_at is not None and step.rescued > self._rescued:
            waited = step.seconds - self._killed_at
            print_line(
                f"rescued {step.rescued - self._rescued} jobs {waited:.1f} s after the kill: their leases ran out"
            )
            self._rescued = step.rescued
