"""`tenure up` and `tenure doctor`: the stores."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from tenure._checks import Finding, check_urls, postgres_findings, redis_findings
from tenure._database import Database
from tenure._embedded import EmbeddedStores, stay_up, take_down
from tenure._embedded import status as embedded_status
from tenure._engine import Engine, debug_build, new_ids
from tenure._migrate import up as migrate_up
from tenure._migrate import verify
from tenure.cli._output import JsonOption, print_json, print_table
from tenure.errors import TenureError
from tenure.settings import Settings


def up(
    stop: Annotated[bool, typer.Option("--stop", help="Let them stop when nobody uses them.")] = False,
    status: Annotated[bool, typer.Option("--status", help="Say whether they run.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Start the embedded PostgreSQL and Valkey, migrated, and let them stay up."""
    settings = Settings.from_env()
    data = settings.data_path
    if status:
        state = embedded_status(data)
        print_json(state) if as_json else typer.echo(", ".join(f"{name}: {value}" for name, value in state.items()))
        return
    if stop:
        typer.echo("stopped" if take_down(data) else "they stop when the last process that uses them leaves")
        return
    postgres_url, redis_url = stay_up(data)
    asyncio.run(migrate_up(postgres_url, settings.schema))
    if as_json:
        print_json({"postgres_url": postgres_url, "redis_url": redis_url})
        return
    typer.echo(f"TENURE_POSTGRES_URL={postgres_url}\nTENURE_REDIS_URL={redis_url}")


def doctor(as_json: JsonOption = False) -> None:
    """Check both stores, and say what to do."""
    findings = asyncio.run(_examine(Settings.from_env()))
    if as_json:
        print_json(findings)
    else:
        rows = [(one.level, one.name, one.text, one.advice) for one in findings]
        print_table("doctor", ("", "what", "found", "advice"), rows)
    if any(one.level == "fail" for one in findings):
        raise typer.Exit(1)


async def _examine(settings: Settings) -> list[Finding]:
    findings = [
        Finding(
            name="extension",
            level="warn" if debug_build else "ok",
            text="debug build" if debug_build else "release build",
            advice="measure nothing with it" if debug_build else "",
        )
    ]
    embedded = EmbeddedStores(settings)
    postgres_url, redis_url = settings.postgres_url, settings.redis_url
    try:
        check_urls(settings)
        if postgres_url is None or redis_url is None:
            own_postgres, own_redis = await embedded.start()
            postgres_url, redis_url = postgres_url or own_postgres, redis_url or own_redis
        findings += await _examine_redis(redis_url, settings)
        findings += await _examine_postgres(postgres_url, settings)
    except TenureError as error:
        findings.append(Finding(name="configuration", level="fail", text=str(error)))
    finally:
        await embedded.stop()
    return findings


async def _examine_redis(url: str, settings: Settings) -> list[Finding]:
    engine = Engine(url, worker_id=new_ids(1)[0], prefix=settings.prefix, lease_ms=1000, on_event=lambda _: None)
    try:
        return redis_findings(await engine.open())
    except TenureError as error:
        return [Finding(name="redis", level="fail", text=str(error), advice="is it up, and TENURE_REDIS_URL right?")]
    finally:
        engine.close()


async def _examine_postgres(url: str, settings: Settings) -> list[Finding]:
    database = Database(url, schema=settings.schema, max_connections=1)
    try:
        await database.open()
        found = postgres_findings((await database.fetch("server"))[0], settings)
        problems = (await verify(url, settings.schema)).problems
    except TenureError as error:
        return [Finding(name="postgresql", level="fail", text=str(error), advice="is it up, and TENURE_POSTGRES_URL right?")]
    finally:
        await database.close()
    schema = Finding(
        name="migrations",
        level="fail" if problems else "ok",
        text="; ".join(problems) or "as this version wants them",
        advice="run `tenure migrate up`" if problems else "",
    )
    return [*found, schema]
