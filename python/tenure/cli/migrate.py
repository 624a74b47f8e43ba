"""`tenure migrate`: up, down, list, sql, verify."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

import typer

from tenure import _migrate
from tenure._embedded import EmbeddedStores
from tenure.cli._output import JsonOption, print_json, print_table
from tenure.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

R = TypeVar("R")

app: Final = typer.Typer(help="Bring the schema up or down, and verify it.", no_args_is_help=True)

Url = Annotated[str | None, typer.Option(help="Defaults to TENURE_POSTGRES_URL, else the embedded server.")]
Schema = Annotated[str | None, typer.Option(help="Defaults to TENURE_SCHEMA, else gap006.")]
LockTimeout = Annotated[float, typer.Option(help="Seconds to wait for any lock.")]


@app.command()
def up(
    url: Url = None,
    schema: Schema = None,
    to: Annotated[int | None, typer.Option(help="The last number to apply.")] = None,
    lock_timeout: LockTimeout = 10.0,
    as_json: JsonOption = False,
) -> None:
    """Apply what is missing."""
    done = _run(url, schema, lambda u, s: _migrate.up(u, s, to=to, lock_timeout=lock_timeout))
    _print_names("applied", done, as_json=as_json)


@app.command()
def down(
    to: Annotated[int, typer.Option(help="The number to go back to; 0 undoes everything.")],
    url: Url = None,
    schema: Schema = None,
    lock_timeout: LockTimeout = 10.0,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Undo what is above a number, and drop the data in it."""
    if not yes:
        typer.confirm(f"drop everything above migration {to}, with its data?", abort=True)
    done = _run(url, schema, lambda u, s: _migrate.down(u, s, to=to, lock_timeout=lock_timeout))
    _print_names("undone", done, as_json=as_json)


@app.command("list")
def list_migrations(url: Url = None, schema: Schema = None, as_json: JsonOption = False) -> None:
    """List the migrations and when they were applied."""
    found = _run(url, schema, _migrate.status)
    if as_json:
        print_json(found)
        return
    rows = [(one.name, one.applied_at or "not applied", "" if one.checksum_ok else "changed since") for one in found]
    print_table("migrations", ("name", "applied", ""), rows)


@app.command()
def sql(schema: Schema = None) -> None:
    """Print what `up` runs on an empty database; asks no server."""
    typer.echo(_migrate.offline_sql(schema or Settings.from_env().schema), nl=False)


@app.command()
def verify(url: Url = None, schema: Schema = None, as_json: JsonOption = False) -> None:
    """Count tables, indexes, functions and triggers and compare checksums; exits with 1 on any difference."""
    result = _run(url, schema, _migrate.verify)
    if as_json:
        print_json(result)
    else:
        rows = [(kind, result.expected.get(kind), count) for kind, count in result.found.items()]
        print_table("schema", ("what", "expected", "found"), rows)
        if result.not_compared is not None:
            typer.echo(result.not_compared)
        for problem in result.problems:
            typer.echo(problem)
    if result.problems:
        raise typer.Exit(1)


def _print_names(verb: str, names: list[str], *, as_json: bool) -> None:
    if as_json:
        print_json({verb: names})
    else:
        typer.echo(f"{verb}: {', '.join(names) or 'nothing'}")


def _run(url: str | None, schema: str | None, work: Callable[[str, str], Awaitable[R]]) -> R:
    """Run work on the database that is meant, the embedded one if none is."""
    settings = Settings.from_env()

    async def run() -> R:
        target = url or settings.postgres_url
        embedded = EmbeddedStores(settings)
        try:
            if target is None:
                target = (await embedded.start())[0]
            return await work(target, schema or settings.schema)
        finally:
            await embedded.stop()

    return asyncio.run(run())
