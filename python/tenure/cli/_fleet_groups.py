"""`tenure fleet groups`, `scale` and `replace`: what supervisors look after, and how much of it there is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tenure import _validate
from tenure.cli._load import with_admin
from tenure.cli._output import JsonOption, print_json, print_table
from tenure.cli._steering import Answers, ask_all, show
from tenure.errors import WorkerNotFound
from tenure.supervisor.group import SUPERVISOR_LABEL
from tenure.supervisors import check_scale

if TYPE_CHECKING:
    from tenure.admin import Admin
    from tenure.supervisors import GroupState

Timeout = Annotated[float, typer.Option(help="Seconds for the answer.")]


def groups(*, as_json: JsonOption = False) -> None:
    """List the supervisors and their groups."""
    found = with_admin(lambda admin: admin.supervisors.present())
    if as_json:
        print_json(found)
        return
    columns = ("supervisor", "host", "group", "desired", "running", "starting", "ending", "min", "max", "state")
    rows = [
        (
            one.supervisor_id,
            one.host,
            name,
            said.desired,
            said.running,
            said.starting,
            said.ending,
            said.least,
            said.most,
            _state(said),
        )
        for one in found
        for name, said in one.groups.items()
    ]
    print_table("groups", columns, rows)


def scale(
    group: Annotated[str, typer.Argument(help="The group's name.")],
    number: Annotated[
        str, typer.Argument(metavar="N|auto", help="Processes on all hosts together, or by their load again.")
    ],
    *,
    timeout: Timeout = 5.0,
    as_json: JsonOption = False,
) -> None:
    """Have so many processes of a group, shared out over its hosts by the most that each may have."""
    processes = check_scale(_validate.name("group", group), number)

    async def run(admin: Admin) -> Answers:
        if processes is None:
            shares = dict.fromkeys(one.supervisor_id for one in await admin.supervisors.of_group(group))
        else:
            shares = dict(await admin.supervisors.shares(group, processes))
        return await ask_all(shares, lambda one: admin.supervisors.scale(one, group, shares[one], timeout=timeout))

    show(with_admin(run), as_json=as_json, who="supervisor")


def replace(
    worker_id: Annotated[str, typer.Argument(metavar="WORKER", help="Its id.")],
    *,
    timeout: Timeout = 5.0,
    as_json: JsonOption = False,
) -> None:
    """Kill the process of a worker that does not answer, and have its supervisor start one like it."""
    worker_id = _validate.job_id(worker_id, "worker_id")

    async def run(admin: Admin) -> Answers:
        found = [one for one in await admin.workers(live_only=False) if one.worker_id == worker_id]
        supervisor_id = found[0].labels.get(SUPERVISOR_LABEL) if found else None
        if supervisor_id is None:
            raise WorkerNotFound(f"no worker of a supervisor has this id: {worker_id}")
        return await ask_all([supervisor_id], lambda one: admin.supervisors.replace(one, worker_id, timeout=timeout))

    show(with_admin(run), as_json=as_json, who="supervisor")


def _state(said: GroupState) -> str:
    words = {
        "drained": said.drained,
        "by hand": said.manual,
        f"{said.retired} told to stop": said.retired,
        f"{said.rolling} to roll": said.rolling,
    }
    return ", ".join(word for word, so in words.items() if so)
