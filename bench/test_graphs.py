"""Workflows and inherited priorities, small: `python -m bench` measures them at length."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.graphs import batch, inheritance, inversion
from tenure.bench.loop import run

if TYPE_CHECKING:
    from bench.space import Space


def test_inheritance(here: Space, *, quick: bool) -> None:
    """A lift and a fall, and the same without."""
    rows = run(inheritance(here, 5 if quick else 100))
    print(rows)
    assert len(rows) == 4


def test_inversion(here: Space, *, quick: bool) -> None:
    """Nothing is leased before what was lifted."""
    [row] = run(inversion(here, 5 if quick else 100))
    print(row)
    assert row.count == (5 if quick else 100)


def test_batch(here: Space, *, quick: bool) -> None:
    """All ends are told of."""
    measured = run(batch(here, 20 if quick else 1000, callback=True))
    print(measured)
    assert measured.jobs == (21 if quick else 1001)
