"""The nemeses that need nothing but the run's own processes and two servers."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import TYPE_CHECKING, Final

from tenure.check.generator import Planned
from tenure.check.jobs import QUEUES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tenure.check.nemesis import Nemesis, Scene

_LOOK: Final = 0.05
_HOLD: Final = 1.5  # seconds for which rows are held
_HELD_ROWS: Final = 200
_FEW: Final = 4  # attempts that a stopped worker should hold, for its return to be worth anything
_PATIENCE: Final = 10.0


class Kill:
    """SIGKILL for a worker that holds attempts; effect: how many it held."""

    name = "kill"

    async def strike(self, scene: Scene) -> int:
        """Freeze it first: a job that takes a millisecond would have ended between the look and the signal."""
        if not scene.fleet.pids:
            return 0
        pid = scene.dice.choice(scene.fleet.pids)
        scene.fleet.signal(pid, signal.SIGSTOP)
        await asyncio.sleep(_LOOK)
        held = (await scene.stage.database.fetch("check_held", pid))[0]["held"]
        scene.note(self.name, pid=pid, held=held)
        scene.fleet.signal(pid, signal.SIGKILL)
        scene.fleet.signal(pid, signal.SIGCONT)
        return int(held)


class Stop:
    """SIGSTOP for a worker until others have its jobs, then SIGCONT; effect: how many of its jobs others had taken over
    when it came back.
    """

    name = "stop"

    async def strike(self, scene: Scene) -> int:
        """Work of its own makes sure that there is something to come back to."""
        if not scene.fleet.pids:
            return 0
        pid = scene.dice.choice(scene.fleet.pids)
        longest = scene.plan.lease_seconds + scene.plan.rescue_seconds
        naps = [Planned("nap", {"seconds": 2.5}, {"queue": queue, "priority": 5}) for queue in QUEUES * _FEW]
        await scene.client.enqueue(*naps)

        async def held() -> int:
            return int((await scene.stage.database.fetch("check_held", pid))[0]["held"])

        async def taken_over() -> int:
            return int((await scene.stage.database.fetch("check_held", pid))[0]["taken_over"])

        await _until(held, 1.0)
        scene.fleet.signal(pid, signal.SIGSTOP)
        before = await taken_over()
        holds = await held()
        scene.note(self.name, pid=pid, held=holds)

        async def all_taken() -> bool:
            return await taken_over() - before >= holds

        try:
            await _until(all_taken, longest * 2)
            return await taken_over() - before
        finally:
            scene.fleet.signal(pid, signal.SIGCONT)
            scene.note("continue", pid=pid)


class Poison:
    """A job that ends whichever worker runs it; effect: 1 once it has."""

    name = "poison"

    async def strike(self, scene: Scene) -> int:
        """Wait for its first victim; the later ones come when they come."""
        how = scene.dice.choice(("exit", "segv", "abort"))
        deaths = len(scene.fleet.deaths)
        options = {"queue": scene.dice.choice(QUEUES), "priority": 5}
        await scene.client.enqueue(Planned("poison", {"how": how}, options))
        scene.note(self.name, how=how)

        async def died() -> int:
            return len(scene.fleet.deaths) - deaths

        return min(1, await _until(died, _PATIENCE / 2))


class Wedge:
    """A job that holds its worker's event loop for longer than a lease; effect: 1 once it runs."""

    name = "wedge"

    async def strike(self, scene: Scene) -> int:
        """Let it go on while other faults strike."""
        seconds = scene.plan.lease_seconds * 1.5
        options = {"queue": scene.dice.choice(QUEUES), "priority": 5}
        (job_id,) = await scene.client.enqueue(Planned("wedge", {"seconds": seconds}, options))
        scene.note(self.name, job=job_id, seconds=seconds)

        async def runs() -> int:
            rows = await scene.stage.database.fetch("executions", job_id)
            return len(rows)

        return min(1, await _until(runs, _PATIENCE / 2))


class RowLock:
    """A transaction of somebody else's that holds rows of jobs; effect: how many sessions it kept waiting."""

    name = "row-lock"

    async def strike(self, scene: Scene) -> int:
        """Hold, count who waits, let go."""
        database = scene.stage.database

        async def hold(connection: object) -> int:
            rows = await database.fetch("check_hold", _HELD_ROWS, connection=connection)  # type: ignore[arg-type]
            scene.note(self.name, rows=len(rows))
            most, until = 0, time.monotonic() + _HOLD
            while time.monotonic() < until:
                await asyncio.sleep(_LOOK)
                waiting = await database.fetch("check_waiting", connection=connection)  # type: ignore[arg-type]
                most = max(most, waiting[0]["waiting"])
            return most

        return await database.atomically(hold)


class ClientKill:
    """CLIENT KILL for every connection of the run to Redis; effect: how many."""

    name = "client-kill"

    async def strike(self, scene: Scene) -> int:
        """Cut them."""
        return await scene.stage.redis.cut()


class PgTerminate:
    """pg_terminate_backend for every session of the run; effect: how many."""

    name = "pg-terminate"

    async def strike(self, scene: Scene) -> int:
        """Cut them."""
        return int((await scene.stage.database.fetch("check_cut"))[0]["cut"])


class Wipe:
    """Delete the run's keys, all that FLUSHALL means to one prefix; effect: how many there were."""

    name = "wipe"

    async def strike(self, scene: Scene) -> int:
        """Delete them."""
        rows = await scene.stage.database.fetch("list_workers", True)  # noqa: FBT003 - the statement's parameter
        return await scene.stage.redis.forget([str(row["worker_id"]) for row in rows])


class ScriptFlush:
    """SCRIPT FLUSH; effect: how many scripts the server forgot."""

    name = "script-flush"

    async def strike(self, scene: Scene) -> int:
        """Make it forget them."""
        return await scene.stage.redis.forget_scripts()


class FlushAll:
    """FLUSHALL, everybody's keys; effect: how many of this run there were."""

    name = "flushall"

    async def strike(self, scene: Scene) -> int:
        """Delete them."""
        return await scene.stage.redis.flush_all()


async def _until(look: Callable[[], Awaitable[int]], seconds: float) -> int:
    """What `look` says once it is not 0, or when the time is up."""
    give_up = time.monotonic() + seconds
    while not (found := await look()) and time.monotonic() < give_up:  # noqa: ASYNC110 - nobody could set an event
        await asyncio.sleep(_LOOK)
    return found


_KINDS: Final[tuple[Callable[[], Nemesis], ...]] = (
    Kill,
    Stop,
    Poison,
    Wedge,
    RowLock,
    ClientKill,
    PgTerminate,
    Wipe,
    ScriptFlush,
    FlushAll,
)


def nemeses_named(names: tuple[str, ...]) -> list[Nemesis]:
    """The nemeses of these names, in this order."""
    by_name = {nemesis.name: nemesis for nemesis in (kind() for kind in _KINDS)}
    return [by_name[name] for name in names]
