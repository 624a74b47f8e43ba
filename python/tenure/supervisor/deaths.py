"""What the registry is told of deaths, and what it tells of failures."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from tenure.errors import WorkerNotFound

if TYPE_CHECKING:
    from tenure._database import Database
    from tenure._engine import Engine
    from tenure.supervisor.supervisor import Supervisor

_PROOF: Final = 2.0  # seconds, and a beat, for which a worker must count as failed before its process is killed


class Deaths:
    """Between one supervisor and the registry."""

    def __init__(self, supervisor: Supervisor, database: Database, engine: Engine, beat: float) -> None:
        """Prepare; `engine` is the supervisor's own, which beats every `beat` seconds."""
        self._supervisor = supervisor
        self._database = database
        self._engine = engine
        self._beat = beat
        self._untold: list[str] = []
        self._failed: dict[str, float] = {}

    async def tell(self) -> None:
        """Have the registry know at once whose process was reaped; the watch would find it later.

        Raises:
            StoreUnavailable: PostgreSQL is away; it is told the next time.
        """
        self._untold += self._supervisor.take_dead()
        if self._untold:
            await self._database.fetch("workers_died", self._untold)
            self._untold = []

    async def hear(self) -> None:
        """Replace whom the registry calls failed for longer than a mistake lasts, although its process seems to live.

        That is one whose own way to Redis is cut. Where this process's own beats do not come through either, it is the
        host's, and no successor could do better: nobody is killed.

        Raises:
            StoreUnavailable: PostgreSQL is away; nobody is killed.
        """
        if self._engine.core.silence_ms() > 2000 * self._beat:
            self._failed = {}
            return
        own = self._supervisor.workers
        rows = await self._database.fetch("failed_workers", own) if own else []
        now = time.monotonic()
        self._failed = {row["worker_id"]: self._failed.get(row["worker_id"], now) for row in rows}
        for one, since in self._failed.items():
            if now - since >= self._beat + _PROOF:
                # it may have died meanwhile, by itself or with another worker of its process
                with suppress(WorkerNotFound):
                    self._supervisor.replace_failed_worker(one, "the registry has long called its worker failed")
