"""The handlers of the demo; its worker processes load this module."""

from __future__ import annotations

import ast
import hashlib
import threading
import warnings
from collections import Counter
from pathlib import Path

from tenure import Backoff, Tenure

app = Tenure()
_SOON = Backoff(base=0.1, cap=0.5)
# Some Python 3.11 and 3.12 count the depth of every thread's tree in one place, and now and then refuse a good file for
# it. Parsing holds the GIL anyway, so one at a time costs nothing. Formatting a traceback parses too: where those two
# meet, the job's retry helps.
_ONE_PARSER = threading.Lock()


@app.job(max_retries=2, backoff=_SOON, timeout=60)
def parse_file(path: str) -> dict[str, object]:
    """Parse one file, count what is in it and hash it; a plain function, so it runs in a thread."""
    data = Path(path).read_bytes()
    with _ONE_PARSER, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what a file's author should know is not this job's news
        tree = ast.parse(data, path)
    kinds = Counter(type(node).__name__ for node in ast.walk(tree))
    return {
        "files": 1,
        "lines": data.count(b"\n"),
        "functions": kinds["FunctionDef"] + kinds["AsyncFunctionDef"],
        "classes": kinds["ClassDef"],
        "sha256": hashlib.sha256(data).hexdigest(),
    }


# They wait for files of every priority, and are to change none of them.
@app.job(priority=1, inherit_priority=False)
async def summarise_package(package: str, files: list[str]) -> dict[str, object]:
    """Add up what the jobs of a package's files found; those that failed are counted."""
    return {"package": package, **_sum(await app.admin.results(files), len(files))}


@app.job(priority=1, inherit_priority=False)
async def report(packages: list[str]) -> dict[str, object]:
    """Add up the packages."""
    return {"packages": len(packages), **_sum(await app.admin.results(packages), len(packages))}


@app.job(priority=5)
async def probe() -> None:
    """Do nothing: how soon an urgent job is picked up while the others work."""


def _sum(results: dict[str, dict[str, int]], expected: int) -> dict[str, int]:
    names = ("files", "lines", "functions", "classes")
    totals = {name: sum(found[name] for found in results.values()) for name in names}
    failed = sum(found.get("without_result", 0) for found in results.values())
    return {**totals, "without_result": failed + expected - len(results)}
