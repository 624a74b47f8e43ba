"""`tenure job`: enqueue, show, list, cancel, retry."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import typer

from tenure.cli._load import load_app, with_admin
from tenure.cli._output import JsonOption, amounts, print_json, print_record, print_table
from tenure.errors import InvalidInput

if TYPE_CHECKING:
    from tenure.admin import Admin
    from tenure.job import Execution, JobInfo

app: Final = typer.Typer(help="Enqueue jobs, look at them, cancel and retry them.", no_args_is_help=True)

JobId = Annotated[str, typer.Argument(help="The job's id.")]


@app.command()
def enqueue(
    target: Annotated[str, typer.Argument(metavar="MODULE:APP", help="Where the handler is registered.")],
    job_type: Annotated[str, typer.Argument(help="The job type.")],
    arguments: Annotated[str, typer.Argument(help="The arguments, a JSON object.")] = "{}",
    *,
    queue: Annotated[str | None, typer.Option(help="Another queue than the job type's.")] = None,
    priority: Annotated[int | None, typer.Option(help="1 (low) to 5 (high).")] = None,
    delay: Annotated[float | None, typer.Option(help="Seconds.")] = None,
    run_at: Annotated[str | None, typer.Option(help="ISO 8601 with a time zone.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="May be given several times.")] = None,
    idempotency_key: Annotated[str | None, typer.Option(help="A second job with this key is not made.")] = None,
    unique: Annotated[str | None, typer.Option(help="One job of the type with this key at a time.")] = None,
    expires_in: Annotated[float | None, typer.Option(help="Seconds in which it must start, or never does.")] = None,
    deadline_in: Annotated[float | None, typer.Option(help="Seconds in which it must have ended.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Whose it is.")] = None,
    requires: Annotated[list[str] | None, typer.Option(help="A capability; may be given several times.")] = None,
    resource: Annotated[list[str] | None, typer.Option(help="NAME=AMOUNT; may be given several times.")] = None,
    limit_key: Annotated[str | None, typer.Option(help="It shares the limits of jobs with this key.")] = None,
    cost: Annotated[float | None, typer.Option(help="What it counts in its tenant's share.")] = None,
    depends_on: Annotated[list[str] | None, typer.Option(help="A job's id; may be given several times.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Enqueue one job and print its id."""
    try:
        values = msgspec.json.decode(arguments, type=dict[str, object])
    except msgspec.MsgspecError as error:
        raise InvalidInput("arguments", f"a JSON object, {error}", arguments) from error
    options: dict[str, object] = {
        "queue": queue,
        "priority": priority,
        "delay": delay,
        "run_at": None if run_at is None else _moment(run_at),
        "tags": tag,
        "idempotency_key": idempotency_key,
        "unique": unique,
        "expires_in": expires_in,
        "deadline_in": deadline_in,
        "tenant": tenant,
        "requires": requires,
        "resources": amounts(resource) if resource else None,
        "limit_key": limit_key,
        "cost": cost,
        "depends_on": depends_on,
    }

    async def run() -> tuple[str, bool]:
        async with load_app(target) as opened:
            given = {name: value for name, value in options.items() if value is not None}
            job = await opened.enqueue(job_type, values, **given)
            return job.id, job.created

    job_id, created = asyncio.run(run())
    if as_json:
        print_json({"job_id": job_id, "created": created})
    else:
        typer.echo(job_id)


@app.command()
def show(job_id: JobId, *, as_json: JsonOption = False) -> None:
    """Show one job and the audit of its attempts."""

    async def both(admin: Admin) -> tuple[JobInfo, list[Execution]]:
        return await admin.show(job_id), await admin.executions(job_id)

    info, audit = with_admin(both)
    if as_json:
        print_json({"job": info, "executions": audit})
        return
    print_record(info)
    columns = ("attempt", "fence", "status", "worker", "started", "ms", "error")
    rows = [
        (one.attempt, one.fence, one.status, one.worker_id, one.started_at, one.duration_ms, one.error) for one in audit
    ]
    print_table("attempts", columns, rows)


@app.command("list")
def list_jobs(
    *,
    status: Annotated[str | None, typer.Option(help="PENDING, SCHEDULED, BLOCKED, PROCESSING, …")] = None,
    queue: Annotated[str | None, typer.Option(help="One queue only.")] = None,
    job_type: Annotated[str | None, typer.Option("--type", help="One job type only.")] = None,
    tag: Annotated[str | None, typer.Option(help="One tag only.")] = None,
    limit: Annotated[int, typer.Option(help="The most to print.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """List jobs, newest first."""
    wanted = None if status is None else status.upper()
    jobs = with_admin(
        lambda admin: admin.list_jobs(status=wanted, queue=queue, job_type=job_type, tag=tag, limit=limit)
    )
    if as_json:
        print_json(jobs)
        return
    columns = ("job", "type", "queue", "status", "priority", "attempts", "created")
    rows = [
        (one.job_id, one.job_type, one.queue, one.status, one.priority, one.attempts, one.created_at) for one in jobs
    ]
    print_table("jobs", columns, rows)


@app.command()
def cancel(
    job_id: JobId,
    *,
    descendants: Annotated[bool, typer.Option("--descendants", help="Also all that waits for it.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Cancel a job: at once where nobody runs it, otherwise its handler is cancelled."""
    status = with_admin(lambda admin: admin.cancel(job_id, descendants=descendants))
    _changed(job_id, status, as_json=as_json)


@app.command()
def retry(
    job_id: JobId,
    *,
    descendants: Annotated[
        bool, typer.Option("--descendants", help="Also bring back what depends on it, failed or cancelled.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a scheduled, dead or cancelled job ready now."""

    async def work(admin: Admin) -> str:
        await admin.retry(job_id, descendants=descendants)
        return (await admin.show(job_id)).status if descendants else "PENDING"

    _changed(job_id, with_admin(work), as_json=as_json)


def _changed(job_id: str, status: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"job_id": job_id, "status": status})
    else:
        typer.echo(f"{job_id} {status}")


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput("run_at", "a time in ISO 8601", text) from error
