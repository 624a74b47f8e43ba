"""`python -m bench`: what tenure costs, in one table, kept as JSON and as a picture in bench/results."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console

from bench.machine import machine
from bench.picture import draw
from bench.plan import PARTS, Session
from bench.scheduling.picture import draw as draw_orders
from bench.servers import servers
from bench.table import print_figures
from tenure.bench.loop import run

if TYPE_CHECKING:
    from collections.abc import Sequence

RESULTS: Final = Path(__file__).parent / "results"

console = Console()


def main(given: Sequence[str] | None = None) -> int:
    """Measure what was asked for, print it, keep it."""
    options = _options(given)
    figures: dict[str, Any] = {"measured": datetime.now(UTC).isoformat(timespec="seconds"), "quick": options.quick}
    with servers() as running:
        figures["machine"] = run(machine(running))
        for name, value in figures["machine"].items():
            console.print(f"{name}: {value}", highlight=False)
        session = Session(
            running, options, lambda row: console.print(row, highlight=False, soft_wrap=True, style="dim")
        )
        for part in options.only or PARTS:
            figures[part] = PARTS[part](session)
    print_figures(console, figures)
    if options.quick and not options.name:
        with tempfile.TemporaryDirectory() as directory:
            _draw(figures, Path(directory) / "quick.svg")
        return 0
    path = RESULTS / f"{options.name or 'latest'}.json"
    path.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
    _draw(figures, path.with_suffix(".svg"))
    console.print(f"kept in {path}, and as a picture beside it")
    return 0


def _draw(figures: dict[str, Any], path: Path) -> None:
    draw(figures, path)
    if orders := figures.get("scheduling"):
        draw_orders(orders, path.with_name(f"{path.stem}-orders.svg"))


def _show(row: dict[str, Any]) -> None:
    console.print(row, highlight=False, soft_wrap=True, style="dim")


def _options(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="tiny: it only shows that everything works")
    parser.add_argument("--only", action="append", choices=PARTS, help="one part; may be repeated")
    parser.add_argument("--jobs", type=int, help="jobs of a drain. Defaults to 50,000")
    parser.add_argument("--seconds", type=float, help="length of a latency run. Defaults to 20")
    parser.add_argument("--window", type=float, help="seconds for which the idle fleet is watched. Defaults to 20")
    parser.add_argument("--concurrency", type=int, default=300, help="slots of a draining process. Defaults to 300")
    parser.add_argument("--million", action="store_true", help="a backlog of a million jobs too: minutes, a gigabyte")
    parser.add_argument("--minutes", type=float, help="for which a transaction is held open. Defaults to 1/3")
    parser.add_argument("--name", help="of the file in bench/results. Defaults to latest; a quick run keeps none")
    options = parser.parse_args(given)
    options.jobs = options.jobs or (300 if options.quick else 50_000)
    options.seconds = options.seconds or (0.2 if options.quick else 20.0)
    options.window = options.window or (1.0 if options.quick else 20.0)
    options.minutes = options.minutes or (0.02 if options.quick else 1 / 3)
    return options


if __name__ == "__main__":
    sys.exit(main())
