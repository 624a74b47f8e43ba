"""A supervisor's place in its fleet: it is seen and steered, tells of deaths, hears of failures and follows the load.

All of it needs the stores, and none of it is needed to keep children alive: where a store is away, nothing is killed,
nothing is scaled, and every child that dies is replaced as ever.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from typing import TYPE_CHECKING, Final, Self

import msgspec

from tenure import __version__
from tenure._control import Control
from tenure._engine import Engine
from tenure._observer import Observer
from tenure.errors import InvalidInput, StoreUnavailable, TenureError, WorkerNotFound
from tenure.supervisor.deaths import Deaths
from tenure.supervisor.following import Following
from tenure.supervisors import check_scale

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tenure._database import Database
    from tenure._engine import Event
    from tenure.settings import Settings
    from tenure.supervisor.supervisor import Supervisor

logger = logging.getLogger("tenure.station")

_TICK: Final = 0.25
_FAREWELL: Final = 2.0
_CALL: Final = 10.0  # seconds between two looks at who else there is


class Station:
    """Of one supervisor; `async with` takes it up and leaves it."""

    def __init__(
        self, supervisor_id: str, supervisor: Supervisor, database: Database, redis_url: str, settings: Settings
    ) -> None:
        """Prepare; nothing is connected yet."""
        self.supervisor_id: Final = supervisor_id
        self._supervisor = supervisor
        self._settings = settings
        self._engine = Engine(
            redis_url,
            worker_id=self.supervisor_id,
            prefix=settings.prefix,
            lease_ms=round(settings.lease_seconds * 1000),
            on_event=self._on_event,
        )
        self._observer = Observer(self._engine, database, settings)
        self._deaths = Deaths(supervisor, database, self._engine, settings.heartbeat_seconds)
        self._following = Following(supervisor_id, supervisor, database, self._engine)
        self._control = Control(
            self._engine,
            {"scale": self._scale, "drain": self._drain, "resume": self._resume, "replace": self._replace},
        )
        self._said = ""
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
            (1.0, self._deaths.tell),
            (min(beat, 2.0), self._deaths.hear),
            (_CALL, self._following.count_peers),
            (0.1, self._following.follow),
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
        try:
            # What is not told in time the watch finds out, and a seat that is not given up is another's after its hold.
            await asyncio.wait_for(asyncio.gather(self._deaths.tell(), self._observer.stop()), _FAREWELL)
        except (TenureError, TimeoutError) as error:
            logger.info("left without a farewell: %s", error or "no store answers")
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
        host = socket.gethostname()
        fields = {
            "name": f"{host}:{os.getpid()}",
            "host": host,
            "version": __version__,
            "groups": self._supervisor.state(),
        }
        return msgspec.json.encode(fields).decode()

    async def _tell(self) -> None:
        self._engine.core.tick(0, 1)
        profile = self._profile()
        if profile != self._said:
            self._said = profile
            self._engine.core.describe(profile)

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
