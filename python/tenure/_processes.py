"""Processes for `cpu` handlers, which would hold the event loop, or the interpreter's lock, if they ran in this one.

Pools of the standard library cannot end one task that runs; libraries that can (pebble) pickle what they carry, and
put threads of their own between. A job here is bytes both ways, and whoever runs it can be killed.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import multiprocessing
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import msgspec

from tenure._attempt import Invalid
from tenure._balance import AHEAD
from tenure._handler_process import Call, Outcome, serve
from tenure.verdict import Cancel, Completed, Dead, Retry, Snooze

if TYPE_CHECKING:
    from tenure._engine import Lease
    from tenure.job_type import JobType

# Not `fork`: a process with threads (the runtime's, the heartbeat's, the handlers') must not be copied.
_context: Final = multiprocessing.get_context("spawn")
_RECENT: Final = 0.1  # what the latest job counts for in the mean
_encoder: Final = msgspec.msgpack.Encoder()
_outcomes: Final = msgspec.msgpack.Decoder(Outcome)


class _Process:
    """One process and the pipe to it; its calls block, and are made in threads."""

    def __init__(self) -> None:
        self._pipe, theirs = _context.Pipe()
        level = logging.getLogger().getEffectiveLevel()
        self._process = _context.Process(target=serve, args=(theirs, level), name="tenure-handler", daemon=True)
        self._process.start()
        theirs.close()

    def call(self, data: bytes) -> bytes:
        """One job, from its call to its outcome.

        Raises:
            EOFError, OSError: the process ended instead.
        """
        self._pipe.send_bytes(data)
        return self._pipe.recv_bytes()

    def kill(self) -> None:
        """End it, whatever it does."""
        self._process.kill()

    def ended(self) -> str:
        """Wait for its end; how it came about."""
        self._process.join()
        code = self._process.exitcode
        self._pipe.close()
        self._process.close()
        if code is not None and code < 0:
            return f"killed by {signal.Signals(-code).name}"
        return f"exit code {code}"


class Processes:
    """At most `most` processes, started when they are needed and kept; each runs one job at a time.

    A job whose attempt is cut off (timeout, cancellation, lost lease, the worker's end) is killed with its process,
    and so ends at once whatever it does. One that takes its process along (a crash, `os._exit`, no memory left) fails
    its attempt, and no other job notices.
    """

    def __init__(self, most: int, max_result_bytes: int) -> None:
        """Prepare; nothing is started yet."""
        self._count = most
        self._most = asyncio.Semaphore(most)
        # Seconds that a job takes, later ones counting more; 0 before the first has ended.
        self._mean = 0.0
        # Jobs that wait for a process, and since when, in their order.
        self.waiting: Final[dict[tuple[str, int], float]] = {}
        self._max_result_bytes = max_result_bytes
        self._idle: list[_Process] = []
        self._busy: set[_Process] = set()
        self._threads = ThreadPoolExecutor(max_workers=most, thread_name_prefix="tenure-process")
        self._closed = False

    async def run(self, job_type: JobType[..., object], lease: Lease) -> object:
        """What the handler returned, or the verdict that its end amounts to."""
        handler = job_type.handler
        call = Call(
            handler.__module__,
            handler.__qualname__,
            lease.payload,
            lease.payload_format,
            job_type.payload_format,
            self._max_result_bytes,
        )
        self.waiting[lease.key] = time.monotonic()
        try:
            await self._most.acquire()
        finally:
            del self.waiting[lease.key]
        began = time.monotonic()
        try:
            return await self._run(_encoder.encode(call))
        finally:
            took = time.monotonic() - began
            self._mean += (took - self._mean) * (_RECENT if self._mean else 1)
            self._most.release()

    @property
    def room(self) -> int:
        """How many more jobs would have a process within `AHEAD` seconds, less than none where too many wait."""
        ahead = int(self._count * AHEAD / self._mean) if self._mean else 0
        return self._count - len(self._busy) - len(self.waiting) + ahead

    def close(self) -> None:
        """Kill them all; what they run is nobody's any more."""
        self._closed = True
        for process in (*self._idle, *self._busy):
            process.kill()
        for process in self._idle:
            process.ended()
        self._idle.clear()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, data: bytes) -> object:
        # Starting one takes the loop some milliseconds, once for each process and after each that was killed.
        process = self._idle.pop() if self._idle else _Process()
        self._busy.add(process)
        outcome: Outcome | None = None
        thread = asyncio.get_running_loop().run_in_executor(self._threads, process.call, data)
        try:
            outcome = _outcomes.decode(await asyncio.shield(thread))
        except (EOFError, OSError):
            return Retry(f"the handler's process ended: {await asyncio.to_thread(process.ended)}")
        except asyncio.CancelledError:
            process.kill()
            thread.add_done_callback(functools.partial(_bury, process))
            raise
        finally:
            self._busy.discard(process)
            if outcome is not None and not self._closed:
                self._idle.append(process)
        return _verdict(outcome)


def _bury(process: _Process, call: asyncio.Future[bytes]) -> None:
    """It was killed, and its pipe has ended: there is nothing to wait for, and nothing that it said counts."""
    if not call.cancelled():
        call.exception()
    process.ended()


def _verdict(outcome: Outcome) -> object:
    match outcome.kind:
        case "completed":
            # already encoded, in the form that is to be stored
            return Completed(None if outcome.result is None else msgspec.Raw(outcome.result))
        case "retry":
            return Retry(outcome.text, outcome.delay)
        case "snooze":
            return Snooze(outcome.delay or 0.0)
        case "cancel":
            return Cancel(outcome.text)
        case "dead":
            return Dead(outcome.text)
    return Invalid(outcome.text)
