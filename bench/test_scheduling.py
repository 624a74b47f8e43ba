"""Orders on recorded arrivals, few: `python -m bench --only scheduling` plays whole traces."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bench.scheduling import traces
from bench.scheduling.figures import figures, jain, scheduling
from bench.scheduling.policies import POLICIES, Order, Predictor, classes
from bench.scheduling.replay import Run, replay
from bench.scheduling.traces import Arrival, load
from tenure.bench.loop import run

if TYPE_CHECKING:
    from bench.space import Space


def test_figures_of_two_jobs_by_hand() -> None:
    """One waits for the other, on one machine."""
    runs = [Run(Arrival(0, 0.0, 30.0, 40.0, "a"), 5, 0.0), Run(Arrival(1, 10.0, 20.0, 20.0, "b"), 1, 30.0)]
    found = figures("by hand", "none", runs, machines=1)
    assert (found.wait_p50_s, found.wait_max_s, found.low_wait_max_s) == (20.0, 20.0, 20.0)
    assert found.slowdown_mean == pytest.approx((1 + 2) / 2)
    assert found.utilisation_percent == 100.0
    assert found.late_percent == 0.0
    assert jain([1, 1, 1]) == 1
    assert jain([1, 0, 0, 0]) == 0.25


def test_what_is_predicted_is_the_mean_of_the_last_two() -> None:
    """And what was asked for, before there are any, and at most."""
    known = Predictor()
    jobs = [Arrival(n, 0.0, length, 100.0, "a") for n, length in enumerate((10.0, 20.0, 40.0))]
    assert known.predict(jobs[0]) == 100.0
    for job in jobs:
        known.ended(job)
    assert known.predict(jobs[0]) == 30.0
    assert known.predict(Arrival(9, 0.0, 1.0, 5.0, "a")) == 5.0


def test_classes_are_fifths() -> None:
    """The shortest are the highest."""
    levels = classes([Arrival(n, 0.0, 1.0, float(n), "a") for n in range(10)])
    assert levels == [5, 5, 4, 4, 3, 3, 2, 2, 1, 1]


def test_every_order_does_what_it_is_for(here: Space) -> None:
    """On made arrivals, the same at every call, and few machines; nothing of it depends on how fast this one is."""
    jobs = load("synthetic", 600)
    found = {one.name: figures("synthetic", one.name, run(replay(here, jobs, one, 60)), 60) for one in POLICIES}
    print(*found.values(), sep="\n")
    first = found[Order.FIRST_IN]
    assert found[Order.SHORTEST_FORESEEN].slowdown_mean < first.slowdown_mean
    assert found[Order.AGEING].low_wait_max_s < found[Order.PRIORITY].low_wait_max_s
    assert found[Order.FAIR].light_wait_p99_s < first.light_wait_p99_s
    assert found[Order.DEADLINE].late_percent <= first.late_percent
    assert len({row.jobs for row in found.values()}) == 1


def test_where_there_is_no_record_there_are_no_figures(here: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    """The traces are not part of this project."""
    monkeypatch.setattr(traces, "ROOT", Path("/nowhere"))
    assert run(scheduling(here, "LCG 2005", 10)) == []
