"""`tenure workers`."""

from __future__ import annotations

from typing import Annotated

import typer

from tenure._classes import class_text
from tenure.cli._load import with_admin
from tenure.cli._output import JsonOption, print_json, print_table


def workers(
    *,
    everyone: Annotated[bool, typer.Option("--all", help="Those that are gone, too.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List the workers."""
    found = with_admin(lambda admin: admin.workers(live_only=not everyone))
    if as_json:
        print_json(found)
        return
    columns = ("worker", "name", "status", "score", "queues", "offers", "running", "slots", "heartbeat")
    rows = [
        (
            one.worker_id,
            one.worker_name,
            one.status,
            one.health_score,
            ", ".join(one.queues),
            class_text(one.capabilities, one.resources),
            one.running,
            one.concurrency,
            one.last_heartbeat,
        )
        for one in found
    ]
    print_table("workers", columns, rows)
