"""`tenure check`: faults, witnesses and invariants, on private servers or on one's own."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

from tenure.cli._output import JsonOption, print_json, print_table
from tenure.errors import ConfigurationError, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from tenure.check.batch import Batch
    from tenure.check.plan import Plan
    from tenure.check.report import Report

R = TypeVar("R")
_ENV: Final = "env"
_BROKEN, _VOID = 1, 6
_SHOWN: Final = 5


def check(
    *,
    postgres: Annotated[str | None, typer.Option(help="A URL, or env for TENURE_POSTGRES_URL. Else private.")] = None,
    redis: Annotated[str | None, typer.Option(help="A URL, or env for TENURE_REDIS_URL. Else private.")] = None,
    minutes: Annotated[float | None, typer.Option(min=0.05, help="How long faults go on.")] = None,
    seconds: Annotated[float, typer.Option(min=1.0, help="The same in seconds.")] = 20.0,
    seed: Annotated[int, typer.Option(min=0, help="Decides the work and the faults; the first of --seeds.")] = 1,
    seeds: Annotated[int, typer.Option(min=1, help="So many seeds, one after the other.")] = 1,
    at_once: Annotated[int, typer.Option(min=1, max=16, help="So many of them at a time.")] = 2,
    nemesis: Annotated[str | None, typer.Option(help="Names, with commas; 'none' for no faults.")] = None,
    rate: Annotated[float, typer.Option(min=1.0, help="Jobs enqueued a second.")] = 60.0,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Worker processes.")] = 3,
    lease: Annotated[float, typer.Option(min=1.0, help="Seconds that a lease lives without a beat.")] = 2.0,
    report: Annotated[Path | None, typer.Option(help="Write REPORT.json and REPORT.md.")] = None,
    keep: Annotated[
        Path | None, typer.Option(help="Keep history, ledger and logs here; of many seeds, the invalid ones'.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Load a schema and keys of its own with mixed work, break things, and judge what is left.

    Without URLs it starts private servers. On given ones it strikes its own workers, sessions and keys only;
    script-flush and flushall, which reach everybody, must be asked for by name. Exit code 0: every invariant held.
    1: one did not. 6: a fault had no effect, so nothing is proven.
    """
    from tenure.check.plan import Plan  # noqa: PLC0415 - needs the extra `check`, as nothing else does

    postgres_url, redis_url = _url("postgres", postgres), _url("redis", redis)
    plan = Plan(
        seed=seed,
        seconds=seconds if minutes is None else minutes * 60,
        nemeses=_nemeses(nemesis, foreign=redis_url is not None or postgres_url is not None),
        rate=rate,
        workers=workers,
        lease_seconds=lease,
    )
    if seeds > 1 or report is not None:
        batch = _run(_batch(plan, postgres_url, redis_url, seeds, at_once, keep, quiet=as_json))
        _tell_batch(batch, report, as_json=as_json)
        worst = "invalid" if batch.crashed or batch.verdicts.get("invalid") else "void" if batch.replays else "valid"
    else:
        one = _run(_one(plan, postgres_url, redis_url, keep))
        _tell(one, as_json=as_json)
        worst = one.verdict
    if worst != "valid":
        raise typer.Exit(_BROKEN if worst == "invalid" else _VOID)


def _run(work: Coroutine[Any, Any, R]) -> R:
    """Run it; a SIGTERM cleans up as a Ctrl-C does."""

    async def main() -> R:
        task = asyncio.current_task()
        if task is not None and sys.platform != "win32":
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await work

    try:
        return asyncio.run(main())
    except asyncio.CancelledError:
        raise typer.Exit(128 + signal.SIGTERM) from None


def _url(field: str, given: str | None) -> str | None:
    if given != _ENV:
        return given
    # So that no password stands among the arguments, which everybody on the machine can read.
    name = f"TENURE_{field.upper()}_URL"
    if not os.environ.get(name):
        raise ConfigurationError(f"--{field} env needs the variable {name}")
    return os.environ[name]


def _nemeses(given: str | None, *, foreign: bool) -> tuple[str, ...]:
    from tenure.check.plan import ALL_NEMESES, DESTRUCTIVE  # noqa: PLC0415 - as above

    if given is None:
        return tuple(name for name in ALL_NEMESES if not (foreign and name in DESTRUCTIVE))
    names = tuple(dict.fromkeys(name.strip() for name in given.split(",") if name.strip()))
    if names == ("none",):
        return ()
    for name in names:
        if name not in ALL_NEMESES:
            raise InvalidInput("nemesis", "among " + ", ".join(ALL_NEMESES), name)
    return names


async def _one(plan: Plan, postgres_url: str | None, redis_url: str | None, keep: Path | None) -> Report:
    from tenure.check.run import run_check  # noqa: PLC0415 - as above
    from tenure.check.stage import servers  # noqa: PLC0415 - likewise

    directory = keep or Path(tempfile.mkdtemp(prefix="tenure-check-"))
    directory.mkdir(parents=True, exist_ok=True)
    try:
        async with servers(postgres_url, redis_url) as urls:
            return await run_check(plan, *urls, directory)
    finally:
        if keep is None:
            shutil.rmtree(directory, ignore_errors=True)


async def _batch(
    plan: Plan,
    postgres_url: str | None,
    redis_url: str | None,
    seeds: int,
    at_once: int,
    keep: Path | None,
    *,
    quiet: bool,
) -> Batch:
    from tenure.check.batch import run_batch  # noqa: PLC0415 - as above
    from tenure.check.stage import postgres_server  # noqa: PLC0415 - likewise

    def show(seed: int, found: Report | str) -> None:
        if not quiet:
            verdict = found if isinstance(found, str) else f"{found.verdict} {' '.join(found.breaches)}"
            typer.echo(f"seed {seed}: {verdict}", err=True)

    arguments = ["--seconds", f"{plan.seconds:g}", "--nemesis", ",".join(plan.nemeses) or "none"]
    arguments += ["--rate", f"{plan.rate:g}", "--workers", str(plan.workers), "--lease", f"{plan.lease_seconds:g}"]
    arguments += ["--postgres", _ENV] + (["--redis", _ENV] if redis_url else [])
    # One PostgreSQL for all, in which each has a schema; a Valkey for each, for a FLUSHALL knows no prefix.
    async with postgres_server(postgres_url) as url:
        environment = {"TENURE_POSTGRES_URL": url, **({"TENURE_REDIS_URL": redis_url} if redis_url else {})}
        return await run_batch(range(plan.seed, plan.seed + seeds), arguments, environment, at_once, show, keep)


def _tell(report: Report, *, as_json: bool) -> None:
    if as_json:
        print_json(report)
        return
    from tenure.check.batch import figures, summarise  # noqa: PLC0415 - as above

    batch = summarise([report], [report.seed], 1)
    print_table(f"seed {report.seed}: {report.verdict}", ("figure", "value"), figures(batch))
    print_table("", ("nemesis", "effect"), list(report.effects.items()))
    for name, breaches in report.breaches.items():
        for breach in breaches[:_SHOWN]:
            typer.echo(f"{name} broken: {breach.job or ''} {breach.text}")
        if len(breaches) > _SHOWN:
            typer.echo(f"{name} broken: {len(breaches)} in all")
    if report.verdict == "void":
        typer.echo(f"void, for these had no effect: {', '.join(report.why_void) or 'the jobs did not drain'}")
    typer.echo(f"again: {report.replay}")


def _tell_batch(batch: Batch, report: Path | None, *, as_json: bool) -> None:
    from tenure.check.batch import figures, write_batch  # noqa: PLC0415 - as above

    if report is not None:
        write_batch(batch, report.with_suffix(""))
    if as_json:
        print_json(batch)
        return
    print_table(f"{batch.seeds} seeds", ("figure", "value"), figures(batch))
    for name, seeds in batch.broken.items():
        typer.echo(f"{name} broken by seeds {seeds}")
    for replay in batch.replays:
        typer.echo(f"again: {replay}")
