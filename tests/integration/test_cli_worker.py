"""`tenure worker` as a supervisor sees it: real processes, real signals."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import psutil

from tests.fix_apps import environment

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from subprocess import Popen

    from tenure import Settings
    from tests.fix_waiting import Eventually

    Spawn = Callable[..., Popen[bytes]]


async def tenure(settings: Settings, *arguments: str) -> Any:
    """The JSON document that a command printed."""
    command = (sys.executable, "-m", "tenure", *arguments, "--json")
    process = await asyncio.create_subprocess_exec(*command, env=environment(settings), stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    assert process.returncode == 0
    return json.loads(out)


async def enqueue(settings: Settings, job_type: str, **arguments: object) -> str:
    """The id of a new job of `tests.handlers`."""
    job = await tenure(settings, "job", "enqueue", "tests.handlers:app", job_type, json.dumps(arguments))
    return str(job["job_id"])


def started(ledger: Path) -> int:
    """How many attempts have begun."""
    return ledger.read_text().count('"start"') if ledger.exists() else 0


def children(process: Popen[bytes]) -> set[int]:
    """The pids of a process's children."""
    return {child.pid for child in psutil.Process(process.pid).children()}


async def active(connection: Any, schema: str) -> set[int]:
    """The pids of the workers that the registry has as active."""
    return {row["pid"] for row in await connection.fetch(f"SELECT pid FROM {schema}.workers WHERE status = 'ACTIVE'")}


async def test_sigterm_drains_and_gives_the_rest_back(
    settings: Settings, spawn_worker: Spawn, tmp_path: Path, eventually: Eventually, raw_postgres: Any
) -> None:
    """What ends within the grace time is completed, what does not is another worker's, with no attempt burnt."""
    ledger, go = tmp_path / "ledger", tmp_path / "go"
    worker = spawn_worker("--concurrency", "2", "--grace", "3")
    ends = await enqueue(settings, "until", ledger=str(ledger), path=str(go))
    hangs = await enqueue(settings, "until", ledger=str(ledger), path=str(tmp_path / "never"))
    await eventually(lambda: started(ledger) == 2)
    waits = await enqueue(settings, "until", ledger=str(ledger), path=str(go))
    worker.send_signal(signal.SIGTERM)

    async def draining() -> bool:
        return bool(await raw_postgres.fetchval(f"SELECT status = 'DRAINING' FROM {settings.schema}.workers"))

    await eventually(draining)
    go.touch()
    assert await asyncio.to_thread(worker.wait, 20) == 0
    states = {one["job_id"]: (one["status"], one["attempts"]) for one in await tenure(settings, "job", "list")}
    assert states == {ends: ("COMPLETED", 1), hangs: ("PENDING", 0), waits: ("PENDING", 0)}


async def test_a_second_signal_ends_it_at_once(
    settings: Settings, spawn_worker: Spawn, tmp_path: Path, eventually: Eventually
) -> None:
    """Even while a handler holds the loop."""
    ledger = tmp_path / "ledger"
    worker = spawn_worker("--grace", "60")
    await enqueue(settings, "stubborn", ledger=str(ledger), seconds=50)
    await eventually(lambda: started(ledger) == 1)

    def asked_again() -> bool:
        worker.send_signal(signal.SIGTERM)
        return worker.poll() is not None

    await eventually(asked_again)
    assert worker.returncode == 128 + signal.SIGTERM


async def test_a_second_ctrl_c_does_not_wait_for_running_jobs(
    settings: Settings, spawn_worker: Spawn, tmp_path: Path, eventually: Eventually, raw_postgres: Any
) -> None:
    """The loop is free here, and waits for the grace time."""
    ledger = tmp_path / "ledger"
    worker = spawn_worker("--grace", "60")
    await enqueue(settings, "until", ledger=str(ledger), path=str(tmp_path / "never"))
    await eventually(lambda: started(ledger) == 1)
    worker.send_signal(signal.SIGINT)

    async def draining() -> bool:
        return bool(await raw_postgres.fetchval(f"SELECT status = 'DRAINING' FROM {settings.schema}.workers"))

    await eventually(draining)
    worker.send_signal(signal.SIGINT)
    assert await asyncio.to_thread(worker.wait, 5) == 128 + signal.SIGINT


async def test_a_killed_process_is_replaced(
    settings: Settings, spawn_worker: Spawn, eventually: Eventually, raw_postgres: Any
) -> None:
    """Never more than asked for; SIGTERM to the parent ends all of them with 0."""
    parent = spawn_worker(
        "--processes", "2", "--queue", "default", "--log-format", "json", "--type", "press", "--label", "zone=b=c"
    )

    async def two() -> set[int] | None:
        pids = children(parent)
        return pids if len(pids) == 2 and pids <= await active(raw_postgres, settings.schema) else None

    first = await eventually(two)
    killed = min(first)
    os.kill(killed, signal.SIGKILL)
    await eventually(lambda: killed not in children(parent))
    second = await eventually(two, timeout=20)
    assert len(first & second) == 1
    rows = await raw_postgres.fetch(f"SELECT worker_type, labels->>'zone' FROM {settings.schema}.workers")
    assert {tuple(row) for row in rows} == {("press", "b=c")}
    parent.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(parent.wait, 20) == 0
    assert not any(psutil.pid_exists(pid) for pid in second)


async def test_a_parent_told_to_stop_at_once_leaves_no_child(spawn_worker: Spawn, eventually: Eventually) -> None:
    """Children that do not listen yet are told too."""
    parent = spawn_worker("--processes", "2")
    pids = await eventually(lambda: children(parent))
    parent.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(parent.wait, 20) == 0
    assert not any(psutil.pid_exists(pid) for pid in pids)


async def test_children_do_not_outlive_their_parent(
    settings: Settings, spawn_worker: Spawn, eventually: Eventually, raw_postgres: Any
) -> None:
    """They stop as if they had been told to."""
    parent = spawn_worker("--processes", "2")

    async def two() -> set[int] | None:
        pids = children(parent)
        return pids if len(pids) == 2 and pids <= await active(raw_postgres, settings.schema) else None

    pids = await eventually(two)
    parent.kill()
    parent.wait()
    await eventually(lambda: not any(psutil.pid_exists(pid) for pid in pids))
    assert await active(raw_postgres, settings.schema) == set()


async def test_several_workers_in_a_process_stop_one_by_one_and_restart_together(
    settings: Settings, spawn_worker: Spawn, eventually: Eventually, raw_postgres: Any, open_app: Any, tmp_path: Path
) -> None:
    """The last that stops ends the process; one that restarts takes the others along."""
    admin = (await open_app()).admin
    parent = spawn_worker("--processes", "2", "--workers", "3", "--queue", "default", "--concurrency", "1")

    async def six() -> bool:
        rows = await raw_postgres.fetch(f"SELECT pid FROM {settings.schema}.workers WHERE status = 'ACTIVE'")
        return len(rows) == 6 and {row["pid"] for row in rows} == children(parent)

    await eventually(six, timeout=20)
    by_process: dict[int, list[str]] = {}
    for one in await admin.workers():
        by_process.setdefault(one.pid, []).append(one.worker_id)
    (restarted, others), (leaving, three) = by_process.items()
    await admin.fleet.restart(others[0])
    await eventually(lambda: restarted not in children(parent))
    await eventually(six, timeout=20)
    await admin.fleet.stop(three[0])

    async def five() -> bool:
        return len([one for one in await admin.workers() if one.status == "ACTIVE"]) == 5

    await eventually(five)
    assert leaving in children(parent)
    # who is left works, all of them
    ledger = tmp_path / "ledger"
    for _ in range(5):
        await enqueue(settings, "until", ledger=str(ledger), path=str(tmp_path / "go"))
    await eventually(lambda: started(ledger) == 5)
    (tmp_path / "go").touch()
    await admin.fleet.stop(three[1])
    await admin.fleet.stop(three[2])
    await eventually(lambda: len(children(parent)) == 1)
    assert leaving not in children(parent)
    parent.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(parent.wait, 20) == 0
