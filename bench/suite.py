"""The parts by themselves, measured by pytest-benchmark in a process of their own, and who won."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from bench.servers import Servers

_ROOT: Final = Path(__file__).parent.parent
_EVEN: Final = 1.1  # less than a tenth apart is no victory
_FIGURES: Final = ("us", "loop_us", "cpu_us")


def parts(servers: Servers, *, quick: bool) -> list[dict[str, Any]]:
    """A row for each part: microseconds of an operation each way, and which way is faster."""
    with tempfile.TemporaryDirectory(prefix="tenure-bench-") as directory:
        report = Path(directory) / "report.json"
        command = [sys.executable, "-m", "pytest", "-q", "bench/parts", f"--benchmark-json={report}"]
        environ = {
            **os.environ,
            "TENURE_BENCH_POSTGRES_URL": servers.postgres_url,
            "TENURE_BENCH_REDIS_URL": servers.redis_url,
        }
        arguments = [*command, "--quick"] if quick else [*command, "--benchmark-quiet"]
        done = subprocess.run(arguments, cwd=_ROOT, env=environ, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise AssertionError(f"the parts do not work:\n{done.stdout[-4000:]}{done.stderr[-2000:]}")
        return rows(json.loads(report.read_text("utf-8")))


def rows(report: dict[str, Any]) -> list[dict[str, Any]]:
    """A row a part, from pytest-benchmark's report."""
    by_part: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for benchmark in report["benchmarks"]:
        info = benchmark["extra_info"]
        by_part[info["part"]][info["way"]] = info
    return [_row(part, ways) for part, ways in by_part.items()]


def _row(part: str, ways: dict[str, dict[str, Any]]) -> dict[str, Any]:
    row: dict[str, Any] = {"name": part}
    for figure in _FIGURES:
        values = {way: info[figure] for way, info in ways.items() if info.get(figure) is not None}
        row.update({f"{way}_{figure}": value for way, value in values.items()})
    # Where there is no wall time it is the CPU that counts.
    figure = next(figure for figure in ("us", "cpu_us") if ways["tenure"].get(figure) is not None)
    if "python" in ways:
        row["faster"] = winner(ways["tenure"][figure], ways["python"][figure])
    return row


def winner(tenure: float, python: float) -> str:
    """Who is faster, and by how much."""
    ours, theirs = max(tenure, 1e-9), max(python, 1e-9)
    if max(ours, theirs) / min(ours, theirs) < _EVEN:
        return "even"
    return f"tenure {theirs / ours:.1f}x" if ours < theirs else f"python {ours / theirs:.1f}x"
