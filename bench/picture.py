"""Results as a picture: a panel for each of the parts that were measured."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from matplotlib.axes import Axes

Rows = list[dict[str, Any]]

_OURS: Final = "#2a6fbb"
_OTHER: Final = "#c9782c"
_COLOURS: Final = {"before": _OURS, "behind": _OTHER}
_PERCENTILES: Final = {"p50_ms": "P50", "p99_ms": "P99", "p999_ms": "P99.9"}


def draw(figures: dict[str, Any], path: Path) -> None:
    """Write an SVG; the same figures always give the same file."""
    panels = [(title, panel, figures[part]) for part, (title, panel) in _PANELS.items() if figures.get(part)]
    if not panels:
        return
    # Text stays text, so that the file is small and can be searched; without the salt, ids would differ each time.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "tenure", "font.size": 8}):
        height = sum(_height(rows) for *_, rows in panels)
        figure = Figure(figsize=(8, height), layout="constrained")
        figure.suptitle(_title(figures), fontsize=8)
        axes = figure.subplots(len(panels), 1, squeeze=False, height_ratios=[_height(rows) for *_, rows in panels])
        for (title, panel, rows), (one,) in zip(panels, axes, strict=True):
            one.set_title(title, loc="left", fontsize=9, fontweight="bold")
            one.spines[["top", "right"]].set_visible(False)
            panel(one, rows)
        figure.savefig(path, format="svg", metadata={"Date": None})


def _title(figures: dict[str, Any]) -> str:
    machine = figures["machine"]
    shown = [figures["measured"], *(machine[name] for name in ("processor", "postgresql", "redis") if name in machine)]
    cores = f"{machine['cores']} cores, " if "cores" in machine else ""
    return (
        cores
        + "\n".join(textwrap.wrap(", ".join(shown), 100))
        + (" (quick: means nothing)" if figures["quick"] else "")
    )


def _height(rows: Rows) -> float:
    return 1.0 + 0.22 * len(rows)


def _parts(axes: Axes, rows: Rows) -> None:
    """How many times as fast as the twin, on a logarithmic axis."""
    pairs = [
        (row["name"], row[f"python_{figure}"] / max(row[f"tenure_{figure}"], 1e-9))
        for row in reversed(rows)
        if "faster" in row
        for figure in ["us" if "tenure_us" in row else "cpu_us"]
    ]
    bars = axes.barh(
        [name for name, _ in pairs],
        [ratio - 1 for _, ratio in pairs],
        left=1,
        color=[_OURS if ratio > 1 else _OTHER for _, ratio in pairs],
    )
    axes.bar_label(bars, [f" {ratio:.2g}x" for _, ratio in pairs])
    axes.set_xscale("log")
    axes.axvline(1, color="black", linewidth=0.8)
    axes.margins(x=0.15)


def _enqueue(axes: Axes, rows: Rows) -> None:
    names = {"one_by_one": "one by one", "callers_100": "100 callers", "bulk_1000": "1,000 a call"}
    bars = axes.barh(list(names.values()), [rows[0][name] for name in names], color=_OURS)
    axes.bar_label(bars, fmt=" {:,.0f}")
    axes.margins(x=0.15)


def _drain(axes: Axes, rows: Rows) -> None:
    labels = [f"{row['mode']}, {row['processes']} processes, {row['jobs']:,} jobs" for row in rows]
    places = range(len(rows))
    bars = axes.barh(places, [row["per_second"] for row in rows], color=[_COLOURS[row["mode"]] for row in rows])
    axes.set_yticks(places, labels)
    axes.bar_label(bars, fmt=" {:,.0f}")
    axes.invert_yaxis()
    axes.margins(x=0.15)


def _latency(axes: Axes, rows: Rows) -> None:
    """Each case a line over the percentiles."""
    for row in rows:
        style = "-" if row["rate"] == min(one["rate"] for one in rows) else "--"
        values = [row[name] for name in _PERCENTILES]
        label = f"{row['mode']}, {row['rate']:,}/s"
        axes.plot(list(_PERCENTILES.values()), values, style, marker="o", label=label, color=_COLOURS[row["mode"]])
    axes.set_yscale("log")
    axes.set_ylabel("ms")
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))


_PANELS: Final[dict[str, tuple[str, Callable[[Axes, Rows], None]]]] = {
    "enqueue": ("enqueued per second, committed", _enqueue),
    "drain": ("drained per second", _drain),
    "growth": ("drained per second, as it grows", _drain),
    "latency": ("from the planned moment to the handler", _latency),
    "parts": ("parts beside their twins in plain Python: times as fast", _parts),
}
