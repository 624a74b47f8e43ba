"""The rules of the house, held by a test."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import tenure

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "python" / "tenure"
MODULES = sorted(PACKAGE.rglob("*.py"))
QUERIES = sorted((PACKAGE / "_queries").glob("*.sql"))


def imported(path: Path) -> set[str]:
    """Every module a file imports, in full."""
    names = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module or ""}
    return names


def test_public_names_are_these():
    assert tenure.__all__ == [
        "Backoff",
        "Cancel",
        "Completed",
        "Dead",
        "DuplicateJob",
        "InvalidInput",
        "Job",
        "JobCancelled",
        "JobContext",
        "JobFailed",
        "JobInfo",
        "JobRequest",
        "LeaseLost",
        "Options",
        "QuotaExceeded",
        "ResultTimeout",
        "Retry",
        "Settings",
        "Snooze",
        "StoreUnavailable",
        "Tenure",
        "TenureError",
        "Unique",
    ]
    assert all(getattr(tenure, name) for name in tenure.__all__)


@pytest.mark.parametrize(
    ("module", "importers"),
    [
        ("tenure._core", {"_engine.py"}),
        ("asyncpg", {"_database.py", "_lender.py"}),
        ("tenure._lender", {"_database.py"}),
    ],
)
def test_each_doorway_has_one_user(module, importers):
    users = {
        path.name
        for path in MODULES
        if any(name.split(".")[:2] == module.split(".")[:2] or name == module for name in imported(path))
    }
    assert users == importers


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_code_comes_from_data(path):
    assert not {name.split(".")[0] for name in imported(path)} & {"pickle", "marshal", "shelve", "yaml", "dill"}
    calls = {ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_bytes())) if isinstance(node, ast.Call)}
    assert not calls & {"eval", "exec", "__import__", "os.system", "os.popen"}
    # the command line's own argument, typed by whoever runs it; the place of a handler that the worker has registered
    if path.name not in ("_load.py", "_handler_process.py"):
        assert "importlib.import_module" not in calls
    assert path.read_text().count("\n") < 400


@pytest.mark.parametrize("path", QUERIES, ids=lambda path: path.stem)
def test_every_statement_is_used_and_says_what_it_is(path):
    text = path.read_text()
    assert text.startswith("-- ")
    assert text.count("\n") <= 80
    used = re.compile(rf'"{path.stem}"')
    assert any(used.search(module.read_text()) for module in MODULES)


def test_statements_have_parameters_only():
    """Nothing but the checked schema name ever becomes part of a statement's text."""
    for path in QUERIES:
        assert set(re.findall(r"\{(\w+)\}", path.read_text())) <= {"schema"}
