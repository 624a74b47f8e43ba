"""Steering workers wherever they run: each verb is a question that the worker itself answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenure import _validate
from tenure.errors import WorkerNotFound

if TYPE_CHECKING:
    from tenure._database import Database
    from tenure._questions import Questions


class Fleet:
    """What an operator may ask of workers.

    A verb returns what the worker says it did. A question is repeated until it is answered, and done once.

    Every verb takes the id of a worker and raises:
        WorkerNotFound: the registry has no live worker of this id.
        WorkerRefused: it will not, and says why.
        NoAnswer: it did not answer in time. It may have done it: look at the registry, or ask again.
        StoreUnavailable: a store is away.
    """

    def __init__(self, database: Database, questions: Questions) -> None:
        """Made by `Admin`."""
        self._database = database
        self._questions = questions

    async def find(self, which: str) -> list[str]:
        """The ids of live workers that have this id, name, host or group, newest first.

        Raises:
            WorkerNotFound: there is none.
        """
        found = [str(row["worker_id"]) for row in await self._database.fetch("find_workers", which)]
        if not found:
            raise WorkerNotFound(f"no live worker has this id, name, host or group: {which}")
        return found

    async def quiet(self, worker_id: str, *, timeout: float = 5.0) -> str:  # noqa: ASYNC109 - part of the API
        """Lease nothing more; what runs goes on, and so does the worker."""
        return await self._ask(worker_id, "quiet", timeout)

    async def resume(self, worker_id: str, *, timeout: float = 5.0) -> str:  # noqa: ASYNC109 - part of the API
        """Lease again."""
        return await self._ask(worker_id, "resume", timeout)

    async def stop(self, worker_id: str, *, timeout: float = 5.0) -> str:  # noqa: ASYNC109 - part of the API
        """End in order, as SIGTERM has it; `tenure worker` exits with 0, and its parent starts no other."""
        return await self._ask(worker_id, "stop", timeout)

    async def restart(self, worker_id: str, *, timeout: float = 5.0) -> str:  # noqa: ASYNC109 - part of the API
        """End in order; `tenure worker` exits with 75, and whoever looks after it starts another."""
        return await self._ask(worker_id, "restart", timeout)

    async def stacks(self, worker_id: str, *, timeout: float = 5.0) -> str:  # noqa: ASYNC109 - part of the API
        """What every job, task and thread of the worker's process is doing: files, lines and code, no values."""
        return await self._ask(worker_id, "stacks", timeout)

    async def resize(self, worker_id: str, concurrency: int, *, timeout: float = 5.0) -> str:  # noqa: ASYNC109 - API
        """Run at most that many jobs at a time from now on, until the worker ends; none that runs is cut off."""
        return await self._ask(worker_id, f"concurrency {_validate.concurrency(concurrency)}", timeout)

    async def _ask(self, worker_id: str, what: str, timeout: float) -> str:  # noqa: ASYNC109 - part of the API
        worker_id = _validate.job_id(worker_id, "worker_id")
        await self.find(worker_id)
        return await self._questions.ask(worker_id, what, timeout)
