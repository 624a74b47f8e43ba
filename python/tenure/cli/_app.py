"""The tree of commands, and what an error is to a script."""

from __future__ import annotations

import os
import sys
from typing import Final

import typer

from tenure import __version__
from tenure.cli import dlq, fleet, job, migrate, servers, worker
from tenure.demo.command import demo
from tenure.errors import (
    ConfigurationError,
    IllegalTransition,
    InvalidInput,
    JobNotFound,
    StoreUnavailable,
    TenureError,
)

# The first that fits; 2 is also what a wrong option exits with.
EXIT_CODES: Final = (
    (InvalidInput, 2),
    (ConfigurationError, 2),
    (StoreUnavailable, 3),
    (JobNotFound, 4),
    (IllegalTransition, 5),
    (TenureError, 1),
)

app: Final = typer.Typer(
    help="Jobs that a worker holds only while its lease lives.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(job.app, name="job")
app.add_typer(dlq.app, name="dlq")
app.add_typer(migrate.app, name="migrate")
app.command("worker")(worker.worker)
app.command("workers")(fleet.workers)
app.command("stats")(fleet.stats)
app.command("doctor")(servers.doctor)
app.command("up")(servers.up)
app.command("demo")(demo)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def run() -> None:
    """Run a command; an error is one line on stderr and an exit code, its traceback is shown with TENURE_DEBUG=1."""
    debug = bool(os.environ.pop("TENURE_DEBUG", ""))
    try:
        app()
    except TenureError as error:
        if debug:
            raise
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(next(code for kind, code in EXIT_CODES if isinstance(error, kind))) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
