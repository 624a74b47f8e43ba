"""How soon a dead worker is found out and how often a living one is called dead, on the same arrivals of heartbeats."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Final

from bench.arrivals import WEATHERS, Weather, record, trace
from tenure._detector import PAUSE_MS, THRESHOLD, Rhythm
from tenure._observer import CONFIRMATIONS, SEATS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from bench.space import Space

_SECONDS: Final = 600.0  # for which each worker lives
_STALE: Final = 20.0  # s by which one observer is behind, in the scenario of that name
_Z: Final = -NormalDist().inv_cdf(10.0**-THRESHOLD)

Span = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed:
    """A worker is dead if it was silent for `timeout` when somebody looks, every `check` s (0: at once)."""

    name: str
    every: float
    timeout: float
    check: float = 0.0

    def alarms(self, arrivals: Sequence[float], chance: random.Random) -> Iterator[Span]:
        """From when to when it takes the worker for dead."""
        phase = chance.uniform(0.0, self.check)
        for one, two in pairwise([*arrivals, math.inf]):
            yield from _seen((one + self.timeout, two), self.check, phase)


@dataclass(frozen=True, slots=True, kw_only=True)
class Phi:
    """Tenure's own: so many of five observers must agree, one of which may be behind by `stale` s."""

    name: str
    every: float
    confirmations: int
    grace: bool = True
    stale: float = 0.0

    def alarms(self, arrivals: Sequence[float], chance: random.Random) -> Iterator[Span]:
        """From when to when the leader takes the worker for dead: it looks as often as the observers do."""
        look = min(1.0, self.every / 4)
        rhythm = Rhythm(round(arrivals[0] * 1000), round(self.every * 1000), _Z)
        limits = [rhythm.limit_ms + self._grace_ms(rhythm)]
        for arrival in arrivals[1:]:
            rhythm.hear(round(arrival * 1000))
            limits.append(rhythm.limit_ms + self._grace_ms(rhythm))
        changes: list[tuple[float, int]] = []
        for observer in range(SEATS):
            behind = self.stale if observer == 0 else 0.0
            phase = chance.uniform(0.0, look)
            for (one, two), limit in zip(pairwise([*arrivals, math.inf]), limits, strict=True):
                silent = max(one + behind, one + limit / 1000)
                for begin, end in _seen((silent, two + behind), look, phase):
                    changes += [(begin, 1), (end, -1)]
        phase = chance.uniform(0.0, look)
        for span in _agreed(changes, self.confirmations):
            yield from _seen(span, look, phase)

    def _grace_ms(self, rhythm: Rhythm) -> float:
        return max(PAUSE_MS, rhythm.mean_ms) if self.grace else 0.0


def _seen(span: Span, check: float, phase: float) -> Iterator[Span]:
    """The part of a span from the first look that falls into it, if any does."""
    begin, end = span
    if check:
        begin = phase + math.ceil((begin - phase) / check) * check
    if begin < end:
        yield begin, end


def _agreed(changes: list[tuple[float, int]], enough: int) -> Iterator[Span]:
    """When so many agree."""
    votes, since = 0, 0.0
    for at, change in sorted(changes):
        before, votes = votes, votes + change
        if before < enough <= votes:
            since = at
        elif votes < enough <= before:
            yield since, at


Detector = Fixed | Phi
# What other systems do by default, by their documentation or source; see the README.
PEERS: Final = (
    Fixed(name="Sidekiq: 10 s beats, 60 s", every=10.0, timeout=60.0),
    Fixed(name="procrastinate: 10 s beats, 30 s", every=10.0, timeout=30.0),
    Fixed(name="BullMQ: 15 s renewals, 30 s, looked at every 30 s", every=15.0, timeout=30.0, check=30.0),
    Fixed(name="Celery: 2 s beats, 4 s", every=2.0, timeout=4.0),
)
OURS: Final = (
    Phi(name="tenure: 10 s beats, suspected", every=10.0, confirmations=1, grace=False),
    Phi(name="tenure: 10 s beats, failed without confirmation", every=10.0, confirmations=1),
    Phi(name="tenure: 10 s beats, failed", every=10.0, confirmations=CONFIRMATIONS),
    Phi(name="tenure: 2 s beats, failed", every=2.0, confirmations=CONFIRMATIONS),
)


def watch(detector: Detector, traces: Iterable[tuple[list[float], float]]) -> dict[str, Any]:
    """One detector on the beats of many workers."""
    false, delays = 0, list[float]()
    for number, (arrivals, died) in enumerate(traces):
        spans = list(detector.alarms(arrivals, random.Random(number)))
        false += sum(begin < died for begin, _ in spans)
        delays.append(next(max(0.0, begin - died) for begin, end in spans if end == math.inf))
    delays.sort()
    return {
        "detector": detector.name,
        "found_p50_s": round(delays[len(delays) // 2], 1),
        "found_p99_s": round(delays[len(delays) * 99 // 100], 1),
        "found_max_s": round(delays[-1], 1),
        "false_alarms": false,
    }


async def detection(here: Space, workers: int, seconds: float) -> list[dict[str, Any]]:
    """Record how late real beats are, then judge by them."""
    calm, busy = await record(here, 0, seconds), await record(here, 4, seconds)
    rows = []
    for weather in (*WEATHERS, Weather("busy"), Weather("one observer is 20 s behind")):
        late = [max(0.0, one) for one in (busy if weather.name.startswith(("busy", "all")) else calm)]
        traces = {
            every: [trace(weather, late, every, _SECONDS, number) for number in range(workers)]
            for every in {one.every for one in (*PEERS, *OURS)}
        }
        # what somebody would choose who knew the weather: the shortest timeout that errs with nobody
        gaps = (two - one for arrivals, _ in traces[10.0] for one, two in pairwise(arrivals))
        best = Fixed(name="10 s beats, the least timeout without a false alarm", every=10.0, timeout=max(gaps) + 0.001)
        stale = _STALE if "behind" in weather.name else 0.0
        for detector in (*(replace(one, stale=stale) for one in OURS), best, *PEERS):
            found = watch(detector, traces[detector.every])
            rows.append({"name": weather.name, **found, "workers": workers, "minutes_each": _SECONDS / 60})
    return rows
