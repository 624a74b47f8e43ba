"""Who is compared, on what, and what each promises."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Peer:
    """One line of the table.

    Attributes:
        title: as the table shows it.
        adapter: a module in `adapters/`; `requirements/ADAPTER.txt` has its packages, pinned.
        promise: what a commit or an acknowledgement means for a job, by the peer's own documentation.
        settings: what was set for it.
        python: the interpreter that it needs, where it is not this one.
        mode: handed to the adapter.
        concurrency: jobs that a worker process runs at once; the best of a few tries.
        unfinished: counts the jobs in its tables that have not ended; empty where it has no tables.
        packages: those of `node/package.json` that it is; empty: its adapter is in `adapters/`.
        limit: what lets one job at a time run of some, in its own words; empty where it has nothing that does.
    """

    title: str
    adapter: str
    promise: str
    settings: str
    python: str | None = None
    mode: str = ""
    concurrency: int = 100
    unfinished: str = ""
    packages: tuple[str, ...] = ()
    limit: str = ""

    @property
    def name(self) -> str:
        """For `--only`."""
        name = f"{self.adapter}-{self.mode}" if self.mode else self.adapter
        return name.replace("_", "-")

    @property
    def node(self) -> bool:
        """Whether its adapter is in `node/`."""
        return bool(self.packages)

    @property
    def durable(self) -> bool:
        """Whether an acknowledged job is committed; the others are as safe as the memory of their server."""
        return bool(self.unfinished)

    @property
    def requirements(self) -> Path:
        """Its packages; absent for tenure, which is here."""
        return HERE / "requirements" / f"{self.adapter}.txt"


_DURABLE: Final = "durable: a row is committed"
_VOLATILE: Final = "volatile: in Redis' memory, its log written each second"
_KEY: Final = "limit of a key, concurrency 1"
_OURS: Final = "SELECT count(*) FROM gap006.jobs WHERE status NOT IN ('COMPLETED', 'FAILED', 'CANCELLED')"

PEERS: Final = (
    Peer("tenure", "tenure", f"{_DURABLE}; audit row and fence per attempt, start committed before the run",
         "defaults", mode="before", concurrency=300, unfinished=_OURS, limit=_KEY),
    Peer("tenure, recorded behind", "tenure",
         f"{_DURABLE}; audit row and fence per attempt, start recorded with the end", 'record="behind"', mode="behind",
         concurrency=300, unfinished=_OURS, limit=_KEY),
    Peer("PgQueuer", "pgqueuer", f"{_DURABLE} and deleted at the end", "asyncpg pool of 20, uvloop", concurrency=200,
         unfinished="SELECT count(*) FROM pgqueuer", limit="concurrency_limit=1 of an entrypoint"),
    Peer("Procrastinate", "procrastinate", _DURABLE, "psycopg pool of 20, uvloop",
         unfinished="SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')",
         limit="lock"),
    Peer("Oban for Python", "oban", _DURABLE, "psycopg pool of 20, uvloop, stager 0.5 s", python="3.12",
         unfinished="SELECT count(*) FROM oban_jobs WHERE state IN ('available', 'executing', 'scheduled')"),
    Peer("Awa", "awa", f"{_DURABLE}, fenced; Rust core", "queue storage, poll 50 ms, uvloop", concurrency=300,
         unfinished="SELECT count(*) FROM awa.jobs WHERE state IN ('available', 'running', 'scheduled', 'retryable')"),
    Peer("ArdiQ", "ardiq", f"{_VOLATILE}; run again after a crash; Rust core", "uvloop", python="3.12",
         concurrency=200),
    Peer("SAQ", "saq", f"{_VOLATILE}; run again after a crash", "uvloop, results not kept"),
    Peer("taskiq", "taskiq", f"{_VOLATILE}; run again after a crash", "Redis streams, no results, uvloop"),
    Peer("arq", "arq", f"{_VOLATILE}; run again after a crash", "poll 5 ms, no results, uvloop", concurrency=200),
    Peer("Dramatiq", "dramatiq", f"{_VOLATILE}; run again after a crash", "threads", concurrency=32),
    Peer("Celery", "celery", f"{_VOLATILE}; acknowledged before the run, lost with its worker",
         "prefork 2, prefetch 128, results ignored, no gossip", concurrency=2),
    Peer("BullMQ", "bullmq", f"{_VOLATILE}; run again after a crash", "Node, removeOnComplete",
         packages=("bullmq", "ioredis"), concurrency=50),
    Peer("BullMQ for Python", "bullmq_python", f"{_VOLATILE}; run again after a crash", "removeOnComplete, uvloop"),
)  # fmt: skip

# Measured where limits are; the first of them are above.
LIMITED: Final = (
    *(peer for peer in PEERS if peer.limit),
    Peer("Graphile Worker", "graphile_worker", _DURABLE, "Node, pool of 20, no local queue", concurrency=24,
         packages=("graphile-worker",), limit="named queue",
         unfinished="SELECT count(*) FROM graphile_worker._private_jobs"),
    Peer("pg-boss", "pg_boss", _DURABLE, "Node, pool of 20, batches of 100, poll 0.5 s, burstWhenBatchFull",
         concurrency=400, packages=("pg-boss",), limit="groupConcurrency: 1",
         unfinished="SELECT count(*) FROM pgboss.job WHERE state IN ('created', 'active', 'retry')"),
)  # fmt: skip
