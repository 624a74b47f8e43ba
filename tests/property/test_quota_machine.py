"""Limits on waiting jobs beside a reference: whatever is enqueued, cancelled, retried and limited anew, in any order, a
call is refused exactly if the reference has no place for all of it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from tenure import QuotaExceeded, Tenure
from tenure import _quota as quota

TENANTS = (None, "a", "b", "c")
KEYS = (None, "k:1", "k:2")
TYPES = ("mail", "video")
KINDS = st.tuples(st.sampled_from(TYPES), st.sampled_from(TENANTS), st.sampled_from(KEYS))
LIMITED = (
    {},
    {"job_type": "mail"},
    {"tenant": "*"},
    {"tenant": "a"},
    {"key": "*"},
    {"key": "k:1"},
)


class Reference:
    """What waits, and what may, with nothing shared with the statements but the words."""

    def __init__(self) -> None:
        self.limits: dict[tuple[str, str], int] = {}
        self.waiting: dict[str, tuple[str, str | None, str | None]] = {}
        self.ended: dict[str, tuple[str, str | None, str | None]] = {}

    def over(self, kinds: list[tuple[str, str | None, str | None]]) -> bool:
        """Whether some limit is exceeded if these wait too, and one of them is counted by it."""
        counts = Counter(name for kind in self.waiting.values() for name in self.counted(kind))
        added = Counter(name for kind in kinds for name in self.counted(kind))
        return any(counts[name] + more > self.most(name) for name, more in added.items())

    def counted(self, kind: tuple[str, str | None, str | None]) -> list[tuple[str, str]]:
        job_type, tenant, key = kind
        names = [("queue", "*"), ("type", job_type)]
        names += [("tenant", tenant)] if tenant else []
        return names + ([("key", key)] if key else [])

    def most(self, name: tuple[str, str]) -> float:
        own = self.limits.get(name)
        return self.limits.get((name[0], "*"), float("inf")) if own is None else own


class QuotaMachine(RuleBasedStateMachine):
    """The app on its servers, and the reference beside it."""

    loop: asyncio.AbstractEventLoop
    app: Tenure
    new_queue: Any

    def __init__(self) -> None:
        super().__init__()
        self.queue = self.new_queue()
        self.reference = Reference()

    def do(self, coroutine: Any) -> Any:
        return self.loop.run_until_complete(coroutine)

    @rule(where=st.sampled_from(LIMITED), most=st.integers(0, 4))
    def limit(self, where: dict[str, str], most: int) -> None:
        self.do(self.app.admin.limits.set(self.queue, queued=most, **where))
        self.reference.limits[self.name(where)] = most

    @rule(where=st.sampled_from(LIMITED))
    def unlimit(self, where: dict[str, str]) -> None:
        removed = self.do(self.app.admin.limits.remove(self.queue, "queued", **where))
        assert removed == (self.reference.limits.pop(self.name(where), None) is not None)

    @staticmethod
    def name(where: dict[str, str]) -> tuple[str, str]:
        [(scope, name)] = where.items() or [("queue", "*")]
        return ("type" if scope == "job_type" else scope, name)

    @rule(
        kinds=st.lists(
            st.tuples(st.sampled_from(TYPES), st.sampled_from(TENANTS), st.sampled_from(KEYS)), min_size=1, max_size=4
        )
    )
    def enqueue(self, kinds: list[tuple[str, str | None, str | None]]) -> None:
        requests = [
            self.app.job_types[job_type].options(queue=self.queue, tenant=tenant, limit_key=key, delay=3600).request()
            for job_type, tenant, key in kinds
        ]
        if self.reference.over(kinds):
            with pytest.raises(QuotaExceeded):
                self.do(self.app.enqueue_many(requests))
            return
        jobs = self.do(self.app.enqueue_many(requests))
        self.reference.waiting |= {job.id: kind for job, kind in zip(jobs, kinds, strict=True)}

    @precondition(lambda self: self.reference.waiting)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        job_id = data.draw(st.sampled_from(sorted(self.reference.waiting)))
        self.do(self.app.admin.cancel(job_id))
        self.reference.ended[job_id] = self.reference.waiting.pop(job_id)

    @precondition(lambda self: self.reference.ended)
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        """What comes back is never refused, and counts."""
        job_id = data.draw(st.sampled_from(sorted(self.reference.ended)))
        self.do(self.app.admin.retry(job_id))
        self.reference.waiting[job_id] = self.reference.ended.pop(job_id)

    @invariant()
    def the_rows_are_those_of_the_reference(self) -> None:
        waiting = self.do(self.app.admin.list_jobs(queue=self.queue, limit=1000))
        ids = {one.job_id for one in waiting if one.status in ("PENDING", "SCHEDULED", "BLOCKED")}
        assert ids == self.reference.waiting.keys()


@pytest.fixture
def machine(settings, monkeypatch):
    monkeypatch.setattr(quota, "_FRESH", 0.0)
    monkeypatch.setattr(quota, "_STALE", 0.0)
    loop = asyncio.new_event_loop()
    app = Tenure(settings)

    @app.job()
    async def mail() -> None: ...

    @app.job()
    async def video() -> None: ...

    loop.run_until_complete(app.__aenter__())
    numbers = iter(range(1_000_000))
    yield type(
        "Machine", (QuotaMachine,), {"loop": loop, "app": app, "new_queue": staticmethod(lambda: f"q{next(numbers)}")}
    )
    loop.run_until_complete(app.close())
    loop.close()


def test_a_call_is_refused_exactly_if_there_is_no_place(machine):
    run_state_machine_as_test(
        machine,
        settings=hypothesis_settings(
            max_examples=15, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
