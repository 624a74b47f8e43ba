"""`tenure dlq`: list, show, requeue, purge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tenure.cli._load import with_admin
from tenure.cli._output import JsonOption, print_json, print_record, print_table
from tenure.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Change = Callable[[list[str] | None], Awaitable[int]]

app: Final = typer.Typer(help="Dead letters: jobs that no retry is left for.", no_args_is_help=True)

Queue = Annotated[str | None, typer.Option(help="One queue only.")]
Type = Annotated[str | None, typer.Option("--type", help="One job type only.")]
Limit = Annotated[int, typer.Option(help="The most to print.")]
JobId = Annotated[str, typer.Argument(help="The job's id.")]
Ids = Annotated[list[str] | None, typer.Argument(help="Ids of their jobs.")]
Everything = Annotated[bool, typer.Option("--all", help="All that match instead of some ids.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]

_BATCH: Final = 500


@app.command("list")
def list_dead(*, queue: Queue = None, job_type: Type = None, limit: Limit = 50, as_json: JsonOption = False) -> None:
    """List dead letters, newest first."""
    letters = with_admin(lambda admin: admin.dead_letters(queue=queue, job_type=job_type, limit=limit))
    if as_json:
        print_json(letters)
        return
    columns = ("job", "type", "queue", "reason", "attempts", "error", "since")
    rows = [
        (one.job_id, one.job_type, one.queue, one.reason, one.attempts, _last_line(one.error), one.created_at)
        for one in letters
    ]
    print_table("dead letters", columns, rows)


@app.command()
def show(job_id: JobId, *, as_json: JsonOption = False) -> None:
    """Show one dead letter."""
    letter = with_admin(lambda admin: admin.dead_letter(job_id))
    if as_json:
        print_json(letter)
    else:
        print_record(letter)


@app.command()
def requeue(
    job_ids: Ids = None,
    *,
    everything: Everything = False,
    queue: Queue = None,
    job_type: Type = None,
    yes: Yes = False,
    as_json: JsonOption = False,
) -> None:
    """Make dead letters ready again; asks first where all are meant."""
    _check(job_ids, everything=everything, narrowed=bool(queue or job_type))
    if everything and not yes:
        typer.confirm("requeue all dead letters that match?", abort=True, err=True)
    count = with_admin(
        lambda admin: _change(
            lambda ids: admin.requeue_dead_letters(job_ids=ids, queue=queue, job_type=job_type), job_ids
        )
    )
    _print_count("requeued", count, as_json=as_json)


@app.command()
def purge(
    job_ids: Ids = None,
    *,
    everything: Everything = False,
    queue: Queue = None,
    job_type: Type = None,
    yes: Yes = False,
    as_json: JsonOption = False,
) -> None:
    """Delete dead letters, after asking; their jobs and audit stay."""
    _check(job_ids, everything=everything, narrowed=bool(queue or job_type))
    if not yes:
        what = "all dead letters that match" if everything else f"dead letters: {len(job_ids or ())}"
        typer.confirm(f"purge {what}?", abort=True, err=True)
    count = with_admin(
        lambda admin: _change(
            lambda ids: admin.purge_dead_letters(job_ids=ids, queue=queue, job_type=job_type), job_ids
        )
    )
    _print_count("purged", count, as_json=as_json)


def _check(job_ids: list[str] | None, *, everything: bool, narrowed: bool) -> None:
    if bool(job_ids) == everything:
        raise InvalidInput("job_ids", "given, or --all instead", job_ids or [])
    if job_ids and narrowed:
        raise InvalidInput("queue and type", "absent where ids are given", job_ids)


async def _change(change: Change, job_ids: list[str] | None) -> int:
    """Change them all, with a bar on a terminal; how many there are without ids is known only at the end."""
    columns = (TextColumn("dead letters"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        if job_ids is None:
            progress.add_task("", total=None)
            return await change(None)
        bar = progress.add_task("", total=len(job_ids))
        count = 0
        for first in range(0, len(job_ids), _BATCH):
            batch = job_ids[first : first + _BATCH]
            count += await change(batch)
            progress.advance(bar, len(batch))
        return count


def _print_count(verb: str, count: int, *, as_json: bool) -> None:
    if as_json:
        print_json({verb: count})
    else:
        typer.echo(f"{verb}: {count}")


def _last_line(error: str | None) -> str:
    return (error or "").rpartition("\n")[2]
