"""What a measurement raises."""

from __future__ import annotations

from tenure.errors import TenureError


class NotAsPromised(TenureError):
    """A measurement whose jobs did not all run and end once: its figures would mean nothing."""
