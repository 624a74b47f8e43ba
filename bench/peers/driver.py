"""One process of a peer, in the peer's own environment: prepares its store, produces jobs, or works.

    python driver.py ADAPTER setup | enqueue SECONDS | preload JOBS | offer FIRST JOBS RATE | work

Only the standard library and the adapter are imported: nothing of tenure is installed there. An adapter has `setup()`
and `producer()`, which may be coroutines, and `work()`, which runs one worker process until it is stopped. A producer
has `one(arguments)` and, where there is such a call, `many(list)`; with `BLOCKING = True` both are plain functions.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import inspect
import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType

HERE = Path(__file__).parent
CALLERS = 100
BULK = 1000


def _tenures(name: str) -> ModuleType:
    """A module of tenure that needs nothing but the standard library, by its file."""
    path = HERE.parents[1] / "python" / "tenure" / "bench" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


arguments = _tenures("payload").arguments


async def _maybe(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value


class Producing:
    """A producer, driven from a loop whether its calls block or not."""

    def __init__(self, adapter: ModuleType, producer: Any) -> None:
        """A producer whose calls block gets a thread for each caller."""
        self._producer = producer
        self._threads = ThreadPoolExecutor(CALLERS) if getattr(adapter, "BLOCKING", False) else None

    @property
    def has_bulk(self) -> bool:
        """Whether there is a call for many jobs."""
        return hasattr(self._producer, "many")

    async def one(self, number: int, sent: float = 0.0) -> None:
        """Send a job; done when the peer says so."""
        await self._call(self._producer.one, arguments(number, sent))

    async def many(self, numbers: range) -> None:
        """Send jobs in one call."""
        await self._call(self._producer.many, [arguments(number) for number in numbers])

    async def _call(self, call: Any, what: Any) -> None:
        if self._threads is None:
            await call(what)
        else:
            await asyncio.get_running_loop().run_in_executor(self._threads, call, what)


async def _timed(call: Any, callers: int, seconds: float, each: int = 1) -> float:
    """Jobs a second that `callers` send, each of them its next when the last has returned."""
    began = time.perf_counter()
    count = 0

    async def caller() -> None:
        nonlocal count
        while time.perf_counter() < began + seconds:
            await call()
            count += each

    await asyncio.gather(*(caller() for _ in range(callers)))
    return round(count / (time.perf_counter() - began), 1)


async def enqueue(producing: Producing, seconds: float) -> dict[str, float | None]:
    """Jobs a second, each way for some seconds."""
    await producing.one(0)
    return {
        "one_by_one": await _timed(lambda: producing.one(0), 1, seconds),
        "callers_100": await _timed(lambda: producing.one(0), CALLERS, seconds),
        "bulk": await _timed(lambda: producing.many(range(BULK)), 1, seconds, BULK) if producing.has_bulk else None,
    }


async def preload(producing: Producing, jobs: int) -> None:
    """Fill the queue in the quickest way there is."""
    if producing.has_bulk:
        for first in range(0, jobs, BULK):
            await producing.many(range(first, min(first + BULK, jobs)))
        return
    numbers = iter(range(jobs))

    async def caller() -> None:
        for number in numbers:
            await producing.one(number)

    await asyncio.gather(*(caller() for _ in range(CALLERS)))


async def offer(producing: Producing, first: int, jobs: int, rate: float) -> None:
    """Send each job at its planned moment, however slow the earlier ones are."""
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    tasks: set[asyncio.Task[None]] = set()

    def send(number: int, planned: float) -> None:
        task = loop.create_task(producing.one(number, planned))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    def schedule() -> None:
        start = time.time() + 0.3
        for index in range(jobs):
            planned = start + index / rate
            if (pause := planned - time.time()) > 0:
                time.sleep(pause)
            loop.call_soon_threadsafe(send, first + index, planned)
        loop.call_soon_threadsafe(over.set)

    threading.Thread(target=schedule, daemon=True).start()
    await over.wait()
    while tasks:
        await asyncio.gather(*tasks)


async def produce(adapter: ModuleType, verb: str, numbers: list[float]) -> object:
    """Open a producer, do what was asked for, close it."""
    producer = await _maybe(adapter.producer())
    producing = Producing(adapter, producer)
    try:
        if verb == "enqueue":
            return await enqueue(producing, numbers[0])
        if verb == "preload":
            await preload(producing, int(numbers[0]))
        else:
            await offer(producing, int(numbers[0]), int(numbers[1]), numbers[2])
    finally:
        if hasattr(producer, "close"):
            await _maybe(producer.close())
    return None


def main() -> None:
    """Be the process that was asked for."""
    name, verb, *numbers = sys.argv[1:]
    sys.path.insert(0, str(HERE / "adapters"))
    if verb == "work":
        # Adapters find the sink under this name.
        _tenures("sink")
    adapter = importlib.import_module(f"{name}_adapter")
    if verb == "work":
        adapter.work()
    elif verb == "setup":
        asyncio.run(_maybe(adapter.setup()))
    else:
        try:
            import uvloop  # noqa: PLC0415 - not every peer can

            run: Any = uvloop.run
        except ImportError:
            run = asyncio.run
        print(json.dumps(run(produce(adapter, verb, list(map(float, numbers))))))


if __name__ == "__main__":
    main()
