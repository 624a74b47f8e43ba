"""Invariants that PostgreSQL's rows, and where it is there its trigger's account of every change, can tell."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final

import msgspec

from tenure.check.evidence import ENDED, Breach

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tenure.check.evidence import Change, Evidence, JobRow

# Every edge of docs/states.md; None is "not there yet". What ended comes back only if a client asked for it.
_EDGES: Final = {
    None: ("PENDING", "SCHEDULED", "BLOCKED", "CANCELLED"),
    "BLOCKED": ("BLOCKED", "PENDING", "SCHEDULED", "CANCELLED"),
    "PENDING": ("PENDING", "PROCESSING", "CANCELLED"),
    "SCHEDULED": ("SCHEDULED", "PENDING", "PROCESSING", "CANCELLED"),
    "PROCESSING": ("COMPLETED", "SCHEDULED", "PENDING", "FAILED", "CANCELLED"),
    "COMPLETED": (),
    "FAILED": (),
    "CANCELLED": (),
}
# Where starts are recorded behind the run, an ending, or the rescue of one, is the first that PostgreSQL hears.
_BEHIND: Final = (("PENDING", "COMPLETED"), ("SCHEDULED", "COMPLETED"), ("PENDING", "FAILED"), ("SCHEDULED", "FAILED"))


def i2_one_end(evidence: Evidence) -> Iterator[Breach]:
    """I2: each job ends once; what ended does not change; every change is an edge of the state diagram."""
    for job in evidence.jobs:
        completed = sum(row.status == "COMPLETED" for row in evidence.attempts_of.get(job.job_id, ()))
        if completed != (job.status == "COMPLETED"):
            yield Breach(job=job.job_id, text=f"{job.status}, with {completed} completed attempts")
    for rewrite in evidence.rewrites:
        yield Breach(
            job=rewrite.job_id,
            text=f"attempt {rewrite.fence} was {rewrite.old_status} and became {rewrite.new_status or 'nothing'}",
        )
    for job_id, changes in evidence.changes_of.items():
        before: str | None = None
        for change in changes:
            if change.old_status != before:
                yield Breach(job=job_id, text=f"was {before}, then changed from {change.old_status}")
            before = change.new_status
            if not _allowed(change, evidence.job.get(job_id), retried=job_id in evidence.retried):
                yield Breach(job=job_id, text=f"went from {change.old_status} to {change.new_status or 'nothing'}")


def _allowed(change: Change, job: JobRow | None, *, retried: bool) -> bool:
    if change.new_status in _EDGES.get(change.old_status, ()):
        return True
    edge = (change.old_status or "", change.new_status or "")
    if job is not None and job.mode == "behind" and edge in _BEHIND:
        return True
    return retried and edge in (("FAILED", "PENDING"), ("CANCELLED", "PENDING"))


def i3_fenced(evidence: Evidence) -> Iterator[Breach]:
    """I3: what is recorded was recorded by the holder of the current fence: the completed attempt's fence is the job's,
    its result was made by the run under that fence, and what a guard let through came between that fence's start and
    end.
    """
    for job in evidence.jobs:
        for attempt in evidence.attempts_of.get(job.job_id, ()):
            if attempt.status == "COMPLETED" and attempt.fence != job.fence:
                yield Breach(job=job.job_id, text=f"completed by fence {attempt.fence}, its fence is {job.fence}")
        if job.status == "COMPLETED" and job.result and evidence.ledger is not None:
            yield from _made_under_fence(evidence, job)
    for change in evidence.changes or ():
        if change.old_status == "PROCESSING" and change.old_fence != change.new_fence:
            yield Breach(
                job=change.job_id, text=f"settled with fence {change.new_fence} while {change.old_fence} held it"
            )
    for effect in evidence.effects:
        if not _held_at(evidence.changes_of.get(effect.job_id, []), effect.seq, effect.fence):
            yield Breach(job=effect.job_id, text=f"the guard of fence {effect.fence} let a write through too late")


def _made_under_fence(evidence: Evidence, job: JobRow) -> Iterator[Breach]:
    result = msgspec.json.decode(job.result or b"") if (job.result or b"")[:1] == b"{" else None
    result = result or msgspec.msgpack.decode(job.result or b"")
    runs = {run.nonce: run for run in evidence.runs_of.get(job.job_id, ())}
    run = runs.get(result["nonce"])
    if run is None:
        yield Breach(job=job.job_id, text="its result was made by no run of it")
    elif run.fence != job.fence:
        yield Breach(job=job.job_id, text=f"the result of fence {run.fence} was recorded under fence {job.fence}")


def _held_at(changes: list[Change], seq: int, fence: int) -> bool:
    """Whether the last change before this number made the job run under this fence."""
    before = [change for change in changes if change.seq < seq]
    return bool(before) and before[-1].new_status == "PROCESSING" and before[-1].new_fence == fence


def i4_alive(evidence: Evidence) -> Iterator[Breach]:
    """I4: once healed, every job ends, but for those that wait for a parent that did not complete; no attempt stays
    open; every worker takes work again without a restart.
    """
    held = _held_back(evidence)
    for job in evidence.jobs:
        if job.status not in ENDED and job.job_id not in held:
            yield Breach(job=job.job_id, text=f"never ended: {job.status} under fence {job.fence}")
    for attempt in evidence.attempts:
        if attempt.status == "PROCESSING":
            yield Breach(job=attempt.job_id, text=f"attempt under fence {attempt.fence} never ended")
    if evidence.quiet is not None:
        for pid in evidence.quiet.deaf:
            yield Breach(text=f"the worker process {pid} took no more work after the last fault")


def _held_back(evidence: Evidence) -> set[str]:
    """Jobs that rightly wait: a parent they hold for failed, was cancelled, or is held back itself."""
    children: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for edge in evidence.edges:
        children[edge.parent_id].append((edge.job_id, edge.on_failure))
    held: set[str] = set()
    ends = [job.job_id for job in evidence.jobs if job.status in ("FAILED", "CANCELLED")]
    for parent in ends:
        held |= {child for child, policy in children[parent] if policy == "hold" and _blocked(evidence, child)}
    waiting = list(held)
    while waiting:
        for child, _ in children[waiting.pop()]:
            if child not in held and _blocked(evidence, child):
                held.add(child)
                waiting.append(child)
    return held


def _blocked(evidence: Evidence, job_id: str) -> bool:
    return evidence.job[job_id].status == "BLOCKED"


def i6_fences_rise(evidence: Evidence) -> Iterator[Breach]:
    """I6: a job's fence only ever rises, by one, and is used once; no attempt's fence is above its job's."""
    for job_id, attempts in evidence.attempts_of.items():
        fences = Counter(attempt.fence for attempt in attempts)
        if job_id in evidence.job and max(fences) > evidence.job[job_id].fence:
            yield Breach(job=job_id, text=f"has an attempt under fence {max(fences)}, above its own")
        starts = [attempt.started_at for attempt in attempts]
        if evidence.job[job_id].mode == "before" and starts != sorted(starts):
            yield Breach(job=job_id, text=f"its fences do not rise with time: {[one.fence for one in attempts]}")
    for change in evidence.changes or ():
        if change.old_fence is None or change.new_fence is None:
            continue
        starts_now = change.new_status == "PROCESSING"
        if not change.old_fence + starts_now <= change.new_fence <= change.old_fence + 1:
            yield Breach(job=change.job_id, text=f"its fence went from {change.old_fence} to {change.new_fence}")


def i7_one_row_an_attempt(evidence: Evidence) -> Iterator[Breach]:
    """I7: one row for each (job, fence); attempts from 1 without holes; as many as the job counted."""
    for job_id, attempts in evidence.attempts_of.items():
        for fence, count in Counter(attempt.fence for attempt in attempts).items():
            if count > 1:
                yield Breach(job=job_id, text=f"has {count} rows under fence {fence}")
        numbers = {attempt.attempt for attempt in attempts}
        if numbers != set(range(1, len(numbers) + 1)):
            yield Breach(job=job_id, text=f"its attempts have holes: {sorted(numbers)}")
    for job in evidence.jobs:
        if job.job_id in evidence.retried:
            continue  # its attempts began again
        rows = evidence.attempts_of.get(job.job_id, [])
        counted = [row for row in rows if row.status not in ("RELEASED", "SNOOZED")]
        if len(counted) != job.attempts:
            yield Breach(job=job.job_id, text=f"counts {job.attempts} attempts, {len(counted)} are recorded")


def i9_dead_letters(evidence: Evidence) -> Iterator[Breach]:
    """I9: the failed jobs are the dead letters, each for a reason that its attempts bear out."""
    dead = {row.job_id: row for row in evidence.dead}
    for job in evidence.jobs:
        if (job.status == "FAILED") != (job.job_id in dead):
            yield Breach(job=job.job_id, text=f"{job.status}, and {'a' if job.job_id in dead else 'no'} dead letter")
    for row in evidence.dead:
        found = evidence.job.get(row.job_id)
        if found is None:
            yield Breach(job=row.job_id, text="a dead letter of no job")
        elif row.reason == "exhausted" and found.attempts <= found.max_retries:
            yield Breach(job=row.job_id, text=f"exhausted after {found.attempts} of {found.max_retries + 1} attempts")
        elif row.reason == "poison" and found.crashes < evidence.poison_after:
            yield Breach(job=row.job_id, text=f"poison after {found.crashes} crashes")
    for job in evidence.jobs:
        if job.attempts > job.max_retries + 1:
            yield Breach(job=job.job_id, text=f"ran {job.attempts} times, {job.max_retries + 1} are allowed")


def i11_parents_first(evidence: Evidence) -> Iterator[Breach]:
    """I11: a job starts after its parents have ended as its policy asks; nothing waits for itself."""
    for edge in evidence.edges:
        child, parent = evidence.job.get(edge.job_id), evidence.job.get(edge.parent_id)
        if child is None or parent is None:
            yield Breach(job=edge.job_id, text="has a dependency on a job that is not there")
        elif evidence.changes is None:
            if edge.on_failure != "run" and child.started_at is not None:
                late = parent.completed_at is None or child.started_at < parent.completed_at
                if parent.status != "COMPLETED" or late:
                    yield Breach(job=edge.job_id, text=f"started before its parent {edge.parent_id} completed")
        else:
            ends = ("COMPLETED",) if edge.on_failure != "run" else ENDED
            start = _first(evidence, edge.job_id, ("PROCESSING", "COMPLETED"))
            end = _first(evidence, edge.parent_id, ends)
            if start is not None and (end is None or end > start):
                yield Breach(job=edge.job_id, text=f"started before its parent {edge.parent_id} ended")
    yield from _cycles(evidence)


def _first(evidence: Evidence, job_id: str, states: tuple[str, ...]) -> int | None:
    return next((one.seq for one in evidence.changes_of.get(job_id, ()) if one.new_status in states), None)


def _cycles(evidence: Evidence) -> Iterator[Breach]:
    """What is left once everything is taken away that waits for nothing."""
    waits: dict[str, set[str]] = defaultdict(set)
    children: dict[str, list[str]] = defaultdict(list)
    for edge in evidence.edges:
        waits[edge.job_id].add(edge.parent_id)
        children[edge.parent_id].append(edge.job_id)
    free = [parent for parent in children if not waits.get(parent)]
    while free:
        parent = free.pop()
        for child in children[parent]:
            waits[child].discard(parent)
            if not waits[child]:
                free.append(child)
    for job_id, parents in waits.items():
        if parents:
            yield Breach(job=job_id, text="waits for itself, by way of others")


def i12_unique(evidence: Evidence) -> Iterator[Breach]:
    """I12: one job for each idempotency key, and whoever enqueued it was told that one."""
    keys = Counter(job.idempotency_key for job in evidence.jobs if job.idempotency_key is not None)
    for key, count in keys.items():
        if count > 1:
            yield Breach(text=f"{count} jobs have the idempotency key {key}")
    told: dict[str, set[str]] = defaultdict(set)
    for asked, answer in evidence.answers("enqueue"):
        if answer is not None and answer.type == "ok":
            for one, got in zip(asked.value["jobs"], answer.value["got"], strict=True):
                if one["key"] is not None:
                    told[one["key"]].add(got)
    for key, ids in told.items():
        if len(ids) > 1:
            yield Breach(text=f"producers were told {len(ids)} jobs for the idempotency key {key}: {sorted(ids)}")
