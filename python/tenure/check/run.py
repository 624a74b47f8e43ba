"""One run: load and faults, then healing, draining, final reads, and the judgement."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tenure._reconcile import FIRST_ID, NOT_AT_ALL, PAGE
from tenure.check import jobs
from tenure.check.client import Client
from tenure.check.evidence import Quiet, add_changes, read_rows
from tenure.check.fleet import Fleet
from tenure.check.generator import Generator, Planned
from tenure.check.history import History
from tenure.check.invariants import judge
from tenure.check.ledger import VARIABLE, LedgerWriter, read_ledger
from tenure.check.nemeses import nemeses_named
from tenure.check.nemesis import Scene, strike_in_turn
from tenure.check.report import Report, make_report
from tenure.check.sampler import Sampler
from tenure.check.stage import Stage, stage
from tenure.check.timeline import write_timelines
from tenure.errors import StoreUnavailable, TenureError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from tenure._engine import Engine
    from tenure.app import Tenure
    from tenure.check.nemesis import Nemesis
    from tenure.check.plan import Plan

_LOOK: Final = 0.1
_START_SECONDS: Final = 60.0
_QUIET_LOOKS: Final = 2
_SETTLE: Final = 15.0  # seconds in which Redis forgets the last leases, and sessions end
_PROBES_A_SLOT: Final = 2


async def run_check(
    plan: Plan, postgres_url: str, redis_url: str, directory: Path, extra: Sequence[Nemesis] = ()
) -> Report:
    """Run one seed against these servers; everything it makes in them is gone afterwards.

    Args:
        plan: what to do.
        postgres_url: of a role that may create a schema.
        redis_url: of a user that may do what the nemeses need.
        directory: where history, ledger, the workers' logs, the report and the failing jobs' timelines go.
        extra: nemeses of the caller's own, beside those that the plan names.
    """
    began = time.monotonic()
    dice = random.Random(plan.seed)  # noqa: S311 - not a secret
    async with AsyncExitStack() as undo:
        here = await undo.enter_async_context(stage(plan, postgres_url, redis_url, directory))
        history = undo.enter_context(History(directory / "history.jsonl"))
        ledger = directory / "ledger.jsonl"
        os.environ[VARIABLE] = str(ledger)
        app = await undo.enter_async_context(jobs.make_app(here.settings))
        _observe_pushes(app, LedgerWriter(ledger))
        fleet = Fleet(plan.worker_command, plan.workers, plan.concurrency, here.environment, directory)
        undo.push_async_callback(fleet.stop)
        fleet.start()
        await _wait(lambda: len(read_ledger(ledger).ready) >= plan.workers, _START_SECONDS, "its workers start")
        offset = await _clock_offset(here)
        client = Client(app, history, Generator(random.Random(dice.random()), plan.rate))  # noqa: S311 - not a secret
        sampler = Sampler(here, history)
        scene = Scene(plan, here, fleet, client, history, random.Random(dice.random()))  # noqa: S311 - not a secret
        effects = await _faults(scene, sampler, [*nemeses_named(plan.nemeses), *extra])
        healed = time.monotonic()
        quiet = await _quiet(scene, ledger, app)
        drained = time.monotonic()
        evidence = await read_rows(here.database)
        await add_changes(evidence, here.database)
        evidence.poison_after, evidence.lease_seconds = plan.poison_after, plan.lease_seconds
        evidence.history, evidence.ledger = history.events, read_ledger(ledger)
        evidence.samples, evidence.quiet, evidence.deaths = sampler.samples, quiet, dict(fleet.deaths)
        evidence.concurrency, evidence.clock_offset = plan.concurrency, offset
        breaches = judge(evidence)
        report = make_report(plan, evidence, breaches, effects, time.monotonic() - began, drained - healed)
        (directory / "report.json").write_bytes(msgspec.json.format(msgspec.json.encode(report)))
        write_timelines(evidence, breaches, directory / "timelines.txt")
        return report


async def _faults(scene: Scene, sampler: Sampler, nemeses: list[Nemesis]) -> dict[str, int]:
    """Load and faults together; the effects."""
    stop = asyncio.Event()
    load = asyncio.create_task(scene.client.run(stop))
    looks = asyncio.create_task(sampler.run(stop))
    try:
        effects = await strike_in_turn(scene, nemeses, scene.plan.seconds)
    finally:
        stop.set()
        await asyncio.wait({load, looks}, timeout=_START_SECONDS)
    for task in (load, looks):
        if not task.done():
            raise TenureError(f"a call of the checker's client never came back within {_START_SECONDS:g} s")
        task.result()
    return effects


async def _quiet(scene: Scene, ledger: Path, app: Tenure) -> Quiet:
    """Wait until every job has ended and every worker has worked again, then look twice."""
    plan, here = scene.plan, scene.stage
    scene.history.note("checker", "info", "healed", {})
    healed_ns = time.monotonic_ns()
    probes = [
        Planned("nap", {"seconds": 0.2}, {"queue": queue})
        for queue in jobs.QUEUES * (_PROBES_A_SLOT * plan.concurrency * plan.workers // len(jobs.QUEUES))
    ]
    deaf: list[int] = []

    async def drained() -> bool:
        return bool((await here.database.fetch("check_open"))[0]["jobs"] == 0)

    give_up = time.monotonic() + plan.drain_seconds
    while True:
        with contextlib.suppress(TenureError):
            await asyncio.wait_for(scene.client.enqueue(*probes), plan.drain_seconds)
        done = await _patiently(drained, max(1.0, give_up - time.monotonic()))
        worked = {run.pid for run in read_ledger(ledger).runs if run.started_ns > healed_ns}
        deaf = [pid for pid in scene.fleet.pids if pid not in worked]
        if not deaf or time.monotonic() > give_up:
            break
    engine = app._open().engine  # noqa: SLF001 - the checker asks what the reconciler would ask
    looks: list[Any] = []
    missing: list[list[str]] = []
    for _ in range(_QUIET_LOOKS):
        looks.append(await _settled(here, seconds=_SETTLE if done else 1.0))
        missing.append(await _missing(here, engine))
    sessions = (await here.database.fetch("check_sessions"))[0]
    open_jobs = (await here.database.fetch("check_open"))[0]["jobs"]
    return Quiet(
        drained=done,
        open_jobs=open_jobs,
        queues=looks,
        missing=missing,
        keys=await here.redis.keys(),
        idle_in_transaction=sessions["idle_in_transaction"],
        deaf=deaf,
    )


async def _settled(here: Stage, seconds: float) -> Any:
    """A look at every queue, once nothing is left in it or the time is up: an acknowledgement that was cut off waits
    for its lease's end.
    """
    give_up = time.monotonic() + seconds
    while True:
        look = await here.redis.sample()
        empty = not any(one.leases or one.rescuing or one.descriptors or any(one.waiting.values()) for one in look)
        if empty or time.monotonic() > give_up:
            return look
        await asyncio.sleep(_LOOK)


async def _missing(here: Stage, engine: Engine) -> list[str]:
    """Live jobs that Redis lacks."""
    found: list[str] = []
    for queue in jobs.QUEUES:
        rows = await here.database.fetch("live_page", queue, FIRST_ID, PAGE, NOT_AT_ALL)
        waiting = [(str(row["job_id"]), row["fence"]) for row in rows if row["status"] != "PROCESSING"]
        if waiting:
            found += await engine.missing(queue, waiting)
    return found


def _observe_pushes(app: Tenure, ledger: LedgerWriter) -> None:
    """Note every push of new jobs by this process: when it began and ended, and which of them were ready."""
    engine = app._open().engine  # noqa: SLF001 - a witness of what the client does behind its face
    original: Callable[..., Any] = engine.enqueue

    async def enqueue(queue: str, descriptors: Any) -> Any:
        began = time.monotonic_ns()
        pushed = await original(queue, descriptors)
        # Of a batch with delayed jobs nobody outside knows which were ready by the server's clock.
        ready = [(one.job_id, 0, one.priority) for one in descriptors] if not pushed.scheduled else []
        ledger.note("push", queue=queue, began=began, ended=time.monotonic_ns(), jobs=ready)
        return pushed

    setattr(engine, "enqueue", enqueue)  # noqa: B010 - an assignment is what mypy forbids


async def _clock_offset(here: Stage) -> float:
    """PostgreSQL's clock less this machine's monotonic one, from the quickest of a few answers."""
    best, offset = float("inf"), 0.0
    for _ in range(5):
        began = time.monotonic()
        now = (await here.database.fetch("check_clock"))[0]["now"]
        ended = time.monotonic()
        if ended - began < best:
            best, offset = ended - began, now - (began + ended) / 2
    return offset


async def _patiently(look: Callable[[], Awaitable[bool]], seconds: float) -> bool:
    """Whether `look` came true in time; a store that is away says nothing."""
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        with contextlib.suppress(StoreUnavailable):
            if await look():
                return True
        await asyncio.sleep(_LOOK)
    return False


async def _wait(look: Callable[[], bool], seconds: float, what: str) -> None:
    give_up = time.monotonic() + seconds
    while not look():
        if time.monotonic() > give_up:
            raise TenureError(f"the checker waited {seconds:g} s in vain until {what}")
        await asyncio.sleep(_LOOK)
