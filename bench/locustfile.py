"""Users who enqueue: `locust -f bench/locustfile.py --headless -u 100 -r 100 -t 30s`, or with locust's web page.

On the stores that TENURE_POSTGRES_URL and TENURE_REDIS_URL name, in a migrated schema, in a queue of its own that is
removed at the end. `enqueue` is what a user waits for; `pick-up` is from the call to the start of the handler, by this
machine's clock, told when the workers have stopped. locust is a closed loop: a user who waits sends nothing meanwhile,
so that a slow system is asked for less. `tenure bench --part latency` waits for nobody.
"""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gevent  # type: ignore[import-untyped]
from gevent.event import AsyncResult  # type: ignore[import-untyped]
from locust import User, constant_throughput, events, task
from locust.runners import MasterRunner

from bench.gevent_loop import GeventLoop
from tenure import InvalidInput, Settings, TenureError
from tenure.bench import sink
from tenure.bench.fleet import check, fleet
from tenure.bench.payload import arguments
from tenure.bench.stage import Stage, new_queue
from tenure.job_type import MODES

if TYPE_CHECKING:
    from locust.argument_parser import LocustArgumentParser
    from locust.env import Environment

    from tenure import Tenure

_READY_WITHIN = 60.0


class Campaign:
    """What the users of one locust process share: the queue, its workers and the app that enqueues."""

    def __init__(self, mode: str, processes: int, concurrency: int) -> None:
        """Start; nothing is left behind if it fails."""
        settings = Settings.from_env()
        for name in ("postgres_url", "redis_url"):
            if getattr(settings, name) is None:
                raise InvalidInput(name, "given, TENURE_POSTGRES_URL and TENURE_REDIS_URL", None)
        self._mode = mode
        self.number = self._told = 0
        with ExitStack() as undo:
            directory = undo.enter_context(tempfile.TemporaryDirectory(prefix="tenure-bench-"))
            self.stage = Stage(settings, new_queue(), Path(directory))
            self._loop = GeventLoop()
            undo.callback(self._loop.close)
            self._app: Tenure = self.stage.producer()
            self._loop.call(self._app.__aenter__)
            undo.callback(self._loop.call, self.stage.forget)
            undo.callback(self._loop.call, self._app.close)
            self.working = processes > 0
            if self.working:
                workers = undo.enter_context(fleet(self.stage, processes, concurrency))
                give_up = time.monotonic() + _READY_WITHIN
                while self._loop.call(self._idle) < processes:
                    check(self.stage, workers)
                    if time.monotonic() > give_up:
                        raise TimeoutError("workers that should wait for work")
                    gevent.sleep(0.05)
            self._undo = undo.pop_all()

    def enqueue(self) -> float:
        """One job; the milliseconds until its commit, measured where it is awaited."""
        self.number += 1
        return self._loop.call(self._enqueue, self.number)

    async def _enqueue(self, number: int) -> float:
        sent, began = time.time(), time.perf_counter()
        await self._app.job_types[self._mode].enqueue(**arguments(number, sent))
        return (time.perf_counter() - began) * 1000

    async def _idle(self) -> int:
        async with self.stage.engine() as engine:
            return (await engine.depths(self.stage.queue)).idle

    def picked_up(self) -> list[float]:
        """Wait for the jobs that were enqueued; how many milliseconds each that was not told of yet has waited."""
        if not self.working:
            return []
        self._loop.call(self.stage.committed)
        fresh = [mark for mark in sink.marks(self.stage.sink) if mark.number > self._told]
        self._told = self.number
        return [max(0.0, mark.started - mark.sent) * 1000 for mark in fresh]

    def close(self) -> None:
        """Stop the workers and remove all of it."""
        self._undo.close()


# Of this process. Users who are sent before it has started, as a locust master does, wait for it.
_campaign = AsyncResult()


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def _options(parser: LocustArgumentParser) -> None:
    parser.add_argument("--tenure-rate", type=float, default=5.0, help="Jobs a second of each user.")
    parser.add_argument("--tenure-mode", choices=MODES, default="before", help="When starts are recorded.")
    parser.add_argument("--tenure-processes", type=int, default=1, help="Worker processes; 0 leaves the jobs waiting.")
    parser.add_argument("--tenure-concurrency", type=int, default=100, help="The most jobs at a time, per process.")


@events.init.add_listener  # type: ignore[untyped-decorator]
def _init(environment: Environment, **_: Any) -> None:
    """Before the time of the run begins to count."""
    options = environment.parsed_options
    if isinstance(environment.runner, MasterRunner) or options is None:
        return  # its workers send, each into a queue of its own
    try:
        campaign = Campaign(options.tenure_mode, options.tenure_processes, options.tenure_concurrency)
    except TenureError as error:
        raise SystemExit(f"error: {error}") from error  # locust would log any other exception, and go on
    _campaign.set(campaign)


@events.test_stop.add_listener  # type: ignore[untyped-decorator]
def _stop(environment: Environment, **_: Any) -> None:
    if _campaign.ready():
        for waited in _campaign.get().picked_up():
            _tell(environment, "pick-up", waited)


@events.quitting.add_listener  # type: ignore[untyped-decorator]
def _quitting(environment: Environment, **_: Any) -> None:
    if environment.runner is not None:
        environment.runner.stop()  # after Ctrl-C the users are still at it
    if _campaign.ready():
        _campaign.get().close()


def _tell(environment: Environment, name: str, took: float, error: Exception | None = None) -> None:
    environment.events.request.fire(  # type: ignore[no-untyped-call]
        request_type="tenure", name=name, response_time=took, response_length=0, exception=error
    )


class Enqueuer(User):
    """Somebody whose clicks become jobs."""

    def wait_time(self) -> float:
        """Between two clicks, whatever the first one took."""
        rate = self.environment.parsed_options.tenure_rate
        pause: float = constant_throughput(rate)(self)
        return pause

    @task
    def enqueue(self) -> None:
        """Enqueue one job and wait for its commit."""
        campaign: Campaign = _campaign.get()
        error: Exception | None = None
        began = time.perf_counter()
        try:
            took = campaign.enqueue()
        except Exception as found:  # noqa: BLE001 - locust counts it
            error, took = found, (time.perf_counter() - began) * 1000
        _tell(self.environment, "enqueue", took, error)
