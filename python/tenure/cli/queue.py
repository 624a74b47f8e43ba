"""`tenure queue`: pause, resume, list."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from tenure.cli._load import with_admin
from tenure.cli._output import JsonOption, print_json, print_table

app: Final = typer.Typer(help="Pausing queues.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The queue's name.")]


@app.command("list")
def list_paused(*, as_json: JsonOption = False) -> None:
    """List the queues that are paused."""
    paused = with_admin(lambda admin: admin.queues.paused())
    if as_json:
        print_json(paused)
        return
    print_table(
        "paused queues", ("queue", "since", "reason"), [(one.queue, one.paused_at, one.reason) for one in paused]
    )


@app.command()
def pause(name: Name, *, reason: Annotated[str, typer.Option(help="Shown to others.")] = "") -> None:
    """Lease nothing of it until it is resumed; what runs goes on."""
    with_admin(lambda admin: admin.queues.pause(name, reason))
    typer.echo(f"paused: {name}")


@app.command()
def resume(name: Name) -> None:
    """Lease again."""
    resumed = with_admin(lambda admin: admin.queues.resume(name))
    typer.echo(f"resumed: {name}" if resumed else f"was not paused: {name}")
