"""The stress rows, small: `python -m bench` runs them in full."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.stress import stress
from tenure.bench.loop import run

if TYPE_CHECKING:
    from bench.space import Space


def test_100_jobs(here: Space, *, quick: bool) -> None:
    """A hundred jobs with retries end once each, on ten workers."""
    measured = run(stress(here, "100 jobs", 50 if quick else 100, 2, 5))
    print(measured)
    assert measured.workers == 10
