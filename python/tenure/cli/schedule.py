"""`tenure schedule`: list, pause, resume, trigger, remove."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from tenure.cli._load import with_admin
from tenure.cli._output import JsonOption, print_json, print_table

app: Final = typer.Typer(help="Recurring jobs, as workers have declared them.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The schedule's name.")]


@app.command("list")
def list_schedules(*, as_json: JsonOption = False) -> None:
    """List schedules by name, with their last and next moments."""
    schedules = with_admin(lambda admin: admin.schedules.list())
    if as_json:
        print_json(schedules)
        return
    columns = ("name", "cron", "time zone", "type", "queue", "missed", "last", "next")
    rows = [
        (
            one.schedule_name,
            one.cron,
            one.timezone,
            one.job_type,
            one.queue,
            one.missed,
            one.last_at,
            "paused" if one.paused else one.next_at,
        )
        for one in schedules
    ]
    print_table("schedules", columns, rows)


@app.command()
def pause(name: Name) -> None:
    """Enqueue nothing of it until it is resumed."""
    with_admin(lambda admin: admin.schedules.pause(name))
    typer.echo(f"paused: {name}")


@app.command()
def resume(name: Name) -> None:
    """Go on with the next moment; those that passed meanwhile are left out."""
    next_at = with_admin(lambda admin: admin.schedules.resume(name))
    typer.echo(f"resumed: {name}, next {next_at.isoformat()}")


@app.command()
def trigger(name: Name) -> None:
    """Enqueue its job once more, within about a second, even while it is paused."""
    with_admin(lambda admin: admin.schedules.trigger(name))
    typer.echo(f"triggered: {name}")


@app.command()
def remove(name: Name) -> None:
    """Forget it; a worker that starts with it in its code declares it anew."""
    with_admin(lambda admin: admin.schedules.remove(name))
    typer.echo(f"removed: {name}")
