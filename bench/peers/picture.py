"""The comparison as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

_OURS: Final = "#2a6fbb"
_THEIRS: Final = "#9a9a9a"


def draw(figures: dict[str, Any], path: Path) -> None:
    """Write an SVG: drained jobs a second of one worker process, and pick-up P99 at 2,000/s."""
    peers = list(reversed(figures["peers"]))
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "tenure", "font.size": 8}):
        figure = Figure(figsize=(9, 1.2 + 0.25 * len(peers)), layout="constrained")
        drained, waited = figure.subplots(1, 2, sharey=True)
        _bars(drained, "drained per second, one worker process", peers, "drain_1", "per_second")
        _bars(waited, "pick-up P99 at 2,000/s, ms", peers, "latency_2000", "p99_ms")
        waited.set_xscale("log")
        figure.savefig(path, format="svg", metadata={"Date": None})


def _bars(axes: Axes, title: str, peers: list[dict[str, Any]], part: str, figure: str) -> None:
    values = [peer.get(part, {}).get(figure) for peer in peers]
    colours = [_OURS if peer["title"].startswith("tenure") else _THEIRS for peer in peers]
    bars = axes.barh([peer["title"] for peer in peers], [value or 0 for value in values], color=colours)
    axes.bar_label(bars, [" cannot" if value is None else f" {value:,.4g}" for value in values])
    axes.set_title(title, loc="left", fontsize=9, fontweight="bold")
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.2)
