"""How many processes a group should have: bounded, monotone, and still when the load is."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tenure.errors import InvalidInput
from tenure.supervisor.scale import Load, Scale, Scaler, wanted

counts = st.integers(0, 10**6)
loads = st.builds(Load, ready=counts, running=counts, oldest_seconds=st.floats(0, 10**5))
scales = st.builds(
    Scale,
    wait_seconds=st.floats(0, 100),
    utilization=st.floats(0.01, 1),
    up_seconds=st.floats(0, 60),
    quiet_seconds=st.floats(0, 300),
    look_seconds=st.just(2.0),
)
bounds = st.tuples(st.integers(0, 20), st.integers(0, 200)).map(lambda two: (two[0], max(1, two[0] + two[1])))


@given(loads, loads, st.integers(0, 1000), st.integers(1, 1000), scales)
def test_more_to_do_never_wants_fewer(load, more, now, slots, scale):
    greater = Load(load.ready + more.ready, load.running + more.running, load.oldest_seconds + more.oldest_seconds)
    assert wanted(load, now, slots, scale) <= wanted(greater, now, slots, scale)


@given(loads, st.integers(0, 1000), st.integers(1, 1000), scales)
def test_more_are_wanted_exactly_where_jobs_wait_too_long(load, now, slots, scale):
    waits = load.ready > 0 and load.oldest_seconds > scale.wait_seconds
    assert (wanted(load, now, slots, scale) > now) == waits


@given(scales, st.integers(1, 1000), bounds, st.lists(st.tuples(loads, st.floats(0, 100)), max_size=50))
def test_the_answer_is_always_within_the_bounds(scale, slots, bounds, story):
    least, most = bounds
    scaler, now, at = Scaler(scale, slots, least, most), least, 0.0
    for load, seconds in story:
        at += seconds
        before, now = now, scaler.desired(load, now, at)
        assert least <= now <= most
        assert now <= max(1, 2 * before)


@given(loads, st.integers(1, 200), st.integers(1, 100), scales)
def test_what_is_stopped_by_hand_or_outside_the_bounds_is_brought_back(load, slots, now, scale):
    assert 2 <= Scaler(scale, slots, 2, 4).desired(load, now, 0.0) <= 4


def settle(offered: float, scale: Scale, slots: int, most: int, backlog: float) -> list[int]:
    """How many processes there are, look after look, where jobs come so often that `offered` of them run at a time.

    A model of queues: each process runs `slots` jobs of 10 s at a time; what it cannot run waits.
    """
    length = 10.0
    scaler, now, ready, history = Scaler(scale, slots, 1, most), 1, backlog, []
    for look in range(3000):
        step = scale.look_seconds
        running = min(now * slots, ready + offered)
        ready = max(0.0, ready + (offered - now * slots) * step / length) if running >= now * slots else 0.0
        # the oldest of a queue that is worked off in order has waited for as long as what is before it takes
        oldest = ready * length / (now * slots)
        load = Load(ready=math.ceil(ready), running=math.ceil(running), oldest_seconds=oldest)
        now = scaler.desired(load, now, look * step)
        history.append(now)
    return history


@given(
    offered=st.floats(0, 300),
    slots=st.integers(1, 50),
    backlog=st.floats(0, 5000),
    wait=st.floats(0.5, 30),
    utilization=st.floats(0.1, 0.95),
)
@example(offered=100.0, slots=10, backlog=0.0, wait=2.0, utilization=0.7)
@example(offered=99.9, slots=10, backlog=5000.0, wait=2.0, utilization=0.95)
def test_under_a_constant_load_it_comes_to_rest_and_stays(offered, slots, backlog, wait, utilization):
    # What is short by a trace is noticed once it has piled up to the wait that is allowed: in time for the end.
    short = offered % slots
    assume(short == 0 or wait * offered / short < 2000)
    scale = Scale(wait_seconds=wait, utilization=utilization, up_seconds=10.0, quiet_seconds=60.0)
    history = settle(offered, scale, slots, 1000, backlog)
    falls = [look for look in range(1, len(history)) if history[look] < history[look - 1]]
    if falls:
        # once it came down it neither rises nor falls again but by what a longer memory would have shown at once
        assert history[falls[0] :] == sorted(history[falls[0] :], reverse=True)
    assert len(set(history[-1000:])) == 1
    # and where it rests it is enough
    assert history[-1] * slots >= offered


def test_it_rises_at_once_and_falls_after_the_quiet_time():
    scale = Scale(wait_seconds=2, utilization=0.5, up_seconds=10, quiet_seconds=60)
    scaler = Scaler(scale, 10, 1, 8)
    waits = Load(ready=500, running=10, oldest_seconds=3)
    assert [scaler.desired(waits, now, at) for now, at in ((1, 0.0), (2, 5.0), (2, 10.0), (4, 20.0), (8, 30.0))] == [
        2,
        2,
        4,
        8,
        8,
    ]
    calm = Load(ready=0, running=5)
    assert scaler.desired(calm, 8, 31.0) == 8
    assert scaler.desired(calm, 8, 89.0) == 8
    assert scaler.desired(calm, 8, 91.0) == 1


def test_waiting_jobs_ask_for_more_even_where_slots_are_free():
    """Handlers that hold the loop leave slots free and jobs waiting."""
    assert wanted(Load(ready=1, running=1, oldest_seconds=5), 3, 100, Scale(wait_seconds=2)) == 4
    assert wanted(Load(ready=1, running=1, oldest_seconds=1), 3, 100, Scale(wait_seconds=2)) == 1
    assert wanted(Load(oldest_seconds=5), 3, 100, Scale(wait_seconds=2)) == 0


@pytest.mark.parametrize("bad", [{"utilization": 0}, {"utilization": 1.1}, {"look_seconds": 0}, {"wait_seconds": -1}])
def test_bad_scales_are_refused(bad):
    with pytest.raises(InvalidInput, match=next(iter(bad))):
        Scale(**bad)
