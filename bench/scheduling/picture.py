"""A panel for each claim about the orders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from pathlib import Path

Rows = list[dict[str, Any]]

# Claim, figure, the orders beside each other, whether the axis is logarithmic.
_CLAIMS: Final = (
    (
        "shortest predicted first: the mean slowdown",
        "slowdown_mean",
        ("first in, first out", "shortest predicted", "shortest, foreseen"),
        True,
    ),
    (
        "ageing: the longest wait of the lowest class, s",
        "low_wait_max_s",
        ("priority", "ageing", "first in, first out"),
        True,
    ),
    (
        "fair share: P99 of the light users' waits, s",
        "light_wait_p99_s",
        ("first in, first out", "fair share", "fair share by jobs", "fair share, foreseen"),
        True,
    ),
    (
        "fair share: Jain's index of the users' mean slowdowns",
        "jain",
        ("first in, first out", "fair share", "fair share by jobs", "fair share, foreseen"),
        False,
    ),
    (
        "earliest deadline: late jobs, %",
        "late_percent",
        ("first in, first out", "priority", "earliest deadline"),
        False,
    ),
    (
        "no order leaves machines idle: utilisation, %",
        "utilisation_percent",
        ("first in, first out", "ageing", "shortest predicted", "fair share"),
        False,
    ),
)
_COLOURS: Final = ("#9a9a9a", "#c9782c", "#2a6fbb", "#3d8b50")


def draw(rows: Rows, path: Path) -> None:
    """Write an SVG; the same figures always give the same file."""
    traces = list(dict.fromkeys(row["name"] for row in rows))
    found = {(row["name"], row["policy"]): row for row in rows}
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "tenure", "font.size": 8}):
        figure = Figure(figsize=(8, 2.2 * len(_CLAIMS)), layout="constrained")
        for axes, (claim, name, policies, logarithmic) in zip(figure.subplots(len(_CLAIMS), 1), _CLAIMS, strict=True):
            for place, policy in enumerate(policies):
                width = 0.8 / len(policies)
                values = [max(found[trace, policy][name], 0.01 if logarithmic else 0.0) for trace in traces]
                bars = axes.bar(
                    [x + place * width for x in range(len(traces))], values, width, label=policy, color=_COLOURS[place]
                )
                axes.bar_label(bars, fmt="{:,.4g}", fontsize=6)
            axes.set_xticks([x + 0.4 - 0.4 / len(policies) for x in range(len(traces))], traces)
            axes.set_title(claim, loc="left", fontsize=9, fontweight="bold")
            axes.spines[["top", "right"]].set_visible(False)
            if logarithmic:
                axes.set_yscale("log")
            axes.margins(y=0.15)
            axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
        figure.savefig(path, format="svg", metadata={"Date": None})
