"""The commands as a script uses them: what they print, what they change, their exit codes."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

from tenure.cli._app import app as root
from tenure.cli._load import load_app
from tests.fix_apps import environment

if TYPE_CHECKING:
    from pathlib import Path

    from tenure import Settings

SHOP = """
from tenure import Dead, Tenure

app = Tenure()

@app.job(queue="mail", max_retries=2)
async def send(to: str, copies: int = 1) -> int:
    return copies

@app.job(max_retries=0)
async def fail(number: int) -> object:
    return Dead(f"broken {number}")
"""
NOBODY = "01900000-0000-7000-8000-000000000000"


@pytest.fixture
def shop(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A user's module in the current directory, and the settings in the environment; its `module:app`."""
    for name in [name for name in os.environ if name.startswith("TENURE_") and "_TEST_" not in name]:
        monkeypatch.delenv(name)
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)
    module = f"shop_{uuid.uuid4().hex}"
    (tmp_path / f"{module}.py").write_text(SHOP)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return f"{module}:app"


@pytest.fixture
def dead(shop: str) -> list[str]:
    """The job ids of three dead letters."""

    async def work() -> list[str]:
        async with load_app(shop) as app, app.worker():
            jobs = [await app.enqueue("fail", {"number": number}) for number in range(3)]
            await asyncio.gather(*(job.result(timeout=20) for job in jobs), return_exceptions=True)
            return [job.id for job in jobs]

    return asyncio.run(work())


def invoke(*arguments: str, answer: str | None = None) -> Result:
    """Run `tenure …` in this process."""
    return CliRunner().invoke(root, arguments, input=answer)


def printed(*arguments: str) -> Any:
    """The JSON document that a command printed, and nothing else."""
    result = invoke(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def dead_ids() -> list[str]:
    """What is in the dead letter queue."""
    return sorted(letter["job_id"] for letter in printed("dlq", "list"))


def test_the_way_of_a_job(shop: str) -> None:
    """Enqueued, shown, listed, cancelled, retried."""
    first = invoke("job", "enqueue", shop, "send", '{"to": "a"}', "--priority", "5", "--tag", "x", "--tag", "y")
    assert first.exit_code == 0, first.output
    job_id = first.stdout.strip()
    shown = printed("job", "show", job_id)
    job = shown["job"]
    assert (job["payload"], job["priority"], job["queue"], job["tags"]) == ({"to": "a"}, 5, "mail", ["x", "y"])
    assert (job["status"], shown["executions"]) == ("PENDING", [])

    later = printed(
        "job", "enqueue", shop, "send", '{"to": "b"}', "--run-at", "2999-01-01T00:00:00Z", "--queue", "slow"
    )
    child = printed("job", "enqueue", shop, "send", '{"to": "c"}', "--depends-on", job_id)
    soon = printed("job", "enqueue", shop, "send", '{"to": "d"}', "--delay", "600", "--idempotency-key", "k")
    assert printed("job", "enqueue", shop, "send", '{"to": "d"}', "--idempotency-key", "k") == {
        **soon,
        "created": False,
    }

    assert {one["job_id"]: one["status"] for one in printed("job", "list")} == {
        job_id: "PENDING",
        later["job_id"]: "SCHEDULED",
        child["job_id"]: "BLOCKED",
        soon["job_id"]: "SCHEDULED",
    }
    assert [one["job_id"] for one in printed("job", "list", "--tag", "x", "--status", "pending")] == [job_id]
    assert [one["job_id"] for one in printed("job", "list", "--queue", "slow", "--type", "send")] == [later["job_id"]]
    assert len(printed("job", "list", "--limit", "2")) == 2
    assert job_id in invoke("job", "list").stdout
    assert "PENDING" in invoke("job", "show", job_id).stdout

    assert printed("job", "cancel", job_id) == {"job_id": job_id, "status": "CANCELLED"}
    assert printed("job", "retry", job_id) == {"job_id": job_id, "status": "PENDING"}
    assert invoke("job", "retry", later["job_id"]).stdout.split() == [later["job_id"], "PENDING"]

    by_queue = {one["queue"]: one["jobs"] for one in printed("stats")}
    assert (by_queue["mail"]["PENDING"], by_queue["slow"]["PENDING"]) == (1, 1)
    assert "mail" in invoke("stats").stdout
    assert printed("workers", "--all") == []


def test_unique_and_expiring_jobs(shop: str) -> None:
    """What is shown of them, and an operator's retry that finds the key taken."""
    words = (
        "job",
        "enqueue",
        shop,
        "send",
        '{"to": "a"}',
        "--unique",
        "k",
        "--expires-in",
        "600",
        "--deadline-in",
        "900",
    )
    job_id = printed(*words)["job_id"]
    assert printed(*words) == {"job_id": job_id, "created": False}
    job = printed("job", "show", job_id)["job"]
    assert (job["unique_key"], job["expires_at"] < job["deadline_at"]) == ("send:k", True)
    assert "expires_at" in invoke("job", "show", job_id).stdout
    invoke("job", "cancel", job_id)
    holder = printed(*words)["job_id"]
    refused = invoke("job", "retry", job_id)
    assert refused.exit_code == 5
    assert holder in refused.output


def test_schedules(shop: str) -> None:
    """Declared by a worker, then looked at and steered."""
    assert invoke("schedule", "pause", "weekly").exit_code == 4

    async def work() -> None:
        async with load_app(shop) as app:
            app.schedule("weekly", "0 0 * * 1", app.job_types["send"].request("a"), timezone="Europe/Berlin")
            async with app.worker():
                pass

    asyncio.run(work())
    [schedule] = printed("schedule", "list")
    assert (schedule["schedule_name"], schedule["cron"], schedule["last_at"]) == ("weekly", "0 0 * * 1", None)
    assert "Europe/Berlin" in invoke("schedule", "list").stdout
    for verb, said in (
        ("pause", "paused: weekly"),
        ("trigger", "triggered: weekly"),
        ("resume", "resumed: weekly, next 20"),
        ("remove", "removed: weekly"),
    ):
        answer = invoke("schedule", verb, "weekly")
        assert (answer.exit_code, answer.stdout.startswith(said)) == (0, True), answer.output
    assert printed("schedule", "list") == []


def test_errors_are_one_line_and_an_exit_code(shop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a script can tell apart."""
    job_id = printed("job", "enqueue", shop, "send", '{"to": "a"}')["job_id"]
    invoke("job", "cancel", job_id)
    for code, arguments in [
        (2, ("job", "show", "no-uuid")),
        (2, ("job", "list", "--status", "odd")),
        (2, ("job", "list", "--no-such-option")),
        (2, ("job", "enqueue", shop, "unknown_type")),
        (2, ("job", "enqueue", shop, "send", "{")),
        (2, ("job", "enqueue", shop, "send", '{"other": 1}')),
        (2, ("job", "enqueue", shop, "send", '{"to": "a"}', "--priority", "9")),
        (2, ("job", "enqueue", shop, "send", '{"to": "a"}', "--run-at", "2999-01-01T00:00:00")),
        (2, ("job", "enqueue", shop, "send", '{"to": "a"}', "--depends-on", NOBODY)),
        (2, ("worker", "no_such_module:app")),
        (2, ("worker", shop, "--processes", "0")),
        (2, ("worker", shop, "--grace", "-1")),
        (4, ("job", "show", NOBODY)),
        (4, ("job", "cancel", NOBODY)),
        (4, ("dlq", "show", NOBODY)),
        (5, ("job", "cancel", job_id)),
    ]:
        result = invoke(*arguments)
        assert (result.exit_code, result.stdout) == (code, ""), (arguments, result.output)
        if "--no-such-option" not in arguments:
            assert result.stderr.startswith("error: "), arguments
            assert result.stderr.count("\n") == 1, arguments

    assert "Traceback" in invoke("--debug", "job", "show", NOBODY).stderr
    monkeypatch.setenv("TENURE_POSTGRES_URL", "postgresql://postgres:hidden-word@127.0.0.1:1/postgres")
    away = invoke("stats")
    assert away.exit_code == 3
    assert "hidden-word" not in away.output
    monkeypatch.setenv("TENURE_NO_SUCH_SETTING", "1")
    assert invoke("stats").exit_code == 2


def test_dead_letters_are_changed_only_when_meant(dead: list[str]) -> None:
    """Purging asks, and requeueing all of them; a no changes nothing."""
    assert dead_ids() == sorted(dead)
    letter = printed("dlq", "show", dead[0])
    assert (letter["reason"], letter["payload"]) == ("dead", {"number": 0})
    assert "broken 0" in invoke("dlq", "list").stdout
    assert "broken 0" in invoke("dlq", "show", dead[0]).stdout

    for arguments in (("purge", dead[0]), ("purge", "--all"), ("requeue", "--all")):
        assert invoke("dlq", *arguments, answer="n\n").exit_code == 1, arguments
    for arguments in (("purge",), ("requeue",), ("requeue", "--all", dead[0]), ("purge", dead[0], "--queue", "mail")):
        assert invoke("dlq", *arguments, answer="y\n").exit_code == 2, arguments
    assert dead_ids() == sorted(dead)

    assert printed("dlq", "requeue", dead[0]) == {"requeued": 1}
    assert printed("job", "show", dead[0])["job"]["status"] == "PENDING"
    assert printed("dlq", "requeue", "--all", "--queue", "mail", "--yes") == {"requeued": 0}
    assert invoke("dlq", "purge", dead[1], answer="y\n").stdout.endswith("purged: 1\n")
    assert dead_ids() == [dead[2]]
    assert printed("dlq", "purge", "--all", "--yes", "--type", "fail") == {"purged": 1}
    assert printed("job", "show", dead[2])["job"]["status"] == "FAILED"


def test_doctor_finds_nothing_wrong_with_healthy_stores(shop: str) -> None:
    """Both stores, versions, policies, clocks and migrations are looked at."""
    looked_at = {one["name"]: one["level"] for one in printed("doctor")}
    assert "fail" not in looked_at.values()
    assert {
        "version",
        "redis version",
        "redis maxmemory-policy",
        "redis clock",
        "postgresql version",
        "postgresql durability",
        "postgresql clock",
        "migrations",
    } <= looked_at.keys()


def test_doctor_says_what_to_do(shop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A schema that is not there, and stores that are away; exit code 1."""
    monkeypatch.setenv("TENURE_SCHEMA", "nowhere")
    result = invoke("doctor")
    assert result.exit_code == 1
    assert "tenure migrate up" in result.stdout
    monkeypatch.setenv("TENURE_POSTGRES_URL", "postgresql://postgres:hidden-word@127.0.0.1:1/postgres")
    monkeypatch.setenv("TENURE_REDIS_URL", "redis://:hidden-word@127.0.0.1:1/0")
    result = invoke("doctor", "--json")
    assert result.exit_code == 1
    failed = {one["name"]: one["advice"] for one in json.loads(result.stdout) if one["level"] == "fail"}
    assert "TENURE_POSTGRES_URL" in failed["postgresql"]
    assert "TENURE_REDIS_URL" in failed["redis"]
    assert "hidden-word" not in result.output


def test_up_and_stop(shop: str, server_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They stay between commands until told to stop."""
    monkeypatch.delenv("TENURE_POSTGRES_URL")
    monkeypatch.delenv("TENURE_REDIS_URL")
    monkeypatch.setenv("TENURE_DATA_DIR", str(server_directory / "up"))
    (server_directory / "up").mkdir()
    off = {"postgres": False, "valkey": False, "stay_up": False}
    assert printed("up", "--status") == off
    try:
        assert printed("up").keys() == {"postgres_url", "redis_url"}
        assert printed("stats") == []
        assert printed("up", "--status") == dict.fromkeys(off, True)
    finally:
        assert printed("up", "--stop") == {"stopped": True}
    assert printed("up", "--status") == off


def test_both_ways_to_start_it_print_the_version() -> None:
    """The installed command and the module."""
    command = [sys.executable, "-m", "tenure", "version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == invoke("version").stdout


@pytest.fixture
def graph(shop: str) -> tuple[str, list[str]]:
    """A workflow of three jobs, one after the other, and their ids."""

    async def work() -> tuple[str, list[str]]:
        async with load_app(shop) as app:
            send = app.job_types["send"]
            flow = app.workflow("order")
            first = flow.add(send.options(delay=3600).request("a"))
            second = flow.add(send.request("b", copies=first))
            third = flow.add(send.request("c"), after=[second])
            return (await flow.enqueue()).id, [one.job_id for one in (first, second, third)]

    return asyncio.run(work())


def test_workflows(graph: tuple[str, list[str]]) -> None:
    workflow_id, (first, second, third) = graph
    [listed] = json.loads(invoke("workflow", "list", "--json").stdout)
    assert (listed["workflow_id"], listed["name"], listed["status"]) == (workflow_id, "order", "RUNNING")
    assert listed["jobs"] == {"SCHEDULED": 1, "BLOCKED": 2}
    assert json.loads(invoke("workflow", "list", "--name", "other", "--json").stdout) == []
    assert "BLOCKED 2, SCHEDULED 1" in invoke("workflow", "list").stdout
    assert "RUNNING" in invoke("workflow", "show", workflow_id).stdout
    assert invoke("workflow", "show", NOBODY).exit_code == 4
    assert invoke("job", "cancel", second, "--descendants").stdout == f"{second} CANCELLED\n"
    shown = json.loads(invoke("workflow", "show", workflow_id, "--json").stdout)
    assert shown["jobs"] == {"SCHEDULED": 1, "CANCELLED": 2}
    assert invoke("job", "retry", second, "--descendants").stdout == f"{second} BLOCKED\n"
    assert invoke("workflow", "cancel", workflow_id).stdout == f"{workflow_id} CANCELLED 3\n"
    assert invoke("workflow", "cancel", workflow_id).stdout == f"{workflow_id} nothing to change\n"
    retried = json.loads(invoke("workflow", "retry", workflow_id, "--json").stdout)
    assert retried == {"workflow_id": workflow_id, "jobs": {first: "PENDING", second: "BLOCKED", third: "BLOCKED"}}
