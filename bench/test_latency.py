"""Pick-up latency, short: `python -m bench` measures it at length."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tenure.bench.latency import latency, lone
from tenure.bench.loop import run

if TYPE_CHECKING:
    from bench.space import Space


@pytest.mark.parametrize("rate", [500, 2000])
def test_open_loop(here: Space, rate: int, *, quick: bool) -> None:
    """Every offered job starts, whatever the rate does to the ones before it."""
    measured = run(latency(here, "before", rate, 0.2 if quick else 5.0))
    print(measured)
    assert 0 <= measured.p50_ms <= measured.p99_ms <= measured.p999_ms


def test_lone(here: Space, *, quick: bool) -> None:
    """A job on an idle system."""
    measured = run(lone(here, "before", 5 if quick else 200))
    print(measured)
    assert measured.median_ms <= measured.p99_ms
