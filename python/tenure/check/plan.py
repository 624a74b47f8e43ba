"""What a run is to do."""

from __future__ import annotations

from typing import Final

import msgspec

from tenure.check.fleet import COMMAND

# By name: what each does to whom is said where it is made.
WORKER_NEMESES: Final = ("kill", "stop", "poison", "wedge")
STORE_NEMESES: Final = ("row-lock", "client-kill", "pg-terminate", "wipe")
# These reach beyond the run's own keys and sessions: on servers that are not the checker's own only where asked for.
DESTRUCTIVE: Final = ("script-flush", "flushall")
ALL_NEMESES: Final = (*WORKER_NEMESES, *STORE_NEMESES, *DESTRUCTIVE)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One run.

    Attributes:
        seed: decides the work and the faults.
        seconds: how long work and faults go on; healing and draining come on top.
        nemeses: which faults.
        rate: jobs enqueued a second, about.
        workers: how many worker processes.
        concurrency: the most jobs of each at a time.
        lease_seconds: how long a lease lives without a beat.
        rescue_seconds: the time between two sweeps.
        quiet_seconds: the longest quiet between two faults.
        drain_seconds: after the faults, the time in which every job must end.
        poison_after: crashes after which a job is buried.
        worker_command: starts a worker process; its concurrency is added.
    """

    seed: int
    seconds: float = 20.0
    nemeses: tuple[str, ...] = ALL_NEMESES
    rate: float = 60.0
    workers: int = 3
    concurrency: int = 8
    lease_seconds: float = 2.0
    rescue_seconds: float = 0.2
    quiet_seconds: float = 0.8
    drain_seconds: float = 45.0
    poison_after: int = 3
    worker_command: tuple[str, ...] = COMMAND

    @property
    def replay(self) -> str:
        """The command that does the same again."""
        words = ["tenure", "check", "--seed", str(self.seed), "--seconds", f"{self.seconds:g}"]
        words += ["--nemesis", ",".join(self.nemeses) or "none"]
        usual = Plan(seed=self.seed)
        for option, field in (("rate", "rate"), ("workers", "workers"), ("lease", "lease_seconds")):
            if getattr(self, field) != getattr(usual, field):
                words += [f"--{option}", f"{getattr(self, field):g}"]
        return " ".join(words)
