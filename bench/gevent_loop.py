"""asyncio beside gevent: a loop on a real thread, which greenlets hand coroutines to.

Compiled I/O cannot be patched: called from a greenlet it would stop every other one. So nothing of it runs on gevent's
thread. Work goes over with `call_soon_threadsafe`, results come back through the hub's own wake-up, one for as many as
there are; no lock is shared, for gevent's locks belong to one thread.
"""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING, Any, TypeVar

import gevent  # type: ignore[import-untyped]
from gevent.event import AsyncResult  # type: ignore[import-untyped]

from tenure.bench.loop import new_loop

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine

T = TypeVar("T")


class GeventLoop:
    """A running asyncio loop; `call` may be used by any greenlet of the thread that made it."""

    def __init__(self) -> None:
        """Start it."""
        hub = gevent.get_hub()
        self._loop = new_loop()
        self._done: collections.deque[tuple[AsyncResult, asyncio.Task[Any]]] = collections.deque()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._back = hub.loop.async_()
        self._back.start(self._deliver)
        # The pool's threads are real ones, whatever was patched.
        self._thread = hub.threadpool.spawn(self._loop.run_forever)

    def call(self, function: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
        """Run a coroutine function there; other greenlets go on meanwhile."""
        result: AsyncResult = AsyncResult()
        self._loop.call_soon_threadsafe(self._begin, function, args, result)
        found: T = result.get()
        return found

    def close(self) -> None:
        """Stop it; nothing may be under way."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.get()
        self._back.close()
        self._loop.close()

    def _begin(self, function: Callable[..., Coroutine[Any, Any, Any]], args: Any, result: AsyncResult) -> None:
        task = self._loop.create_task(function(*args))
        self._tasks.add(task)

        def ended(task: asyncio.Task[Any]) -> None:
            self._tasks.discard(task)
            self._done.append((result, task))
            self._back.send()

        task.add_done_callback(ended)

    def _deliver(self) -> None:
        """On gevent's thread."""
        while self._done:
            result, task = self._done.popleft()
            if task.cancelled():
                result.set_exception(InterruptedError("cancelled"))
            elif (error := task.exception()) is not None:
                result.set_exception(error)
            else:
                result.set(task.result())
