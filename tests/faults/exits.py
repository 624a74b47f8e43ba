"""One interpreter that ends while the extension's threads live: `python -m tests.faults.exits HOW`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading

from tenure import Tenure

app = Tenure()


@app.job()
async def forever() -> None:
    """Run until the end of the world."""
    await asyncio.Event().wait()


@app.job()
def blocked() -> None:
    """Hold a thread for a moment longer than the loop lives."""
    threading.Event().wait(0.3)


async def begin() -> None:
    """Open, work, and leave calls under way."""
    await app.__aenter__()
    await app.worker(concurrency=4).start()
    await asyncio.gather(forever.enqueue(), blocked.enqueue())
    # under way when the end comes: their answers find nobody
    app._pending = [asyncio.ensure_future(forever.enqueue()) for _ in range(20)]  # type: ignore[attr-defined]
    await asyncio.sleep(0)


async def close() -> None:
    """The good end."""
    queue = f"own-{os.getpid()}"
    async with app, app.worker(queues=[queue]):
        await (await blocked.options(queue=queue).enqueue()).result(timeout=10)


async def fail() -> None:
    """An error that nobody catches."""
    await begin()
    raise RuntimeError("the end")


async def interrupted() -> None:
    """Ctrl-C."""
    await begin()
    os.kill(os.getpid(), signal.SIGINT)
    await asyncio.sleep(10)


def thread() -> None:
    """The main thread ends while a daemon thread's loop goes on."""
    ready = threading.Event()

    async def work() -> None:
        await begin()
        ready.set()
        await asyncio.Event().wait()

    threading.Thread(target=lambda: asyncio.run(work()), daemon=True).start()
    assert ready.wait(20)


if __name__ == "__main__":
    match sys.argv[1]:
        case "thread":
            thread()
        case "exit":
            asyncio.get_event_loop_policy().new_event_loop().run_until_complete(begin())
            sys.exit(3)
        case how:
            asyncio.run({"close": close, "leave": begin, "fail": fail, "interrupted": interrupted}[how]())
