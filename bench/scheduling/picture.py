"""A panel for each claim about the orders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import matplotlib as mpl
from matplotlib.figure import Figure

from bench.scheduling.policies import Order

if TYPE_CHECKING:
    from pathlib import Path

Rows = list[dict[str, Any]]

_FAIR: Final = (Order.FIRST_IN, Order.FAIR, Order.FAIR_BY_JOBS, Order.FAIR_FORESEEN)


class Claim(NamedTuple):
    """What a panel shows: a figure of some orders beside each other."""

    title: str
    figure: str
    orders: tuple[Order, ...]
    logarithmic: bool


_CLAIMS: Final = (
    Claim(
        "shortest predicted first: the mean slowdown",
        "slowdown_mean",
        (Order.FIRST_IN, Order.SHORTEST, Order.SHORTEST_FORESEEN),
        logarithmic=True,
    ),
    Claim(
        "ageing: the longest wait of the lowest class, s",
        "low_wait_max_s",
        (Order.PRIORITY, Order.AGEING, Order.FIRST_IN),
        logarithmic=True,
    ),
    Claim("fair share: P99 of the light users' waits, s", "light_wait_p99_s", _FAIR, logarithmic=True),
    Claim("fair share: Jain's index of the users' mean slowdowns", "jain", _FAIR, logarithmic=False),
    Claim(
        "earliest deadline: late jobs, %",
        "late_percent",
        (Order.FIRST_IN, Order.PRIORITY, Order.DEADLINE),
        logarithmic=False,
    ),
    Claim(
        "no order leaves machines idle: utilisation, %",
        "utilisation_percent",
        (Order.FIRST_IN, Order.AGEING, Order.SHORTEST, Order.FAIR),
        logarithmic=False,
    ),
)
_COLOURS: Final = ("#9a9a9a", "#c9782c", "#2a6fbb", "#3d8b50")


def draw(rows: Rows, path: Path) -> None:
    """Write an SVG; the same figures always give the same file."""
    traces = list(dict.fromkeys(row["name"] for row in rows))
    found = {(row["name"], row["policy"]): row for row in rows}
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "tenure", "font.size": 8}):
        figure = Figure(figsize=(8, 2.2 * len(_CLAIMS)), layout="constrained")
        for axes, (claim, name, orders, logarithmic) in zip(figure.subplots(len(_CLAIMS), 1), _CLAIMS, strict=True):
            for place, order in enumerate(orders):
                width = 0.8 / len(orders)
                values = [max(found[trace, order][name], 0.01 if logarithmic else 0.0) for trace in traces]
                bars = axes.bar(
                    [x + place * width for x in range(len(traces))], values, width, label=order, color=_COLOURS[place]
                )
                axes.bar_label(bars, fmt="{:,.4g}", fontsize=6)
            axes.set_xticks([x + 0.4 - 0.4 / len(orders) for x in range(len(traces))], traces)
            axes.set_title(claim, loc="left", fontsize=9, fontweight="bold")
            axes.spines[["top", "right"]].set_visible(False)
            if logarithmic:
                axes.set_yscale("log")
            axes.margins(y=0.15)
            axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
        figure.savefig(path, format="svg", metadata={"Date": None})
