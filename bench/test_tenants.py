"""Queues that tenants share, small: `python -m bench --only tenants` measures them at length."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench.tenants import tenants
from tenure.bench.loop import run

if TYPE_CHECKING:
    from bench.space import Space


@pytest.mark.parametrize(("mode", "count"), [("before", 0), ("behind", 1), ("before", 100)])
def test_tenants(here: Space, mode: str, count: int, *, quick: bool) -> None:
    """Every job runs once and is recorded, whosever it is; the figures go into the report."""
    shared = run(tenants(here, mode, count, 300 if quick else 20_000, 200))
    print(shared)
    assert shared.pushed_per_second > 0
    assert shared.per_second > 0
