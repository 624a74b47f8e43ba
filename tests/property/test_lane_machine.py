"""Lanes keep their promises: no limit is exceeded, no worker waits beside a job that it could run, the order holds.

Every step is followed by what a fleet does by itself: due jobs are promoted, and who is woken asks for jobs with what
it has free.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from tests.property.lane_fleet import BEGAN, JOBS, LEASE_MS, NUMBERS, SHAPES, SHAPING, workers
from tests.property.lane_reference import LaneJob, Lanes, Policy, parts, text_of
from tests.property.lane_shape import check_shape, used_by
from tests.property.scripts import Queue

if TYPE_CHECKING:
    from redis.client import PubSub


class LaneMachine(RuleBasedStateMachine):
    """One queue in Redis, its reference, and the workers of a fleet."""

    def __init__(self, queue: Queue, inbox: PubSub) -> None:
        super().__init__()
        self.queue, self.inbox = queue, inbox
        queue.forget_everything()
        self.queue.woken(self.inbox)
        self.lanes = Lanes(BEGAN)
        self.queue.tell_time(BEGAN)
        self.workers = workers()
        self.paused = False
        assert self.queue.call("generation") == ["GENERATION", 1]
        for name in self.workers:
            self._ask(name)

    # -- what a fleet does by itself ---------------------------------------------------------------------------------

    def _settle(self) -> None:
        self.lanes.get_ready()
        unknown = {name for name, worker in self.workers.items() if worker.unknown}
        self.queue.call("promote", "q", self.queue.inbox, 1000)
        for name in [name for name, worker in self.workers.items() if not worker.idle and worker.free]:
            self._ask(name)
        while names := self.queue.woken(self.inbox):
            for name in names:
                if name not in unknown:
                    self._may_be_woken(name)
                self.workers[name].idle = False
                self._ask(name)
        if not self.paused:
            self._nobody_waits_for_nothing()

    def _may_be_woken(self, name: str) -> None:
        worker = self.workers[name]
        jobs = self.lanes.waiting.values()
        running = self.lanes.running.values()
        fitting = [job for job in (*jobs, *running) if parts(job.requires)[0] <= worker.capabilities]
        assert fitting, f"{name} was woken for jobs that it cannot run"

    def _nobody_waits_for_nothing(self) -> None:
        for name, worker in self.workers.items():
            if worker.free:
                could = self.lanes.eligible(worker.capabilities, worker.left)
                assert not could, f"{name} waits beside {could}"

    def _ask(self, name: str) -> None:
        """A lease call, each answer of which must be the best that there was."""
        worker, lanes = self.workers[name], self.lanes
        lanes.get_ready()
        if worker.free == 0:
            return
        self.queue.call("promote", "q", self.queue.inbox, 1000)
        tags, fair = self.queue.lanes().get("tenants", {}), lanes.policy.get("fair", "jobs")
        offers = text_of(worker.capabilities, worker.left)
        reply = self._lease(worker.free, name, offers)
        # a queue without lanes spends nothing on workers that offer nothing
        laned = (self.queue.lanes()["generation"] or b"").endswith(b"laned")
        worker.unknown = worker.unknown and (self.paused or not (offers or laned))
        left, taken = worker.left, {}
        for job_id, text in zip(reply[4::2], reply[5::2], strict=True):
            could = lanes.eligible(worker.capabilities, left)
            job = lanes.waiting[job_id]
            assert text == job.text
            assert job in could, f"{job} was not to be had"
            place = {one.job_id: lanes.places[one.job_id] for one in could}
            assert place[job_id][0] == min(band for band, _ in place.values()), "strict bands"
            band = place[job_id][0]
            mine = [place[one.job_id] for one in could if one.tenant == job.tenant]
            assert place[job_id] == min(mine), "nothing of a tenant is passed by its own"
            if fair == "jobs":
                rivals = {one.tenant for one in could if place[one.job_id][0] == band}
                tag = {tenant: taken.get((band, tenant), int(tags.get(f"{band}|{tenant}", 0))) for tenant in rivals}
                assert tag[job.tenant] == min(tag.values()), "the tenant with the smallest tag"
                weight = float(lanes.policy.get(f"weight|{job.tenant}", 1))
                taken[band, job.tenant] = tag[job.tenant] + round(job.cost * 1000 / weight)
            leased = lanes.lease(job)
            worker.leases[f"{job_id}:{leased.fence}"] = leased
            for one, amount in parts(job.requires)[1].items():
                left[one] -= amount
        if reply[3] and not self.paused:
            could = lanes.eligible(worker.capabilities, left)
            assert not could, f"a short call left {could}"
        worker.idle = bool(reply[3]) and not self.paused

    def _lease(self, want: int, name: str, offers: str) -> list[Any]:
        call = (want, LEASE_MS, name, 100, "q", self.queue.inbox, offers)
        reply = self.queue.call("lease", *call)
        return self.queue.call("lane_lease", *call) if reply == ["LANED"] else reply

    def _push(self, verb: str, jobs: list[LaneJob]) -> None:
        arguments = [part for job in jobs for part in job.arguments]
        reply = self.queue.call("lane_push", "q", self.queue.inbox, verb, *arguments)
        if reply == ["PLAIN"]:
            reply = self.queue.call(verb, "q", self.queue.inbox, *arguments)
        assert reply[0] == "PUSHED"
        for job in jobs:
            self.lanes.waiting[job.job_id] = job
            self.lanes.places.pop(job.job_id, None)
        self.lanes.get_ready()

    def _ended(self, leases: list[str]) -> list[LaneJob]:
        for worker in self.workers.values():
            for lease in leases:
                job = worker.leases.pop(lease, None)
                if job and parts(job.requires)[1]:
                    worker.idle = False  # it offers more than before, and says so by asking
        return [self.lanes.running.pop(lease) for lease in leases]

    # -- what happens to it ------------------------------------------------------------------------------------------

    @rule(jobs=JOBS)
    def enqueue(self, jobs: list[LaneJob]) -> None:
        running = {job.job_id for job in self.lanes.running.values()}
        jobs = [replace(job, run_at=self.lanes.now + job.run_at) for job in jobs if job.job_id not in running]
        known = self.lanes.waiting
        jobs = [replace(job, fence=known[job.job_id].fence) if job.job_id in known else job for job in jobs]
        if jobs:
            self._push("enqueue", jobs)
        self._settle()

    @rule(data=st.data())
    @precondition(lambda self: self.lanes.waiting)
    def push_again(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(list(self.lanes.waiting.values())))
        self._push(
            data.draw(st.sampled_from(("enqueue", "requeue"))), [replace(job, priority=data.draw(st.integers(1, 5)))]
        )
        self._settle()

    @rule(data=st.data(), bury=st.booleans())
    @precondition(lambda self: self.lanes.running)
    def acknowledge(self, data: st.DataObject, bury: bool) -> None:
        leases = data.draw(st.lists(st.sampled_from(sorted(self.lanes.running)), min_size=1, max_size=4, unique=True))
        call = ("q", self.queue.inbox, "settled", int(bury), *leases)
        reply = self.queue.call("lane_acknowledge", *call)
        if reply == ["PLAIN"]:
            reply = self.queue.call("bury" if bury else "acknowledge", "settled", *leases)
        assert reply == ["ACKNOWLEDGED", len(leases)]
        self._ended(leases)
        self._learn()
        self._settle()

    @rule(data=st.data(), delay=st.sampled_from((0, 700)))
    @precondition(lambda self: self.lanes.running)
    def retry(self, data: st.DataObject, delay: int) -> None:
        lease = data.draw(st.sampled_from(sorted(self.lanes.running)))
        (job,) = self._ended([lease])
        self._push("requeue", [replace(job, run_at=self.lanes.now + delay)])
        self._settle()

    @rule(data=st.data())
    @precondition(lambda self: self.lanes.waiting)
    def cancel(self, data: st.DataObject) -> None:
        ids = data.draw(st.lists(st.sampled_from(sorted(self.lanes.waiting)), min_size=1, max_size=4, unique=True))
        assert self.queue.call("cancel", "q", self.queue.inbox, "settled", *ids) == ["CANCELLED", len(ids)]
        for job_id in ids:
            del self.lanes.waiting[job_id]
            self.lanes.places.pop(job_id, None)
        self._settle()

    @rule(ms=st.sampled_from((1, 250, 500, 1000, 6000)))
    def time_passes(self, ms: int) -> None:
        self.lanes.now += ms
        self.queue.tell_time(self.lanes.now)
        expired = self.queue.call("rescue", 100, 1000)[1:]
        assert set(expired) <= self.lanes.running.keys()
        for lease in expired:
            assert lease in self.queue.lanes().get("holds", {lease: ""}), "what is being rescued still counts"
        jobs = [replace(job, run_at=self.lanes.now) for job in self._ended(expired)]
        if jobs:
            self._push("requeue", jobs)
        self._settle()

    @rule(shape=SHAPES, numbers=NUMBERS, keep=st.booleans())
    def set_policy(self, shape: Policy, numbers: Policy, keep: bool) -> None:
        now = self.lanes.policy
        if keep:
            shape = {
                name: value for name, value in now.items() if name.startswith((*SHAPING, "ageing", "short", "cap"))
            }
        policy = shape | numbers
        fields = [part for pair in sorted(policy.items()) for part in pair]
        status, change = self.queue.call("set_policy", "q", self.queue.inbox, 0, *fields)
        assert status == "POLICY"
        assert (change == 0) == (policy == now)
        if change == 2:
            self._rebuild(policy)
        elif change == 1:
            if not now:
                self.lanes.policy_since = self.lanes.now
            self.lanes.policy = policy
            if not policy:
                self.lanes.buckets.clear()
        self._settle()

    @rule()
    def lose_redis(self) -> None:
        self._rebuild(self.lanes.policy)
        self._settle()

    def _rebuild(self, policy: Policy) -> None:
        self.queue.forget_everything()
        self.queue.tell_time(self.lanes.now)
        fields = [part for pair in sorted(policy.items()) for part in pair]
        self.queue.call("set_policy", "q", self.queue.inbox, 1, *fields)
        self.lanes.policy, self.lanes.policy_since = policy, self.lanes.now
        self.lanes.buckets.clear()
        self.lanes.means.clear()
        self.lanes.places.clear()
        if self.lanes.waiting:
            self._push("rebuild", list(self.lanes.waiting.values()))
        running = [part for lease, job in self.lanes.running.items() for part in (lease, job.text)]
        if running:
            self.queue.call("restore", 1, LEASE_MS, 0, *running)
        assert self.queue.call("pause", 1, 1) if self.paused else self.queue.call("generation") == ["GENERATION", 1]
        self._rouse()

    def _rouse(self) -> None:
        names = [name for name, one in self.workers.items() if one.free]
        for name in names:
            self.workers[name].unknown = True
        self.queue.call("rouse", "q", self.queue.inbox, *names)

    @rule()
    def pause_or_resume(self) -> None:
        self.paused = not self.paused
        assert self.queue.call("pause", int(self.paused), 0) == ["PAUSED", 1]
        for worker in self.workers.values():
            worker.idle = False
        if not self.paused:
            self._rouse()
        self._settle()

    @rule()
    def all_ends(self) -> None:
        """Nothing of the lanes stays, but the policy and what it knows of rates and durations."""
        if self.lanes.waiting:
            self.queue.call("cancel", "q", self.queue.inbox, "settled", *self.lanes.waiting)
            self.lanes.waiting.clear()
            self.lanes.places.clear()
        leases = list(self.lanes.running)
        if leases and self.queue.call("acknowledge", "settled", *leases) == ["LANED"]:
            self.queue.call("lane_acknowledge", "q", self.queue.inbox, "settled", 0, *leases)
        self._ended(leases)
        self._learn()
        found = self.queue.lanes()
        left = {"generation", "idle", *(("policy", "rates", "resume", "means") if self.lanes.policy else ())}
        if leases or self.lanes.policy:
            assert found.keys() <= left
        self._settle()

    # -- what is always true -----------------------------------------------------------------------------------------

    def _learn(self) -> None:
        self.lanes.means = {name: int(ms) for name, ms in self.queue.lanes().get("means", {}).items()}

    @invariant()
    def agrees(self) -> None:
        found = self.queue.lanes()
        check_shape(found)
        contents = self.queue.contents()
        in_bands = set(contents["high"]) | set(contents["medium"]) | set(contents["low"])
        ready = {job_id for job_id in self.lanes.waiting if job_id in self.lanes.places}
        assert in_bands | found.get("entries", {}).keys() == ready
        assert not in_bands & found.get("entries", {}).keys(), "a job stands in one place"
        assert contents["processing"].keys() == self.lanes.running.keys()
        holds = found.get("holds", {})
        assert {name: int(value) for name, value in found.get("used", {}).items()} == used_by(holds)
        if self.lanes.policy:
            assert holds.keys() == self.lanes.running.keys(), "every lease counts"
            assert {gate: used for gate, used in self.lanes.used().items() if used} == used_by(holds)


@pytest.mark.timeout(600)  # a failure is made small, which takes its time
def test_lanes_keep_their_promises(raw_redis, prefix):
    queue = Queue(raw_redis, prefix)
    with raw_redis.pubsub() as inbox:
        inbox.psubscribe(f"{queue.inbox}*")
        assert inbox.get_message(timeout=5)["type"] == "psubscribe"
        run_state_machine_as_test(
            lambda: LaneMachine(queue, inbox),
            settings=settings(
                max_examples=80,
                stateful_step_count=40,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
