"""`tenure demo`."""

from __future__ import annotations

import asyncio
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tenure.cli._output import JsonOption, print_json, print_table
from tenure.demo.run import Progress as Step
from tenure.demo.run import Summary, run_demo
from tenure.demo.source import standard_library


def demo(
    path: Annotated[Path | None, typer.Option(help="A source tree. Defaults to the standard library's.")] = None,
    workers: Annotated[int, typer.Option(min=2, max=64, help="Worker processes; one of them is killed.")] = 4,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the demo's schema, to look at it.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Parse a source tree with one job per file, kill a worker midway, and show that nothing was lost or done twice."""
    root = path or standard_library()
    console = Console(stderr=True)
    console.print(f"parsing {root} with {workers} worker processes; one of them will be killed")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("jobs", total=None)
        told = False

        def show(step: Step) -> None:
            nonlocal told
            rate = step.done / step.seconds if step.seconds else 0.0
            progress.update(bar, completed=step.done, total=step.total, description=f"{rate:7.0f} jobs/s")
            if step.killed is not None and not told:
                told = True
                progress.console.print(f"killed worker process {step.killed} (SIGKILL); its jobs will be rescued")

        summary = asyncio.run(run_demo(root, workers=workers, keep=keep, show=show))
    if as_json:
        print_json(summary)
    else:
        _print(summary)
    if summary.disagreements:
        for disagreement in summary.disagreements:
            console.print(f"the counts disagree, {disagreement}")
        raise typer.Exit(1)


def _print(summary: Summary) -> None:
    found = summary.report
    print_table(
        "what PostgreSQL says",
        ("figure", "value"),
        (
            ("jobs enqueued", summary.enqueued),
            ("completed", summary.completed),
            ("dead letters (files that do not parse)", summary.dead_letters),
            ("retries", summary.retries),
            ("attempts lost with the killed worker, and rescued", summary.rescued),
            ("duplicates", summary.duplicates),
            ("seconds", summary.seconds),
            ("jobs per second", summary.jobs_per_second),
            ("pick-up of urgent jobs, P50 ms", summary.pickup_p50_ms),
            ("pick-up of urgent jobs, P99 ms", summary.pickup_p99_ms),
            ("packages, functions, classes", [found.get(name) for name in ("packages", "functions", "classes")]),
        ),
    )
