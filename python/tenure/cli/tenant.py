"""`tenure tenant`: set, remove, list."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from tenure.cli._load import with_admin
from tenure.cli._output import JsonOption, print_json, print_table

app: Final = typer.Typer(help="Tenants that differ from others.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The tenant.")]


@app.command("set")
def set_tenant(
    name: Name,
    *,
    weight: Annotated[float, typer.Option(help="Its share beside that of others.")] = 1.0,
    max_priority: Annotated[int | None, typer.Option(help="Its jobs are enqueued with no higher one.")] = None,
) -> None:
    """Say how a tenant differs from others; what is not given is as with others."""
    with_admin(lambda admin: admin.tenants.set(name, weight=weight, max_priority=max_priority))
    typer.echo(f"set: {name}")


@app.command()
def remove(name: Name) -> None:
    """Make it a tenant like any other; its jobs and limits stay."""
    removed = with_admin(lambda admin: admin.tenants.remove(name))
    typer.echo(f"removed: {name}" if removed else f"was like any other: {name}")


@app.command("list")
def list_tenants(*, as_json: JsonOption = False) -> None:
    """List the tenants that differ from others."""
    tenants = with_admin(lambda admin: admin.tenants.list())
    if as_json:
        print_json(tenants)
        return
    print_table(
        "tenants", ("tenant", "weight", "max priority"), [(one.tenant, one.weight, one.max_priority) for one in tenants]
    )
