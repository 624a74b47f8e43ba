"""`tenure dlq`: list, show, requeue, purge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Optional

import typer

from tenure.cli._load import with_admin
from tenure.cli._output import JsonOption, print_json, print_record, print_table
from tenure.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tenure.admin import Admin

app: Final = typer.Typer(help="Dead letters: jobs that no retry is left for.", no_args_is_help=True)

Queue = Annotated[Optional[str], typer.Option(help="One queue only.")]
Type = Annotated[Optional[str], typer.Option("--type", help="One job type only.")]
Ids = Annotated[Optional[list[str]], typer.Argument(help="Ids of their jobs.")]
Everything = Annotated[bool, typer.Option("--all", help="All that match instead of some ids.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@app.command("list")
def list_dead(queue: Queue = None, job_type: Type = None, limit: int = 50, as_json: JsonOption = False) -> None:
    """List dead letters, newest first."""
    letters = with_admin(lambda admin: admin.dead_letters(queue=queue, job_type=job_type, limit=limit))
    if as_json:
        print_json(letters)
        return
    rows = [
        (one.job_id, one.job_type, one.queue, one.reason, one.attempts, (one.error or "").rpartition("\n")[2], one.created_at)
        for one in letters
    ]
    print_table("dead letters", ("job", "type", "queue", "reason", "attempts", "error", "since"), rows)


@app.command()
def show(job_id: str, as_json: JsonOption = False) -> None:
    """Show one dead letter."""
    letter = with_admin(lambda admin: admin.dead_letter(job_id))
    if as_json:
        print_json(letter)
    else:
        print_record(letter)


@app.command()
def requeue(
    job_ids: Ids = None,
    everything: Everything = False,
    queue: Queue = None,
    job_type: Type = None,
    yes: Yes = False,
    as_json: JsonOption = False,
) -> None:
    """Make dead letters ready again."""
    ids = _which(job_ids, everything=everything)
    _many(
        "requeue", ids, lambda admin: admin.requeue_dead_letters(job_ids=ids, queue=queue, job_type=job_type),
        yes=yes, as_json=as_json,
    )


@app.command()
def purge(
    job_ids: Ids = None,
    everything: Everything = False,
    queue: Queue = None,
    job_type: Type = None,
    yes: Yes = False,
    as_json: JsonOption = False,
) -> None:
    """Delete dead letters; their jobs and audit stay."""
    ids = _which(job_ids, everything=everything)
    _many(
        "purge", ids, lambda admin: admin.purge_dead_letters(job_ids=ids, queue=queue, job_type=job_type),
        yes=yes, as_json=as_json,
    )


def _which(job_ids: list[str] | None, *, everything: bool) -> list[str] | None:
    if bool(job_ids) == everything:
        raise InvalidInput("job_ids", "given, or --all instead", job_ids)
    return job_ids or None


def _many(
    verb: str, ids: list[str] | None, work: Callable[[Admin], Awaitable[int]], *, yes: bool, as_json: bool
) -> None:
    if ids is None and not yes:
        typer.confirm(f"{verb} all dead letters that match?", abort=True)
    count = with_admin(work)
    if as_json:
        print_json({verb: count})
    else:
        typer.echo(f"{verb}: {count}")
