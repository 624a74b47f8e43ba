"""The scripts do what the reference does, whatever comes after whatever, and keep their promises after each step.

Pushes and calls of any age come in any order, as they do from processes that were stopped: fences are drawn freely.
"""

from __future__ import annotations

from typing import Any, Final

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.property.reference import BANDS, NO_GENERATION, Job, Reference
from tests.property.scripts import Queue

_BEGAN: Final = 1_700_000_000_000
_IDS: Final = ("a", "b", "c", "d")
_FENCES: Final = st.integers(0, 2)
_LEASE_MS: Final = 1000
_JOBS: Final = st.lists(
    st.builds(Job, st.sampled_from(_IDS), st.integers(1, 5), _FENCES, st.integers(-500, 2000)),
    min_size=1,
    max_size=4,
    unique_by=lambda job: job.job_id,
)
_MEMBERS: Final = st.lists(
    st.builds("{}:{}".format, st.sampled_from(_IDS), st.integers(1, 3)), min_size=1, max_size=6, unique=True
)


class LeaseMachine(RuleBasedStateMachine):
    """One queue in Redis, and its reference."""

    def __init__(self, queue: Queue) -> None:
        super().__init__()
        self.queue = queue
        queue.forget_everything()
        self.reference = Reference(_BEGAN)
        self.queue.tell_time(_BEGAN)
        self.declare()

    def same(self, expected: list[Any], verb: str, *arguments: object) -> list[Any]:
        """Call a script, which must answer as the reference did."""
        reply = self.queue.call(verb, *arguments)
        assert reply == expected
        return reply

    def jobs(self, jobs: list[Job]) -> tuple[list[Job], list[object]]:
        """Jobs at times around now, and the arguments that push them."""
        jobs = [Job(one.job_id, one.priority, one.fence, self.reference.now + one.run_at) for one in jobs]
        return jobs, [part for one in jobs for part in (one.job_id, one.priority, one.fence, one.run_at, one.text)]

    @rule(jobs=_JOBS)
    def enqueue(self, jobs: list[Job]) -> None:
        jobs, arguments = self.jobs(jobs)
        self.same(self.reference.push(jobs, again=False), "enqueue", "q", "inbox:", *arguments)

    @rule(jobs=_JOBS, rebuilding=st.booleans())
    def requeue(self, jobs: list[Job], rebuilding: bool) -> None:
        jobs, arguments = self.jobs(jobs)
        skipped = {job.job_id for job in jobs if job.lease in self.reference.processing}
        expected = self.reference.push(jobs, again=True, rebuilding=rebuilding)
        verb = ("lane_push", "q", "inbox:", "rebuild") if rebuilding else ("requeue", "q", "inbox:")
        reply = self.same(expected, *verb, *arguments)
        if reply == NO_GENERATION:
            return
        found = self.queue.contents()
        for job in jobs:
            if job.job_id not in skipped:
                places = [name for name in ("high", "medium", "low", "scheduled") if job.job_id in found[name]]
                assert len(places) == 1, "a job that was queued again stands in one place"
                assert job.last_lease not in found["processing"] | found["rescue"], "and its last lease is gone"

    @rule(want=st.integers(1, 4), worker=st.sampled_from(("w1", "w2")), promote_limit=st.integers(1, 3))
    def lease(self, want: int, worker: str, promote_limit: int) -> None:
        held = {**self.reference.processing, **self.reference.rescuing}
        before = self.queue.contents()
        expected = self.reference.lease(want, _LEASE_MS, worker, promote_limit)
        reply = self.same(expected, "lease", want, _LEASE_MS, worker, promote_limit, "q", "inbox:", "")
        if reply == NO_GENERATION:
            return
        found = self.queue.contents()
        descriptors = [text.split() for text in reply[5::2]]
        # One that was enqueued twice, with another priority, stands in two bands: its first place counts.
        bands = list(enumerate(BANDS))[::-1]
        stood = {job_id: (rank, place) for rank, band in bands for job_id, place in before[band].items()}
        order = [stood[job_id] for job_id in reply[4::2] if job_id in stood and job_id not in before["scheduled"]]
        assert order == sorted(order), "strict priority, then first in first out"
        left = [name for name in ("high", "medium", "low") if found[name]]
        assert not (reply[3] and left), "a queue that ran out has nothing ready"
        assert len(set(reply[4::2])) == len(descriptors), "a job is leased once"
        members = {f"{job_id}:{int(parts[2]) + 1}" for job_id, parts in zip(reply[4::2], descriptors, strict=True)}
        assert not members & held.keys(), "a lease is not given while it lives or is being rescued"

    @rule(members=_MEMBERS)
    def extend(self, members: list[str]) -> None:
        leases = set(self.queue.contents()["processing"])
        self.same(self.reference.extend(_LEASE_MS, members), "extend", _LEASE_MS, *members)
        assert set(self.queue.contents()["processing"]) == leases, "a beat makes no lease, and ends none"

    @rule(limit=st.integers(1, 4), grace_ms=st.sampled_from((0, 300)))
    def rescue(self, limit: int, grace_ms: int) -> None:
        live = {member for member, end in self.reference.processing.items() if end > self.reference.now}
        reply = self.same(self.reference.rescue(limit, grace_ms), "rescue", limit, grace_ms)
        assert not live & set(reply[1:]), "a lease that lives is not taken back"

    @rule(members=_MEMBERS, bury=st.booleans())
    def acknowledge(self, members: list[str], bury: bool) -> None:
        expected = self.reference.acknowledge(members, bury=bury)
        self.same(expected, "bury" if bury else "acknowledge", "settled", *members)

    @rule(members=_MEMBERS, rebuilding=st.booleans())
    def restore(self, members: list[str], rebuilding: bool) -> None:
        expected = self.reference.restore(members, _LEASE_MS, rebuilding=rebuilding)
        self.same(expected, "restore", int(rebuilding), _LEASE_MS, len(members), *members)

    @rule(jobs=_JOBS)
    def missing(self, jobs: list[Job]) -> None:
        arguments = [part for job in jobs for part in (job.job_id, job.lease)]
        self.same(self.reference.missing(jobs), "missing", *arguments)

    @rule(job_ids=st.lists(st.sampled_from(_IDS), min_size=1, unique=True))
    def cancel(self, job_ids: list[str]) -> None:
        self.same(self.reference.cancel(job_ids), "cancel", "q", "inbox:", "settled", *job_ids)

    @rule(members=_MEMBERS)
    def stop(self, members: list[str]) -> None:
        self.same(self.reference.stop(members[0]), "stop", members[0], "inbox", "cancel", 3_600_000)

    @rule(limit=st.integers(1, 3))
    def promote(self, limit: int) -> None:
        self.same(self.reference.promote(limit), "promote", "q", "inbox:", limit)

    @rule(ms=st.sampled_from((1, 299, 300, 999, 1000, 1001)))
    def time_passes(self, ms: int) -> None:
        self.reference.now += ms
        self.queue.tell_time(self.reference.now)

    @rule()
    def flush(self) -> None:
        self.queue.forget_everything()
        self.reference = Reference(self.reference.now)

    @rule()
    def declare(self) -> None:
        self.same(["GENERATION", int(not self.reference.built)], "generation")
        self.reference.built = True

    @invariant()
    def agrees(self) -> None:
        found = self.queue.contents()
        assert found == self.reference.contents()
        assert not found["processing"].keys() & found["rescue"].keys(), "what is being rescued is nobody's lease"


@pytest.mark.timeout(600)  # a failure is made small, which takes its time
def test_the_scripts_do_what_the_reference_does(raw_redis, prefix):
    queue = Queue(raw_redis, prefix)
    run_state_machine_as_test(
        lambda: LeaseMachine(queue),
        settings=settings(
            max_examples=150,
            stateful_step_count=40,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
