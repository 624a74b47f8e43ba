"""Calls given up at every await of theirs: no reply is swapped, no connection kept dirty, nothing left behind."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from tenure import JobFailed, Tenure
from tests.invariants import assert_invariants

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator


class CancelledAt:
    """Awaits something and cancels the task at its nth suspension; `reached` tells whether there was one."""

    def __init__(self, work: Awaitable[Any], number: int) -> None:
        self.work = work
        self.number = number
        self.reached = False

    def __await__(self) -> Generator[Any, None, Any]:
        steps = self.work.__await__()
        go_on: Callable[[], Any] = functools.partial(steps.send, None)
        count = 0
        while True:
            try:
                waited_for = go_on()
            except StopIteration as end:
                return end.value
            count += 1
            if count == self.number:
                self.reached = True
                # as from outside: what is awaited is cancelled, and the error comes from there
                asyncio.current_task().cancel()
            go_on = functools.partial(steps.send, None)
            try:
                yield waited_for
            except BaseException as error:  # noqa: BLE001 - handed on to where it belongs
                go_on = functools.partial(steps.throw, error)


async def given_up_everywhere(call: Callable[[], Awaitable[Any]], after: Callable[[], Awaitable[None]]) -> int:
    """Cancel a call at its first await, then one at its second, and so on until one ends before; how many there are."""
    number = 0
    while True:
        number += 1
        attempt = CancelledAt(call(), number)

        async def run(attempt: CancelledAt = attempt) -> Any:
            return await attempt

        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.create_task(run())
        await after()
        if not attempt.reached:
            return number - 1
        assert number < 400


@pytest.fixture
async def echoing(app, open_app):
    """An app whose jobs answer what they were asked, and a worker for them."""

    @app.job()
    async def echo(number: int) -> int:
        return number

    @app.job(max_retries=0)
    async def fail() -> None:
        raise ValueError

    await open_app(app)
    async with app.worker(concurrency=20):
        yield app


async def many(app: Tenure, _: str) -> None:
    await app.enqueue_many([app.job_types["echo"].request(number) for number in range(1500)])


async def family(app: Tenure, _: str) -> None:
    parent = await app.enqueue("echo", {"number": 1})
    child = await app.job_types["echo"].options(depends_on=[parent]).enqueue(2)
    await child.result(timeout=10)


async def transaction(app: Tenure, url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            await app.enqueue_many([app.job_types["echo"].request(1)], connection=connection)
    finally:
        connection.terminate()


async def dead(app: Tenure, _: str) -> None:
    await app.enqueue("fail")
    await app.admin.requeue_dead_letters()
    await app.admin.purge_dead_letters()


async def statements(app: Tenure, _: str) -> None:
    """A handful of statements and a transaction, without the batches that a call shares with others."""
    database = app._open().database
    await database.fetch("stats")

    async def work(connection: asyncpg.Connection) -> None:
        await database.fetch("workers_of_queue", "default", connection=connection)
        await database.fetch("stats", connection=connection)

    await database.atomically(work)
    await app._open().engine.ping()
    await app._open().engine.depths("default")


async def look(app: Tenure, _: str) -> None:
    job = await app.enqueue("echo", {"number": 3}, delay=60)
    await asyncio.gather(job.status(), job.info(), job.executions(), app.admin.stats(), app.admin.workers())
    await job.cancel()


@pytest.mark.parametrize("call", [many, family, transaction, dead, statements, look], ids=lambda call: call.__name__)
async def test_a_call_given_up_at_every_await(
    echoing, raw_postgres, migrated_schema, postgres_url, eventually, call, fault_postgres
):
    database = echoing._open().database
    asked = iter(range(10_000, 20_000))

    async def answers() -> None:
        numbers = [next(asked) for _ in range(3)]
        jobs = await asyncio.gather(*(echoing.enqueue("echo", {"number": number}) for number in numbers))
        assert await asyncio.gather(*(job.result(timeout=10) for job in jobs)) == numbers

    await answers()
    awaits = await given_up_everywhere(lambda: call(echoing, postgres_url), answers)
    assert awaits >= 1

    async def at_rest() -> bool:
        busy = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"
        return (
            not any(one._in_use for one in (database._lender, database._pinned))
            and await raw_postgres.fetchval(busy) == 0
        )

    await eventually(at_rest)
    await raw_postgres.execute(
        f"UPDATE {migrated_schema}.jobs SET status = 'CANCELLED', completed_at = now() WHERE status = 'SCHEDULED'"
    )
    for status in ("PENDING", "PROCESSING"):
        for info in await echoing.admin.list_jobs(status=status, limit=1000):
            with contextlib.suppress(JobFailed):
                await echoing.job_handle(info.job_id).result(timeout=20)
    if call is not dead:  # its dead letters were purged under way
        await assert_invariants(raw_postgres, migrated_schema)


async def test_opening_and_closing_given_up_at_every_await(settings, raw_postgres, raw_redis, eventually):
    """A start-up that is interrupted leaves no connection, no task and no thread of a worker behind."""

    async def life() -> None:
        app = Tenure(settings)
        app.job(name="idle")(idle)
        async with app, app.worker():
            await (await app.enqueue("idle")).result(timeout=10)

    tasks = len(asyncio.all_tasks())

    async def connections() -> int:
        return await raw_postgres.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tenure' AND query LIKE '%' || $1 || '%'",
            settings.schema,
        )

    async def nothing_left() -> None:
        async def gone() -> bool:
            clients = len(raw_redis.client_list())
            left = (await connections(), clients, len(asyncio.all_tasks()) - tasks)
            return left[0] == 0 and clients == 1 and left[2] <= 1

        await eventually(gone, timeout=15)

    await nothing_left()
    awaits = await given_up_everywhere(life, nothing_left)
    assert awaits > 20


async def idle() -> None:
    """Nothing."""
