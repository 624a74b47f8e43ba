"""Limits of all scopes at once, in three worker processes: each is reached and none is ever exceeded, while one of the
processes is killed and Redis loses everything. The handlers count themselves, and end when they are told to.
"""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pytest

from tenure import Tenure
from tests.integration import gated_member
from tests.invariants import assert_invariants

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from tenure import Settings
    from tenure.job import Job

_WITHIN: Final = 60.0
_MOST: Final = {"queue": 7, "type mail": 4, "tenant a": 2, "tenant b": 2, "key k1": 1, "key k2": 1}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Leases that outlast a pause of the machine: none is taken back from a handler that runs."""
    return replace(settings, lease_seconds=5.0)


class Ledger:
    """What the handlers of all processes wrote, by job."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.scopes: dict[str, list[str]] = {}
        self.killed: dict[int, float] = {}

    def enter(self, jobs: Iterable[Job], *scopes: str) -> None:
        """What these jobs count for."""
        for job in jobs:
            self.scopes[job.id] = ["queue", *scopes]

    def kill(self, worker: subprocess.Popen[bytes]) -> None:
        """What it ran has ended when this returns."""
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        self.killed[worker.pid] = time.monotonic()

    def _changes(self) -> list[tuple[float, int, str]]:
        lines = [json.loads(line) for line in self.path.read_text().splitlines()]
        ended = {(line["job"], line["fence"]) for line in lines if line["event"] != "start"}
        changes = []
        for line in lines:
            changes.append((line["at"], 1 if line["event"] == "start" else -1, line["job"]))
            if line["pid"] in self.killed and line["event"] == "start" and (line["job"], line["fence"]) not in ended:
                changes.append((self.killed[line["pid"]], -1, line["job"]))
        return sorted(changes)

    def counted(self) -> tuple[Counter[str], Counter[str]]:
        """How many run now, and ran at a time at most, of each scope."""
        now, most = Counter[str](), Counter[str]()
        for _, change, job in self._changes():
            for scope in self.scopes[job]:
                now[scope] += change
                most[scope] = max(most[scope], now[scope])
        return +now, most

    @property
    def running(self) -> Counter[str]:
        """How many run now."""
        return self.counted()[0]

    def running_in(self, worker: subprocess.Popen[bytes]) -> int:
        """How many run in a process that lives."""
        events = [json.loads(line) for line in self.path.read_text().splitlines()]
        return sum(1 if line["event"] == "start" else -1 for line in events if line["pid"] == worker.pid)


async def test_all_limits_are_reached_and_none_exceeded_whatever_dies(
    open_app: Callable[..., Any],
    settings: Settings,
    spawn_worker: Callable[..., subprocess.Popen[bytes]],
    tmp_path: Path,
    eventually: Callable[..., Any],
    raw_redis: Any,
    raw_postgres: Any,
    migrated_schema: str,
) -> None:
    producer = Tenure(settings)
    mail = producer.job(name="mail")(gated_member.mail.handler)
    video = producer.job(name="video")(gated_member.video.handler)
    await open_app(producer)
    limits = producer.admin.limits
    await limits.set("default", concurrency=_MOST["queue"])
    await limits.set("default", job_type="mail", concurrency=_MOST["type mail"])
    await limits.set("default", tenant="*", concurrency=_MOST["tenant a"])
    await limits.set("default", key="*", concurrency=_MOST["key k1"])

    ledger, gates = Ledger(tmp_path / "ledger"), [tmp_path / "first", tmp_path / "last"]
    ledger.path.touch()
    jobs: list[Job] = []

    async def enqueue(job_type: Any, count: int, gate: Path, *scopes: str, **options: Any) -> None:
        arguments = {"ledger": str(ledger.path), "path": str(gate)}
        made = await producer.enqueue_many([job_type.options(**options).request(**arguments) for _ in range(count)])
        ledger.enter(made, *scopes)
        jobs.extend(made)

    async def runs(**wanted: int) -> None:
        """So many run, and no more of any scope."""
        scopes = {name.replace("_", " "): count for name, count in wanted.items()}
        await eventually(lambda: scopes.items() <= ledger.running.items(), timeout=_WITHIN)
        assert all(ledger.counted()[1][scope] <= most for scope, most in _MOST.items())

    for tenant in ("a", "b"):
        await enqueue(mail, 6, gates[1], "type mail", f"tenant {tenant}", tenant=tenant)
    for key in ("k1", "k2"):
        await enqueue(video, 3, gates[0], f"key {key}", limit_key=key)
    workers = [spawn_worker("--concurrency=4", target="tests.integration.gated_member:app") for _ in range(3)]
    await runs(queue=6, type_mail=4, tenant_a=2, tenant_b=2, key_k1=1, key_k2=1)
    # what no limit but the queue's holds back has the place that is left
    await enqueue(video, 5, gates[1])
    await runs(queue=7)

    holder = max(workers, key=ledger.running_in)
    assert ledger.running_in(holder) > 0
    ledger.kill(holder)
    workers.append(spawn_worker("--concurrency=4", target="tests.integration.gated_member:app"))
    await runs(queue=7)

    raw_redis.flushall()
    await enqueue(video, 3, gates[0])
    # those that ran go on, and whoever comes finds the queue full; what ends makes room for as many
    gates[0].touch()
    for job in jobs:
        if ledger.scopes[job.id][1:] in (["key k1"], ["key k2"]):
            await job.result(timeout=_WITHIN)
    await runs(queue=7)

    gates[1].touch()
    for job in jobs:
        await job.result(timeout=_WITHIN)
    most = ledger.counted()[1]
    assert {scope: most[scope] for scope in _MOST} == _MOST
    await assert_invariants(raw_postgres, migrated_schema, jobs=len(jobs))
