"""What a worker does when it is steered from elsewhere."""

from __future__ import annotations

import asyncio
import logging
import sys
import traceback
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tenure._observer import UUID
from tenure.errors import InvalidInput, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tenure._attempt import Attempt
    from tenure._engine import Engine

logger = logging.getLogger("tenure.control")

_REMEMBERED: Final = 64
_LONGEST: Final = 256 * 1024  # characters of an answer


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a worker answers: `done` says what it did, `refused` why it did not."""

    done: str = ""
    refused: str = ""


class Control:
    """Does what is asked, once however often the question comes, and says so each time.

    Questions come through Redis, as messages that may be lost: who asks repeats itself until it is answered. Whoever
    may write to this worker's channel can have it work less, or end it in order; no verb ends a job or changes an
    outcome.
    """

    def __init__(self, engine: Engine, verbs: Mapping[str, Callable[[str], str]]) -> None:
        """Prepare; `verbs` are given their argument, empty where there is none, and say what they did."""
        self._engine = engine
        self._verbs = verbs
        self._replies: OrderedDict[str, bytes] = OrderedDict()
        self._answers: set[asyncio.Task[None]] = set()

    def on_event(self, text: str) -> None:
        """Do what one message asks: the id of who asks, that of the question, a verb and perhaps its argument."""
        asker, question, verb, argument = [*text.split(" ", 3), "", "", ""][:4]
        if not (UUID.fullmatch(asker) and UUID.fullmatch(question)):
            logger.warning("a message that steers nothing was passed over: %.100r", text)
            return
        reply = self._replies.get(question)
        if reply is None:
            reply = self._replies[question] = msgspec.json.encode(self._do(asker, verb, argument))
            if len(self._replies) > _REMEMBERED:
                self._replies.popitem(last=False)
        answer = asyncio.get_running_loop().create_task(self._answer(asker, f"{question} {reply.decode()}"))
        self._answers.add(answer)
        answer.add_done_callback(self._answers.discard)

    def cancel(self) -> None:
        """Answer nobody any more."""
        for answer in self._answers:
            answer.cancel()

    def _do(self, asker: str, verb: str, argument: str) -> Reply:
        act = self._verbs.get(verb)
        if act is None:
            return Reply(refused=f"verb must be one of {', '.join(self._verbs)}, got {verb[:50]!r}")
        try:
            done = act(argument)
        except InvalidInput as error:
            return Reply(refused=str(error))
        except Exception as error:
            logger.exception("steering failed: %s", verb)
            return Reply(refused=f"{type(error).__name__}: {error}")
        logger.info("steered by %s: %s %s", asker, verb, argument)
        return Reply(done=done[:_LONGEST])

    async def _answer(self, asker: str, text: str) -> None:
        try:
            await self._engine.answer(asker, text)
        except StoreUnavailable as error:
            logger.warning("an answer was not sent: %s", error)


def stacks(attempts: Mapping[tuple[str, int], Attempt]) -> str:
    """What every attempt, task and thread of this process is doing, for people to read."""
    parts: list[str] = []
    seen: set[asyncio.Task[Any]] = set()
    for (job_id, fence), attempt in attempts.items():
        task = attempt.task
        parts.append(f"job {job_id}:{fence} {attempt.lease.job_type}")
        if task is not None:
            seen.add(task)
            parts.append(_of_task(task))
    for task in asyncio.all_tasks() - seen:
        parts += [f"task {task.get_name()}", _of_task(task)]
    for ident, frame in sys._current_frames().items():  # noqa: SLF001 - the only way to see other threads
        parts += [f"thread {ident}", "".join(traceback.format_stack(frame))]
    return "\n".join(parts)


def _of_task(task: asyncio.Task[Any]) -> str:
    """The frames from the task's own coroutine down to what it awaits; `Task.get_stack` has the first alone."""
    frames = []
    awaited: Any = task.get_coro()
    while awaited is not None:
        frame = getattr(awaited, "cr_frame", None) or getattr(awaited, "gi_frame", None)
        if frame is not None:
            frames.append((frame, frame.f_lineno))
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "gi_yieldfrom", None)
    return "".join(traceback.StackSummary.extract(iter(frames)).format())
