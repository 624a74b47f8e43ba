"""Real worker processes, stopped past their leases and continued after others took their jobs: no verb of theirs
changes anything.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tenure import Tenure
from tests.acceptance.zombies import VERDICTS, try_late
from tests.fix_apps import environment
from tests.invariants import assert_invariants

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def spawn(settings, tmp_path: Path):
    """Starts worker processes whose logs are kept."""
    spawned: list[subprocess.Popen[bytes]] = []

    def start(queue: str, log: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tenure", "worker", "tests.acceptance.zombies:app", "--queue", queue]
        with (tmp_path / log).open("wb") as file:
            process = subprocess.Popen([*command, "--concurrency", "1"], env=environment(settings), stderr=file)
        spawned.append(process)
        return process

    yield start
    for process in spawned:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait()


@pytest.mark.parametrize("verbs", [("complete", "fail", "snooze"), ("cancel", "dead", "progress")], ids="-".join)
async def test_no_verb_of_a_zombie_changes_anything(
    open_app, settings, spawn, tmp_path, eventually, raw_postgres, verbs
):
    assert set(verbs) <= set(VERDICTS)
    client = Tenure(settings)
    job_type = client.job(name="try_late")(try_late.handler)
    await open_app(client)

    def events(verb: str) -> list[str]:
        path = tmp_path / verb
        return [json.loads(line)["event"] for line in path.read_text().splitlines()] if path.exists() else []

    zombies = {verb: spawn(verb, f"{verb}.zombie") for verb in verbs}
    jobs = {verb: await job_type.options(queue=verb).enqueue(verb, str(tmp_path)) for verb in verbs}
    await eventually(lambda: all(events(verb) == ["start"] for verb in verbs), timeout=20)
    for zombie in zombies.values():
        zombie.send_signal(signal.SIGSTOP)
    async with client.worker(queues=list(verbs)):
        assert [await job.result(timeout=20) for job in jobs.values()] == [2] * len(verbs)
    settled = {verb: await job.info() for verb, job in jobs.items()}
    audits = {verb: await job.executions() for verb, job in jobs.items()}
    (tmp_path / "go").touch()
    for zombie in zombies.values():
        zombie.send_signal(signal.SIGCONT)
    await eventually(lambda: all("tried" in events(verb) for verb in verbs), timeout=20)

    # the zombie was told, and takes work again: what it tried is over by then
    def told(verb: str) -> bool:
        log = (tmp_path / f"{verb}.zombie").read_text()
        return "lease lost" in log or "attempt stops, lost" in log

    await eventually(lambda: all(told(verb) for verb in verbs), timeout=20)
    if "progress" in verbs:
        assert {"LeaseLost", "CancelledError"} & set(events("progress"))
    for verb, job in jobs.items():
        assert await job.info() == settled[verb]
        assert await job.executions() == audits[verb]
        assert [(one.fence, one.status) for one in audits[verb]] == [(1, "LOST"), (2, "COMPLETED")]
        assert events(verb).count("second") == 1
    await assert_invariants(raw_postgres, settings.schema, jobs=len(verbs))
