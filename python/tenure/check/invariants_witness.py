"""Invariants that need the clients' history, the handlers' ledger, or looks at both stores while faults went on."""

from __future__ import annotations

import bisect
import itertools
import math
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final

from tenure._engine import backoff_ms
from tenure.check.evidence import Breach
from tenure.check.jobs import BACKOFF

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tenure.check.evidence import Evidence
    from tenure.check.ledger import Run

_NS: Final = 1e9
_KS_LEAST: Final = 1000
# One run in a million would be wronged: 200 seeds are checked at once.
_KS_LIMIT: Final = math.sqrt(math.log(2 / 1e-6) / 2)
_ROUNDING: Final = 0.002  # seconds; a delay is whole milliseconds, and PostgreSQL's are microseconds
_RECONCILED: Final = 8.0  # seconds in which the reconciler has looked at everything that changed
_LEAK_FDS: Final = 24
_LEAK_THREADS: Final = 12
_LEAK_TASKS: Final = 40
_ABOUT: Final = 0.1  # seconds by which two clocks and two looks may differ
_LASTING: Final = ("dead-letter-queue", "generation", "idle", "lane-idle", "lane-policy")


def i1_acked_is_there(evidence: Evidence) -> Iterator[Breach]:
    """I1: every acknowledged job is in PostgreSQL, and nothing that nobody asked for, or that was surely refused."""
    there, asked, refused = set(evidence.job), set(), set()
    for call, answer in evidence.answers("enqueue"):
        ids = [one["id"] for one in call.value["jobs"]]
        asked.update(ids)
        if answer is not None and answer.type == "fail":
            refused.update(ids)
        elif answer is not None and answer.type == "ok":
            for job_id in answer.value["got"]:
                if job_id not in there:
                    yield Breach(job=job_id, text="lost: acknowledged, and not there")
    if evidence.history is not None:
        for job_id in there - asked:
            yield Breach(job=job_id, text="unexpected: nobody asked for it")
        for job_id in there & refused:
            yield Breach(job=job_id, text="unexpected: its enqueuer was told that it was refused")


def i5_one_lease(evidence: Evidence) -> Iterator[Breach]:
    """I5: at any look, at most one valid lease for each job: none for a later fence while PostgreSQL says that an
    earlier one, which has its lease, is running.

    A lease for an earlier fence than PostgreSQL's is not valid: a rebuild may restore one that has just ended, nobody
    extends it, and it can change nothing.
    """
    for moment, sample in evidence.samples.queues if evidence.samples else ():
        fences: dict[str, list[int]] = defaultdict(list)
        for member, end in sample.leases.items():
            if end > sample.now_ms:
                job_id, _, fence = member.rpartition(":")
                fences[job_id].append(int(fence))
        for job_id, alive in fences.items():
            running = _running_about(evidence, job_id, moment / _NS) if len(alive) > 1 else None
            if running in alive and max(alive) > (running or 0):
                yield Breach(job=job_id, text=f"live leases {sorted(alive)} at once while {running} runs")


def _running_about(evidence: Evidence, job_id: str, moment: float) -> int | None:
    """The fence under which PostgreSQL had the job running at a moment, and a little before and after it."""
    now = moment + evidence.clock_offset
    states = set()
    for at in (now - _ABOUT, now + _ABOUT):
        before = [change for change in evidence.changes_of.get(job_id, ()) if change.at <= at]
        states.add((before[-1].new_status, before[-1].new_fence) if before else (None, None))
    status, fence = states.pop()
    return fence if status == "PROCESSING" and not states else None


def i8_one_entry(evidence: Evidence) -> Iterator[Breach]:
    """I8: at any look, at most one entry for each job among the ready and the scheduled, and one for each lease."""
    for _, sample in evidence.samples.queues if evidence.samples else ():
        places = Counter(job_id for ids in sample.waiting.values() for job_id in ids)
        for job_id, count in places.items():
            if count > 1:
                yield Breach(job=job_id, text=f"waits in {count} places of {sample.queue} at once")
        for member in set(sample.leases) & set(sample.rescuing):
            yield Breach(job=member.rpartition(":")[0], text=f"leased and being rescued at once: {member}")


def i10_priority(evidence: Evidence) -> Iterator[Breach]:
    """I10: when a lease is given, no job of a higher priority was ready in its queue for the whole of the call.

    A job counts as ready from the end of its push to the beginning of the call that leased it, unless Redis lost it
    in between, or a client may have taken it out.
    """
    if evidence.ledger is None:
        return
    leased = {job: call.began_ns for call in evidence.ledger.leases for job, fence, _ in call.jobs if fence == 1}
    losses = sorted(
        event.t_mono_ns for event in evidence.history or () if event.f in ("wipe", "flushall", "client-kill")
    )
    steered = {event.value.get("job") for event in evidence.history or () if event.f in ("cancel", "retry")}
    ready: dict[tuple[str, int], list[tuple[int, int]]] = defaultdict(list)
    for push in evidence.ledger.pushes:
        for job, _, priority in push.jobs:
            until = leased.get(job)
            if (
                until is not None
                and job not in steered
                and until > push.ended_ns
                and not _within(losses, push.began_ns, until)
            ):
                ready[push.queue, priority].append((push.ended_ns, until))
    latest = {key: _running_latest(sorted(spans)) for key, spans in ready.items()}
    for call in evidence.ledger.leases:
        lowest_job, _, lowest = min(call.jobs, key=lambda one: one[2])
        for priority in range(lowest + 1, 6):
            starts, ends = latest.get((call.queue, priority), ([], []))
            place = bisect.bisect_left(starts, call.began_ns)
            if place and ends[place - 1] > call.ended_ns:
                yield Breach(job=lowest_job, text=f"leased at priority {lowest} while {priority} was ready all along")


def _within(moments: list[int], begin: int, end: int) -> bool:
    place = bisect.bisect_left(moments, begin)
    return place < len(moments) and moments[place] <= end


def _running_latest(spans: list[tuple[int, int]]) -> tuple[list[int], list[int]]:
    """The starts, and for each the latest end of all up to it."""
    ends: list[int] = []
    for _, end in spans:
        ends.append(max(end, ends[-1]) if ends else end)
    return [start for start, _ in spans], ends


def i13_no_lease_lost_early(evidence: Evidence) -> Iterator[Breach]:
    """I13: no clock but Redis' own ends a lease: an attempt is lost only if its process died or did not run for a good
    part of a lease, or Redis lost its leases or was cut off from it within a lease and a reconciliation.
    """
    if evidence.ledger is None:
        return
    lease = evidence.lease_seconds
    cuts = sorted(
        event.t_mono_ns / _NS
        for event in evidence.history or ()
        if event.f in ("wipe", "flushall", "client-kill", "script-flush", "pg-terminate", "row-lock")
    )
    for attempt in evidence.attempts:
        if attempt.status != "LOST" or attempt.completed_at is None:
            continue
        lost = evidence.monotonic(attempt.completed_at)
        place = bisect.bisect_left(cuts, lost - lease - _RECONCILED)
        if place < len(cuts) and cuts[place] <= lost:
            continue
        if attempt.pid is None or not _ran(evidence, attempt.pid, lost - lease * 2, lost, lease / 4):
            continue
        yield Breach(
            job=attempt.job_id, text=f"fence {attempt.fence} was lost, though its process {attempt.pid} was well"
        )


def _ran(evidence: Evidence, pid: int, begin: float, end: float, gap: float) -> bool:
    """Whether a process gave signs of life all the while, without a gap."""
    assert evidence.ledger is not None  # noqa: S101 - its callers asked
    if pid in evidence.deaths and evidence.deaths[pid] / _NS <= end:
        return False
    pulses = [pulse.t_ns / _NS for pulse in evidence.ledger.pulses.get(pid, ())]
    inside = [moment for moment in pulses if begin <= moment <= end]
    edges = [max(begin, pulses[0]) if pulses else begin, *inside, end]
    return all(later - earlier < gap + 0.2 for earlier, later in itertools.pairwise(edges))


def i14_runs_are_attempts(evidence: Evidence) -> Iterator[Breach]:
    """I14: a lease is run at most once, every run is an attempt, and two runs of a job overlap only if the earlier
    one's lease was lost.
    """
    if evidence.ledger is None:
        return
    for job_id, runs in evidence.runs_of.items():
        recorded = {attempt.fence: attempt for attempt in evidence.attempts_of.get(job_id, ())}
        job = evidence.job.get(job_id)
        for fence, count in Counter(run.fence for run in runs).items():
            # A lease that Redis forgot and a rebuild gave again may run twice where starts are recorded behind.
            if count > 1 and (job is None or job.mode == "before"):
                yield Breach(job=job_id, text=f"ran {count} times under fence {fence}")
            if fence not in recorded and (job is None or job.mode == "before"):
                yield Breach(job=job_id, text=f"ran under fence {fence}, and no attempt says so")
        for earlier, later in overlaps(runs):
            attempt = recorded.get(earlier.fence)  # none where the start of a run was never recorded
            if attempt is not None and attempt.status not in ("LOST", "CANCELLED", "FAILED", "RELEASED"):
                yield Breach(
                    job=job_id,
                    text=f"fence {later.fence} ran beside fence {earlier.fence}, which was {attempt.status}, not lost",
                )


def overlaps(runs: Sequence[Run]) -> Iterator[tuple[Run, Run]]:
    """Pairs of runs of one job that went on at once, the lower fence first: a process that was stopped between its
    lease and its handler may start it behind the run of a later fence.
    """
    for place, first in enumerate(runs):
        for second in runs[place + 1 :]:
            if first.ended_ns is not None and second.started_ns < first.ended_ns and second.fence != first.fence:
                yield (first, second) if first.fence < second.fence else (second, first)


def i15_backoff(evidence: Evidence) -> Iterator[Breach]:
    """I15: every retry's delay is within its bounds, and over 1,000 of them (the run's own, or drawn from the core) are
    uniform within them.
    """
    shares = []
    for change in evidence.changes or ():
        job = evidence.job.get(change.job_id)
        failing = job is not None and job.job_type in ("flaky", "doomed")
        if not failing or (change.old_status, change.new_status) != ("PROCESSING", "SCHEDULED"):
            continue
        bound = _bound(change.attempts or 1)
        delay = change.delay_seconds or 0.0
        shares.append(delay / bound)
        if not 0 <= delay <= bound + _ROUNDING:
            yield Breach(job=change.job_id, text=f"retry {change.attempts} waits {delay:.3f} s, at most {bound:g} s")
    if len(shares) < _KS_LEAST:
        base, cap = round(BACKOFF.base * 1000), round(BACKOFF.cap * 1000)
        shares = [backoff_ms(0, base, BACKOFF.factor, cap, "full") / base for _ in range(_KS_LEAST)]
    distance = uniform_distance(shares)
    if distance > _KS_LIMIT / math.sqrt(len(shares)) + 0.005:  # whole milliseconds of 200
        yield Breach(text=f"the delays of {len(shares)} retries are not uniform: distance {distance:.3f}")


def _bound(attempt: int) -> float:
    return min(BACKOFF.cap, BACKOFF.base * BACKOFF.factor ** (attempt - 1))


def uniform_distance(shares: Sequence[float]) -> float:
    """The Kolmogorov-Smirnov distance of a sample from the uniform distribution on [0, 1]."""
    count = len(shares)
    return max(max((place + 1) / count - share, share - place / count) for place, share in enumerate(sorted(shares)))


def i16_conserved(evidence: Evidence) -> Iterator[Breach]:
    """I16: in every snapshot, jobs by state add up to the jobs ever inserted, and to what every change so far amounts
    to; and they are no fewer than were acknowledged before, and no more than were asked for until then.
    """
    for count in evidence.samples.counts if evidence.samples else ():
        if sum(count.counted.values()) != count.inserted:
            yield Breach(text=f"{sum(count.counted.values())} jobs in all states, {count.inserted} were inserted")
        if count.counted != count.witnessed:
            yield Breach(text=f"by state {count.counted}, by their changes {count.witnessed}")
        asked: set[str] = set()
        acked: set[str] = set()
        for event in (evidence.history or [])[: count.last_event]:
            if event.f == "enqueue" and event.type == "invoke":
                asked.update(one["id"] for one in event.value["jobs"])
            elif event.f == "enqueue" and event.type == "ok" and event.i < count.first_event:
                acked.update(event.value["got"])
        if not len(acked) <= count.inserted <= len(asked):
            yield Breach(text=f"{count.inserted} inserted, {len(acked)} acknowledged, {len(asked)} asked for")


def i17_stores_agree(evidence: Evidence) -> Iterator[Breach]:
    """I17: once quiet, looked at twice: Redis has no entry, lease or descriptor of a job that has ended, lacks none
    that has not, and has no dead letter that PostgreSQL has not.
    """
    if evidence.quiet is None:
        return
    dead = {row.job_id for row in evidence.dead}
    for look in evidence.quiet.queues:
        for sample in look:
            left = {name: len(ids) for name, ids in sample.waiting.items() if ids}
            left |= {"leases": len(sample.leases)} if sample.leases else {}
            left |= {"rescuing": len(sample.rescuing)} if sample.rescuing else {}
            left |= {"descriptors": sample.descriptors} if sample.descriptors else {}
            if left:
                yield Breach(text=f"{sample.queue} is not empty once all is done: {left}")
            for job_id in set(sample.dead) - dead:
                yield Breach(job=job_id, text="dead in redis, not in postgresql")
    for ids in evidence.quiet.missing:
        for job_id in ids:
            yield Breach(job=job_id, text="waits in postgresql, and redis does not know it")


def i18_limits(evidence: Evidence) -> Iterator[Breach]:
    """I18: no worker runs more than its slots, threads that nobody could cancel included."""
    if evidence.ledger is None or evidence.concurrency is None:
        return
    by_process: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for run in evidence.ledger.runs:
        if run.ended_ns is not None:
            by_process[run.pid] += [(run.started_ns, 1), (run.ended_ns, -1)]
    for pid, moments in by_process.items():
        running = most = 0
        for _, step in sorted(moments):
            running += step
            most = max(most, running)
        if most > evidence.concurrency:
            yield Breach(text=f"the worker process {pid} ran {most} jobs at once, {evidence.concurrency} are allowed")


def i20_no_leak(evidence: Evidence) -> Iterator[Breach]:
    """I20: once quiet, files, threads and tasks of every worker are back near where they began, no session sits in a
    transaction, and no key without an end is there but those that a queue keeps.
    """
    if evidence.quiet is None:
        return
    if evidence.quiet.idle_in_transaction:
        yield Breach(text=f"{evidence.quiet.idle_in_transaction} sessions sit in a transaction")
    for key in evidence.quiet.keys:
        if key.rpartition(":")[2] not in _LASTING:
            yield Breach(text=f"a key without an end is left: {key}")
    for pid, pulses in evidence.ledger.pulses.items() if evidence.ledger else ():
        if pid in evidence.deaths or len(pulses) < 2:  # noqa: PLR2004 - a first and a last one
            continue
        first, last = pulses[0], pulses[-1]
        for what, before, after, most in (
            ("files", first.fds, last.fds, _LEAK_FDS),
            ("threads", first.threads, last.threads, _LEAK_THREADS),
            ("tasks", first.tasks, last.tasks, _LEAK_TASKS),
        ):
            if after > before + most:
                yield Breach(text=f"the worker process {pid} had {before} {what}, and has {after}")
