"""`tenure limit`: set, remove, list."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from tenure.cli._load import with_admin
from tenure.cli._output import JsonOption, amounts, print_json, print_table

app: Final = typer.Typer(help="Limits of queues.", no_args_is_help=True)

Queue = Annotated[str, typer.Argument(help="The queue's name.")]
Type = Annotated[str | None, typer.Option("--type", help="Of jobs of this type alone.")]
Tenant = Annotated[str | None, typer.Option(help="Of this tenant's jobs; * for each without a limit of its own.")]
Key = Annotated[str | None, typer.Option(help="Of jobs with this limit key; * for each without a limit of its own.")]


@app.command("set")
def set_limit(
    queue: Queue,
    *,
    job_type: Type = None,
    tenant: Tenant = None,
    key: Key = None,
    concurrency: Annotated[int | None, typer.Option(help="The most that run at a time.")] = None,
    rate: Annotated[int | None, typer.Option(help="The most that begin in a period.")] = None,
    period: Annotated[float, typer.Option(help="Seconds, for --rate.")] = 1.0,
    burst: Annotated[int | None, typer.Option(help="The most that begin at once. Defaults to the rate.")] = None,
    queued: Annotated[int | None, typer.Option(help="The most that wait.")] = None,
    resource: Annotated[
        list[str] | None, typer.Option(help="NAME=AMOUNT, the most a tenant takes up. May be repeated.")
    ] = None,
) -> None:
    """Set limits; what is not given stays as it is. They count in the whole fleet when this returns."""
    given = amounts(resource or [])
    with_admin(
        lambda admin: admin.limits.set(
            queue,
            job_type=job_type,
            tenant=tenant,
            key=key,
            concurrency=concurrency,
            rate=rate,
            period=period,
            burst=burst,
            queued=queued,
            resources=given,
        )
    )
    typer.echo(f"limited: {queue}")


@app.command()
def remove(
    queue: Queue,
    kind: Annotated[str, typer.Argument(help="concurrency, rate, queued or resource.")],
    *,
    job_type: Type = None,
    tenant: Tenant = None,
    key: Key = None,
    resource: Annotated[str | None, typer.Option(help="One of the tenant's resources only.")] = None,
) -> None:
    """Remove a limit."""
    removed = with_admin(
        lambda admin: admin.limits.remove(queue, kind, job_type=job_type, tenant=tenant, key=key, resource=resource)
    )
    typer.echo(f"removed: {queue}" if removed else f"was not limited: {queue}")


@app.command("list")
def list_limits(
    *, queue: Annotated[str | None, typer.Option(help="One queue only.")] = None, as_json: JsonOption = False
) -> None:
    """List limits."""
    limits = with_admin(lambda admin: admin.limits.list(queue))
    if as_json:
        print_json(limits)
        return
    columns = ("queue", "kind", "of", "name", "resource", "most", "per, s", "burst")
    rows = [
        (one.queue, one.kind, one.scope, one.name, one.resource, one.amount, one.period, one.burst) for one in limits
    ]
    print_table("limits", columns, rows)
