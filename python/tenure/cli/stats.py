"""`tenure stats`."""

from __future__ import annotations

from tenure.admin import STATUSES
from tenure.cli._load import with_admin
from tenure.cli._output import JsonOption, print_json, print_table


def stats(*, as_json: JsonOption = False) -> None:
    """Count the jobs of every queue by state."""
    found = with_admin(lambda admin: admin.stats())
    if as_json:
        print_json(found)
        return
    rows = [
        (
            one.queue,
            *(one.jobs[status] for status in STATUSES),
            _seconds(one.oldest_ready_seconds),
            one.laned,
            one.parked,
        )
        for one in found
    ]
    columns = ("queue", *(status.lower() for status in STATUSES), "oldest ready, s", "laned", "parked lanes")
    print_table("jobs", columns, rows)


def _seconds(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
