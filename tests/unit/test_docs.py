"""What the pages name is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/guarantees.md").read_text()
LOGS = ("logger.warning", "logger.error", "logger.exception")
NAMED = sorted(set(re.findall(r"`((?:tests|rust)/[\w/]+\.(?:py|rs))::(\w+)`", PAGE)))


def test_the_guarantees_name_their_tests():
    assert len(NAMED) > 30


@pytest.mark.parametrize(("path", "name"), NAMED, ids=lambda part: part)
def test_every_test_that_a_guarantee_names_is_there(path, name):
    assert re.search(rf"\b(def|fn) {name}\(", (ROOT / path).read_text())


def test_every_promise_has_a_test():
    promised = PAGE.split("## Promised")[1].split("## Not promised")[0]
    rows = [line for line in promised.splitlines() if line.startswith("| ")][2:]
    assert len(rows) > 15
    assert not [row for row in rows if "::" not in row]


@pytest.mark.parametrize("page", ["README.md", *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))])
def test_every_page_that_is_named_is_there(page):
    names = re.findall(r"`((?:docs|bench|migrations|deploy)/[\w./-]+)`", (ROOT / page).read_text())
    missing = [name for name in names if not (ROOT / name).exists()]
    assert not missing


def alarms() -> set[str]:
    """The first four words of every line that tenure logs because something is not as it should be."""
    package = ROOT / "python/tenure"
    calls = [
        node
        for path in (*package.glob("*.py"), *(package / "cli").glob("*.py"), *(package / "supervisor").glob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in LOGS
    ]
    return {" ".join(re.split(r" ?[%:(]", node.args[0].value)[0].split()[:4]) for node in calls}


def test_every_alarm_has_its_runbook():
    pages = "\n".join(path.read_text() for path in (ROOT / "docs/operations").glob("*.md"))
    assert len(alarms()) > 30
    assert not [alarm for alarm in sorted(alarms()) if f"`{alarm}" not in pages]


def test_every_finding_of_the_doctor_has_its_runbook():
    page = (ROOT / "docs/operations/stores.md").read_text()
    found = set(re.findall(r'"((?:redis|postgresql) [\w-]+)",', (ROOT / "python/tenure/_checks.py").read_text()))
    assert len(found) >= 7
    assert not [name for name in sorted(found) if f"`{name}`" not in page]
