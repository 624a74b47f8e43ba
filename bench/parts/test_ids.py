"""Job ids."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.parts.ways import WAYS

if TYPE_CHECKING:
    from bench.parts.conftest import Part


def test_new_ids_of_100(part: Part, way: str) -> None:
    """A hundred in one call; the figure is per id."""
    ids = part.call("new id, of 100", way, WAYS[way].new_ids, 100, operations=100)
    assert ids == sorted(set(ids))
