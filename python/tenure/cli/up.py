"""`tenure up`: the embedded stores, for as long as they are wanted."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from tenure._embedded import status as embedded_status
from tenure._embedded import stay_up, take_down
from tenure._migrate import up as migrate_up
from tenure.cli._output import JsonOption, print_json
from tenure.errors import InvalidInput
from tenure.settings import Settings


def up(
    *,
    stop: Annotated[bool, typer.Option("--stop", help="Let them stop when nobody uses them.")] = False,
    status: Annotated[bool, typer.Option("--status", help="Say whether they run.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Start the embedded PostgreSQL and Valkey, migrated, and let them stay up."""
    if stop and status:
        raise InvalidInput("stop", "absent where --status is given", stop)
    settings = Settings.from_env()
    data = settings.data_path
    if status:
        _print(embedded_status(data), as_json=as_json)
        return
    if stop:
        stopped = take_down(data)
        if as_json:
            print_json({"stopped": stopped})
        else:
            typer.echo("stopped" if stopped else "they stop when the last process that uses them leaves")
        return
    # There is no password to hide: the servers listen on sockets in a directory that only their user may enter.
    postgres_url, redis_url = stay_up(data)
    asyncio.run(migrate_up(postgres_url, settings.schema))
    if as_json:
        print_json({"postgres_url": postgres_url, "redis_url": redis_url})
    else:
        typer.echo(f"TENURE_POSTGRES_URL={postgres_url}\nTENURE_REDIS_URL={redis_url}")


def _print(state: dict[str, bool], *, as_json: bool) -> None:
    if as_json:
        print_json(state)
    else:
        typer.echo(", ".join(f"{name}: {'yes' if value else 'no'}" for name, value in state.items()))
