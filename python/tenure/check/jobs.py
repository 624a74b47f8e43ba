"""The handlers of a check; its worker processes load this module. Each says in the ledger what it did."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from tenure import Backoff, Cancel, Dead, JobContext, Retry, Settings, Snooze, Tenure
from tenure._database import Database
from tenure.check.ledger import VARIABLE, LedgerWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

QUEUES: Final = ("check-a", "check-b")
BACKOFF: Final = Backoff(base=0.2, factor=2.0, cap=1.0, jitter="full")
_MOST_RETRIES: Final = 6

_lock = threading.Lock()
_open: dict[str, Any] = {}


def make_app(settings: Settings | None = None) -> Tenure:
    """An app with every handler of this module."""
    app = Tenure(settings)
    for handler, options in _HANDLERS:
        app.job(**{"backoff": BACKOFF, "max_retries": _MOST_RETRIES, **options})(handler)
    return app


def ledger() -> LedgerWriter:
    """This process's hold on the ledger."""
    with _lock:
        if "ledger" not in _open:
            _open["ledger"] = LedgerWriter(os.environ[VARIABLE])
        return _open["ledger"]  # type: ignore[no-any-return]


@contextmanager
def _run(context: JobContext) -> Iterator[dict[str, Any]]:
    """Note the start and the end of a run; yields what the handler returns."""
    result = {"fence": context.fence, "nonce": secrets.token_hex(8)}
    writer, outcome = ledger(), "raised"
    writer.note("start", job=context.job_id, fence=context.fence, attempt=context.attempt, nonce=result["nonce"])
    try:
        yield result
        outcome = "returned"
    except asyncio.CancelledError:
        outcome = "cancelled"
        raise
    finally:
        writer.note("end", nonce=result["nonce"], outcome=outcome)


async def quick(context: JobContext, padding: str = "") -> dict[str, Any]:  # noqa: ARG001 - the payload's size matters
    """End at once."""
    with _run(context) as result:
        return result


async def behind(context: JobContext, seconds: float = 0.0) -> dict[str, Any]:
    """Recorded behind the run."""
    with _run(context) as result:
        await asyncio.sleep(seconds)
        return result


async def nap(context: JobContext, seconds: float) -> dict[str, Any]:
    """Give way to others for a while."""
    with _run(context) as result:
        await asyncio.sleep(seconds)
        return result


async def flaky(context: JobContext, failures: int) -> dict[str, Any]:
    """Raise so many times, then end well."""
    with _run(context) as result:
        if context.attempt <= failures:
            raise ValueError("not yet")
        return result


async def doomed(context: JobContext) -> None:
    """Always raise."""
    with _run(context):
        raise ValueError("never")


async def dead(context: JobContext) -> Dead:
    """Say that no retry can help."""
    with _run(context):
        return Dead("as asked")


async def again(context: JobContext, delay: float) -> dict[str, Any] | Retry:
    """Ask for one retry by value."""
    with _run(context) as result:
        return Retry("once more", delay=delay) if context.attempt == 1 else result


async def snoozing(context: JobContext, fences: int) -> dict[str, Any] | Snooze:
    """Put itself off under the first fences."""
    with _run(context) as result:
        return Snooze(0.1) if context.fence <= fences else result


async def quitting(context: JobContext) -> Cancel:
    """Cancel itself."""
    with _run(context):
        return Cancel("as asked")


async def overdue(context: JobContext) -> dict[str, Any]:
    """Time out at the first attempt."""
    with _run(context) as result:
        await asyncio.sleep(5.0 if context.attempt == 1 else 0.0)
        return result


async def reporting(context: JobContext, steps: int) -> dict[str, Any]:
    """Report progress."""
    with _run(context) as result:
        for step in range(steps):
            await context.progress((step + 1) / steps, f"step {step}")
        return result


async def guarded(context: JobContext, seconds: float) -> dict[str, Any]:
    """Write to PostgreSQL under a guard, slowly."""
    with _run(context) as result:
        database = await _database()

        async def work(connection: Any) -> None:
            await context.guard(connection)
            await asyncio.sleep(seconds)
            await database.fetch("check_effect", context.job_id, context.fence, connection=connection)

        await database.atomically(work)
        return result


def thread(context: JobContext, seconds: float = 0.0) -> dict[str, Any]:
    """A plain function; nobody can cancel it."""
    with _run(context) as result:
        time.sleep(seconds)
        return result


async def poison(context: JobContext, how: str) -> None:
    """End the worker process."""
    with _run(context):
        if how == "exit":
            os._exit(9)
        os.kill(os.getpid(), signal.SIGSEGV if how == "segv" else signal.SIGABRT)
        await asyncio.sleep(60)


async def wedge(context: JobContext, seconds: float) -> dict[str, Any]:
    """Hold the event loop, giving way to nothing but other threads."""
    with _run(context) as result:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(0.001)  # noqa: ASYNC251 - that is the fault
        return result


async def _database() -> Database:
    """One small pool of this process; of two that come at once, one opens it."""
    if "database" not in _open:
        _open["database"] = asyncio.ensure_future(_opened())
    database: Database = await asyncio.shield(_open["database"])
    return database


async def _opened() -> Database:
    settings = Settings.from_env()
    database = Database(settings.postgres_url or "", schema=settings.schema, max_connections=2)
    await database.open()
    return database


_HANDLERS: Final[list[tuple[Callable[..., Any], dict[str, Any]]]] = [
    (quick, {}),
    (behind, {"record": "behind"}),
    (nap, {}),
    (flaky, {}),
    (doomed, {"max_retries": 2}),
    (dead, {}),
    (again, {"retry_priority": "keep"}),
    (snoozing, {}),
    (quitting, {}),
    (overdue, {"timeout": 0.3}),
    (reporting, {"payload_format": "msgpack"}),
    (guarded, {}),
    (thread, {}),
    (poison, {"max_retries": 20}),
    (wedge, {}),
]
