"""The demo: a source tree, a worker killed midway, counts that agree."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.fix_apps import environment

if TYPE_CHECKING:
    from pathlib import Path


def test_the_counts_agree_through_a_kill(settings, tmp_path: Path):
    for package in range(6):
        directory = tmp_path / f"package{package}"
        directory.mkdir()
        for number in range(40):
            text = (
                "def broken(:\n"
                if (package, number) in {(1, 1), (4, 7)}
                else f"class C{number}:\n    def f(self): ...\n"
            )
            (directory / f"m{number}.py").write_text(text * (1 + 300 * (number % 3)) if "class" in text else text)
    environ = {
        name: value for name, value in environment(settings).items() if name not in {"TENURE_SCHEMA", "TENURE_PREFIX"}
    }
    done = subprocess.run(
        [sys.executable, "-m", "tenure", "demo", "--path", str(tmp_path), "--json"],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["failed"] == summary["dead_letters"] == 2
    assert summary["enqueued"] == summary["completed"] + 2
    assert summary["retries"] >= 4
    assert summary["duplicates"] == summary["unfinished"] == 0
    assert summary["report"]["packages"] == 6
    assert summary["report"]["without_result"] == 2
