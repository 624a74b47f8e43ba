"""What `tenure bench` counts, and what it will not let pass."""

from __future__ import annotations

import asyncio
import itertools
import time

import pytest

from tenure import InvalidInput
from tenure.bench import sink
from tenure.bench.errors import NotAsPromised
from tenure.bench.offer import Offer
from tenure.bench.run import Figures, Plan
from tenure.bench.stage import first_of, new_queue
from tenure.cli.bench import notes


async def test_a_stall_is_counted_for_all_that_was_planned_during_it():
    """A closed loop would have one slow call of 50; here each call planned during the stall has waited for its end."""
    gate = asyncio.Event()
    asyncio.get_running_loop().call_later(0.9, gate.set)  # 0.5 s before the first is planned, so 0.4 s of stall
    planned: list[float] = []

    async def send(number: int, moment: float) -> None:
        planned.append(moment)
        await gate.wait()

    offer = Offer(send)
    await offer.run(100, 50, 0)
    assert len(planned) == len(offer.acked) == 50
    gaps = [later - earlier for earlier, later in itertools.pairwise(planned)]
    assert gaps == pytest.approx([0.01] * 49, abs=1e-3)
    assert offer.acked.percentile(99) > 0.3
    assert offer.acked.percentile(50) > 0.1


async def test_what_a_sending_raises_ends_the_offer():
    async def send(number: int, moment: float) -> None:
        raise InvalidInput("number", "another", number)

    with pytest.raises(InvalidInput):
        await Offer(send).run(1000, 100_000, 0)


def test_marks_are_read_while_they_are_written(tmp_path):
    marks = sink.Sink(tmp_path)
    before = time.time()
    marks.mark(7, 1.5)
    marks.mark(8, 2.5)
    found = sink.marks(tmp_path)
    assert [(mark.number, mark.sent) for mark in found] == [(7, 1.5), (8, 2.5)]
    assert before <= found[0].started <= found[1].started <= time.time()
    assert sink.count(tmp_path) == 2


@pytest.mark.parametrize("expected", [[7], [7, 8, 9], [7, 7, 8], [7, 9]])
def test_a_job_run_too_often_or_too_rarely_is_no_result(tmp_path, expected):
    marks = sink.Sink(tmp_path)
    marks.mark(7, 0.0)
    marks.mark(8, 0.0)
    sink.check_runs(sink.marks(tmp_path), [8, 7])
    with pytest.raises(NotAsPromised):
        sink.check_runs(sink.marks(tmp_path), expected)


def test_a_queue_knows_an_id_older_than_its_jobs():
    queue = new_queue()
    assert first_of(queue) < first_of(new_queue())
    for other in ("default", "tenure-bench-", "tenure-bench-x", f"x{queue}"):
        with pytest.raises(InvalidInput):
            first_of(other)


@pytest.mark.parametrize(
    "wrong",
    [{"parts": ("x",)}, {"modes": ("x",)}, {"rates": (0,)}, {"jobs": 0}, {"seconds": 0.0}, {"processes": 0}],
    ids=str,
)
def test_a_plan_that_measures_nothing_is_refused(wrong):
    with pytest.raises(InvalidInput):
        Plan(**wrong)


def latency_of(achieved: float, lag: float) -> Figures:
    figures = {"achieved_per_second": achieved, "p50_ms": 2.0, "schedule_lag_p99_ms": lag}
    return Figures(part="latency", case={"mode": "before", "rate": 500}, figures=figures)


def test_what_figures_hide_is_said():
    assert list(notes([latency_of(499, 1.0)])) == []
    [note] = notes([latency_of(300, 1.0)])
    assert "only 300/s were run" in note
    [note] = notes([latency_of(499, 9.0)])
    assert "the sender itself was late" in note
