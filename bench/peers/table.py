"""The comparison as a table: on the terminal after a run, and in the README with `python -m bench.peers.table NAME`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.table import Table

if TYPE_CHECKING:
    from rich.console import Console

HERE: Final = Path(__file__).parent
_BEGIN: Final = "<!-- figures: python -m bench.peers.table -->"
_BEGIN_CEILING: Final = "<!-- figures: python -m bench.peers.table peers-limits -->"
_END: Final = "<!-- end of figures -->"
_HEADINGS: Final = (
    "",
    "an acknowledged job is",
    "enqueue/s: one by one · 100 callers · bulk",
    "drained/s: 1 · 2 processes",
    "CPU us a job: worker · PostgreSQL · Redis",
    "pick-up P50 / P99 ms at 500/s",
    "at 2,000/s",
    "just before: load · write and sync, us",
)
_CEILING: Final = (
    "",
    "limit",
    "drained/s without a limit",
    "alone, the limit held",
    "beside those that wait",
    "beside to alone: median (all)",
    "CPU us a job: without · alone · beside",
    "just before: load · write and sync, us",
)


def headings(figures: dict[str, Any]) -> tuple[str, ...]:
    """Of the comparison, or of that of limits."""
    return _CEILING if _is_of_limits(figures) else _HEADINGS


def _is_of_limits(figures: dict[str, Any]) -> bool:
    return any("limit" in peer for peer in figures["peers"])


def lines(figures: dict[str, Any]) -> list[list[str]]:
    """One line a peer, under the headings."""
    if _is_of_limits(figures):
        return [[peer["title"], peer["limit"], *_ceiling_cells(peer)] for peer in figures["peers"]]
    return [[peer["title"], "committed" if peer["durable"] else "volatile", *_cells(peer)] for peer in figures["peers"]]


def _cells(peer: dict[str, Any]) -> list[str]:
    if "failed" in peer:
        return ["cannot", *[""] * (len(_HEADINGS) - 3)]
    enqueue, first, second = peer["enqueue"], peer["drain_1"], peer["drain_2"]
    sent = _cannot(enqueue) or " · ".join(
        "none" if enqueue[way] is None else f"{enqueue[way]:,.0f}" for way in ("one_by_one", "callers_100", "bulk")
    )
    drained = " · ".join(_cannot(drain) or f"{drain['per_second']:,.0f}" for drain in (first, second))
    cpu = _cannot(first) or " · ".join(_number(first.get(f"{party}_us")) for party in ("worker", "postgres", "redis"))
    waits = [
        _cannot(wait) or f"{wait['p50_ms']:,g} / {wait['p99_ms']:,g}"
        for wait in (peer["latency_500"], peer["latency_2000"])
    ]
    return [sent, drained, cpu, *waits, f"{peer['before']['load']} · {peer['before']['sync_us']}"]


def _ceiling_cells(peer: dict[str, Any]) -> list[str]:
    if "failed" in peer:
        return ["cannot", *[""] * (len(_CEILING) - 3)]
    rates = [f"{peer[case]:,.0f}" for case in ("unlimited", "alone", "beside")]
    ratio = f"{peer['ratio']:g} ({' · '.join(f'{one:g}' for one in peer['ratios'])})"
    cpu = " · ".join(f"{peer['cpu'][case]:,.0f}" for case in ("unlimited", "alone", "beside"))
    return [*rates, ratio, cpu, f"{peer['before']['load']} · {peer['before']['sync_us']}"]


def _cannot(found: dict[str, Any]) -> str:
    return "cannot" if "cannot" in found else ""


def _number(value: float | None) -> str:
    return "not measured" if value is None else f"{value:g}"


def print_figures(console: Console, figures: dict[str, Any]) -> None:
    """On the terminal."""
    table = Table(*headings(figures))
    for line in lines(figures):
        table.add_row(*line)
    console.print(table)


def markdown(figures: dict[str, Any]) -> str:
    """For the README: the machine, the table, what each promises and was set to, and why what is missing is."""
    text = [f"Measured {figures['measured']}.", ""]
    text += [f"* {name}: {value}" for name, value in figures["machine"].items()]
    text += ["", f"| {' | '.join(headings(figures))} |", "|" + "---|" * len(headings(figures))]
    text += [f"| {' | '.join(line)} |" for line in lines(figures)]
    said = ("promise", "settings", "concurrency", "versions")
    if _is_of_limits(figures):
        said = said[1:]
    text += ["", f"| peer | {' | '.join(said).replace('concurrency', 'slots')} |", "|" + "---|" * (1 + len(said))]
    for peer in figures["peers"]:
        text.append(f"| {peer['title']} | {' | '.join(str(peer[name]) for name in said)} |")
    reasons = [f"* {peer['title']}: {peer['failed']}" for peer in figures["peers"] if "failed" in peer]
    reasons += [
        f"* {peer['title']}, {name.replace('_', ' ')}: {found['cannot']}"
        for peer in figures["peers"]
        for name, found in peer.items()
        if isinstance(found, dict) and "cannot" in found
    ]
    text += ["", "What could not be measured:", "", *reasons] if reasons else []
    # Written into the file by whoever knows what a run suffered from.
    return "\n".join([*text, *(["", *(f"* {note}" for note in figures["notes"])] if figures.get("notes") else [])])


def main() -> int:
    """Put the figures of a results file into the README, and draw them where they are of the comparison."""
    name = sys.argv[1] if len(sys.argv) > 1 else "peers"
    results = HERE.parent / "results"
    figures = json.loads((results / f"{name}.json").read_text("utf-8"))
    shown, begin = markdown(figures), _BEGIN
    if _is_of_limits(figures):
        begin = _BEGIN_CEILING
    else:
        from bench.peers.picture import draw  # noqa: PLC0415 - the table does without matplotlib

        draw(figures, results / f"{name}.svg")
        shown += f"\n\n![drained jobs a second and pick-up latency](../results/{name}.svg)"
    readme = HERE / "README.md"
    before, _, rest = readme.read_text("utf-8").partition(begin)
    _, _, after = rest.partition(_END)
    readme.write_text(f"{before}{begin}\n{shown}\n{_END}{after}", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
