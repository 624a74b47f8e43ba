"""`tenure doctor`, `stats`, `dlq` and `migrate verify` as the roles would run them."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.fix_apps import environment


def run(settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tenure", *arguments],
        env=environment(settings),
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


@pytest.mark.parametrize("role", ["producer", "worker", "operator", "metrics"])
def test_the_doctor_finds_nothing_wrong(access, role):
    done = run(access[role].settings, "doctor", "--json")
    found = {one["name"]: one for one in json.loads(done.stdout)}
    assert done.returncode == 0
    assert {one["level"] for one in found.values()} <= {"ok", "warn"}, found
    assert found["migrations"]["level"] == "ok"
    assert found["migrations"]["text"] == "applied"
    assert "may create a schema" in found["migrations"]["advice"]
    assert found["redis maxmemory-policy"]["text"] == "noeviction"
    assert found["redis version"]["level"] == "ok"
    assert found["redis password"]["text"] == "set"


def test_verify_compares_what_it_may(access, settings):
    whole = json.loads(run(settings, "migrate", "verify", "--json").stdout)
    assert whole["not_compared"] is None
    done = run(access["operator"].settings, "migrate", "verify", "--json")
    part = json.loads(done.stdout)
    assert done.returncode == 0
    assert (part["problems"], part["expected"]) == ([], {})
    assert part["found"] == whole["found"]
    assert "definitions were not compared" in part["not_compared"]
    assert "definitions were not compared" in run(access["operator"].settings, "migrate", "verify").stdout


def test_what_a_role_may_not_is_one_line(access):
    done = run(access["metrics"].settings, "dlq", "list")
    assert done.returncode != 0
    assert "permission denied" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert run(access["metrics"].settings, "stats", "--json").returncode == 0
