"""How much a worker asks for: never nothing, never more than it has, and as much as it gets begun."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from tenure._balance import AHEAD, Hold, share
from tenure._samples import DEGRADED

CAPACITIES = st.integers(1, 10_000)
SCORES = st.integers(0, 100)
BATCHES = st.tuples(st.integers(1, 500), st.floats(0, 1000))


@given(CAPACITIES, SCORES)
def test_a_share_is_at_least_one_slot_and_at_most_all(capacity, score):
    assert 1 <= share(capacity, score) <= capacity


@given(CAPACITIES, CAPACITIES, SCORES, SCORES)
def test_who_is_better_or_larger_has_no_smaller_share(capacity, larger, score, better):
    assert share(*map(min, (capacity, score), (larger, better))) <= share(
        *map(max, (capacity, score), (larger, better))
    )


@given(CAPACITIES, st.integers(DEGRADED, 100))
def test_who_is_not_degraded_has_all_of_it(capacity, score):
    assert share(capacity, score) == capacity


@given(st.integers(DEGRADED, 10_000), st.integers(0, DEGRADED - 1))
def test_a_degraded_worker_has_less_and_a_fifth_at_least(capacity, score):
    assert capacity / 5 <= share(capacity, score) < capacity


@given(st.lists(BATCHES))
def test_a_window_is_never_shut_and_never_wider_than_what_began_in_time(batches):
    hold = Hold()
    for count, seconds in batches:
        before = hold.most
        hold.learn(count, seconds)
        assert hold.most >= 1
        assert hold.most <= max(1, 2 * before + 1)
        if seconds > AHEAD:
            assert hold.most <= max(1, count * AHEAD / seconds)


@given(st.floats(1e-4, 10))
def test_jobs_of_one_length_are_soon_held_for_no_longer_than_planned(seconds):
    """A worker that takes all it may, and runs it one after the other."""
    hold = Hold()
    for _ in range(20):
        hold.learn(hold.most, hold.most * seconds)
    assert (hold.most - 1) * seconds <= AHEAD
    assert hold.most >= min(AHEAD / seconds * 0.4, 1)


def test_one_long_job_among_short_ones_narrows_it_for_a_moment():
    hold = Hold()
    for _ in range(10):
        hold.learn(hold.most, hold.most * 0.0001)
    wide = hold.most
    assert wide > 500
    hold.learn(50, 10.0)
    assert hold.most == 1
    rounds = 0
    while hold.most < 500:
        hold.learn(hold.most, hold.most * 0.0001)
        rounds += 1
    assert rounds < 12


def begin(hold: Hold, count: int) -> list[bool]:
    """Whether a batch has begun with each."""
    ended = []
    for _ in range(count):
        hold.begun += 1
        ended.append(hold.begun == hold.due)
    return ended


def test_a_batch_is_timed_by_its_last_and_by_what_was_before_it():
    hold = Hold()
    first = time.monotonic() - 2 * AHEAD
    hold.handed(2, first)
    hold.handed(1, first)
    assert begin(hold, 3) == [False, True, False]
    assert hold.waits_since() == first  # the loop has not turned since
    hold.timed()  # both
    assert hold.waits_since() is None
    assert hold.most == 1  # two took twice as long as planned


def test_what_is_withdrawn_waits_no_more():
    hold = Hold()
    hold.handed(10, time.monotonic() - 1)
    begin(hold, 1)
    hold.withdrawn(time.monotonic())
    assert hold.waits_since() is None
    assert hold.most == 1
    hold.handed(2, time.monotonic())
    assert begin(hold, 2) == [False, True]
