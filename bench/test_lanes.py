"""Lanes, small: `python -m bench.lanes` measures them at length."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.lanes import ceiling, taking
from tenure.bench.loop import run

if TYPE_CHECKING:
    from bench.space import Space


def test_taking(here: Space, *, quick: bool) -> None:
    """Each call gets as many as it asks for, with tenants, limits and another order than that of priorities."""
    rounds = 5 if quick else 100
    policy = {"limit|tenant|*": "1000", "order": "ageing", "ageing_ms": "60000"}
    for name, tenants, fields in (("plain", 0, {}), ("tenants", 10, {}), ("limits", 10, policy)):
        measured = run(taking(here.servers.redis_url, name, 50, tenants, rounds, fields))
        print(measured)
        assert 0 < measured.lease_us <= measured.lease_p99_us


def test_a_limit_at_its_ceiling(here: Space, *, quick: bool) -> None:
    """The jobs beside it are all taken."""
    measured = run(ceiling(here.servers.redis_url, 20 if quick else 1000, 1 if quick else 10))
    print(measured)
    assert measured["ratio"] > 0
