"""Scheduled jobs that become due at once, few: `python -m bench --only promotion --million` takes a million."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.promotion import promotion
from tenure.bench.loop import run

if TYPE_CHECKING:
    from bench.space import Space


def test_3000_due_at_once(here: Space, *, quick: bool) -> None:
    """All become ready, and each is leased once."""
    measured = run(promotion(here, 3000 if quick else 50_000))
    print(measured)
    assert measured.promoted_s > 0
