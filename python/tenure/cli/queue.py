"""`tenure queue`: pause, resume, list; order, fair, policies."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from tenure.cli._load import with_admin
from tenure.cli._output import JsonOption, print_json, print_table

app: Final = typer.Typer(help="Pausing queues, and their order.", no_args_is_help=True)

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


@app.command()
def order(
    name: Name,
    by: Annotated[str, typer.Argument(help="priority, ageing, deadline or shortest.")],
    *,
    ageing: Annotated[float | None, typer.Option(help="Seconds that a priority is worth, for ageing.")] = None,
    factor: Annotated[float | None, typer.Option(help="What a second of work counts, for shortest.")] = None,
) -> None:
    """Say in which order its ready jobs are leased."""
    with_admin(lambda admin: admin.queues.order(name, by, ageing=ageing, factor=factor))
    typer.echo(f"ordered by {by}: {name}")


@app.command()
def fair(name: Name, by: Annotated[str, typer.Argument(help="jobs, time or share.")]) -> None:
    """Say by what its tenants share."""
    with_admin(lambda admin: admin.queues.fair(name, by))
    typer.echo(f"shared by {by}: {name}")


@app.command()
def policies(*, as_json: JsonOption = False) -> None:
    """List the queues that have an order or a way of sharing of their own."""
    found = with_admin(lambda admin: admin.queues.policies())
    if as_json:
        print_json(found)
        return
    columns = ("queue", "order", "ageing, s", "factor", "shared by")
    print_table("policies", columns, [(one.queue, one.order_by, one.ageing, one.factor, one.fair) for one in found])
