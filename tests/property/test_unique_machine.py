"""One job per unique key, whatever comes after whatever, beside a plain model; on real stores, by the public calls.

Leases are kept and used late, as they are by workers that were stopped: a start that is recorded runs with what the job
is by then, or it is not recorded.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from tenure import DuplicateJob, Tenure, Unique
from tenure._engine import new_ids

if TYPE_CHECKING:
    from collections.abc import Coroutine

_WAITS: Final = ("PENDING", "SCHEDULED")
_LIVE: Final = (*_WAITS, "PROCESSING")
_WORKER: Final = "00000000-0000-7000-8000-00000000000f"
_KEYS: Final = st.sampled_from(("a", "b"))
_RULES: Final = st.builds(
    Unique,
    key=_KEYS,
    until=st.sampled_from(("ended", "started")),
    on_conflict=st.sampled_from(("keep", "replace", "extend", "refuse")),
)


@dataclass
class Known:
    """A job as it should be."""

    job_id: str
    key: str
    until: str
    value: int
    status: str = "PENDING"
    fence: int = 0
    started: bool = False

    @property
    def holds(self) -> bool:
        return self.status in _LIVE and not (self.until == "started" and self.started)


class UniqueMachine(RuleBasedStateMachine):
    """Jobs of one type, and what each should be."""

    def __init__(self, loop: asyncio.AbstractEventLoop, app: Tenure) -> None:
        super().__init__()
        self.loop = loop
        self.app = app
        self.job_type = app.job_types["touch"]
        self.database = app._open().database
        self.jobs: dict[str, Known] = {}
        self.leases: list[tuple[str, int, int]] = []
        self.value = 0
        schema = self.database.schema
        self.run(self.database.atomically(lambda own: own.execute(f"TRUNCATE {schema}.jobs CASCADE")))
        self.run(self.database.atomically(lambda own: own.execute(f"TRUNCATE {schema}.dead_letter_queue")))

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    def told(self, work: Coroutine[Any, Any, Any]) -> Any:
        """What a call returned, or its refusal."""
        try:
            return self.run(work)
        except DuplicateJob as error:
            return error

    def holder(self, key: str) -> Known | None:
        found = [job for job in self.jobs.values() if job.key == key and job.holds]
        assert len(found) <= 1
        return found[0] if found else None

    def fetch(self, name: str, *arguments: object) -> list[Any]:
        rows: list[Any] = self.run(self.database.fetch(name, *arguments))
        return rows

    def expect(self, unique: Unique, value: int) -> tuple[str | None, str | None]:
        """What a call should come to: the id of the job that it gets, and what becomes of that one."""
        held = self.holder(unique.key or "")
        if held is None:
            return None, None
        if unique.on_conflict == "refuse":
            return held.job_id, "refused"
        if unique.on_conflict == "keep" or held.status not in _WAITS:
            return held.job_id, "kept"
        held.fence += 1
        held.status = "PENDING"
        if unique.on_conflict == "replace":
            held.value = value
            return held.job_id, "replaced"
        return held.job_id, "extended"

    def call(self, unique: Unique) -> None:
        self.value += 1
        expected = self.expect(unique, self.value)
        job = self.told(self.job_type.options(unique=unique).enqueue(self.value))
        if isinstance(job, DuplicateJob):
            assert (job.job_id, "refused") == expected
            return
        if expected == (None, None):
            assert (job.created, job.conflict) == (True, None)
            self.jobs[job.id] = Known(job.id, unique.key or "", unique.until, self.value)
        else:
            assert (job.id, job.conflict, job.created) == (*expected, False)

    @rule(unique=_RULES)
    def enqueue(self, unique: Unique) -> None:
        self.call(unique)

    @rule(unique=_RULES)
    def race(self, unique: Unique) -> None:
        """Eight calls at once get one job, unless they refuse."""
        held = self.holder(unique.key or "")
        self.value += 1
        calls = [self.job_type.options(unique=unique).enqueue(self.value) for _ in range(8)]

        async def all_of_them() -> list[Any]:
            return await asyncio.gather(*calls, return_exceptions=True)

        found = self.run(all_of_them())
        made = [job for job in found if getattr(job, "created", False)]
        assert len(made) == (held is None)
        assert len({getattr(job, "id", getattr(job, "job_id", None)) for job in found}) == 1
        if held is None:
            self.jobs[made[0].id] = held = Known(made[0].id, unique.key or "", unique.until, self.value)
        if unique.on_conflict in ("replace", "extend") and held.status in _WAITS:
            held.status = "PENDING"
            held.fence = self.run(self.app.admin.show(held.job_id)).fence  # as often as there were batches
            held.value = self.value if unique.on_conflict == "replace" else held.value

    @rule(number=st.integers(0, 9))
    def lease(self, number: int) -> None:
        """What Redis would hand out now: an entry's fence and payload, which may be old when they are used."""
        waiting = [job for job in self.jobs.values() if job.status in _WAITS]
        if waiting:
            job = waiting[number % len(waiting)]
            self.leases.append((job.job_id, job.fence + 1, job.value))

    @precondition(lambda self: self.leases)
    @rule(number=st.integers(0, 9))
    def start(self, number: int) -> None:
        job_id, fence, value = self.leases.pop(number % len(self.leases))
        job = self.jobs[job_id]
        [row] = self.fetch("start", [job_id], [fence], new_ids(1), _WORKER)
        right = job.status in _WAITS and job.fence == fence - 1
        assert bool(row["places"]) == right
        if right:
            assert value == job.value, "nobody runs what was replaced"
            job.status, job.fence, job.started = "PROCESSING", fence, True

    @rule(
        number=st.integers(0, 9), status=st.sampled_from(("COMPLETED", "SCHEDULED", "PENDING", "FAILED", "CANCELLED"))
    )
    def end(self, number: int, status: str) -> None:
        running = [job for job in self.jobs.values() if job.status == "PROCESSING"]
        if not running:
            return
        job = running[number % len(running)]
        where = [job.job_id], [job.fence]
        if status == "COMPLETED":
            self.fetch("complete", *where, [None], [None], [1.0], True)
        else:
            delay = 60_000 if status == "SCHEDULED" else 0
            columns = [status], ["FAILED"], ["late"], [delay], [0], [None], [1.0], ["dead"], new_ids(1)
            self.fetch("settle", *where, *columns, True, [None])
        job.status = status

    @rule(number=st.integers(0, 9))
    def cancel(self, number: int) -> None:
        waiting = [job for job in self.jobs.values() if job.status in _WAITS]
        if waiting:
            job = waiting[number % len(waiting)]
            assert self.run(self.app.admin.cancel(job.job_id)) == "CANCELLED"
            job.status = "CANCELLED"

    @rule(number=st.integers(0, 9))
    def revive(self, number: int) -> None:
        """An operator's retry takes the key again, or is refused."""
        over = [job for job in self.jobs.values() if job.status in ("FAILED", "CANCELLED")]
        if not over:
            return
        job = over[number % len(over)]
        before, job.status = job.status, "PENDING"
        wants, job.status = job.holds, before
        rival = self.holder(job.key)
        told = self.told(self.app.admin.retry(job.job_id))
        if isinstance(told, DuplicateJob):
            assert wants
            assert rival is not None
            assert told.job_id == rival.job_id
            return
        assert not (wants and rival)
        job.status = "PENDING"

    @invariant()
    def the_table_is_as_it_should_be(self) -> None:
        for job in self.jobs.values():
            info = self.run(self.app.admin.show(job.job_id))
            assert (info.status, info.fence, info.payload["value"]) == (job.status, job.fence, job.value)
        for key in ("a", "b"):
            self.holder(key)


@pytest.mark.timeout(600)  # a failure is made small, which takes its time
def test_one_job_per_key_whatever_happens(app: Tenure) -> None:
    """A thousand steps, each with a look at the whole table."""
    how = settings(
        max_examples=40,
        stateful_step_count=25,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )

    @app.job()
    async def touch(value: int) -> int:
        return value

    loop = asyncio.new_event_loop()
    loop.run_until_complete(app.__aenter__())
    try:
        run_state_machine_as_test(lambda: UniqueMachine(loop, app), settings=how)
    finally:
        loop.run_until_complete(app.close())
        loop.close()
