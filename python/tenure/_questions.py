"""Asking somebody elsewhere, over Redis: a question is repeated until it is answered, and done once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec

from tenure import _validate
from tenure._control import Reply
from tenure._engine import new_ids
from tenure.errors import NoAnswer, StoreUnavailable, WorkerRefused

if TYPE_CHECKING:
    from tenure._engine import Engine, Event

_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 1.0


class Questions:
    """What this process has asked and nobody has answered yet."""

    def __init__(self, engine: Engine) -> None:
        """Prepare; answers come to the engine's inbox."""
        self._engine = engine
        self._waiting: dict[str, asyncio.Future[Reply]] = {}
        self._listening: asyncio.Event | None = None

    def on_event(self, event: Event) -> None:
        """Hear an answer."""
        if event.kind == "reconnected" and self._listening is not None:
            self._listening.set()
        if event.kind != "answer":
            return
        question, _, text = event.text.partition(" ")
        waiting = self._waiting.get(question)
        if waiting is None or waiting.done():
            return
        try:
            waiting.set_result(msgspec.json.decode(text, type=Reply))
        except msgspec.MsgspecError as error:
            waiting.set_exception(NoAnswer(f"the answer is none: {error}"))

    async def ask(self, whom: str, what: str, timeout: float) -> str:  # noqa: ASYNC109 - part of the API
        """What the worker or supervisor of this id says it did.

        Raises:
            WorkerRefused: it will not, and says why.
            NoAnswer: it did not answer in time, and may have done it.
            StoreUnavailable: Redis is away.
        """
        _validate.seconds("timeout", timeout)
        await self._listen(timeout)
        [question] = new_ids(1)
        waiting: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting[question] = waiting
        pause = _FIRST_PAUSE
        try:
            async with asyncio.timeout(timeout):
                while not waiting.done():
                    await self._engine.ask(whom, f"{question} {what}")
                    await asyncio.wait((waiting,), timeout=pause)
                    pause = min(2 * pause, _LONGEST_PAUSE)
        except TimeoutError as error:
            raise NoAnswer(f"who was asked has not answered within {timeout:g} s: {whom}") from error
        finally:
            del self._waiting[question]
        reply = waiting.result()
        if reply.refused:
            raise WorkerRefused(f"{reply.refused}: {whom}")
        return reply.done

    async def _listen(self, timeout: float) -> None:  # noqa: ASYNC109 - part of the API
        """Be subscribed before anything is asked: a worker that is told to stop may answer once, and be gone."""
        if self._listening is None:
            self._listening = asyncio.Event()
            self._engine.core.listen()
        try:
            await asyncio.wait_for(self._listening.wait(), timeout)
        except TimeoutError as error:
            raise StoreUnavailable(f"redis cannot be listened to within {timeout:g} s, nothing was asked") from error
