"""The delay before a retry, with jitter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.twins import backoff as twin
from tenure._engine import backoff_ms

if TYPE_CHECKING:
    from bench.parts.conftest import Part

_DELAYS = {"tenure": backoff_ms, "python": twin.backoff_ms}


def test_backoff(part: Part, way: str) -> None:
    """One delay."""
    assert 0 <= part.call("backoff", way, _DELAYS[way], 3) <= 8000
