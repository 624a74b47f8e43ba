"""Steering workers wherever they run: each verb is a question that the worker itself answers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec

from tenure import _validate
from tenure._control import Reply
from tenure._engine import new_ids
from tenure.errors import NoAnswer, StoreUnavailable, WorkerNotFound, WorkerRefused

if TYPE_CHECKING:
    from tenure._database import Database
    from tenure._engine import Engine, Event

_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 1.0


class Fleet:
    """What an operator may ask of workers.

    A verb returns what the worker says it did. A question is repeated until it is answered, and done once.

    Every verb takes the id of a worker and raises:
        WorkerNotFound: the registry has no live worker of this id.
        WorkerRefused: it will not, and says why.
        NoAnswer: it did not answer in time. It may have done it: look at the registry, or ask again.
        StoreUnavailable: a store is away.
    """

    def __init__(self, database: Database, engine: Engine) -> None:
        """Made by `Admin`."""
        self._database = database
        self._engine = engine
        self._questions: dict[str, asyncio.Future[Reply]] = {}
        self._listening: asyncio.Event | None = None

    async def find(self, which: str) -> list[str]:
        """The ids of live workers that have this id, name or host, newest first.

        Raises:
            WorkerNotFound: there is none.
        """
        found = [str(row["worker_id"]) for row in await self._database.fetch("find_workers", which)]
        if not found:
            raise WorkerNotFound(f"no live worker has this id, name or host: {which}")
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

    def on_event(self, event: Event) -> None:
        """Hear an answer."""
        if event.kind == "reconnected" and self._listening is not None:
            self._listening.set()
        if event.kind != "answer":
            return
        question, _, text = event.text.partition(" ")
        waiting = self._questions.get(question)
        if waiting is None or waiting.done():
            return
        try:
            waiting.set_result(msgspec.json.decode(text, type=Reply))
        except msgspec.MsgspecError as error:
            waiting.set_exception(NoAnswer(f"the answer is none: {error}"))

    async def _listen(self, timeout: float) -> None:  # noqa: ASYNC109 - part of the API
        """Be subscribed before anything is asked: a worker that is told to stop may answer once, and be gone."""
        if self._listening is None:
            self._listening = asyncio.Event()
            self._engine.core.listen()
        try:
            await asyncio.wait_for(self._listening.wait(), timeout)
        except TimeoutError as error:
            raise StoreUnavailable(f"redis cannot be listened to within {timeout:g} s, nothing was asked") from error

    async def _ask(self, worker_id: str, what: str, timeout: float) -> str:  # noqa: ASYNC109 - part of the API
        _validate.seconds("timeout", timeout)
        worker_id = _validate.job_id(worker_id, "worker_id")
        await self.find(worker_id)
        await self._listen(timeout)
        [question] = new_ids(1)
        waiting: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._questions[question] = waiting
        pause = _FIRST_PAUSE
        try:
            async with asyncio.timeout(timeout):
                while not waiting.done():
                    await self._engine.ask(worker_id, f"{question} {what}")
                    await asyncio.wait((waiting,), timeout=pause)
                    pause = min(2 * pause, _LONGEST_PAUSE)
        except TimeoutError as error:
            raise NoAnswer(f"the worker has not answered within {timeout:g} s: {worker_id}") from error
        finally:
            del self._questions[question]
        reply = waiting.result()
        if reply.refused:
            raise WorkerRefused(f"{reply.refused}: {worker_id}")
        return reply.done
