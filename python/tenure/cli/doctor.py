"""`tenure doctor`: look at both stores, and say what to do."""

from __future__ import annotations

import asyncio

import typer

from tenure import Tenure, __version__
from tenure._checks import (
    Finding,
    check_urls,
    encryption_findings,
    given_urls,
    postgres_findings,
    redis_findings,
    work_findings,
)
from tenure._database import Database
from tenure._embedded import EmbeddedStores
from tenure._engine import Engine, debug_build, new_ids
from tenure._migrate import Verification, verify
from tenure.cli._output import JsonOption, print_json, print_table
from tenure.errors import ConfigurationError, TenureError
from tenure.settings import Settings


def doctor(*, as_json: JsonOption = False) -> None:
    """Check both stores, and say what to do; exits with 1 if anything fails."""
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
            name="version",
            level="warn" if debug_build else "ok",
            text=f"tenure {__version__}, {'debug' if debug_build else 'release'} build",
            advice="measure nothing with it" if debug_build else "",
        )
    ]
    embedded = EmbeddedStores(settings)
    try:
        check_urls(settings)
        findings += encryption_findings(settings)
        postgres_url, redis_url = given_urls(settings) or await embedded.start()
        findings += await _examine_redis(redis_url, settings)
        findings += await _examine_postgres(postgres_url, settings)
        if not any(one.level == "fail" for one in findings):
            findings += await _examine_work(settings)
    except TenureError as error:
        advice = "change the setting that the message names"
        findings.append(Finding(name="configuration", level="fail", text=str(error), advice=advice))
    finally:
        await embedded.stop()
    return findings


async def _examine_work(settings: Settings) -> list[Finding]:
    try:
        async with Tenure(settings) as app:
            return work_findings(await app.admin.overview())
    except ConfigurationError as error:
        # What this role should not be able to find out is nothing to worry about.
        return [Finding(name="jobs that nobody can run", level="ok", text="not looked at", advice=str(error))]


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
        verified = await verify(url, settings.schema)
    except TenureError as error:
        advice = "is it up, and TENURE_POSTGRES_URL right?"
        return [Finding(name="postgresql", level="fail", text=str(error), advice=advice)]
    finally:
        await database.close()
    return [*found, _migrations(verified)]


def _migrations(verified: Verification) -> Finding:
    problems, not_compared = verified.problems, verified.not_compared
    text = "; ".join(problems) or ("applied" if not_compared else "as this version wants them")
    if problems:
        return Finding(name="migrations", level="fail", text=text, advice="run `tenure migrate up`")
    # What this role should not be able to find out is nothing to worry about.
    return Finding(name="migrations", level="ok", text=text, advice=not_compared or "")
