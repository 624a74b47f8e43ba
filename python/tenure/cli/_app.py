"""The tree of commands, and what an error is to a script."""

from __future__ import annotations

import os
import sys
import traceback
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from tenure import __version__
from tenure.cli import dlq, fleet, job, limit, migrate, queue, schedule, tenant, workflow
from tenure.cli._output import escape
from tenure.cli.bench import bench
from tenure.cli.check import check
from tenure.cli.doctor import doctor
from tenure.cli.stats import stats
from tenure.cli.top import top
from tenure.cli.up import up
from tenure.cli.worker import worker
from tenure.cli.workers import workers
from tenure.demo.command import demo
from tenure.errors import (
    ConfigurationError,
    DuplicateJob,
    IllegalTransition,
    InvalidInput,
    JobNotFound,
    NoAnswer,
    QuotaExceeded,
    ScheduleNotFound,
    StoreUnavailable,
    TenureError,
    WorkerNotFound,
    WorkerRefused,
    WorkflowNotFound,
)

# The first that fits; 2 is also what a wrong option exits with.
EXIT_CODES: Final = (
    (InvalidInput, 2),
    (ConfigurationError, 2),
    (StoreUnavailable, 3),
    (JobNotFound, 4),
    (ScheduleNotFound, 4),
    (WorkerNotFound, 4),
    (WorkflowNotFound, 4),
    (IllegalTransition, 5),
    (DuplicateJob, 5),
    (QuotaExceeded, 5),
    (WorkerRefused, 5),
    (NoAnswer, 6),
    (Exception, 1),
)


class _Root(TyperGroup):
    """Turns an error into one line on stderr and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was named."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
        except Exception as error:
            if _is_typers(error) or isinstance(error, BrokenPipeError):
                raise
            if ctx.params["debug"]:
                traceback.print_exc()
            sys.stderr.write(f"error: {_one_line(error)}\n")
            raise typer.Exit(next(code for kind, code in EXIT_CODES if isinstance(error, kind))) from None


def _is_typers(error: Exception) -> bool:
    """Whether typer knows what to do with it; where its classes come from differs from version to version."""
    return isinstance(error, typer.Abort) or hasattr(error, "exit_code")


def _one_line(error: Exception) -> str:
    text = escape(str(error))
    return (
        text if isinstance(error, TenureError) else f"unexpected, --debug shows where: {type(error).__name__}: {text}"
    )


app: Final = typer.Typer(
    cls=_Root,
    help="Jobs that a worker holds only while its lease lives.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(job.app, name="job")
app.add_typer(dlq.app, name="dlq")
app.add_typer(queue.app, name="queue")
app.add_typer(limit.app, name="limit")
app.add_typer(tenant.app, name="tenant")
app.add_typer(schedule.app, name="schedule")
app.add_typer(workflow.app, name="workflow")
app.add_typer(fleet.app, name="fleet")
app.add_typer(migrate.app, name="migrate")
for command in (worker, workers, top, stats, doctor, up, demo, bench, check):
    app.command()(command)


@app.callback()
def root(*, debug: Annotated[bool, typer.Option("--debug", help="Show where an error comes from.")] = False) -> None:
    """Jobs that a worker holds only while its lease lives."""


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def run() -> None:
    """Run a command; TENURE_DEBUG=1 is the same as --debug."""
    # Taken out of the environment: the settings refuse a variable they do not know.
    debug = bool(os.environ.pop("TENURE_DEBUG", ""))
    app(["--debug", *sys.argv[1:]] if debug else sys.argv[1:], prog_name="tenure")
