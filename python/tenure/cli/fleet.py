"""`tenure fleet`: steer workers and whoever looks after them, one by its id or all of a name, host or group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from tenure import _validate
from tenure._rolling import roll
from tenure.cli import _fleet_desired, _fleet_groups
from tenure.cli._fleet_up import up
from tenure.cli._load import with_admin
from tenure.cli._output import JsonOption, print_json
from tenure.cli._steering import Answers, ask_all, leave, show
from tenure.errors import WorkerNotFound
from tenure.supervisor.group import SUPERVISOR_LABEL

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tenure.admin import Admin
    from tenure.fleet import Fleet
    from tenure.supervisors import Supervisors

app: Final = typer.Typer(help="Steer workers, wherever they run.", no_args_is_help=True)

Which = Annotated[str, typer.Argument(metavar="WORKER", help="An id, or the name, host or group of several.")]
Timeout = Annotated[float, typer.Option(help="Seconds for the answer.")]

app.command()(up)
app.command("groups")(_fleet_groups.groups)
app.command()(_fleet_groups.scale)
app.command()(_fleet_groups.replace)
app.command()(_fleet_desired.desired)
app.command()(_fleet_desired.metrics)


@app.command()
def quiet(which: Which, *, timeout: Timeout = 5.0, as_json: JsonOption = False) -> None:
    """Lease nothing more; what runs goes on."""
    _steer(which, as_json, lambda fleet, one: fleet.quiet(one, timeout=timeout))


@app.command()
def resume(which: Which, *, timeout: Timeout = 5.0, as_json: JsonOption = False) -> None:
    """Lease again; a host that was drained starts its processes again."""
    _steer_hosts(
        which,
        as_json,
        lambda supervisors, one: supervisors.resume(one, timeout=timeout),
        lambda fleet, one: fleet.resume(one, timeout=timeout),
    )


@app.command()
def stop(which: Which, *, timeout: Timeout = 5.0, as_json: JsonOption = False) -> None:
    """End in order: lease nothing more, finish what runs within the grace time, leave."""
    _steer(which, as_json, lambda fleet, one: fleet.stop(one, timeout=timeout))


@app.command()
def drain(which: Which, *, timeout: Timeout = 5.0, as_json: JsonOption = False) -> None:
    """As `stop`; the supervisor of a host that is drained starts nothing more until it is resumed."""
    _steer_hosts(
        which,
        as_json,
        lambda supervisors, one: supervisors.drain(one, timeout=timeout),
        lambda fleet, one: fleet.stop(one, timeout=timeout),
    )


@app.command()
def restart(
    which: Which,
    *,
    rolling: Annotated[
        bool, typer.Option("--rolling", help="One process after the other, each when its successor works.")
    ] = False,
    at_once: Annotated[int, typer.Option(help="Processes that may be away at a time, with --rolling.")] = 1,
    patience: Annotated[float, typer.Option(help="Seconds for each successor, with --rolling.")] = 120.0,
    timeout: Timeout = 5.0,
    as_json: JsonOption = False,
) -> None:
    """End in order, and have whoever looks after it start another."""
    if not rolling:
        _steer(which, as_json, lambda fleet, one: fleet.restart(one, timeout=timeout))
        return

    async def run(admin: Admin) -> list[dict[str, str]]:
        pairs = []
        async for old, new in roll(admin, which, at_once=at_once, patience=patience):
            pairs.append({"worker_id": old, "successor_id": new})
            if not as_json:
                typer.echo(f"{old} is succeeded by {new}")
        return pairs

    pairs = with_admin(run)
    if as_json:
        print_json(pairs)


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
    leave(answers)


def _steer(which: str, as_json: bool, ask: Callable[[Fleet, str], Awaitable[str]]) -> None:  # noqa: FBT001 - as given
    show(with_admin(_asking(which, ask)), as_json=as_json)


def _asking(which: str, ask: Callable[[Fleet, str], Awaitable[str]]) -> Callable[[Admin], Awaitable[Answers]]:
    async def run(admin: Admin) -> Answers:
        return await ask_all(await admin.fleet.find(which), lambda one: ask(admin.fleet, one))

    return run


def _steer_hosts(
    which: str,
    as_json: bool,  # noqa: FBT001 - as given
    ask: Callable[[Supervisors, str], Awaitable[str]],
    ask_worker: Callable[[Fleet, str], Awaitable[str]],
) -> None:
    """Ask the supervisors that are meant first, then the workers that are meant and have none of those."""

    async def run(admin: Admin) -> Answers:
        supervisors = [one.supervisor_id for one in await admin.supervisors.find(which)]
        answers = await ask_all(supervisors, lambda one: ask(admin.supervisors, one))
        try:
            meant = set(await admin.fleet.find(which))
        except WorkerNotFound:
            if not answers:
                raise
            return answers
        others = [
            one.worker_id
            for one in await admin.workers()
            if one.worker_id in meant and one.labels.get(SUPERVISOR_LABEL) not in answers
        ]
        return answers | await ask_all(others, lambda one: ask_worker(admin.fleet, one))

    show(with_admin(run), as_json=as_json)
