"""Looking at schedules and steering them; `Tenure.schedule` makes them."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - msgspec reads the annotations
from typing import TYPE_CHECKING

import msgspec

from tenure import _validate
from tenure.errors import ScheduleNotFound
from tenure.schedule import next_moment

if TYPE_CHECKING:
    from tenure._database import Connection, Database


class ScheduleInfo(msgspec.Struct, frozen=True, kw_only=True):
    """When a recurring job is next, and was last; `last_at` is the last moment that was enqueued."""

    schedule_name: str
    queue: str
    job_type: str
    cron: str
    timezone: str
    missed: str
    paused: bool
    next_at: datetime
    last_at: datetime | None


class Schedules:
    """What an operator may do. Each verb raises `ScheduleNotFound` for a name that no worker has declared."""

    def __init__(self, database: Database) -> None:
        """Made by `Admin`."""
        self._database = database

    async def list(self) -> list[ScheduleInfo]:
        """All that workers have declared, by name."""
        return [msgspec.convert(dict(row), ScheduleInfo) for row in await self._database.fetch("list_schedules")]

    async def pause(self, name: str) -> None:
        """Enqueue nothing of it, until it is resumed; a restart of the workers changes nothing about that."""
        await self._change("pause_schedule", name)

    async def resume(self, name: str) -> datetime:
        """Go on with the next moment, which is returned; those that passed meanwhile were not missed."""
        _validate.name("name", name)

        async def resume(connection: Connection) -> datetime:
            rows = await self._database.fetch("paused_schedule", name, connection=connection)
            if not rows:
                raise ScheduleNotFound(f"no schedule has this name: {name}")
            [row] = rows
            next_at: datetime = row["next_at"]
            if row["paused"] and next_at <= row["now"]:
                next_at = next_moment(row["cron"], row["timezone"], row["now"])
            await self._database.fetch("resume_schedule", name, next_at, connection=connection)
            return next_at

        return await self._database.atomically(resume)

    async def trigger(self, name: str) -> None:
        """Enqueue its job once more, within about a second, even while it is paused; its moments stay as they are."""
        await self._change("trigger_schedule", name)

    async def remove(self, name: str) -> None:
        """Forget when it was; a worker that starts with it in its code declares it anew."""
        await self._change("remove_schedule", name)

    async def _change(self, statement: str, name: str) -> None:
        if not await self._database.fetch(statement, _validate.name("name", name)):
            raise ScheduleNotFound(f"no schedule has this name: {name}")
