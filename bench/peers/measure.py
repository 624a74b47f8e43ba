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
from bench.peers.environment import CannotRunError
from tenure._engine import Histogram
from tenure.bench import sink

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.peers.catalogue import Peer
    from bench.servers import Servers

_DRIVER: Final = Path(__file__).parent / "driver.py"
_WARM_UP: Final = 50
_CALIBRATION: Final = 1000
_MOST_JOBS: Final = 150_000
_PATIENCE: Final = 40.0  # seconds beyond what a figure should take
_POLL: Final = 0.01


class Contest:
    """One peer on fresh stores for each figure: a database of its own, and nothing in Redis."""

    def __init__(self, peer: Peer, python: Path, servers: Servers, seconds: float) -> None:
        """`seconds`: about how long a figure is measured."""
        self._peer = peer
        self._python = python
        self._servers = servers
        self._seconds = seconds
        self._database = ""
        self._sink = Path()

    def enqueue(self) -> dict[str, float | None]:
        """Jobs a second that one process sends: one caller, 100 callers, calls of 1,000 where there is one."""
        with self._fresh():
            found: dict[str, float | None] = self._drive("enqueue", min(2.0, self._seconds))
            return found

    def drain(self, processes: int) -> dict[str, Any]:
        """Jobs a second from the first start of a handler to the last, and CPU microseconds a job of each party."""
        jobs = self._calibrated()
        with self._fresh():
            self._drive("preload", jobs)
            with self._working(processes) as pids:
                self._await(1)
                begun = sink.count(self._sink)
                earlier = cost(self._servers, pids)
                self._await(jobs)
                used = (cost(self._servers, pids) - earlier).per(max(1, jobs - begun))
            marks = sink.marks(self._sink)
            sink.check_runs(marks, range(jobs))
        per_second = (jobs - 1) / max(marks[-1].started - marks[0].started, 1e-6)
        return {"jobs": jobs, "per_second": round(per_second, 1), **used}

    def latency(self, rate: int) -> dict[str, float]:
        """Milliseconds from the planned moment of sending to the start of the handler, on one worker process."""
        jobs = round(rate * self._seconds)
        with self._fresh(), self._working(1):
            self._drive("offer", 0, _WARM_UP, 50)
            self._await(_WARM_UP)
            self._drive("offer", _WARM_UP, jobs, rate)
            self._await(_WARM_UP + jobs)
            waits = Histogram()
            for mark in sink.marks(self._sink):
                if mark.number >= _WARM_UP:
                    waits.record(max(0.0, mark.started - mark.sent))
        return {"p50_ms": round(waits.percentile(50) * 1e3, 2), "p99_ms": round(waits.percentile(99) * 1e3, 2)}

    def _calibrated(self) -> int:
        """How many jobs one worker process runs in the time that a figure takes."""
        jobs = _CALIBRATION
        with self._fresh():
            self._drive("preload", jobs)
            with self._working(1):
                self._await(jobs)
            marks = sink.marks(self._sink)
        per_second = (jobs - 1) / max(marks[-1].started - marks[0].started, 1e-6)
        return max(jobs, min(_MOST_JOBS, round(per_second * self._seconds / 1000) * 1000))

    @contextmanager
    def _fresh(self) -> Iterator[None]:
        self._database = f"peer_{time.monotonic_ns()}"
        redis.Redis.from_url(self._servers.redis_url).flushall()
        asyncio.run(self._on_server(f"CREATE DATABASE {self._database}"))
        with tempfile.TemporaryDirectory(prefix="tenure-peers-") as directory:
            self._sink = Path(directory)
            try:
                self._drive("setup")
                yield
            finally:
                asyncio.run(self._on_server(f"DROP DATABASE {self._database} WITH (FORCE)"))

    async def _on_server(self, statement: str) -> None:
        connection = await asyncpg.connect(self._servers.postgres_url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    def _environment(self) -> dict[str, str]:
        parts = urlsplit(self._servers.postgres_url)
        return {
            **os.environ,
            "PEER_POSTGRES": urlunsplit(parts._replace(path=f"/{self._database}")),
            "PEER_REDIS": self._servers.redis_url,
            "PEER_SINK": str(self._sink),
            "PEER_CONCURRENCY": str(self._peer.concurrency),
            "PEER_MODE": self._peer.mode,
        }

    def _command(self, verb: str, *numbers: float) -> list[str]:
        return [str(self._python), str(_DRIVER), self._peer.adapter, verb, *map(str, numbers)]

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
            raise CannotRunError(f"{verb} failed: {done.stderr.strip().splitlines()[-1:]}")
        return json.loads(done.stdout.strip().splitlines()[-1]) if verb == "enqueue" else None

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
