"""What a run came to: counts, times, effects, breaches, and a verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec

from tenure.check.evidence import Breach  # noqa: TC001 - msgspec reads the annotations
from tenure.check.invariants_witness import overlaps

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tenure.check.evidence import Evidence
    from tenure.check.plan import Plan

_NS: Final = 1e9

Verdict = Literal["valid", "invalid", "void"]


class Lost(msgspec.Struct, frozen=True, kw_only=True):
    """Acknowledged jobs that are not there, by where they stood among the acknowledged: before the first that is there,
    behind the last, or in between.
    """

    prefix: int
    middle: int
    postfix: int


class Rescue(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds from the death of a worker process to the rescue of each attempt that it had under way."""

    count: int
    p50: float
    p99: float
    most: float

    @classmethod
    def of(cls, times: Sequence[float]) -> Rescue | None:
        """The figures of these times; None without any."""
        if not times:
            return None
        ordered = sorted(times)
        at = [ordered[len(ordered) * share // 100] for share in (50, 99)]
        return cls(count=len(ordered), p50=at[0], p99=at[1], most=ordered[-1])


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One run.

    Attributes:
        verdict: `invalid` if an invariant was broken; else `void` if a nemesis had no effect or the jobs did not drain,
            for then nothing is proven; else `valid`.
        attempted: jobs that clients asked for.
        acked: of these, acknowledged.
        recovered: jobs whose enqueue had an unknown outcome, and that are there.
        duplicates: runs beyond the first that returned, for all jobs.
        overlap_seconds: for how long two runs of a job went on at once, for all jobs.
        zombies_refused: runs that returned after their lease was lost, and of which nothing was recorded.
        rescue, rescue_seconds: how long the attempts of dead processes waited for their rescue.
        effects: how much of an effect each nemesis had.
        drain_seconds: from the last fault's end to the end of the last job.
        breaches: what was broken, by invariant.
    """

    verdict: Verdict
    seed: int
    replay: str
    seconds: float
    attempted: int
    acked: int
    unknown: int
    recovered: int
    lost: Lost
    ended: dict[str, int]
    attempts: dict[str, int]
    duplicates: int
    overlap_seconds: float
    zombies_refused: int
    rescue: Rescue | None
    rescue_seconds: list[float]
    effects: dict[str, int]
    drain_seconds: float
    breaches: dict[str, list[Breach]]
    directory: str | None = None

    @property
    def why_void(self) -> list[str]:
        """The nemeses without an effect."""
        return [name for name, effect in self.effects.items() if not effect]


def make_report(
    plan: Plan,
    evidence: Evidence,
    breaches: dict[str, list[Breach]],
    effects: Mapping[str, int],
    seconds: float,
    drain_seconds: float,
) -> Report:
    """Count what the evidence shows."""
    asked: set[str] = set()
    acked: list[str] = []
    unknown: set[str] = set()
    for call, answer in evidence.answers("enqueue"):
        ids = [one["id"] for one in call.value["jobs"]]
        asked.update(ids)
        if answer is not None and answer.type == "ok":
            acked += answer.value["got"]
        elif answer is None or answer.type == "info":
            unknown.update(ids)
    acked = list(dict.fromkeys(acked))
    unknown -= set(acked)
    statuses = [job.status for job in evidence.jobs]
    kinds = [attempt.status for attempt in evidence.attempts]
    drained = evidence.quiet is not None and evidence.quiet.drained
    void = any(not effect for effect in effects.values()) or not drained
    times = _rescue_times(evidence)
    return Report(
        verdict="invalid" if breaches else "void" if void else "valid",
        seed=plan.seed,
        replay=plan.replay,
        seconds=round(seconds, 1),
        attempted=len(asked),
        acked=len(acked),
        unknown=len(unknown),
        recovered=len(unknown & set(evidence.job)),
        lost=_lost(acked, set(evidence.job)),
        ended={status: statuses.count(status) for status in sorted(set(statuses))},
        attempts={kind: kinds.count(kind) for kind in sorted(set(kinds))},
        duplicates=_duplicates(evidence),
        overlap_seconds=round(_overlap(evidence), 3),
        zombies_refused=_zombies(evidence),
        rescue=Rescue.of(times),
        rescue_seconds=times,
        effects=dict(effects),
        drain_seconds=round(drain_seconds, 1),
        breaches=breaches,
    )


def _lost(acked: Sequence[str], there: set[str]) -> Lost:
    places = [place for place, job_id in enumerate(acked) if job_id in there]
    gone = [place for place, job_id in enumerate(acked) if job_id not in there]
    first, last = (places[0], places[-1]) if places else (len(acked), len(acked))
    prefix = sum(place < first for place in gone)
    postfix = sum(place > last for place in gone)
    return Lost(prefix=prefix, middle=len(gone) - prefix - postfix, postfix=postfix)


def _duplicates(evidence: Evidence) -> int:
    """Runs that went to their end for a job whose work was, or would be, done by another one too."""
    verdicts = {
        (row.job_id, row.fence) for row in evidence.attempts if row.status in ("FAILED", "SNOOZED", "CANCELLED")
    }
    whole = [
        [run for run in runs if run.outcome == "returned" and (run.job, run.fence) not in verdicts]
        for runs in evidence.runs_of.values()
    ]
    return sum(max(0, len(runs) - 1) for runs in whole)


def _overlap(evidence: Evidence) -> float:
    total = 0
    for runs in evidence.runs_of.values():
        for earlier, later in overlaps(runs):
            begin = max(earlier.started_ns, later.started_ns)
            ends = [run.ended_ns for run in (earlier, later) if run.ended_ns is not None]
            total += max(0, min(ends) - begin)
    return total / _NS


def _zombies(evidence: Evidence) -> int:
    lost = {(attempt.job_id, attempt.fence) for attempt in evidence.attempts if attempt.status == "LOST"}
    return sum(
        (run.job, run.fence) in lost and run.outcome == "returned" for runs in evidence.runs_of.values() for run in runs
    )


def _rescue_times(evidence: Evidence) -> list[float]:
    times = []
    for attempt in evidence.attempts:
        death = evidence.deaths.get(attempt.pid or 0)
        if death is not None and attempt.status == "LOST" and attempt.completed_at is not None:
            waited = evidence.monotonic(attempt.completed_at) - death / _NS
            if waited > 0:  # else it was lost while its process still lived
                times.append(round(waited, 2))
    return times
