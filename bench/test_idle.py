"""An idle fleet and a new process, short: `python -m bench` measures them at length."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.idle import idle, idle_crew, import_ms
from tenure.bench.loop import run

if TYPE_CHECKING:
    from bench.space import Space


def test_idle(here: Space, *, quick: bool) -> None:
    """Waiting makes no jobs and keeps every worker alive."""
    measured = run(idle(here, 2 if quick else 10, 1.0 if quick else 20.0))
    print(measured)
    assert measured.resident_mb > 0


def test_idle_crew(here: Space, *, quick: bool) -> None:
    """Many workers in few processes wait likewise."""
    measured = run(idle_crew(here, 2, 2 if quick else 10, 0.5 if quick else 10.0))
    print(measured)
    assert measured.workers == (4 if quick else 20)


def test_import(*, quick: bool) -> None:
    """The package comes up in a new interpreter."""
    assert import_ms(rounds=1 if quick else 7) > 0
