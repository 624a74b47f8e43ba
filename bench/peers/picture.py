"""The comparison as a picture: a panel a figure, a bar a peer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

_OURS: Final = "#2a6fbb"
_COMMITTED: Final = "#c9782c"
_VOLATILE: Final = "#b5b5b5"
_PANELS: Final = (
    ("drain_1", "per_second", "drained per second, one worker process"),
    ("enqueue", "callers_100", "enqueued per second, 100 callers"),
    ("latency_500", "p99_ms", "pick-up P99 at 500/s, ms: less is better"),
    ("latency_2000", "p99_ms", "pick-up P99 at 2,000/s, ms: less is better"),
)


def draw(figures: dict[str, Any], path: Path) -> None:
    """Write an SVG; the same figures always give the same file."""
    peers = list(reversed(figures["peers"]))
    # Text stays text, so that the file is small and can be searched; without the salt, ids would differ each time.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "tenure", "font.size": 8}):
        figure = Figure(figsize=(9, 2 * (1.0 + 0.2 * len(peers))), layout="constrained")
        legend = "blue: tenure; brown: an acknowledged job is committed; grey: it is in Redis' memory"
        figure.suptitle(f"{figures['measured']}, {figures['machine']['cores']} cores. {legend}", fontsize=8)
        for axes, (part, name, title) in zip(figure.subplots(2, 2, sharey=True).flat, _PANELS, strict=True):
            _bars(axes, title, peers, part, name)
        figure.savefig(path, format="svg", metadata={"Date": None})


def _bars(axes: Axes, title: str, peers: list[dict[str, Any]], part: str, name: str) -> None:
    values = [peer.get(part, {}).get(name) for peer in peers]
    bars = axes.barh(
        [peer["title"] for peer in peers], [value or 0 for value in values], color=list(map(_colour, peers))
    )
    axes.bar_label(bars, ["" if value is None else _text(value) for value in values])
    for place in (place for place, value in enumerate(values) if value is None):
        # Placed by the axes, for a logarithmic one has no nought.
        axes.text(0.01, place, "cannot", transform=axes.get_yaxis_transform(), va="center")
    axes.set_title(title, loc="left", fontsize=9, fontweight="bold")
    axes.spines[["top", "right"]].set_visible(False)
    if name.endswith("_ms"):
        axes.set_xscale("log")
    axes.margins(x=0.25)


def _colour(peer: dict[str, Any]) -> str:
    if peer["title"].startswith("tenure"):
        return _OURS
    return _COMMITTED if peer["durable"] else _VOLATILE


def _text(value: float) -> str:
    return f" {value:,.0f}" if value >= 100 else f" {value:.1f}"
