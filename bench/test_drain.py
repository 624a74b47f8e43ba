"""The drain, small: `python -m bench` measures it at length."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tenure.bench.drain import drain
from tenure.bench.loop import run

if TYPE_CHECKING:
    from bench.space import Space


@pytest.mark.parametrize(("mode", "processes"), [("before", 1), ("behind", 2)])
def test_drain(here: Space, mode: str, processes: int, *, quick: bool) -> None:
    """Every job runs once and is recorded; the figures go into the report."""
    jobs = 300 if quick else 20_000
    drained = run(drain(here, mode, jobs, processes, 200))
    print(drained)
    assert drained.per_second > 0
