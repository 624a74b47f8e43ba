"""A small run in which everything is as it should be: a parent, a child that waited for it, a retry and a rescue."""

from __future__ import annotations

import msgspec

from tenure.check._redis import QueueSample
from tenure.check.evidence import AttemptRow, Change, DeadRow, Edge, Evidence, JobRow, Quiet
from tenure.check.history import Event
from tenure.check.ledger import Call, Ledger, Pulse, Run
from tenure.check.sampler import Count, Samples

S = 1_000_000_000
_HIGH = "high-priority-queue"


def job(job_id: str, **values: object) -> JobRow:
    """A completed job of one attempt."""
    result = msgspec.json.encode({"fence": values.get("fence", 1), "nonce": f"{job_id}-{values.get('fence', 1)}"})
    row = {
        "job_id": job_id,
        "job_type": "quick",
        "queue": "check-a",
        "status": "COMPLETED",
        "priority": 3,
        "mode": "before",
        "attempts": 1,
        "max_retries": 2,
        "crashes": 0,
        "fence": 1,
        "idempotency_key": None,
        "has_dependents": False,
        "pending_dependencies": 0,
        "result": result,
        "error": None,
        "created_at": 100.0,
        "started_at": 101.0,
        "completed_at": 102.0,
    }
    return JobRow(**{**row, **values})


def attempt(job_id: str, fence: int = 1, **values: object) -> AttemptRow:
    """A completed attempt."""
    row = {"job_id": job_id, "fence": fence, "attempt": fence, "status": "COMPLETED", "pid": 7}
    return AttemptRow(**{**row, "started_at": 100.0 + fence, "completed_at": 101.0 + fence, **values})


def change(seq: int, job_id: str, old: str | None, new: str | None, fences: tuple, **values: object) -> Change:
    """A change of a job, a second after the one before."""
    row = {"seq": seq, "at": 100.0 + seq, "job_id": job_id, "old_status": old, "new_status": new}
    return Change(
        **{**row, "old_fence": fences[0], "new_fence": fences[1], "attempts": 1, "delay_seconds": 0.1, **values}
    )


def run(job_id: str, fence: int, began: float, ended: float | None, **values: object) -> Run:
    """A run that returned."""
    outcome = None if ended is None else "returned"
    row = {"job": job_id, "fence": fence, "pid": 7, "nonce": f"{job_id}-{fence}", "outcome": outcome}
    return Run(**{**row, "started_ns": int(began * S), "ended_ns": None if ended is None else int(ended * S), **values})


def event(i: int, kind: str, f: str, **value: object) -> Event:
    """An event, a tenth of a second after the one before."""
    return Event(i=i, t_mono_ns=i * S // 10, proc="client", type=kind, f=f, value=value)  # type: ignore[arg-type]


def sample(**values: object) -> QueueSample:
    """A queue in which nothing is."""
    row = {"queue": "check-a", "now_ms": 0, "waiting": {_HIGH: [], "scheduled-queue": []}, "leases": {}, "rescuing": []}
    return QueueSample(**{**row, "descriptors": 0, "dead": ["dead"], **values})


def good() -> Evidence:
    """Nothing to find."""
    asked = [{"id": one, "kind": "quick", "key": None, "needs": []} for one in ("parent", "child", "lost", "dead")]
    return Evidence(
        jobs=[
            job("parent", has_dependents=True, idempotency_key="k"),
            job("child", started_at=104.0, completed_at=105.0),
            job("lost", fence=2, attempts=2, crashes=1, job_type="flaky"),
            job("dead", status="FAILED", result=None, attempts=3, fence=3),
        ],
        attempts=[
            attempt("parent"),
            attempt("child"),
            attempt("lost", 1, status="LOST", completed_at=109.0),
            attempt("lost", 2),
            *(attempt("dead", fence, status="FAILED") for fence in (1, 2, 3)),
        ],
        dead=[DeadRow(job_id="dead", reason="exhausted", attempts=3)],
        edges=[Edge("child", "parent", "hold")],
        changes=[
            change(1, "parent", None, "PENDING", (None, 0)),
            change(2, "child", None, "BLOCKED", (None, 0)),
            change(3, "parent", "PENDING", "PROCESSING", (0, 1)),
            change(4, "parent", "PROCESSING", "COMPLETED", (1, 1)),
            change(5, "child", "BLOCKED", "PENDING", (0, 0)),
            change(6, "child", "PENDING", "PROCESSING", (0, 1)),
            change(7, "child", "PROCESSING", "COMPLETED", (1, 1)),
        ],
        history=[
            event(0, "invoke", "enqueue", op=0, jobs=asked),
            event(1, "ok", "enqueue", op=0, got=["parent", "child", "lost", "dead"]),
        ],
        ledger=Ledger(
            runs=[
                run("parent", 1, 3.0, 3.5),
                run("child", 1, 6.0, 6.5),
                run("lost", 1, 1.0, 9.5),
                run("lost", 2, 9.1, 9.9),
                *(run("dead", fence, fence, fence + 0.1) for fence in (1, 2, 3)),
            ],
            leases=[Call(queue="check-a", began_ns=2 * S, ended_ns=3 * S, jobs=[("parent", 1, 3)])],
            pushes=[Call(queue="check-a", began_ns=0, ended_ns=S, jobs=[("parent", 0, 3)])],
            pulses={7: [Pulse(pid=7, t_ns=t * S, fds=20, threads=3, tasks=4) for t in (1, 9)]},
            ready={7: "worker"},
        ),
        samples=Samples(
            queues=[(3 * S, sample(leases={"parent:1": 9_000.0}, waiting={_HIGH: ["child"], "scheduled-queue": []}))],
            counts=[
                Count(first_event=2, last_event=2, inserted=4, counted={"PENDING": 4}, witnessed={"PENDING": 4}),
            ],
        ),
        quiet=Quiet(
            drained=True,
            open_jobs=0,
            queues=[[sample()], [sample()]],
            missing=[[], []],
            keys=["p:{check-a}:generation"],
            idle_in_transaction=0,
            deaf=[],
        ),
        lease_seconds=2.0,
        concurrency=4,
        clock_offset=100.0,
    )
