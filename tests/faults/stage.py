"""One system under fault: stores behind proxies, worker processes, a client, and what must hold afterwards."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Self

import asyncpg
import redis

from tenure import StoreUnavailable, Tenure
from tenure._engine import new_ids
from tests.faults.proxy import Proxy
from tests.fix_apps import environment
from tests.handlers import hog, killer, stubborn, until, work
from tests.invariants import assert_invariants

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from tenure import Job, Settings
    from tests.servers import Postgres, Valkey

_WORKER = (sys.executable, "-m", "tenure", "worker")
_HANDLERS = (work, until, stubborn, killer, hog)


class Stage:
    """What a scenario acts on.

    Attributes:
        direct: settings that go past the proxies.
        settings: settings that go through them.
        postgres: the proxy before PostgreSQL.
        redis: the proxy before Redis.
        server: the Redis itself.
        client: an open app that knows the workers' handlers; it goes through the proxies.
        acked: jobs whose enqueue has returned.
        attempted: ids of all jobs that were tried to be enqueued.
        refused: enqueues that raised.
        workers: the worker processes.
    """

    def __init__(self, direct: Settings, postgres: Postgres, server: Valkey, directory: Path) -> None:
        """Prepare."""
        self.direct = direct
        self.server = server
        self.directory = directory
        self.ledger = directory / "ledger"
        self.ledger.touch()
        self.postgres = Proxy(postgres.socket)
        self.redis = Proxy(server.socket)
        self.workers: list[subprocess.Popen[bytes]] = []
        self.acked: dict[str, Job] = {}
        self.attempted: set[str] = set()
        self.refused: Counter[str] = Counter()
        self._slots: dict[int, int] = {}
        self._exit = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Start the proxies and open the client."""
        self._exit.enter_context(self.postgres)
        self._exit.enter_context(self.redis)
        self._exit.callback(self._kill_workers)
        self.settings = replace(
            self.direct,
            postgres_url=f"postgresql://postgres@127.0.0.1:{self.postgres.port}/postgres",
            redis_url=f"redis://127.0.0.1:{self.redis.port}/0",
        )
        self.client = await self._exit.enter_async_context(self.app(self.settings))
        self.sql = await asyncpg.connect(self.direct.postgres_url)
        self._exit.callback(self.sql.terminate)
        return self

    async def __aexit__(self, *_: object) -> None:
        """End what was started."""
        await self._exit.aclose()

    def app(self, settings: Settings, **options: Any) -> Tenure:
        """An app with the workers' handlers, not open yet."""
        app = Tenure(settings)
        for job_type in _HANDLERS:
            app.job(name=job_type.name, **{"max_retries": 50, **options})(job_type.handler)
        return app

    # --- workers

    def spawn(
        self,
        count: int = 1,
        *arguments: str,
        concurrency: int = 5,
        settings: Settings | None = None,
        env: dict[str, str] | None = None,
        command: tuple[str, ...] = (),
        target: str = "tests.handlers:app",
    ) -> list[subprocess.Popen[bytes]]:
        """Start worker processes; their logs are kept beside the ledger."""
        started = []
        for _ in range(count):
            with (self.directory / f"worker{len(self.workers)}.log").open("wb") as log:
                process = subprocess.Popen(
                    [*command, *_WORKER, target, f"--concurrency={concurrency}", *arguments],
                    env={**environment(settings or self.settings), **(env or {})},
                    stderr=log,
                    start_new_session=True,
                )
            self.workers.append(process)
            self._slots[process.pid] = concurrency
            started.append(process)
        return started

    def log(self, process: subprocess.Popen[bytes]) -> str:
        """What a worker has logged."""
        return (self.directory / f"worker{self.workers.index(process)}.log").read_text()

    async def ready(self, count: int | None = None) -> None:
        """Wait until so many workers (all by default) are registered and heard of."""
        wanted = len(self.alive()) if count is None else count
        query = f"SELECT count(*) FROM {self.direct.schema}.workers WHERE status IN ('ACTIVE', 'DEGRADED')"

        async def there() -> bool:
            return await self.sql.fetchval(query) >= wanted

        await self.eventually(there, f"{wanted} workers are registered", 30)

    def alive(self) -> list[subprocess.Popen[bytes]]:
        """Workers that have not ended."""
        return [process for process in self.workers if process.poll() is None]

    def _kill_workers(self) -> None:
        for process in self.workers:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGCONT)
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    # --- load

    async def enqueue(self, job_type: str, *arguments: object, **options: object) -> Job:
        """Enqueue one job and keep that it was acknowledged."""
        job_id = new_ids(1)[0]
        self.attempted.add(job_id)
        bound = self.client.job_types[job_type].options(job_id=job_id, **options)
        job = await bound.enqueue(str(self.ledger), *arguments)
        self.acked[job.id] = job
        return job

    @asynccontextmanager
    async def load(self, per_second: float = 100.0, seconds: float = 0.01) -> AsyncIterator[None]:
        """Enqueue short jobs meanwhile; an enqueue that is refused is counted and not repeated."""
        pending: set[asyncio.Task[None]] = set()
        stop = asyncio.Event()

        async def one() -> None:
            try:
                await self.enqueue("work", seconds)
            except StoreUnavailable as error:
                self.refused[type(error).__name__] += 1

        async def produce() -> None:
            began, made = time.monotonic(), 0
            while not stop.is_set():
                while made < (time.monotonic() - began) * per_second:
                    made += 1
                    task = asyncio.create_task(one())
                    pending.add(task)
                    task.add_done_callback(pending.discard)
                await asyncio.sleep(0.005)

        producer = asyncio.create_task(produce())
        try:
            yield
        finally:
            stop.set()
            await producer
            while pending:
                await asyncio.wait(pending)

    # --- witnesses

    def lines(self, event: str = "") -> list[dict[str, Any]]:
        """What handlers have noted, of one kind or all."""
        whole, _, _ = self.ledger.read_text().rpartition("\n")  # the last line may be being written
        wanted = f'"event": "{event}"' if event else ""  # as json.dumps writes it: only what is wanted is parsed
        return [json.loads(line) for line in whole.splitlines() if wanted in line]

    def overlap(self) -> float:
        """Seconds in which two runs of one job went on at a time; a run that was killed ended with its last line."""
        runs: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
        for line in self.lines():
            runs[line["job"]][line["fence"]].append(line["at"])
        spans = [sorted((min(times), max(times)) for times in fences.values()) for fences in runs.values()]
        return sum(max(0.0, one[1] - two[0]) for job in spans for one, two in pairwise(job))

    async def ended(self, count: int, seconds: float = 20.0) -> None:
        """Wait until the ledger has so many ends."""
        await self.eventually(
            lambda: self.ledger.read_bytes().count(b'"event": "end"') >= count, f"{count} ends in the ledger", seconds
        )

    async def eventually(self, condition: Callable[[], Any], what: str, seconds: float = 20.0) -> None:
        """Poll until a condition holds."""
        give_up = time.monotonic() + seconds
        while True:
            value = condition()
            if asyncio.iscoroutine(value):
                value = await value
            if value:
                return
            assert time.monotonic() < give_up, f"did not happen within {seconds:g} s: {what}{self._tails()}"
            await asyncio.sleep(0.02)

    async def everyone_works(self, seconds: float = 20.0) -> float:
        """Every worker process takes work without having been restarted; how long it took until they all did."""
        began = time.monotonic()
        gate = self.directory / f"gate{began}"
        slots = sum(self._slots[process.pid] for process in self.alive())
        jobs = [await self.enqueue("until", str(gate)) for _ in range(slots)]
        ids = {job.id for job in jobs}
        pids = {process.pid for process in self.alive()}

        def at_work() -> bool:
            return {line["pid"] for line in self.lines("start") if line["job"] in ids} >= pids

        await self.eventually(at_work, f"every one of {len(pids)} workers takes work", seconds)
        took = time.monotonic() - began
        gate.touch()
        for job in jobs:
            await job.result(timeout=seconds)
        return took

    async def proven(self, seconds: float = 30.0, *, everyone: bool = True) -> dict[str, Any]:
        """Nothing acknowledged is lost, every job has one end, every fence one execution, and everyone works.

        Returns:
            Counts: attempted, acked, refused, recovered (unknown outcomes that were committed), duplicates (runs
            that ended beyond one a job), overlap (seconds in which two runs of a job went on at a time).
        """
        if self.sql.is_closed():
            self.sql = await asyncpg.connect(self.direct.postgres_url)
            self._exit.callback(self.sql.terminate)
        if everyone and self.alive():
            await self.everyone_works(seconds)
        schema = self.direct.schema
        unfinished = (
            f"SELECT count(*) FROM {schema}.jobs WHERE status IN ('PENDING', 'SCHEDULED', 'BLOCKED', 'PROCESSING')"
        )

        async def all_ended() -> bool:
            return await self.sql.fetchval(unfinished) == 0

        await self.eventually(all_ended, "every job has ended", seconds)
        rows = await self.sql.fetch(f"SELECT job_id::text, status, fence FROM {schema}.jobs")
        states = {row["job_id"]: row["status"] for row in rows}
        assert not self.acked.keys() - states.keys(), "acknowledged jobs are lost"
        assert not states.keys() - self.attempted, "jobs that nobody enqueued"
        await assert_invariants(self.sql, schema)
        starts = Counter((line["job"], line["fence"]) for line in self.lines("start"))
        ends = Counter(line["job"] for line in self.lines("end"))
        assert not [lease for lease, count in starts.items() if count > 1], "one lease was run twice"
        completed = {job_id for job_id, status in states.items() if status == "COMPLETED"}
        assert completed <= ends.keys(), "completed jobs that no handler has ended"
        fences = {row["job_id"]: row["fence"] for row in rows}
        assert not [lease for lease in starts if lease[1] > fences[lease[0]]], "a run beyond its job's fence"
        return {
            "attempted": len(self.attempted),
            "acked": len(self.acked),
            "refused": sum(self.refused.values()),
            "recovered": len(states.keys() - self.acked.keys()),
            "duplicates": sum(count - 1 for count in ends.values()),
            "overlap": self.overlap(),
        }

    def raw(self, password: str | None = None) -> redis.Redis:
        """A plain client of the Redis itself."""
        return redis.from_url(self.server.url, password=password)

    def _tails(self) -> str:
        """The ends of the workers' logs, for the message of a failure."""
        tails = [
            f"\n--- worker {process.pid}\n" + "\n".join(self.log(process).splitlines()[-8:]) for process in self.workers
        ]
        return "".join(tails)
