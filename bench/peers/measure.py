"""Enqueueing, draining and waiting, the same for every peer."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import redis

from bench.cost import cost
from bench.peers.environment import CannotRunError, last_line
from tenure._engine import Histogram
from tenure.bench import sink
from tenure.bench.errors import NotAsPromised

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.peers.catalogue import Peer
    from bench.servers import Servers

_WARM_UP: Final = 100
_CALIBRATION: Final = 1000
_MOST_JOBS: Final = 150_000
_PATIENCE: Final = 40.0  # seconds beyond what a figure should take
_POLL: Final = 0.01


class Contest:
    """One peer on fresh stores for each figure: a database of its own, and nothing in Redis."""

    def __init__(self, peer: Peer, driver: list[str], servers: Servers, seconds: float, *, every_rate: bool) -> None:
        """`driver` starts a process of the peer; `seconds`: about how long a figure is measured; `every_rate` offers
        what the peer cannot drain too.
        """
        self._peer = peer
        self._driver = driver
        self._servers = servers
        self._seconds = seconds
        self._every_rate = every_rate
        self._database = ""
        self._sink = Path()
        self._pace: float | None = None  # jobs a second that one worker process runs, once that is known

    def enqueue(self) -> dict[str, float | None]:
        """Jobs a second that one process sends: one caller, 100 callers, calls of 1,000 where there is one."""
        with self._fresh():
            found: dict[str, float | None] = self._drive("enqueue", min(2.0, self._seconds))
            acknowledged = found.pop("acknowledged")
            if self._peer.unfinished and (kept := self._unfinished()) != acknowledged:
                raise NotAsPromised(f"jobs acknowledged that its tables should have, {acknowledged}: {kept}")
            return found

    def drain(self, processes: int) -> dict[str, Any]:
        """Jobs a second from the first start of a handler to the last, and CPU microseconds a job of each party.

        `settle_lag_ms`: from the last start until the peer's tables were seen without an unfinished job.
        """
        jobs = self._calibrated()
        with self._fresh():
            self._drive("preload", jobs)
            # No vacuum or checkpoint that this caused shall run into the measurement, and plans know the tables.
            asyncio.run(self._execute("VACUUM ANALYZE", "CHECKPOINT"))
            with self._working(processes) as pids:
                self._await(1)
                begun = sink.count(self._sink)
                earlier = cost(self._servers, pids)
                self._await(jobs)
                # Before the tables are looked at: some peers' take long to count, and that is no cost of a job.
                used = (cost(self._servers, pids) - earlier).per(max(1, jobs - begun))
                settled = self._settled()
            marks = sink.marks(self._sink)
            sink.check_runs(marks, range(jobs))
        per_second = (jobs - 1) / max(marks[-1].started - marks[0].started, 1e-6)
        lag = None if settled is None else round((settled - marks[-1].started) * 1000)
        return {"jobs": jobs, "per_second": round(per_second, 1), "settle_lag_ms": lag, **used}

    def latency(self, rate: int) -> dict[str, float]:
        """Milliseconds from the planned moment of sending to the start of the handler, on one worker process.

        Raises:
            CannotRunError: it drains less; the queue would only grow, and the wait be the length of the run.
        """
        if self._pace is not None and self._pace < rate and not self._every_rate:
            raise CannotRunError(f"one worker process drains {self._pace:,.0f}/s")
        jobs = round(rate * self._seconds)
        with self._fresh(), self._working(1):
            sender: dict[str, float] = self._drive("offer", _WARM_UP, jobs, rate)
            self._await(_WARM_UP + jobs)
            marks = sink.marks(self._sink)
            sink.check_runs(marks, range(_WARM_UP + jobs))
        waits = Histogram()
        for mark in marks:
            if mark.number >= _WARM_UP:
                waits.record(max(0.0, mark.started - mark.sent))
        found = {f"p{q}_ms": round(waits.percentile(q) * 1e3, 2) for q in (50, 99)}
        return {**found, **sender}

    def _calibrated(self) -> int:
        """How many jobs one worker process runs in the time that a figure takes."""
        jobs = _CALIBRATION
        if self._pace is None:
            with self._fresh():
                self._drive("preload", jobs)
                with self._working(1):
                    self._await(jobs)
                marks = sink.marks(self._sink)
            self._pace = (jobs - 1) / max(marks[-1].started - marks[0].started, 1e-6)
        return max(jobs, min(_MOST_JOBS, round(self._pace * self._seconds / 1000) * 1000))

    @contextmanager
    def _fresh(self) -> Iterator[None]:
        self._database = f"peer_{time.monotonic_ns()}"
        redis.Redis.from_url(self._servers.redis_url).flushall()
        asyncio.run(self._execute(f"CREATE DATABASE {self._database}", url=self._servers.postgres_url))
        with tempfile.TemporaryDirectory(prefix="tenure-peers-") as directory:
            self._sink = Path(directory)
            try:
                self._drive("setup")
                yield
            finally:
                drop = f"DROP DATABASE {self._database} WITH (FORCE)"
                asyncio.run(self._execute(drop, url=self._servers.postgres_url))

    async def _execute(self, *statements: str, url: str = "") -> None:
        connection = await asyncpg.connect(url or self._url)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    def _unfinished(self) -> int:
        """Jobs that have not ended, by the peer's own tables."""

        async def ask() -> int:
            connection = await asyncpg.connect(self._url)
            try:
                return int(await connection.fetchval(self._peer.unfinished))
            finally:
                await connection.close()

        return asyncio.run(ask())

    def _settled(self) -> float | None:
        """When no job was unfinished any more, in seconds since 1970; None where there are no tables to ask."""
        give_up = time.monotonic() + _PATIENCE
        while self._peer.unfinished and (left := self._unfinished()):
            if time.monotonic() > give_up:
                raise CannotRunError(f"{left} jobs were unfinished {_PATIENCE:.0f} s after the last had started")
            time.sleep(_POLL)
        return time.time() if self._peer.unfinished else None

    @property
    def _url(self) -> str:
        """Of the figure's database."""
        return urlunsplit(urlsplit(self._servers.postgres_url)._replace(path=f"/{self._database}"))

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PEER_POSTGRES": self._url,
            "PEER_REDIS": self._servers.redis_url,
            "PEER_SINK": str(self._sink),
            "PEER_CONCURRENCY": str(self._peer.concurrency),
            "PEER_MODE": self._peer.mode,
        }

    def _command(self, verb: str, *numbers: float) -> list[str]:
        return [*self._driver, verb, *map(str, numbers)]

    def _drive(self, verb: str, *numbers: float) -> Any:
        patience = self._seconds * 10 + 2 * _PATIENCE
        try:
            done = subprocess.run(
                self._command(verb, *numbers),
                env=self._environment(),
                capture_output=True,
                text=True,
                timeout=patience,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise CannotRunError(f"{verb} took more than {patience:.0f} s") from error
        if done.returncode:
            raise CannotRunError(f"{verb} failed: {last_line(done.stderr)}")
        return json.loads(last_line(done.stdout))

    @contextmanager
    def _working(self, processes: int) -> Iterator[list[int]]:
        log = self._sink / "log"
        workers = []
        try:
            with log.open("ab") as output:
                for _ in range(processes):
                    # a group of its own, so that what it forks ends with it
                    worker = subprocess.Popen(
                        self._command("work"),
                        env=self._environment(),
                        stdout=output,
                        stderr=output,
                        start_new_session=True,
                    )
                    workers.append(worker)
            yield [worker.pid for worker in workers]
            if dead := [worker.returncode for worker in workers if worker.poll() is not None]:
                said = last_line(log.read_text("utf-8", "replace"))
                raise CannotRunError(f"workers ended by themselves with {dead}: {said}")
        finally:
            for worker in workers:
                os.killpg(worker.pid, signal.SIGKILL)
                worker.wait()

    def _await(self, jobs: int) -> None:
        """Wait until so many have started; a peer that has not got there in time cannot keep the pace."""
        give_up = time.monotonic() + self._seconds * 4 + _PATIENCE
        while (started := sink.count(self._sink)) < jobs:
            if time.monotonic() > give_up:
                raise CannotRunError(
                    f"{started} of {jobs} jobs had started after {self._seconds * 4 + _PATIENCE:.0f} s"
                )
            time.sleep(_POLL)
