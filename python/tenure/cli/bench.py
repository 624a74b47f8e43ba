"""`tenure bench`: what tenure does on the stores that the settings name."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console

from tenure._engine import debug_build
from tenure.bench.loop import run
from tenure.bench.run import PARTS, Figures, Plan, forget, measure
from tenure.cli._output import JsonOption, print_json, print_table
from tenure.job_type import MODES
from tenure.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

_DEFAULTS: Final = Plan()
_KEPT_PACE: Final = 0.95


def bench(
    *,
    part: Annotated[
        list[str] | None, typer.Option(help=f"{', '.join(PARTS)}; may be repeated. Defaults to all.")
    ] = None,
    mode: Annotated[list[str] | None, typer.Option(help=f"{' or '.join(MODES)}. Defaults to both.")] = None,
    jobs: Annotated[int, typer.Option(help="Jobs of a drain.")] = _DEFAULTS.jobs,
    rate: Annotated[list[int] | None, typer.Option(help="Jobs offered a second. Defaults to 500.")] = None,
    seconds: Annotated[float, typer.Option(help="Of each way to enqueue and of each rate.")] = _DEFAULTS.seconds,
    processes: Annotated[int, typer.Option(help="Worker processes.")] = _DEFAULTS.processes,
    concurrency: Annotated[int, typer.Option(help="The most jobs at a time, per process.")] = _DEFAULTS.concurrency,
    forget_queue: Annotated[
        str | None, typer.Option("--forget", metavar="QUEUE", help="Only remove what a killed run left in its queue.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure enqueueing, draining and latency on your own stores, in queues that are gone afterwards.

    The jobs do nothing and carry 200 bytes. Every one is checked to have run and ended once. Rows are written to and
    deleted from the tables that the settings name; other work on the stores shows in the figures, and suffers.
    """
    # Asked to end, it cleans up first, as after Ctrl-C.
    signal.signal(signal.SIGTERM, lambda _number, _frame: signal.raise_signal(signal.SIGINT))
    settings = Settings.from_env()
    console = Console(stderr=True)
    if forget_queue is not None:
        console.print(f"jobs removed: {run(forget(settings, forget_queue))}")
        return
    plan = Plan(
        parts=tuple(dict.fromkeys(part or _DEFAULTS.parts)),
        modes=tuple(dict.fromkeys(mode or _DEFAULTS.modes)),
        rates=tuple(dict.fromkeys(rate or _DEFAULTS.rates)),
        jobs=jobs,
        seconds=seconds,
        processes=processes,
        concurrency=concurrency,
    )
    if debug_build:
        console.print("a debug build of the extension: the figures mean nothing")
    found = run(measure(settings, plan, lambda one: console.print(_line(one), style="dim", soft_wrap=True)))
    if as_json:
        print_json(found)
    else:
        rows = [(one.part, _case(one), name, value) for one in found for name, value in one.figures.items()]
        print_table("what tenure does on these stores", ("part", "case", "figure", "value"), rows)
    for note in notes(found):
        console.print(note)


def notes(found: list[Figures]) -> Iterator[str]:
    """What the figures alone would hide."""
    for one in found:
        if one.part != "latency":
            continue
        offered, achieved = one.case["rate"], one.figures["achieved_per_second"]
        if achieved < offered * _KEPT_PACE:
            yield f"{_case(one)}: only {achieved:g}/s were run, so the latencies are the length of the queue"
        if one.figures["schedule_lag_p99_ms"] > one.figures["p50_ms"]:
            yield f"{_case(one)}: the sender itself was late, this machine is too busy to tell"


def _line(one: Figures) -> str:
    return f"{one.part} {_case(one)}: " + ", ".join(f"{name} {value}" for name, value in one.figures.items())


def _case(one: Figures) -> str:
    return ", ".join(f"{name} {value}" for name, value in one.case.items())
