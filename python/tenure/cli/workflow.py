"""`tenure workflow`: list, show, cancel, retry."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Final

import typer

from tenure.cli._load import with_admin
from tenure.cli._output import JsonOption, print_json, print_record, print_table

app: Final = typer.Typer(help="Workflows: graphs of jobs that were enqueued as one.", no_args_is_help=True)

WorkflowId = Annotated[str, typer.Argument(help="The workflow's id.")]


@app.command("list")
def list_workflows(
    *,
    name: Annotated[str | None, typer.Option(help="Those of one name only.")] = None,
    limit: Annotated[int, typer.Option(help="The most to print.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """List workflows, newest first, with their jobs by state."""
    found = with_admin(lambda admin: admin.workflows.list(name=name, limit=limit))
    if as_json:
        print_json(found)
        return
    columns = ("workflow", "name", "status", "jobs", "by state", "callback", "deadline", "created")
    rows = [
        (
            one.workflow_id,
            one.name,
            one.status,
            one.total,
            _counts(one.jobs),
            one.callback_status,
            one.deadline_at,
            one.created_at,
        )
        for one in found
    ]
    print_table("workflows", columns, rows)


@app.command()
def show(workflow_id: WorkflowId, *, as_json: JsonOption = False) -> None:
    """Show one workflow as it is now."""
    found = with_admin(lambda admin: admin.workflows.show(workflow_id))
    if as_json:
        print_json(found)
    else:
        print_record(found)


@app.command()
def cancel(workflow_id: WorkflowId, *, as_json: JsonOption = False) -> None:
    """Cancel all its jobs that have not ended; those that run are asked to stop. Its callback is told of it."""
    _changed(with_admin(lambda admin: admin.workflows.cancel(workflow_id)), workflow_id, as_json=as_json)


@app.command()
def retry(workflow_id: WorkflowId, *, as_json: JsonOption = False) -> None:
    """Bring its jobs that failed or were cancelled back to life; completed ones stay."""
    _changed(with_admin(lambda admin: admin.workflows.retry(workflow_id)), workflow_id, as_json=as_json)


def _changed(jobs: dict[str, str], workflow_id: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"workflow_id": workflow_id, "jobs": jobs})
    else:
        typer.echo(f"{workflow_id} {_counts(Counter(jobs.values())) or 'nothing to change'}")


def _counts(jobs: dict[str, int]) -> str:
    return ", ".join(f"{status} {count}" for status, count in sorted(jobs.items()))
