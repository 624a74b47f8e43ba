"""`tenure fleet`: steer workers, one by its id or all of a name or host."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Final

import typer

from tenure import _validate
from tenure.cli._load import with_admin
from tenure.cli._output import JsonOption, print_json, print_table
from tenure.errors import NoAnswer, WorkerRefused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tenure.admin import Admin
    from tenure.fleet import Fleet

app: Final = typer.Typer(help="Steer workers, wherever they run.", no_args_is_help=True)

Which = Annotated[str, typer.Argument(metavar="WORKER", help="An id, or the name or host of several.")]
Timeout = Annotated[float, typer.Option(help="Seconds for the answer.")]
_AT_ONCE: Final = 100


@app.command()
def quiet(which: Which, *, timeout: Timeout = 5.0, as_json: JsonOption = False) -> None:
    """Lease nothing more; what runs goes on."""
    _steer(which, as_json, lambda fleet, one: fleet.quiet(one, timeout=timeout))


@app.command()
def resume(which: Which, *, timeout: Timeout = 5.0, as_json: JsonOption = False) -> None:
    """Lease again."""
    _steer(which, as_json, lambda fleet, one: fleet.resume(one, timeout=timeout))


@app.command("stop")
@app.command("drain", help="The same as `stop`.")
def stop(which: Which, *, timeout: Timeout = 5.0, as_json: JsonOption = False) -> None:
    """End in order: lease nothing more, finish what runs within the grace time, leave."""
    _steer(which, as_json, lambda fleet, one: fleet.stop(one, timeout=timeout))


@app.command()
def restart(which: Which, *, timeout: Timeout = 5.0, as_json: JsonOption = False) -> None:
    """End in order, and have whoever looks after it start another."""
    _steer(which, as_json, lambda fleet, one: fleet.restart(one, timeout=timeout))


@app.command()
def concurrency(
    which: Which,
    most: Annotated[int, typer.Argument(metavar="N", help="The most jobs at a time, for each worker.")],
    *,
    timeout: Timeout = 5.0,
    as_json: JsonOption = False,
) -> None:
    """Run more or fewer jobs at a time from now on."""
    _validate.concurrency(most)
    _steer(which, as_json, lambda fleet, one: fleet.resize(one, most, timeout=timeout))


@app.command()
def stacks(which: Which, *, timeout: Timeout = 5.0) -> None:
    """Print what every job, task and thread is doing."""
    answers = with_admin(_asking(which, lambda fleet, one: fleet.stacks(one, timeout=timeout)))
    for worker_id, (outcome, text) in answers.items():
        typer.echo(f"== worker {worker_id}, {outcome}\n{text}")
    _exit(answers)


Answers = dict[str, tuple[str, str]]


def _steer(which: str, as_json: bool, ask: Callable[[Fleet, str], Awaitable[str]]) -> None:  # noqa: FBT001 - as given
    answers = with_admin(_asking(which, ask))
    if as_json:
        print_json([{"worker_id": one, "outcome": outcome, "text": text} for one, (outcome, text) in answers.items()])
    else:
        rows = [(one, outcome, text) for one, (outcome, text) in answers.items()]
        print_table("workers", ("worker", "outcome", "answer"), rows)
    _exit(answers)


def _asking(which: str, ask: Callable[[Fleet, str], Awaitable[str]]) -> Callable[[Admin], Awaitable[Answers]]:
    """Ask all who are meant, side by side: one that is silent holds up no other."""

    async def run(admin: Admin) -> Answers:
        limit = asyncio.Semaphore(_AT_ONCE)

        async def one(worker_id: str) -> tuple[str, str]:
            async with limit:
                try:
                    return "done", await ask(admin.fleet, worker_id)
                except WorkerRefused as error:
                    return "refused", str(error)
                except NoAnswer as error:
                    return "unknown", str(error)

        found = await admin.fleet.find(which)
        return dict(zip(found, await asyncio.gather(*map(one, found)), strict=True))

    return run


def _exit(answers: Answers) -> None:
    """With 6 where it is unknown of any worker whether it did it, with 5 where one refused."""
    outcomes = {outcome for outcome, _ in answers.values()}
    if "unknown" in outcomes:
        raise typer.Exit(6)
    if "refused" in outcomes:
        raise typer.Exit(5)
