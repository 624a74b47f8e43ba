"""The ledger: what handlers and worker processes say that they did, in a file that tenure does not know."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from pathlib import Path

VARIABLE: Final = "_TENURE_CHECK_LEDGER"  # tells a worker process where it is


class Run(msgspec.Struct, kw_only=True):
    """One run of a handler, times by the machine's monotonic clock; `ended_ns` is None where its process did not
    live to write it.

    Attributes:
        nonce: what the handler returns as part of its result, so that a result tells which run made it.
        outcome: `returned`, `raised` or `cancelled`.
    """

    job: str
    fence: int
    pid: int
    nonce: str
    started_ns: int
    ended_ns: int | None = None
    outcome: str | None = None


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A lease call of a worker, or a push of the client: the jobs (id, fence, priority) of one queue it was about."""

    queue: str
    began_ns: int
    ended_ns: int
    jobs: list[tuple[str, int, int]]


class Pulse(msgspec.Struct, frozen=True, kw_only=True):
    """A sign of life from a thread of a worker process; a gap says that the process did not run. `tasks` is as old as
    the event loop's last turn.
    """

    pid: int
    t_ns: int
    fds: int
    threads: int
    tasks: int


class Ledger(msgspec.Struct, kw_only=True):
    """What was read back."""

    runs: list[Run]
    leases: list[Call]
    pushes: list[Call]
    pulses: dict[int, list[Pulse]]
    ready: dict[int, str]  # worker id by process number

    def by_job(self) -> dict[str, list[Run]]:
        """The runs of each job, in the order of their starts."""
        found: dict[str, list[Run]] = {}
        for run in sorted(self.runs, key=lambda run: run.started_ns):
            found.setdefault(run.job, []).append(run)
        return found


class LedgerWriter:
    """Appends lines; one write of one line is atomic, so many processes share the file."""

    def __init__(self, path: str | Path) -> None:
        """Open it for appending."""
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._pid = os.getpid()

    def note(self, what: str, **values: Any) -> None:
        """Append one line; the time is now unless it is given."""
        line = {"e": what, "pid": self._pid, "t": time.monotonic_ns(), **values}
        os.write(self._file, msgspec.json.encode(line) + b"\n")


def read_ledger(path: Path) -> Ledger:
    """Read it back; the last line of a process that was killed may be missing, never half there."""
    ledger = Ledger(runs=[], leases=[], pushes=[], pulses={}, ready={})
    open_runs: dict[tuple[int, str], Run] = {}
    for text in path.read_bytes().splitlines() if path.exists() else ():
        line = msgspec.json.decode(text)
        pid, moment = line["pid"], line["t"]
        match line["e"]:
            case "start":
                run = Run(job=line["job"], fence=line["fence"], pid=pid, nonce=line["nonce"], started_ns=moment)
                ledger.runs.append(run)
                open_runs[pid, run.nonce] = run
            case "end":
                run = open_runs[pid, line["nonce"]]
                run.ended_ns, run.outcome = moment, line["outcome"]
            case "lease" | "push" as what:
                jobs = [(job, fence, priority) for job, fence, priority in line["jobs"]]
                call = Call(queue=line["queue"], began_ns=line["began"], ended_ns=line["ended"], jobs=jobs)
                (ledger.leases if what == "lease" else ledger.pushes).append(call)
            case "pulse":
                pulse = Pulse(pid=pid, t_ns=moment, fds=line["fds"], threads=line["threads"], tasks=line["tasks"])
                ledger.pulses.setdefault(pid, []).append(pulse)
            case "ready":
                ledger.ready[pid] = line["worker"]
            case _:
                pass
    return ledger
