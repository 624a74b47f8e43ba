"""Graphs, their ends and their priorities, whatever comes after whatever, beside a plain model; on real stores.

The model knows the formula alone: a job has its own priority, or the highest of the jobs that wait for it. What Redis
hands out is the highest of all that is ready, after each step and after Redis was lost.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from tenure._engine import new_ids
from tenure._settle import Ending, Settler
from tenure.errors import IllegalTransition

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable

    from tenure import Tenure

_BAD: Final = ("FAILED", "CANCELLED")
_LIVE: Final = ("PENDING", "SCHEDULED", "BLOCKED", "PROCESSING")
_WORKER: Final = "00000000-0000-7000-8000-00000000000f"
_POLICIES: Final = ("hold", "cancel", "run")
_PICK: Final = st.integers(0, 50)
# Of each new job: its priority, whether it inherits, and its parents with their policies.
_NEW: Final = st.tuples(
    st.sampled_from((1, 2, 3, 4, 5, 5)),
    st.booleans(),
    st.lists(st.tuples(_PICK, st.sampled_from(_POLICIES)), max_size=3),
)


@dataclass
class Known:
    """A job as it should be; `edges`: by parent, its policy and whether it is satisfied."""

    job_id: str
    own: int
    status: str = "PENDING"
    asked: bool = False
    pending: int = 0
    edges: dict[str, list[Any]] = field(default_factory=dict)

    @property
    def unsatisfied(self) -> list[str]:
        return [parent for parent, (_, satisfied) in self.edges.items() if not satisfied]


class WorkflowMachine(RuleBasedStateMachine):
    """Jobs of one queue, and what each should be."""

    examples = 0

    def __init__(self, loop: asyncio.AbstractEventLoop, app: Tenure) -> None:
        super().__init__()
        self.loop, self.app = loop, app
        self.stores = app._open()
        self.database, self.engine = self.stores.database, self.stores.engine
        WorkflowMachine.examples += 1
        self.queue = f"q{self.examples}"
        self.job_type = app.job_types["touch"]
        self.settler = Settler(
            self.database, self.engine, self.stores.publisher, _WORKER, on_lost=self.lost, on_settled=lambda: None
        )
        self.jobs: dict[str, Known] = {}
        self.leases: dict[str, Any] = {}
        self.run(self.database.atomically(lambda own: own.execute(f"TRUNCATE {self.database.schema}.jobs CASCADE")))
        self.run(
            self.database.atomically(lambda own: own.execute(f"TRUNCATE {self.database.schema}.dead_letter_queue"))
        )

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    def lost(self, lease: Any) -> None:
        raise AssertionError(f"lease lost: {lease}")

    def teardown(self) -> None:
        self.run(self.settler.drained())

    # --- the model

    def effective(self, job: Known) -> int:
        waiting = [
            self.effective(other)
            for other in self.jobs.values()
            if other.status == "BLOCKED" and job.job_id in other.unsatisfied
        ]
        return max([job.own, *waiting])

    def pick(self, number: int, *statuses: str) -> Known | None:
        found = [job for job in self.jobs.values() if job.status in statuses]
        return found[number % len(found)] if found else None

    def descendants(self, root: Known) -> list[Known]:
        found, left = {root.job_id: root}, [root]
        while left:
            parent = left.pop()
            for job in self.jobs.values():
                if parent.job_id in job.edges and job.job_id not in found:
                    found[job.job_id] = job
                    left.append(job)
        return list(found.values())

    def end(self, ended: Iterable[tuple[Known, str]]) -> None:
        left = list(ended)
        for job, status in left:
            job.status = status
        while left:
            parent, status = left.pop(0)
            for job in self.jobs.values():
                edge = job.edges.get(parent.job_id)
                if edge is None:
                    continue
                if not edge[1] and (status == "COMPLETED" or edge[0] == "run"):
                    edge[1] = True
                    if job.status == "BLOCKED":
                        job.pending -= 1
                        job.status = "PENDING" if job.pending == 0 else "BLOCKED"
                elif status != "COMPLETED" and edge[0] == "cancel" and job.status == "BLOCKED":
                    job.status = "CANCELLED"
                    left.append((job, "CANCELLED"))

    def wait_again(self, revived: Iterable[Known]) -> None:
        for parent in revived:
            for job in self.jobs.values():
                edge = job.edges.get(parent.job_id)
                if edge is not None and job.status == "BLOCKED" and edge[1]:
                    edge[1] = False
                    job.pending += 1

    # --- what may happen

    @rule(new=st.lists(_NEW, min_size=1, max_size=4))
    def enqueue(self, new: list[tuple[int, bool, list[tuple[int, str]]]]) -> None:
        """A graph in one call; parents may be any that are there, and earlier ones of the call."""
        flow = self.app.workflow()
        for priority, inherits, wanted in new:
            parents = {}
            ids = list(self.jobs)
            for number, policy in wanted if ids else ():
                parents[ids[number % len(ids)]] = policy
            request = self.job_type.options(queue=self.queue, priority=priority, inherit_priority=inherits).request()
            handle = flow.add(request, after=parents)
            job = Known(handle.job_id, priority)
            for parent_id, policy in parents.items():
                parent = self.jobs[parent_id]
                if inherits:
                    job.own = max(job.own, parent.own)
                satisfied = parent.status == "COMPLETED" or (policy == "run" and parent.status in _BAD)
                job.edges[parent_id] = [policy, satisfied]
                if policy == "cancel" and parent.status in _BAD:
                    job.status = "CANCELLED"
            job.pending = len(job.unsatisfied)
            if job.status == "PENDING" and job.pending:
                job.status = "BLOCKED"
            self.jobs[job.job_id] = job
        self.run(flow.enqueue())

    @rule()
    def lease(self) -> None:
        """The best of what is ready, or nothing if nothing is."""
        self.settle_down()
        batch = self.run(self.engine.lease(self.queue, 1))
        ready = [job for job in self.jobs.values() if job.status == "PENDING"]
        assert bool(batch.leases) == bool(ready)
        for lease in batch.leases:
            job = self.jobs[lease.job_id]
            assert job.status == "PENDING"
            assert all(satisfied for _, satisfied in job.edges.values())
            assert self.effective(job) == max(map(self.effective, ready)), "something more urgent was ready"
            [row] = self.run(self.database.fetch("start", [lease.job_id], [lease.fence], new_ids(1), _WORKER))
            assert row["places"] == [1]
            job.status = "PROCESSING"
            self.leases[job.job_id] = lease

    @precondition(lambda self: self.leases)
    @rule(number=_PICK, how=st.sampled_from(("COMPLETED", "PENDING", "COMPLETED", "PENDING", "FAILED", "CANCELLED")))
    def settle(self, number: int, how: str) -> None:
        job_id = list(self.leases)[number % len(self.leases)]
        job, lease = self.jobs[job_id], self.leases.pop(job_id)
        again = how == "PENDING"
        priority = min(lease.priority, 3) if again else None
        ending = Ending(lease, True, 1.0, how, "FAILED" if again else how, error="x", priority=priority)

        async def settled() -> None:
            self.settler.add(ending)
            await self.settler.drained()

        self.run(settled())
        if again:
            job.own = min(job.own, 3)
        if again and not job.asked:
            job.status = "PENDING"
        else:
            self.end([(job, "CANCELLED" if again else how)])

    @rule(number=_PICK)
    def cancel(self, number: int) -> None:
        job = self.pick(number, *_LIVE)
        if job is None:
            return
        status = self.run(self.app.admin.cancel(job.job_id))
        if job.status == "PROCESSING":
            job.asked = True
            assert status == "PROCESSING"
        else:
            assert status == "CANCELLED"
            self.end([(job, "CANCELLED")])

    @rule(number=_PICK)
    def cancel_all_under(self, number: int) -> None:
        job = self.pick(number, *_LIVE, *_BAD, "COMPLETED")
        if job is None:
            return
        tree = [one for one in self.descendants(job) if one.status in _LIVE]
        if not tree:
            return
        self.run(self.app.admin.cancel(job.job_id, descendants=True))
        for one in tree:
            one.asked |= one.status == "PROCESSING"
        self.end([(one, "CANCELLED") for one in tree if one.status != "PROCESSING"])

    @rule(number=_PICK)
    def retry(self, number: int) -> None:
        job = self.pick(number, *_BAD)
        if job is None:
            return
        if job.pending:
            try:
                self.run(self.app.admin.retry(job.job_id))
            except IllegalTransition:
                return
            raise AssertionError("it waits for something")
        self.run(self.app.admin.retry(job.job_id))
        job.status, job.asked = "PENDING", False
        self.wait_again([job])

    @rule(number=_PICK)
    def retry_all_under(self, number: int) -> None:
        job = self.pick(number, *_BAD, "COMPLETED", *_LIVE)
        if job is None:
            return
        over = [one for one in self.descendants(job) if one.status in _BAD]
        if not over:
            return
        self.run(self.app.admin.retry(job.job_id, descendants=True))
        revived = {one.job_id for one in over}
        for one in over:
            for parent_id, edge in one.edges.items():
                status = self.jobs[parent_id].status
                edge[1] = status == "COMPLETED" or (edge[0] == "run" and status in _BAD and parent_id not in revived)
        for one in over:
            one.asked, one.pending = False, len(one.unsatisfied)
            one.status = "BLOCKED" if one.pending else "PENDING"
        self.wait_again(one for one in over)

    @rule()
    def lose_redis(self) -> None:
        self.settle_down()
        self.run(self.engine.forget_queue(self.queue))
        self.settle_down()

    def settle_down(self) -> None:
        """Until every push has arrived, and the queue is built."""

        async def settled() -> None:
            await self.stores.publisher.drained()
            if not await self.engine.has_generation(self.queue):
                self.stores.rebuilder.request(self.queue)
            await self.stores.rebuilder.settled()
            await self.stores.publisher.drained()

        self.run(settled())

    @invariant()
    def the_table_is_as_it_should_be(self) -> None:
        rows = self.run(self.database.fetch("list_jobs", None, self.queue, None, None, 1000))
        found = {str(row["job_id"]): row for row in rows}
        assert found.keys() == self.jobs.keys()
        for job_id, job in self.jobs.items():
            row = found[job_id]
            assert (row["status"], row["pending_dependencies"]) == (job.status, job.pending), job_id
            if job.status in _LIVE:
                effective = self.effective(job)
                own = job.own if effective > job.own else None
                assert (row["priority"], row["own_priority"]) == (effective, own), job_id


@pytest.mark.timeout(600)  # a failure is made small, which takes its time
def test_graphs_and_priorities_whatever_happens(app: Tenure) -> None:
    """Some thousand steps, each with a look at the whole table."""
    how = settings(
        max_examples=100,
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )

    @app.job()
    async def touch() -> None: ...

    loop = asyncio.new_event_loop()
    loop.run_until_complete(app.__aenter__())
    try:
        run_state_machine_as_test(lambda: WorkflowMachine(loop, app), settings=how)
    finally:
        loop.run_until_complete(app.close())
        loop.close()
