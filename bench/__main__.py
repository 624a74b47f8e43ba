"""`python -m bench`: the end-to-end figures in one table, kept as JSON in bench/results."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.table import Table

from bench.drain import drain
from bench.enqueue import enqueue
from bench.idle import idle, import_ms
from bench.latency import latency, lone
from bench.lifecycle import lifecycle
from bench.loop import run
from bench.machine import machine
from bench.servers import servers
from bench.space import space
from bench.table import cases, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from bench.servers import Servers
    from bench.space import Space

RESULTS: Final = Path(__file__).parent / "results"
MODES: Final = ("before", "behind")
RATES: Final = (500, 2000)
PARTS: Final = ("enqueue", "drain", "latency", "lone", "idle", "lifecycle")

console = Console()


def main(given: Sequence[str] | None = None) -> int:
    """Measure what was asked for, print it, keep it."""
    options = _options(given)
    figures: dict[str, Any] = {"measured": datetime.now(UTC).isoformat(timespec="seconds"), "quick": options.quick}
    with servers() as running:
        figures["machine"] = run(machine(running))
        for name, value in figures["machine"].items():
            console.print(f"{name}: {value}", highlight=False)
        for part in options.only or PARTS:
            figures[part] = globals()[f"_{part}"](running, options)
    _table(figures)
    if not options.quick or options.name:
        path = RESULTS / f"{options.name or 'latest'}.json"
        path.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
        console.print(f"kept in {path}")
    return 0


def _options(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="tiny: it only shows that everything works")
    parser.add_argument("--only", action="append", choices=PARTS, help="one part; may be repeated")
    parser.add_argument("--jobs", type=int, help="jobs of a drain. Defaults to 50,000")
    parser.add_argument("--seconds", type=float, help="length of a latency run. Defaults to 20")
    parser.add_argument("--window", type=float, help="seconds for which the idle fleet is watched. Defaults to 20")
    parser.add_argument("--concurrency", type=int, default=300, help="slots of a draining process. Defaults to 300")
    parser.add_argument("--name", help="of the file in bench/results. Defaults to latest; a quick run keeps none")
    options = parser.parse_args(given)
    options.jobs = options.jobs or (300 if options.quick else 50_000)
    options.seconds = options.seconds or (0.2 if options.quick else 20.0)
    options.window = options.window or (1.0 if options.quick else 20.0)
    return options


def _in_space(running: Servers, measure: Callable[[Space], Coroutine[Any, Any, Any]]) -> dict[str, Any]:
    """Measure in a namespace that nothing else has been in."""
    with space(running) as made:
        row: dict[str, Any] = run(measure(made)).row()
    console.print(row, highlight=False, soft_wrap=True, style="dim")
    return row


def _enqueue(running: Servers, options: argparse.Namespace) -> dict[str, Any]:
    return _in_space(running, lambda here: enqueue(here, 0.2 if options.quick else 3.0))


def _drain(running: Servers, options: argparse.Namespace) -> list[dict[str, Any]]:
    return [
        _in_space(running, lambda here, mode=mode, n=n: drain(here, mode, options.jobs, n, options.concurrency))  # type: ignore[misc]  # mypy cannot infer the lambda
        for mode in MODES
        for n in (1, 2)
    ]


def _latency(running: Servers, options: argparse.Namespace) -> list[dict[str, Any]]:
    return [
        _in_space(running, lambda here, mode=mode, rate=rate: latency(here, mode, rate, options.seconds))  # type: ignore[misc]  # mypy cannot infer the lambda
        for mode in MODES
        for rate in RATES
    ]


def _lone(running: Servers, options: argparse.Namespace) -> list[dict[str, Any]]:
    jobs = 5 if options.quick else 200
    return [_in_space(running, lambda here, mode=mode: lone(here, mode, jobs)) for mode in MODES]  # type: ignore[misc]  # mypy cannot infer the lambda


def _idle(running: Servers, options: argparse.Namespace) -> dict[str, Any]:
    row = _in_space(running, lambda here: idle(here, 2 if options.quick else 10, options.window))
    return {**row, "import_ms": import_ms(rounds=1 if options.quick else 7)}


def _lifecycle(running: Servers, options: argparse.Namespace) -> list[dict[str, Any]]:
    rows = [("100 jobs, 10 workers", 100, 2 if options.quick else 10, 5 if options.quick else 1)]
    rows.append(("10,000 jobs, 100 slots", 200 if options.quick else 10_000, 2, 50))
    return [
        _in_space(running, lambda here, row=row: lifecycle(here, *row))  # type: ignore[misc]  # mypy cannot infer the lambda
        for row in rows
    ]


def _table(figures: dict[str, Any]) -> None:
    """Every figure on a line of its own."""
    table = Table("part", "case", "figure", "value")
    for part, case, values in cases(figures):
        for name, value in values.items():
            table.add_row(part, case, name, text_of(value))
    console.print(table)
    if figures["quick"]:
        console.print("a quick run: everything works, the figures mean nothing")


if __name__ == "__main__":
    sys.exit(main())
