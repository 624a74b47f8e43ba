"""`tenure fleet desired` and `metrics`: how many processes each group should have, for whoever starts them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from tenure import Tenure, _validate
from tenure.cli._fleet_up import FleetFile  # noqa: TC001 - typer reads the annotations
from tenure.cli._output import JsonOption, print_json, print_table
from tenure.errors import InvalidInput
from tenure.supervisor.exposition import Exposition
from tenure.supervisor.figures import Figures, read_figures
from tenure.supervisor.fleet_file import read_groups

if TYPE_CHECKING:
    from pathlib import Path

    from tenure.supervisor import Group


def desired(
    path: FleetFile,
    *,
    form: Annotated[str, typer.Option("--format", help="table or prometheus.")] = "table",
    as_json: JsonOption = False,
) -> None:
    """Say how many processes each group should have now, by its load: one look, without memory."""
    _validate.choice("format", form, ("table", "prometheus"))
    groups = _measured(path)

    async def look() -> Figures:
        async with Tenure() as app:
            return await read_figures(app, groups)

    figures = asyncio.run(look())
    if form == "prometheus":
        exposition = Exposition()
        exposition.update(figures)
        typer.echo(exposition.text(), nl=False)
    elif as_json:
        print_json(figures.groups)
    else:
        columns = ("group", "desired", "processes", "ready", "running", "oldest ready, s")
        rows = [
            (name, one.desired, one.processes, one.ready, one.running, round(one.oldest_seconds, 3))
            for name, one in figures.groups.items()
        ]
        print_table("groups", columns, rows)


def metrics(
    path: FleetFile,
    *,
    listen: Annotated[str, typer.Option(help="The address; whoever reaches it may read.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port; 0 for any.")] = 9464,
    every: Annotated[float, typer.Option(help="Seconds between two looks.")] = 5.0,
) -> None:
    """Serve how many processes each group should have, and what waits, to Prometheus."""
    _validate.whole("port", port, 0, 65_535)
    _validate.seconds("every", every, least=0.1, most=3600.0)
    groups = _measured(path)
    exposition = Exposition()

    async def run() -> None:
        async with Tenure() as app:
            exposition.update(await read_figures(app, groups))
            with exposition.served(listen, port) as bound:
                typer.echo(f"http://{bound}/metrics")
                await exposition.keep_up(lambda: read_figures(app, groups), every)

    asyncio.run(run())


def _measured(path: Path) -> list[Group]:
    """The groups whose load can be asked for: those that name their queues."""
    groups = [group for group in read_groups(path) if group.queues]
    if not groups:
        raise InvalidInput("queues", "given for one group at least: others have no load that is known here", [])
    return groups
