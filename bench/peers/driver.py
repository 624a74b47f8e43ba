"""One process of a peer, in the peer's own environment: prepares its store, produces jobs, or works.

    python driver.py ADAPTER setup | work
    python driver.py ADAPTER enqueue SECONDS | preload JOBS | limited JOBS FIRST | offer WARM-UP JOBS RATE

What was found is the last line printed, as JSON.

Only the standard library and the adapter are imported: nothing of tenure is installed there. An adapter has `setup()`
and `producer()`, which may be coroutines, and `work()`, which runs one worker process until it is stopped. A producer
has `one(arguments)` and, where there is such a call, `many(list)`; with `BLOCKING = True` both are plain functions.
Where the peer has limits, `limited(list)` sends jobs of which one runs at a time, with `settings.hold` for a handler.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import inspect
import json
import os
import signal
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
WARM_WITHIN = 30.0
QUIET = 0.5  # seconds in which what the warm-up left behind settles


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
        self.acknowledged = 0

    @property
    def has_bulk(self) -> bool:
        """Whether there is a call for many jobs."""
        return hasattr(self._producer, "many")

    async def one(self, number: int, sent: float = 0.0) -> None:
        """Send a job; done when the peer says so."""
        if self._threads is None:
            await self._producer.one(arguments(number, sent))
        else:
            await asyncio.get_running_loop().run_in_executor(self._threads, self._producer.one, arguments(number, sent))

    async def many(self, numbers: range) -> None:
        """Send jobs in one call."""
        await self._producer.many([arguments(number) for number in numbers])

    async def rate(self, callers: int, seconds: float, each: int = 1) -> float:
        """Jobs a second that so many callers send, each of them its next when the last has returned."""
        began = time.perf_counter()
        until = began + seconds
        if self._threads is None:
            counts = await asyncio.gather(*(self._caller(until, each) for _ in range(callers)))
        else:
            # Threads of their own: a loop in between would cost as much as the call.
            loop, threads = asyncio.get_running_loop(), self._threads
            counts = await asyncio.gather(
                *(loop.run_in_executor(threads, self._blocking_caller, until) for _ in range(callers))
            )
        self.acknowledged += sum(counts)
        return round(sum(counts) / (time.perf_counter() - began), 1)

    async def _caller(self, until: float, each: int) -> int:
        count = 0
        while time.perf_counter() < until:
            await (self.one(0) if each == 1 else self.many(range(each)))
            count += each
        return count

    def _blocking_caller(self, until: float) -> int:
        count = 0
        while time.perf_counter() < until:
            self._producer.one(arguments(0))
            count += 1
        return count


async def enqueue(producing: Producing, seconds: float) -> dict[str, float | None]:
    """Jobs a second, each way for some seconds, and how many jobs were acknowledged in all."""
    await producing.rate(CALLERS, seconds / 10)  # connections open, statements are prepared
    found: dict[str, float | None] = {
        "one_by_one": await producing.rate(1, seconds),
        "callers_100": await producing.rate(CALLERS, seconds),
        "bulk": await producing.rate(1, seconds, BULK) if producing.has_bulk else None,
    }
    return {**found, "acknowledged": producing.acknowledged}


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


async def limited(producer: Any, jobs: int, first: int) -> None:
    """Send so many jobs that share a limit, with numbers from `first` on."""
    for begin in range(first, first + jobs, BULK):
        await producer.limited([arguments(number) for number in range(begin, min(begin + BULK, first + jobs))])


async def offer(producing: Producing, warm_up: int, jobs: int, rate: float) -> dict[str, float]:
    """Send each job at its planned moment, however slow the earlier ones are; how late the sender itself was.

    The warm-up goes first, in the same process: its connections are those of the measurement. Its jobs must have run.
    """
    sink, marks = _tenures("sink"), Path(os.environ["PEER_SINK"])
    await asyncio.gather(*(producing.one(number) for number in range(warm_up)))
    give_up = time.monotonic() + WARM_WITHIN
    while (ran := sink.count(marks)) < warm_up:
        if time.monotonic() > give_up:
            raise TimeoutError(f"jobs of the warm-up that ran, of {warm_up}: {ran}")
        await asyncio.sleep(0.01)
    await asyncio.sleep(QUIET)
    late: list[float] = []
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    tasks: set[asyncio.Task[None]] = set()

    def send(number: int, planned: float) -> None:
        late.append(time.time() - planned)
        task = loop.create_task(producing.one(number, planned))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    def schedule() -> None:
        start = time.time() + 0.3
        for index in range(jobs):
            planned = start + index / rate
            if (pause := planned - time.time()) > 0:
                time.sleep(pause)
            loop.call_soon_threadsafe(send, warm_up + index, planned)
        loop.call_soon_threadsafe(over.set)

    threading.Thread(target=schedule, daemon=True).start()
    await over.wait()
    while tasks:
        await asyncio.gather(*tasks)
    return {"schedule_lag_p99_ms": round(sorted(late)[int(jobs * 0.99)] * 1000, 2)}


async def produce(adapter: ModuleType, verb: str, numbers: list[float]) -> object:
    """Open a producer, do what was asked for, close it."""
    producer = await _maybe(adapter.producer())
    producing = Producing(adapter, producer)
    try:
        if verb == "enqueue":
            return await enqueue(producing, numbers[0])
        if verb == "preload":
            return await preload(producing, int(numbers[0]))
        if verb == "limited":
            return await limited(producer, int(numbers[0]), int(numbers[1]))
        return await offer(producing, int(numbers[0]), int(numbers[1]), numbers[2])
    finally:
        if hasattr(producer, "close"):
            await _maybe(producer.close())


def watch_parent() -> None:
    """End this worker if the process that started it is gone."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def main() -> None:
    """Be the process that was asked for."""
    name, verb, *numbers = sys.argv[1:]
    sys.path.insert(0, str(HERE / "adapters"))
    if verb == "work":
        # Adapters find the sink under this name.
        _tenures("sink")
        watch_parent()
    adapter = importlib.import_module(f"{name}_adapter")
    if verb == "work":
        adapter.work()
    elif verb == "setup":
        print(json.dumps(asyncio.run(_maybe(adapter.setup()))))
    else:
        try:
            import uvloop  # noqa: PLC0415 - not every peer can

            run: Any = uvloop.run
        except ImportError:
            run = asyncio.run
        print(json.dumps(run(produce(adapter, verb, list(map(float, numbers))))))


if __name__ == "__main__":
    main()
