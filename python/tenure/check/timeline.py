"""The timeline of a job that broke something: everything that any witness said of it, in the order of time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from tenure.check.evidence import Breach, Evidence

_MOST: Final = 20
_NS: Final = 1e9


def timeline(evidence: Evidence, job_id: str) -> list[str]:
    """What happened to one job, a line each, in seconds since the run began; faults that struck meanwhile among it."""
    zero = evidence.history[0].t_mono_ns / _NS if evidence.history else 0.0
    witnesses = (_asked, _stored, _run, _queued)
    lines = sorted(line for witness in witnesses for line in witness(evidence, job_id))
    return [f"{moment - zero:9.3f} {text}" for moment, text in lines]


def _asked(evidence: Evidence, job_id: str) -> Iterator[tuple[float, str]]:
    for event in evidence.history or ():
        ids = [one["id"] for one in event.value.get("jobs", ())] + event.value.get("got", [])
        if job_id in ids or event.value.get("job") == job_id:
            yield event.t_mono_ns / _NS, f"{event.proc} {event.type} {event.f}"
        elif event.proc == "nemesis":
            yield event.t_mono_ns / _NS, f"nemesis {event.type} {event.f} {event.value or ''}"


def _stored(evidence: Evidence, job_id: str) -> Iterator[tuple[float, str]]:
    for change in evidence.changes_of.get(job_id, ()):
        fences = f"fence {change.old_fence} to {change.new_fence}, attempts {change.attempts}"
        yield evidence.monotonic(change.at), f"postgresql {change.old_status} to {change.new_status}, {fences}"
    for attempt in evidence.attempts_of.get(job_id, ()):
        moment = evidence.monotonic(attempt.completed_at or attempt.started_at)
        yield moment, f"recorded: fence {attempt.fence}, attempt {attempt.attempt}, {attempt.status}"


def _run(evidence: Evidence, job_id: str) -> Iterator[tuple[float, str]]:
    for run in evidence.runs_of.get(job_id, ()):
        yield run.started_ns / _NS, f"process {run.pid} runs fence {run.fence}"
        if run.ended_ns is not None:
            yield run.ended_ns / _NS, f"process {run.pid} ends fence {run.fence}: {run.outcome}"


def _queued(evidence: Evidence, job_id: str) -> Iterator[tuple[float, str]]:
    for call in evidence.ledger.leases if evidence.ledger else ():
        for one, fence, _ in call.jobs:
            if one == job_id:
                yield call.ended_ns / _NS, f"leased under fence {fence}"
    for at, sample in evidence.samples.queues if evidence.samples else ():
        seen = [name for name, ids in sample.waiting.items() if job_id in ids]
        seen += [f"lease {member}" for member in sample.leases if member.startswith(job_id)]
        seen += [f"rescuing {member}" for member in sample.rescuing if member.startswith(job_id)]
        if seen:
            yield at / _NS, f"redis has {', '.join(seen)}"


def write_timelines(evidence: Evidence, breaches: Mapping[str, Sequence[Breach]], path: Path) -> None:
    """Those of the first jobs that broke something; no file where none did."""
    jobs = list(dict.fromkeys(breach.job for found in breaches.values() for breach in found if breach.job))
    parts = []
    for job_id in jobs[:_MOST]:
        row = evidence.job.get(job_id)
        texts = [breach.text for found in breaches.values() for breach in found if breach.job == job_id]
        parts += [f"{job_id} {row.job_type if row else 'not there'}", *(f"  {text}" for text in texts)]
        parts += [*timeline(evidence, job_id), ""]
    if parts:
        path.write_text("\n".join(parts), "utf-8")
