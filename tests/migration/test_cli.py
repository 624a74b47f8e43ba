"""`tenure migrate` as a script uses it: what it prints and its exit codes."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from typing import Any

import asyncpg
import pytest
from typer.testing import CliRunner, Result

from tenure._migrate import known, offline_sql
from tenure.cli.migrate import app

NAMES = [step.name for step in known("gap006")]


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of whoever runs the tests."""
    for name in [name for name in os.environ if name.startswith("TENURE_") and "_TEST_" not in name]:
        monkeypatch.delenv(name)


def invoke(*arguments: str) -> Result:
    """Run `tenure migrate …` in this process."""
    return CliRunner().invoke(app, arguments)


def printed(result: Result) -> Any:
    """The JSON document that a command printed, and nothing else."""
    return json.loads(result.stdout)


def execute(url: str, statement: str) -> None:
    """Run a statement outside any loop of the test's."""

    async def run() -> None:
        connection = await asyncpg.connect(url)
        await connection.execute(statement)
        await connection.close()

    asyncio.run(run())


def test_up_list_down(postgres_url: str, schema: str) -> None:
    """The way of a schema, with `--to` both ways."""
    where = ("--url", postgres_url, "--schema", schema)
    assert printed(invoke("up", *where, "--to", "2", "--json")) == {"applied": NAMES[:2]}
    listed = printed(invoke("list", *where, "--json"))
    assert [(one["name"], one["applied_at"] is not None) for one in listed] == [
        (name, number < 2) for number, name in enumerate(NAMES)
    ]
    assert printed(invoke("up", *where, "--json")) == {"applied": NAMES[2:]}
    assert printed(invoke("up", *where, "--json")) == {"applied": []}
    assert "nothing" in invoke("up", *where).stdout
    assert printed(invoke("down", *where, "--to", "5", "--yes", "--json")) == {"undone": NAMES[:4:-1]}
    assert printed(invoke("down", *where, "--to", "0", "--yes", "--json")) == {"undone": NAMES[4::-1]}


def test_url_and_schema_from_the_environment(postgres_url: str, schema: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no option says it, the settings do."""
    monkeypatch.setenv("TENURE_POSTGRES_URL", postgres_url)
    monkeypatch.setenv("TENURE_SCHEMA", schema)
    assert invoke("up").exit_code == 0
    assert invoke("verify").exit_code == 0


def test_down_asks_first(postgres_url: str, schema: str) -> None:
    """The data are dropped only on a yes."""
    where = ("--url", postgres_url, "--schema", schema)
    invoke("up", *where)
    assert CliRunner().invoke(app, ["down", *where, "--to", "0"], input="n\n").exit_code == 1
    assert invoke("verify", *where).exit_code == 0
    assert CliRunner().invoke(app, ["down", *where, "--to", "0"], input="y\n").exit_code == 0
    assert invoke("verify", *where).exit_code == 1


def test_verify_exits_with_1_on_drift(postgres_url: str, schema: str) -> None:
    """0 where all is well; 1, with the reason, where it is not."""
    where = ("--url", postgres_url, "--schema", schema)
    assert invoke("verify", *where).exit_code == 1
    invoke("up", *where)
    well = invoke("verify", *where, "--json")
    assert well.exit_code == 0
    assert (
        printed(well)["found"]
        == printed(well)["expected"]
        == {
            "tables": 13,
            "indexes": 36,
            "functions": 8,
            "triggers": 3,
        }
    )
    execute(postgres_url, f"DROP INDEX {schema}.idx_jobs_worker_id")
    ill = invoke("verify", *where)
    assert ill.exit_code == 1
    assert "missing index: idx_jobs_worker_id" in ill.stdout
    ill = invoke("verify", *where, "--json")
    assert ill.exit_code == 1
    assert "indexes: expected 36, found 35" in printed(ill)["problems"]


def test_sql_prints_sql_only() -> None:
    """Offline: no server, and nothing but SQL on stdout."""
    result = invoke("sql", "--schema", "elsewhere")
    assert result.exit_code == 0
    assert result.stdout == offline_sql("elsewhere")
    assert result.stdout.startswith(("CREATE", "--"))
    assert "{schema}" not in result.stdout
    assert "gap006" not in result.stdout


def test_errors_are_one_line_with_a_code(postgres_url: str, schema: str) -> None:
    """What is refused is said in one line on stderr, without a traceback and without the password."""
    cases = [
        (["up", "--url", postgres_url, "--schema", "Bad Name"], 2, "schema must be"),
        (["up", "--url", postgres_url, "--schema", schema, "--to", "99"], 2, "to must be"),
        (["up", "--url", postgres_url, "--schema", schema, "--lock-timeout", "0"], 2, "lock_timeout must be"),
        (["up", "--url", "postgresql://u:hidden-word@127.0.0.1:1/x"], 3, "postgresql cannot be asked"),
        (["up", "--url", "mysql://u:hidden-word@127.0.0.1/x"], 2, "postgresql://"),
    ]
    for arguments, code, text in cases:
        done = subprocess.run(
            [sys.executable, "-m", "tenure", "migrate", *arguments], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout) == (code, ""), done.stderr
        assert text in done.stderr
        assert done.stderr.startswith("error: ")
        assert done.stderr.count("\n") == 1
        assert "hidden-word" not in done.stderr
