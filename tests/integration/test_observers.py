"""The watch: several observers confirm what one suspects, and one that lies changes nothing."""

from __future__ import annotations

import asyncio
import signal
import time
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta

import pytest

from tenure import Tenure
from tenure._engine import Engine, new_ids
from tenure._leader import Leader
from tenure._observer import SEATS, Observer

BEAT = 0.4
# A silent worker is dead for an observer after 1.6 beats and two seconds, more where the beats were irregular; then
# come two looks, and some room for a machine that is busy.
BOUND = 3 * BEAT + 2.0 + 1.0


@pytest.fixture
def settings(settings):
    """A TTL far beyond what observers need: whoever is declared failed here was voted on."""
    return replace(settings, heartbeat_seconds=BEAT, heartbeat_ttl_seconds=60.0)


@pytest.fixture
async def fleet(settings, eventually):
    """Apps with a worker each, as of processes of their own; all of them observe."""
    async with AsyncExitStack() as stack:

        async def start(count: int) -> list[Observer]:
            observers = []
            for number in range(count):
                app = await stack.enter_async_context(Tenure(settings))
                await stack.enter_async_context(app.worker(queues=["default"], name=f"near {number}"))
                observers.append(app._open().registry._observer)
            await eventually(lambda: sum(one._sees_since is not None for one in observers) == min(count, SEATS))
            return observers

        yield start


@pytest.fixture
async def stranger(settings):
    """An engine that is no worker's."""
    made = Engine(
        settings.redis_url, worker_id=new_ids(1)[0], prefix=settings.prefix, lease_ms=1000, on_event=lambda _: None
    )
    await made.open()
    yield made
    made.close()


@pytest.fixture
def becomes(raw_postgres, migrated_schema, eventually):
    """Waits until the registry says this of a process's worker; for how many seconds it did."""

    async def wait(pid: int, wanted: str) -> float:
        began = time.monotonic()
        query = f"SELECT status FROM {migrated_schema}.workers WHERE pid = {pid}"

        async def is_so() -> bool:
            return await raw_postgres.fetchval(query) == wanted

        await eventually(is_so)
        return time.monotonic() - began

    return wait


@pytest.fixture
async def far(spawn_worker, becomes, raw_redis, prefix, eventually, raw_postgres, migrated_schema):
    """A worker process that has shown how it beats."""

    async def start() -> tuple[int, str]:
        process = spawn_worker("--queue", "default")
        await becomes(process.pid, "ACTIVE")
        worker_id = await raw_postgres.fetchval(
            f"SELECT worker_id::text FROM {migrated_schema}.workers WHERE pid = {process.pid}"
        )
        await eventually(lambda: raw_redis.llen(f"{prefix}:worker:{worker_id}:samples") >= 6)
        return process, worker_id

    return start


async def test_a_killed_worker_is_suspected_and_then_confirmed_dead(fleet, far, becomes, raw_postgres, migrated_schema):
    await fleet(2)
    process, _ = await far()
    process.kill()
    suspect = await becomes(process.pid, "SUSPECT")
    assert suspect + await becomes(process.pid, "FAILED") < BOUND
    # nothing is left of the votes, though the dead one stands in the roster for an hour
    assert await raw_postgres.fetchval(f"SELECT count(*) FROM {migrated_schema}.suspicions") == 0


async def test_a_worker_that_paused_is_active_again_at_once(
    fleet, far, becomes, raw_redis, prefix, eventually, raw_postgres, migrated_schema
):
    """Meanwhile it is woken for nothing; and it was never called failed."""
    idle = f"{prefix}:{{default}}:idle"
    await fleet(2)
    await raw_postgres.execute(f"CREATE TABLE {migrated_schema}.words (status text)")
    await raw_postgres.execute(
        f"CREATE FUNCTION {migrated_schema}.heard() RETURNS trigger LANGUAGE plpgsql AS "
        f"'BEGIN INSERT INTO {migrated_schema}.words VALUES (NEW.status); RETURN NULL; END'"
    )
    await raw_postgres.execute(
        f"CREATE TRIGGER heard AFTER UPDATE ON {migrated_schema}.workers "
        f"FOR EACH ROW EXECUTE FUNCTION {migrated_schema}.heard()"
    )
    process, worker_id = await far()
    await eventually(lambda: raw_redis.zscore(idle, worker_id) is not None)
    process.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    await becomes(process.pid, "SUSPECT")
    await eventually(lambda: raw_redis.zscore(idle, worker_id) is None)
    await asyncio.sleep(2.0 - (time.monotonic() - began))  # a pause of two seconds, whatever came of it
    process.send_signal(signal.SIGCONT)
    assert await becomes(process.pid, "ACTIVE") < 4 * BEAT
    await eventually(lambda: raw_redis.zscore(idle, worker_id) is not None)
    words = await raw_postgres.fetch(f"SELECT DISTINCT status FROM {migrated_schema}.words")
    assert {"ACTIVE", "SUSPECT"} <= {row["status"] for row in words} <= {"ACTIVE", "SUSPECT", "DEGRADED"}


async def vote(app_database, seat: Leader, worker_ids: list[str]) -> list[str]:
    """Say that these are dead, whether or not that is true."""
    count = len(worker_ids)
    [told] = await app_database.fetch("vote", seat.name, await seat.term(), worker_ids, [300.0] * count, [True] * count)
    return told["living"] if told["leads"] else []


async def test_one_that_lies_kills_nobody(fleet, open_app, stranger, raw_postgres, migrated_schema):
    """It holds a seat and says of everybody that he is dead, again and again: nobody is even suspected."""
    app = await open_app()
    database = app._open().database
    seat = Leader(stranger, database, "observer-1")
    assert await seat.term()
    observers = await fleet(3)
    assert all(one._seat is not None and one._seat.name != "observer-1" for one in observers)
    query = f"SELECT worker_id::text, status FROM {migrated_schema}.workers"
    ids = [row["worker_id"] for row in await raw_postgres.fetch(query)]
    until = time.monotonic() + 3.0
    while time.monotonic() < until:
        assert sorted(await vote(database, seat, ids)) == sorted(ids)
        assert {row["status"] for row in await raw_postgres.fetch(query)} <= {"ACTIVE", "STARTING"}
        await asyncio.sleep(0.02)  # not to be busier than a liar would be


async def test_one_that_is_silent_keeps_nobody_alive(fleet, open_app, stranger, far, becomes):
    """It holds a seat and confirms nothing; the others are enough."""
    app = await open_app()
    seat = Leader(stranger, app._open().database, "observer-2", hold=60.0)
    assert await seat.term()
    await fleet(2)
    process, _ = await far()
    process.kill()
    await becomes(process.pid, "SUSPECT")
    assert await becomes(process.pid, "FAILED") < BOUND


async def test_one_alone_may_suspect_and_not_declare(fleet, far, becomes, raw_postgres, migrated_schema, eventually):
    """The TTL is left for that, as everywhere where fewer watch than must agree."""
    await fleet(1)
    process, worker_id = await far()
    process.kill()
    await becomes(process.pid, "SUSPECT")
    query = f"SELECT dead FROM {migrated_schema}.suspicions WHERE worker_id = $1"
    await eventually(lambda: raw_postgres.fetchval(query, worker_id))
    await asyncio.sleep(1.0)  # several looks of the leader's
    status = f"SELECT status FROM {migrated_schema}.workers WHERE worker_id = $1"
    assert await raw_postgres.fetchval(status, worker_id) == "SUSPECT"


async def test_who_lost_its_seat_has_no_vote(open_app, stranger, raw_postgres, migrated_schema, fleet):
    """Whoever stood still for longer than it holds its seat finds another there, who began a later term."""
    app = await open_app()
    database = app._open().database
    await fleet(1)
    [worker_id] = [row["worker_id"] for row in await app._open().database.fetch("list_workers", True)]
    late = Leader(stranger, database, "observer-7", hold=60.0)
    assert await late.term() == 1
    assert await vote(database, late, [str(worker_id)]) == [str(worker_id)]
    await raw_postgres.execute(f"UPDATE {migrated_schema}.leaders SET term = 2 WHERE leadership = 'observer-7'")
    assert await vote(database, late, [str(worker_id)]) == []


async def test_votes_that_are_not_repeated_are_forgotten(
    fleet, open_app, stranger, far, becomes, raw_postgres, migrated_schema
):
    """Two votes on a dead worker make a verdict only if both are young."""
    app = await open_app()
    database = app._open().database
    seat = Leader(stranger, database, "observer-1", hold=60.0)
    assert await seat.term()
    await fleet(1)
    process, worker_id = await far()
    await vote(database, seat, [worker_id])
    await raw_postgres.execute(
        f"UPDATE {migrated_schema}.suspicions SET told_at = now() - $1::interval", timedelta(minutes=1)
    )
    process.kill()
    await becomes(process.pid, "SUSPECT")
    await asyncio.sleep(BOUND)  # for longer than a verdict would take
    status = f"SELECT status FROM {migrated_schema}.workers WHERE worker_id = $1"
    assert await raw_postgres.fetchval(status, worker_id) == "SUSPECT"


async def test_who_sees_badly_does_not_vote(fleet, far, becomes, open_app, stranger, settings, eventually):
    """An observer whose own workers are late too, and one of which most are late, say nothing."""
    await fleet(1)
    _, worker_id = await far()
    app = await open_app()
    suspects = {worker_id: False}
    blind = Observer(stranger, app._open().database, settings, own=lambda: {worker_id})
    seeing = Observer(stranger, app._open().database, settings)
    for observer in (blind, seeing):
        observer._proven_s = 0.0
        await observer._look()
        assert worker_id in observer._detector
    assert not blind._sees_well(suspects)
    assert seeing._sees_well(suspects)
    assert not seeing._sees_well(dict.fromkeys(observer._detector._rhythms, False))
    assert blind._sees_well({})


async def test_a_large_fleet_has_as_many_observers_as_there_are_seats(fleet, eventually):
    observers = await fleet(SEATS + 2)
    seated = [one for one in observers if one._seat is not None]
    assert len({one._seat.name for one in seated}) == len(seated) == SEATS
    gone = seated[0]
    await gone.stop()
    # whoever had none looks again within four seconds
    others = [one for one in observers if one is not gone]
    await eventually(lambda: sum(one._seat is not None for one in others) == SEATS)


async def test_a_worker_that_nobody_can_hear_leases_nothing(open_app, app, eventually):
    """It knows by its own clock, and takes work again as soon as its beats come through."""

    @app.job()
    async def idle() -> None: ...

    class Deaf:
        """A core whose beats do not come through."""

        def __init__(self, core):
            self.core = core

        def __getattr__(self, name):
            return getattr(self.core, name)

        def silence_ms(self):
            return round(3000 * BEAT)

    await open_app(app)
    async with app.worker() as worker:
        core = worker._engine.core
        assert core.silence_ms() < 2000 * BEAT
        worker._engine.core = Deaf(core)
        await eventually(lambda: worker.free_slots() == 0)
        job = await idle.enqueue()
        await asyncio.sleep(0.3)  # in which it would have been done
        assert (await job.info()).status == "PENDING"
        worker._engine.core = core
        began = time.monotonic()
        await job.result(timeout=5)
        assert time.monotonic() - began < 1.0
