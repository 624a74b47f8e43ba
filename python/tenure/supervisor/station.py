"""A supervisor's place in its fleet: it is seen and steered, tells of deaths, hears of failures and follows the load.

All of it needs the stores, and none of it is needed to keep children alive: where a store is away, nothing is killed,
nothing is scaled, and every child that dies is replaced as ever.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self

import msgspec

from tenure import __version__
from tenure._control import Control
from tenure._engine import Engine
from tenure._observer import Observer
from tenure.errors import InvalidInput, StoreUnavailable, TenureError, WorkerNotFound
from tenure.supervisor.load import read_loads
from tenure.supervisor.scale import Load, Scaler
from tenure.supervisors import GroupSaid, Roll, check_scale

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tenure._database import Database
    from tenure._engine import Event
    from tenure.settings import Settings
    from tenure.supervisor.group import Group
    from tenure.supervisor.supervisor import Supervisor

logger = logging.getLogger("tenure.station")

_TICK: Final = 0.25
_CALL: Final = 10.0  # seconds between two looks at who else there is
_PROOF: Final = 2.0  # seconds, and a beat, for which a worker must count as failed before its process is killed


class Station:
    """Of one supervisor; `async with` takes it up and leaves it."""

    def __init__(
        self, supervisor_id: str, supervisor: Supervisor, database: Database, redis_url: str, settings: Settings
    ) -> None:
        """Prepare; nothing is connected yet."""
        self.supervisor_id: Final = supervisor_id
        self._supervisor = supervisor
        self._database = database
        self._settings = settings
        self._engine = Engine(
            redis_url,
            worker_id=self.supervisor_id,
            prefix=settings.prefix,
            lease_ms=round(settings.lease_seconds * 1000),
            on_event=self._on_event,
        )
        self._observer = Observer(self._engine, database, settings)
        self._roll = Roll(self._engine)
        self._control = Control(
            self._engine,
            {"scale": self._scale, "drain": self._drain, "resume": self._resume, "replace": self._replace},
        )
        self._said = ""
        self._dead: list[str] = []
        self._failed: dict[str, float] = {}
        self._shares: dict[str, float] = {}
        self._scalers: dict[str, tuple[Group, Scaler]] = {}
        self._scaled: dict[str, float] = {}
        self._duties: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        """Be seen, listen, and begin the duties."""
        try:
            await self._engine.open()
            self._engine.core.obey()
            self._engine.core.start_heartbeat(
                round(self._settings.heartbeat_seconds * 1000),
                round(self._settings.heartbeat_ttl_seconds * 1000),
                1,
                self._profile(),
            )
        except BaseException:
            self._engine.close()
            raise
        self._observer.start()
        beat = self._settings.heartbeat_seconds
        for seconds, duty in (
            (_TICK, self._tell),
            (1.0, self._bury),
            (min(beat, 2.0), self._hear_of_failures),
            (_CALL, self._count_peers),
            (0.5, self._follow_load),
        ):
            self._duties.append(asyncio.get_running_loop().create_task(self._keep_doing(duty, seconds)))
        logger.info("supervisor started: %s, groups %s", self.supervisor_id, ", ".join(self._supervisor.crews))
        return self

    async def __aexit__(self, *_: object) -> None:
        """Tell of the last deaths, and be gone."""
        for duty in self._duties:
            duty.cancel()
        await asyncio.gather(*self._duties, return_exceptions=True)
        self._control.cancel()
        await self._observer.stop()
        try:
            await asyncio.wait_for(self._bury(), 2.0)
        except (TenureError, TimeoutError):
            logger.info("the last deaths were not told, the watch finds them")
        await asyncio.to_thread(self._engine.core.stop_heartbeat)
        self._engine.close()

    def _on_event(self, event: Event) -> None:
        if event.kind == "control":
            self._control.on_event(event.text)

    @staticmethod
    async def _keep_doing(duty: Callable[[], Awaitable[None]], seconds: float) -> None:
        while True:
            try:
                await duty()
            except StoreUnavailable as error:
                logger.warning("a supervisor's duty waits: %s", error)
            except Exception:
                logger.exception("a supervisor's duty failed")
            await asyncio.sleep(seconds)

    # --- presence

    def _profile(self) -> str:
        groups = {
            name: GroupSaid(
                desired=state.desired,
                running=state.running,
                least=state.least,
                most=state.most,
                rolling=state.rolling,
                drained=state.drained,
                manual=self._supervisor.crews[name].manual,
            )
            for name, state in self._supervisor.state().items()
        }
        host = socket.gethostname()
        fields = {"name": f"{host}:{os.getpid()}", "host": host, "version": __version__, "groups": groups}
        return msgspec.json.encode(fields).decode()

    async def _tell(self) -> None:
        self._engine.core.tick(0, 1)
        profile = self._profile()
        if profile != self._said:
            self._said = profile
            self._engine.core.describe(profile)

    # --- the registry

    async def _bury(self) -> None:
        """Have the registry know at once whose process was reaped; the watch would find it later."""
        self._dead += self._supervisor.take_dead()
        if self._dead:
            await self._database.fetch("workers_died", self._dead)
            self._dead = []

    async def _hear_of_failures(self) -> None:
        """Replace whom the registry calls failed for longer than a mistake lasts, although its process seems to live.

        That is one whose own way to Redis is cut. Where this process's own beats do not come through either, it is the
        host's, and no successor could do better: nobody is killed.
        """
        if self._engine.core.silence_ms() > 2000 * self._settings.heartbeat_seconds:
            self._failed = {}
            return
        own = self._supervisor.workers
        rows = await self._database.fetch("failed_workers", own) if own else []
        now = time.monotonic()
        failed = {row["worker_id"] for row in rows}
        self._failed = {one: self._failed.get(one, now) for one in failed}
        for one, since in self._failed.items():
            if now - since >= self._settings.heartbeat_seconds + _PROOF:
                with suppress(WorkerNotFound):
                    self._supervisor.replace_failed_worker(one, "the registry has long called its worker failed")

    # --- the load

    async def _count_peers(self) -> None:
        """Which part of a group's load falls to this host: that of its most in the most of all hosts."""
        if not any(crew.group.scale for crew in self._supervisor.crews.values()):
            return
        found = await self._roll.call()
        for name, crew in self._supervisor.crews.items():
            others = sum(
                one.groups[name].most
                for one in found
                if one.supervisor_id != self.supervisor_id and name in one.groups and not one.groups[name].drained
            )
            self._shares[name] = crew.group.most / (crew.group.most + others)

    async def _follow_load(self) -> None:
        now = time.monotonic()
        for name, crew in list(self._supervisor.crews.items()):
            group, scale = crew.group, crew.group.scale
            if scale is None or crew.manual or crew.drained or now < self._scaled.get(name, 0.0) + scale.look_seconds:
                continue
            self._scaled[name] = now
            loads = await read_loads(self._database, self._engine, group.queues)
            load = sum(loads.values(), Load()).part(self._shares.get(name, 1.0))
            before, scaler = self._scalers.get(name, (None, None))
            if scaler is None or before is not group:
                scaler = Scaler(scale, group.slots, group.least, group.most)
                self._scalers[name] = (group, scaler)
            desired = scaler.desired(load, crew.desired, now)
            if desired != crew.desired:
                logger.info("scales: %s, %d to %d processes, %s", name, crew.desired, desired, load)
                crew.desired = desired

    # --- what others ask of it

    def _scale(self, given: str) -> str:
        name, _, number = given.partition(" ")
        crew = self._supervisor.crew(name)
        processes = check_scale(name, number)
        if processes is None:
            if crew.group.scale is None:
                raise InvalidInput("processes", "a whole number, for the group has no scale", number)
            crew.manual = False
            return f"follows its load, {crew.desired} processes now"
        before = crew.scale(processes)
        crew.manual = True
        return f"{processes} processes, before {before}"

    def _drain(self, _: str) -> str:
        return f"drains, processes that end: {self._supervisor.drain()}"

    def _resume(self, _: str) -> str:
        return f"goes on, processes wanted: {self._supervisor.resume()}"

    def _replace(self, worker_id: str) -> str:
        try:
            self._supervisor.replace_failed_worker(worker_id, "somebody asked for it")
        except WorkerNotFound as error:
            raise InvalidInput("worker_id", "of a worker of this supervisor", worker_id) from error
        return "killed, its successor starts when it is gone"
