"""The failure detector: what follows from its definition, whatever the beats."""

from __future__ import annotations

import math
import random
import time
from statistics import NormalDist, fmean, pstdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure._detector import PAUSE_MS, THRESHOLD, WINDOW, Detector, Rhythm

Z = -NormalDist().inv_cdf(10.0**-THRESHOLD)
INTERVALS = st.lists(st.integers(1, 5000), min_size=WINDOW, max_size=3 * WINDOW)


def after(intervals: list[int], every_ms: int = 1000) -> tuple[Detector, int]:
    """A detector that has heard a worker called w with these intervals, and when it did last."""
    detector, at = Detector(), 10**12
    detector.meet("w", at, every_ms)
    for interval in intervals:
        at += interval
        detector.hear("w", at)
    return detector, at


@given(INTERVALS)
def test_mean_and_deviation_are_those_of_the_window(intervals):
    rhythm = Rhythm(0, 1000, Z)
    at, kept = 0, []
    for interval in intervals:
        kept.append(min(interval, round(2 * rhythm.limit_ms + PAUSE_MS)))
        at += interval
        rhythm.hear(at)
    window = kept[-WINDOW:]
    assert math.isclose(rhythm.mean_ms, fmean(window))
    assert math.isclose(rhythm.deviation_ms, max(pstdev(window), fmean(window) / 10, 1.0), rel_tol=1e-6)


@given(INTERVALS, st.integers(0, 10**6), st.integers(0, 10**6))
def test_suspicion_only_grows_with_silence(intervals, one, two):
    detector, at = after(intervals)
    assert detector.phi("w", at + min(one, two)) <= detector.phi("w", at + max(one, two)) <= 300.0


@given(INTERVALS, st.integers(1, 10**6))
def test_late_is_a_phi_above_the_threshold(intervals, silence):
    detector, at = after(intervals)
    phi = detector.phi("w", at + silence)
    if abs(phi - THRESHOLD) > 0.01:
        assert detector.late("w", at + silence) == (phi > THRESHOLD)
    grace = round(max(PAUSE_MS, detector._rhythms["w"].mean_ms))
    assert detector.dead("w", at + silence + grace) == detector.late("w", at + silence)


@given(INTERVALS, st.integers(1, 10**9))
def test_a_beat_ends_every_suspicion(intervals, silence):
    detector, at = after(intervals)
    assert detector.hear("w", at + silence)
    assert not detector.late("w", at + silence)
    assert not detector.hear("w", at + silence), "the same beat, read again"
    assert not detector.hear("w", at), "an older one"


@given(st.integers(100, 60_000))
def test_a_regular_worker_is_given_up_soon(every_ms):
    detector, at = after([every_ms] * WINDOW, every_ms)
    assert not detector.late("w", at + round(1.5 * every_ms))
    assert detector.late("w", at + round(1.6 * every_ms))
    assert not detector.dead("w", at + every_ms + PAUSE_MS), "it stood still for two seconds"
    assert not detector.dead("w", at + 2 * every_ms), "one beat was lost"
    assert detector.dead("w", at + round(1.6 * every_ms) + max(PAUSE_MS, every_ms))


@given(st.integers(100, 60_000))
def test_what_a_worker_says_of_itself_is_believed_at_first(every_ms):
    detector, at = after([], every_ms)
    assert not detector.late("w", at + 2 * every_ms)
    assert detector.late("w", at + 3 * every_ms)


@given(st.integers(0, 2**32))
def test_who_is_often_late_is_given_more_time(seed):
    """Delays of 200 ms to 2 s on beats of half a second: whoever has lived with them for a window goes on."""
    chance = random.Random(seed)
    arrivals = sorted(500 * number + chance.uniform(200, 2000) for number in range(600))
    detector = Detector()
    detector.meet("w", round(arrivals[0]), 500)
    for number, arrival in enumerate(arrivals):
        assert not detector.dead("w", round(arrival)), f"beat {number}"
        detector.hear("w", round(arrival))


def test_one_long_silence_does_not_excuse_the_next():
    detector, at = after([1000] * WINDOW)
    at += 3_600_000
    detector.hear("w", at)
    assert detector.dead("w", at + 10_000)


def test_who_has_left_is_forgotten():
    detector, _ = after([])
    detector.meet("v", 0, 1000)
    detector.keep({"v"})
    assert ("w" in detector, "v" in detector, len(detector)) == (False, True, 1)


@pytest.mark.parametrize("count", [10_000])
def test_a_look_at_ten_thousand_workers_is_cheap(count):
    """Ten looks, one a second, at beats of 10 s; the bound leaves room for a slow machine."""
    detector = Detector()
    ids = [str(number) for number in range(count)]
    for number, one in enumerate(ids):
        detector.meet(one, number, 10_000)
    began = time.process_time()
    for look in range(10):
        now = 1000 * look
        for number, one in enumerate(ids):
            heard = number + 10_000 if number % 10 == look else number
            detector.hear(one, heard)
            detector.late(one, now)
    assert time.process_time() - began < 2.0
