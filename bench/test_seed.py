"""Single jobs and dependencies, small: `python -m bench` measures them at length."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.seed import cascade, creation, fan_out, life
from tenure.bench.loop import run

if TYPE_CHECKING:
    from bench.space import Space


def test_single_jobs(here: Space, *, quick: bool) -> None:
    """Created, with and without dependencies."""
    rows = run(creation(here, 5 if quick else 100))
    print(rows)
    assert [row.name for row in rows] == [
        "Job creation",
        "Job creation with dependencies, 1",
        "Job creation with dependencies, 10",
    ]


def test_life(here: Space, *, quick: bool) -> None:
    """Created, acquired, completed, one at a time."""
    rows = run(life(here, 5 if quick else 100))
    print(rows)
    assert all(0 <= row.median_ms <= row.p99_ms for row in rows)


def test_dependents(here: Space, *, quick: bool) -> None:
    """No job starts before what it depends on has ended."""
    measured = run(fan_out(here, 5 if quick else 50))
    print(measured)
    assert measured.jobs == (6 if quick else 51)


def test_cascade(here: Space) -> None:
    """Ten levels."""
    measured = run(cascade(here, 10))
    print(measured)
    assert measured.jobs == 10
