"""`tenure fleet up`: the supervisor of a host."""

from __future__ import annotations

import asyncio
import logging
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from tenure import Tenure
from tenure._engine import new_ids
from tenure.cli._logs import set_up_logs
from tenure.cli._output import JsonOption, print_json, print_table
from tenure.errors import ConfigurationError, TenureError
from tenure.supervisor import Supervisor, _process
from tenure.supervisor.fleet_file import read_groups
from tenure.supervisor.run import keep_alive
from tenure.supervisor.station import Station

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tenure.supervisor import Group

logger = logging.getLogger("tenure.cli")

_AT_ONCE: Final = 4
_TRIED_FOR: Final = 60.0

FleetFile = Annotated[Path, typer.Argument(metavar="FILE", help="Groups of workers, as docs/fleet.md has them.")]


def up(
    path: FleetFile,
    *,
    check: Annotated[bool, typer.Option("--check", help="Only say whether all of it could be started.")] = False,
    as_json: JsonOption = False,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
    log_format: Annotated[str, typer.Option(help="text or json.")] = "text",
) -> None:
    """Keep this host's worker processes up. SIGTERM or SIGINT ends them in order, SIGHUP reads the file again."""
    set_up_logs(log_level, log_format)
    [supervisor_id] = new_ids(1)
    groups = read_groups(path, supervisor_id)
    try_out(groups)
    if check:
        _show(groups, as_json=as_json)
        return
    if not _process.KNOWN and any(group.recycle_rss_mb for group in groups):
        logger.warning("the memory of processes is not known on this system, recycle_rss_mb does nothing")
    raise typer.Exit(asyncio.run(_keep_up(path, supervisor_id, groups)))


async def _keep_up(path: Path, supervisor_id: str, groups: Sequence[Group]) -> int:
    async with Tenure() as app:
        supervisor = Supervisor(groups)
        stores = app._open()  # noqa: SLF001 - the supervisor works on the stores as a worker does
        async with Station(supervisor_id, supervisor, stores.database, stores.redis_url, app.settings):
            reading: set[asyncio.Task[None]] = set()

            def reread() -> None:
                task = asyncio.get_running_loop().create_task(_reread(path, supervisor_id, supervisor))
                reading.add(task)
                task.add_done_callback(reading.discard)

            return await keep_alive(supervisor, reread=reread, stay=True)


async def _reread(path: Path, supervisor_id: str, supervisor: Supervisor) -> None:
    """Have what the file says now, if all of it can be had."""
    try:
        groups = read_groups(path, supervisor_id)
        await asyncio.to_thread(try_out, groups)
    except TenureError as error:
        logger.error("the fleet file is refused, nothing changes: %s", error)  # noqa: TRY400 - no bug
        return
    if not supervisor.stopping:
        rolled = supervisor.reload(groups)
        logger.info("the fleet file was read again, groups that are rolled: %s", ", ".join(rolled) or "none")


def try_out(groups: Sequence[Group]) -> None:
    """Have each group's command say whether it could be started: its app is imported in a process of its own, so that
    the supervisor never runs code that it looks after, and the next start sees what is there then.

    Raises:
        ConfigurationError: one cannot; with what it says.
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for group, why in zip(groups, pool.map(_refusal, groups), strict=True):
            if why:
                raise ConfigurationError(f"groups.{group.name} cannot be started: {why}")


def _refusal(group: Group) -> str:
    command = group.command()
    command.insert(command.index("--"), "--check")
    try:
        tried = subprocess.run(command, capture_output=True, text=True, timeout=_TRIED_FOR, check=False)  # noqa: S603 - our own command
    except subprocess.TimeoutExpired:
        return f"its app is not imported within {_TRIED_FOR:g} s"
    except OSError as error:
        return str(error)
    if tried.returncode == 0:
        return ""
    said = tried.stderr.strip().splitlines() or [f"exit code {tried.returncode}"]
    return said[-1].removeprefix("error: ")


def _show(groups: Sequence[Group], *, as_json: bool) -> None:
    if as_json:
        print_json(
            [
                {
                    "group": one.name,
                    "processes": one.at_first,
                    "min": one.least,
                    "max": one.most,
                    "command": one.command(),
                }
                for one in groups
            ]
        )
        return
    columns = ("group", "app", "processes", "min", "max", "workers each", "slots each", "queues")
    rows = [
        (
            one.name,
            one.app,
            one.at_first,
            one.least,
            one.most,
            one.workers_per_process,
            one.slots,
            ", ".join(one.queues) or "the handlers'",
        )
        for one in groups
    ]
    print_table("groups", columns, rows)
