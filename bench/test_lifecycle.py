"""The stress rows, small: `python -m bench` runs them in full."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.lifecycle import lifecycle
from tenure.bench.loop import run

if TYPE_CHECKING:
    from bench.space import Space


def test_100_jobs(here: Space, *, quick: bool) -> None:
    """A hundred jobs with retries end once each."""
    measured = run(lifecycle(here, "100 jobs", 100, 2 if quick else 10, 5 if quick else 1))
    print(measured)
    assert measured.jobs == 100
