"""A burst of jobs of very different lengths, small: `python -m bench --only makespan` runs it in full."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.makespan import MIXES, lengths, list_scheduling, makespan
from tenure.bench.loop import run

if TYPE_CHECKING:
    from bench.space import Space


def test_the_ideal_is_one_queue_that_all_share() -> None:
    """Each job begins on the machine that is free first; no fleet is better than its longest job or the sum of all."""
    assert list_scheduling([3, 1, 1, 1, 2], 2) == 5
    for mix in MIXES:
        seconds = lengths(mix, 100)
        assert seconds == lengths(mix, 100)
        assert list_scheduling(seconds, 1) == sum(seconds)
        assert list_scheduling(seconds, 4) >= max(*seconds, sum(seconds) / 4)
        assert list_scheduling(seconds, 100) == max(seconds)


def test_20_jobs(here: Space) -> None:
    """Every job is run once, by processes or given back."""
    measured = run(makespan(here, "occupies", "bimodal", 20))
    print(measured)
    assert measured.makespan_s > 0.2
