"""Each invariant, shown evidence of what it is there for, and nothing else is broken by it unless it must be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from tenure.check.evidence import Change, DeadRow, Edge, Effect, Rewrite
from tenure.check.invariants import INVARIANTS, judge
from tenure.check.invariants_witness import uniform_distance
from tenure.check.ledger import Call, Pulse
from tests.check.evidences import S, attempt, change, event, good, job, run, sample

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenure.check.evidence import Evidence

BREAKS: dict[str, tuple[str, Callable[[Evidence], object]]] = {}


def breaks(name: str) -> Callable:
    """Register what breaks an invariant; the docstring is part of what must be said of it."""

    def register(spoil: Callable[[Evidence], object]) -> Callable:
        BREAKS[f"{name} {spoil.__name__}"] = (name, spoil)
        return spoil

    return register


def _with(evidence: Evidence, job_id: str, **values: object) -> None:
    evidence.jobs = [msgspec.structs.replace(one, **values) if one.job_id == job_id else one for one in evidence.jobs]


@breaks("I1")
def an_acknowledged_job_is_gone(evidence):
    evidence.jobs = [one for one in evidence.jobs if one.job_id != "lost"]
    evidence.attempts = [one for one in evidence.attempts if one.job_id != "lost"]
    evidence.ledger.runs = [one for one in evidence.ledger.runs if one.job != "lost"]


@breaks("I1")
def a_job_nobody_asked_for(evidence):
    evidence.jobs.append(job("stranger"))
    evidence.attempts.append(attempt("stranger"))
    evidence.ledger.runs.append(run("stranger", 1, 1, 2))


@breaks("I1")
def a_refused_job_is_there(evidence):
    evidence.history[1] = event(1, "fail", "enqueue", op=0, error="no")
    evidence.samples = None


@breaks("I2")
def an_end_that_changed(evidence):
    evidence.changes.append(change(8, "parent", "COMPLETED", "PENDING", (1, 1)))


@breaks("I2")
def an_edge_that_does_not_exist(evidence):
    evidence.changes.append(change(8, "lost", None, "PROCESSING", (None, None)))


@breaks("I2")
def two_completions(evidence):
    evidence.attempts = [
        msgspec.structs.replace(one, status="COMPLETED") if one.job_id == "lost" else one for one in evidence.attempts
    ]


@breaks("I2")
def a_rewritten_attempt(evidence):
    evidence.rewrites = [Rewrite("lost", 1, "LOST", "COMPLETED")]


@breaks("I3")
def a_result_of_another_fence(evidence):
    _with(evidence, "lost", result=msgspec.json.encode({"fence": 1, "nonce": "lost-1"}))


@breaks("I3")
def a_result_of_no_run(evidence):
    _with(evidence, "lost", result=msgspec.msgpack.encode({"fence": 1, "nonce": "made-up"}))


@breaks("I3")
def an_attempt_that_completed_under_an_older_fence(evidence):
    _with(evidence, "child", fence=2)
    evidence.jobs[1] = msgspec.structs.replace(evidence.jobs[1], result=None)


@breaks("I3")
def a_guard_that_let_through_too_late(evidence):
    evidence.effects = [Effect(5, "parent", 1)]


@breaks("I4")
def a_job_that_never_ends(evidence):
    evidence.jobs.append(job("stuck", status="PENDING", attempts=0, fence=0, result=None, completed_at=None))
    evidence.history[0].value["jobs"].append({"id": "stuck", "kind": "quick", "key": None, "needs": []})
    evidence.history[1].value["got"].append("stuck")
    evidence.samples = None


@breaks("I4")
def an_attempt_that_never_ends(evidence):
    evidence.attempts[-1] = msgspec.structs.replace(evidence.attempts[-1], status="PROCESSING", completed_at=None)


@breaks("I4")
def a_deaf_worker(evidence):
    evidence.quiet = msgspec.structs.replace(evidence.quiet, deaf=[7])


@breaks("I5")
def two_valid_leases(evidence):
    leases = {"parent:1": 9e9, "parent:2": 9e9}
    evidence.samples.queues = [(int(3.5 * S), sample(now_ms=1, leases=leases))]


@breaks("I6")
def a_fence_used_above_the_jobs(evidence):
    evidence.attempts.append(attempt("parent", 5, attempt=2, status="LOST"))
    _with(evidence, "parent", attempts=2)


@breaks("I6")
def a_fence_that_fell(evidence):
    evidence.changes += [
        change(8, "lost", None, "PENDING", (None, 5)),
        change(9, "lost", "PENDING", "PENDING", (5, 4)),
    ]


@breaks("I7")
def a_fence_used_twice(evidence):
    evidence.attempts.append(attempt("dead", 3, status="FAILED", attempt=3))


@breaks("I7")
def a_hole_in_the_attempts(evidence):
    evidence.attempts[-1] = msgspec.structs.replace(evidence.attempts[-1], attempt=5)


@breaks("I7")
def an_attempt_not_counted(evidence):
    _with(evidence, "dead", attempts=4, max_retries=3)


@breaks("I8")
def two_entries(evidence):
    waiting = {"high-priority-queue": ["child"], "scheduled-queue": ["child"]}
    evidence.samples.queues = [(S, sample(waiting=waiting))]


@breaks("I9")
def a_dead_letter_that_completed(evidence):
    evidence.dead.append(DeadRow(job_id="parent", reason="dead", attempts=1))


@breaks("I9")
def exhausted_too_early(evidence):
    _with(evidence, "dead", max_retries=5)


@breaks("I9")
def poison_without_crashes(evidence):
    evidence.dead = [DeadRow(job_id="dead", reason="poison", attempts=3)]


@breaks("I10")
def a_lower_priority_first(evidence):
    evidence.ledger.leases = [
        Call(queue="check-a", began_ns=2 * S, ended_ns=3 * S, jobs=[("child", 1, 2)]),
        Call(queue="check-a", began_ns=4 * S, ended_ns=5 * S, jobs=[("parent", 1, 3)]),
    ]


@breaks("I11")
def a_child_before_its_parent(evidence):
    evidence.changes = [msgspec.structs.replace(one, seq=13) if one.seq == 4 else one for one in evidence.changes]


@breaks("I11")
def a_cycle(evidence):
    evidence.changes = None
    _with(evidence, "parent", started_at=None)
    evidence.edges = [Edge("child", "parent", "run"), Edge("parent", "child", "run")]


@breaks("I12")
def a_key_used_twice(evidence):
    _with(evidence, "child", idempotency_key="k")


@breaks("I12")
def producers_told_different_jobs(evidence):
    asked = [{"id": "x", "kind": "quick", "key": "k", "needs": []}]
    for op, got in ((1, "parent"), (2, "child")):
        evidence.history += [
            event(2 * op, "invoke", "enqueue", op=op, jobs=asked),
            event(2 * op + 1, "ok", "enqueue", op=op, got=[got]),
        ]


@breaks("I13")
def a_lease_lost_while_its_worker_was_well(evidence):
    evidence.ledger.pulses = {7: [Pulse(pid=7, t_ns=t * S // 5, fds=20, threads=3, tasks=4) for t in range(60)]}


@breaks("I14")
def a_lease_run_twice(evidence):
    evidence.ledger.runs.append(run("parent", 1, 4.0, 4.1, nonce="second"))


@breaks("I14")
def a_run_without_an_attempt(evidence):
    evidence.ledger.runs.append(run("parent", 9, 4.0, 4.1))


@breaks("I14")
def an_overlap_without_a_loss(evidence):
    evidence.attempts[2] = msgspec.structs.replace(evidence.attempts[2], status="SNOOZED")
    _with(evidence, "lost", attempts=1)


@breaks("I15")
def a_retry_too_late(evidence):
    evidence.changes += [
        change(8, "lost", None, "PENDING", (None, 0)),
        change(9, "lost", "PENDING", "PROCESSING", (0, 1)),
        change(10, "lost", "PROCESSING", "SCHEDULED", (1, 1), delay_seconds=0.3),
    ]


@breaks("I15")
def retries_all_at_once(evidence):
    for n in range(1000):
        evidence.jobs.append(job(f"r{n}", job_type="flaky", status="CANCELLED", attempts=0, result=None))
        evidence.changes.append(change(10 + n, f"r{n}", "PROCESSING", "SCHEDULED", (1, 1), delay_seconds=0.19))


@breaks("I16")
def a_state_that_lost_a_job(evidence):
    count = evidence.samples.counts[0]
    evidence.samples.counts = [msgspec.structs.replace(count, counted={"PENDING": 3}, witnessed={"PENDING": 3})]


@breaks("I16")
def acknowledged_and_not_counted(evidence):
    count = evidence.samples.counts[0]
    three = {"PENDING": 3}
    evidence.samples.counts = [msgspec.structs.replace(count, inserted=3, counted=three, witnessed=three)]


@breaks("I17")
def a_lease_left_behind(evidence):
    evidence.quiet = msgspec.structs.replace(evidence.quiet, queues=[[sample(leases={"parent:1": 1.0})]])


@breaks("I17")
def a_job_that_redis_does_not_know(evidence):
    evidence.quiet = msgspec.structs.replace(evidence.quiet, missing=[["parent"]])


@breaks("I17")
def dead_in_redis_alone(evidence):
    evidence.quiet = msgspec.structs.replace(evidence.quiet, queues=[[sample(dead=["dead", "parent"])]])


@breaks("I18")
def more_than_its_slots(evidence):
    evidence.concurrency = 1


@breaks("I20")
def a_session_in_a_transaction(evidence):
    evidence.quiet = msgspec.structs.replace(evidence.quiet, idle_in_transaction=1)


@breaks("I20")
def a_key_without_an_end(evidence):
    evidence.quiet = msgspec.structs.replace(evidence.quiet, keys=["p:{check-a}:cancelled"])


@breaks("I20")
def files_left_open(evidence):
    evidence.ledger.pulses[7].append(Pulse(pid=7, t_ns=10 * S, fds=90, threads=3, tasks=4))


def test_nothing_is_found_where_nothing_is_wrong():
    assert judge(good()) == {}


def test_every_invariant_is_shown_something():
    assert {name for name, _ in BREAKS.values()} == set(INVARIANTS)


# What else a break cannot but break: rows that are made up contradict other rows too.
ALSO = {
    "I1 a_refused_job_is_there": {"I1"},
    "I2 an_edge_that_does_not_exist": {"I2", "I6"},
    "I2 an_end_that_changed": {"I2"},
    "I2 two_completions": {"I2", "I3", "I14"},
    "I3 an_attempt_that_completed_under_an_older_fence": {"I3"},
    "I7 a_fence_used_twice": {"I7"},
    "I15 retries_all_at_once": {"I1", "I2", "I15", "I16"},
    "I15 a_retry_too_late": {"I15"},
}


@pytest.mark.parametrize("what", BREAKS)
def test_what_is_broken_is_found(what):
    name, spoil = BREAKS[what]
    evidence = good()
    spoil(evidence)
    found = judge(evidence)
    assert name in found
    assert found[name][0].text
    assert set(found) <= ALSO.get(what, {name})


def test_a_distance_from_the_uniform_distribution():
    assert uniform_distance([(n + 0.5) / 1000 for n in range(1000)]) == pytest.approx(0.0005)
    assert uniform_distance([0.5] * 1000) == pytest.approx(0.5)


def test_what_was_not_witnessed_is_not_judged():
    evidence = good()
    evidence.changes = evidence.history = evidence.ledger = evidence.samples = evidence.quiet = None
    assert judge(evidence) == {}
    assert isinstance(change(1, "x", None, "PENDING", (None, 0)), Change)
