"""What the witnesses said, in one value: PostgreSQL's rows, the clients' history, the handlers' ledger, the samples."""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

if TYPE_CHECKING:
    from tenure._database import Connection, Database
    from tenure.check._redis import QueueSample
    from tenure.check.history import Event
    from tenure.check.ledger import Ledger, Run
    from tenure.check.sampler import Samples

ENDED: Final = ("COMPLETED", "FAILED", "CANCELLED")


class Breach(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that should not be; `job` where it is about one."""

    text: str
    job: str | None = None


class JobRow(msgspec.Struct, frozen=True, kw_only=True):
    """A job as it was left; times in seconds since 1970."""

    job_id: str
    job_type: str
    queue: str
    status: str
    priority: int
    mode: str
    attempts: int
    max_retries: int
    crashes: int
    fence: int
    idempotency_key: str | None
    has_dependents: bool
    pending_dependencies: int
    result: bytes | None
    error: str | None
    created_at: float
    started_at: float | None
    completed_at: float | None


class AttemptRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the audit; `pid` of the process that ran it."""

    job_id: str
    fence: int
    attempt: int
    status: str
    pid: int | None
    started_at: float
    completed_at: float | None


class DeadRow(msgspec.Struct, frozen=True, kw_only=True):
    """A dead letter."""

    job_id: str
    reason: str
    attempts: int


class Edge(NamedTuple):
    """A dependency."""

    job_id: str
    parent_id: str
    on_failure: str


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One change of a job, seen by the trigger; the numbers of one job rise in the order of its commits."""

    seq: int
    at: float
    job_id: str
    old_status: str | None
    new_status: str | None
    old_fence: int | None
    new_fence: int | None
    attempts: int | None
    delay_seconds: float | None


class Effect(NamedTuple):
    """What a handler wrote under a guard; numbered by the sequence of the changes."""

    seq: int
    job_id: str
    fence: int


class Rewrite(NamedTuple):
    """An ended attempt that was changed (or deleted, without a new status)."""

    job_id: str
    fence: int
    old_status: str
    new_status: str | None


class Quiet(msgspec.Struct, frozen=True, kw_only=True):
    """How things stood when nothing was asked any more, looked at twice."""

    drained: bool
    open_jobs: int
    queues: list[list[QueueSample]]
    missing: list[list[str]]  # live jobs that Redis lacked
    keys: list[str]  # those that never expire
    idle_in_transaction: int
    deaf: list[int]  # worker processes that took no work after the last fault


class Evidence(msgspec.Struct, kw_only=True, dict=True):
    """Everything. What was not witnessed is None, and what needs it is not judged."""

    jobs: list[JobRow]
    attempts: list[AttemptRow]
    dead: list[DeadRow]
    edges: list[Edge]
    poison_after: int = 3
    changes: list[Change] | None = None
    rewrites: list[Rewrite] = []
    effects: list[Effect] = []
    history: list[Event] | None = None
    ledger: Ledger | None = None
    samples: Samples | None = None
    quiet: Quiet | None = None
    lease_seconds: float = 30.0
    concurrency: int | None = None
    deaths: dict[int, int] = {}
    clock_offset: float = 0.0  # seconds since 1970 by PostgreSQL, less this machine's monotonic seconds

    @cached_property
    def job(self) -> dict[str, JobRow]:
        """The jobs by id."""
        return {row.job_id: row for row in self.jobs}

    @cached_property
    def attempts_of(self) -> dict[str, list[AttemptRow]]:
        """The attempts of each job, by fence."""
        found: dict[str, list[AttemptRow]] = defaultdict(list)
        for row in sorted(self.attempts, key=lambda row: row.fence):
            found[row.job_id].append(row)
        return found

    @cached_property
    def changes_of(self) -> dict[str, list[Change]]:
        """The changes of each job, in order."""
        found: dict[str, list[Change]] = defaultdict(list)
        for change in self.changes or ():
            found[change.job_id].append(change)
        return found

    @cached_property
    def runs_of(self) -> dict[str, list[Run]]:
        """The runs of each job, in the order of their starts."""
        return self.ledger.by_job() if self.ledger else {}

    @cached_property
    def retried(self) -> set[str]:
        """Jobs that were, or may have been, brought back by a client after they had ended."""
        asked = (event for event in self.history or () if event.f == "retry" and event.type == "invoke")
        return {event.value["job"] for event in asked}

    def answers(self, verb: str) -> list[tuple[Event, Event | None]]:
        """Every call of a verb with its answer; none where the run ended before it came."""
        calls: dict[int, tuple[Event, Event | None]] = {}
        for event in self.history or ():
            if event.f == verb and event.proc == "client":
                op = event.value["op"]
                calls[op] = (event, None) if event.type == "invoke" else (calls[op][0], event)
        return list(calls.values())

    def monotonic(self, moment: float) -> float:
        """Seconds of this machine's monotonic clock at a moment of PostgreSQL's clock."""
        return moment - self.clock_offset


async def read_rows(database: Database, connection: Connection | None = None) -> Evidence:
    """What PostgreSQL alone can tell of any schema."""

    async def rows(name: str, kind: Any) -> Any:
        found = await database.fetch(name, connection=connection)
        return [kind(**_plain(dict(row))) for row in found]

    return Evidence(
        jobs=await rows("check_jobs", JobRow),
        attempts=await rows("check_attempts", AttemptRow),
        dead=await rows("check_dead_letters", DeadRow),
        edges=await rows("check_edges", Edge),
    )


async def add_changes(evidence: Evidence, database: Database) -> None:
    """What the triggers of a run's schema saw."""

    async def rows(name: str, kind: Any) -> Any:
        return [kind(**_plain(dict(row))) for row in await database.fetch(name)]

    evidence.changes = await rows("check_changes", Change)
    evidence.rewrites = await rows("check_rewritten", Rewrite)
    evidence.effects = await rows("check_effects", Effect)


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {key: str(value) if key.endswith("_id") and value is not None else value for key, value in row.items()}
