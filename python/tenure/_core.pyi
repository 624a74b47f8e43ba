"""The extension: Redis' side of every job, without Python's lock.

Job ids are text of 36 lower-case characters; every `*_ms` is whole milliseconds. `done` is a future of the event loop
that owns the `Core`; it is completed inside `drain`, on the loop's thread.
"""

from asyncio import Future
from typing import Final, final

__all__ = [
    "Core",
    "Depths",
    "Descriptor",
    "Event",
    "ForkedProcess",
    "Histogram",
    "Lanes",
    "Lease",
    "LeaseBatch",
    "NoGeneration",
    "Pushed",
    "RedisRefused",
    "RedisUnavailable",
    "RedisUntrusted",
    "ServerInfo",
    "TenureCoreError",
    "__version__",
    "backoff_ms",
    "debug_build",
    "migrations",
    "new_ids",
]
__version__: Final[str]
debug_build: Final[bool]
"""True if the extension was built without optimisation: measure nothing with it."""

class TenureCoreError(Exception):
    """Base of what the core raises."""

class RedisUnavailable(TenureCoreError):
    """Refused, lost or timed out; what was sent may or may not have happened."""

class RedisUntrusted(RedisUnavailable):
    """The connection could not be made secure: an unknown authority, another host's or an expired certificate."""

class RedisRefused(TenureCoreError):
    """The server answered with an error, whose text this is; nothing was written."""

class NoGeneration(TenureCoreError):
    """The queue must be rebuilt from PostgreSQL first; `args[0]` names it. Nothing was read or written."""

class ForkedProcess(TenureCoreError):
    """The core was started in another process; the message has both ids."""

@final
class Descriptor:
    """A job as Redis holds it; frozen."""

    def __new__(
        cls,
        *,
        job_id: str,
        job_type: str,
        priority: int,
        fence: int,
        attempts: int,
        max_retries: int,
        timeout_ms: int,
        run_at_ms: int,
        payload: bytes,
        ready: bool = False,
        payload_format: str = "json",
        mode: str = "before",
        tenant: str = "",
        requires: str = "",
        limit_key: str = "",
        cost: int = 1000,
        deadline_ms: int = 0,
    ) -> Descriptor:
        """Make a descriptor.

        Args:
            job_id: 36 characters.
            job_type: without spaces, ':' and '|'.
            priority: 1 to 5.
            fence: of the last lease, 0 before the first.
            attempts: runs so far.
            max_retries: runs allowed after the first.
            timeout_ms: how long a run may take; 0 for no limit.
            run_at_ms: when the job becomes ready.
            payload: the encoded arguments.
            ready: PostgreSQL calls it ready: then it is, even where Redis' clock is behind `run_at_ms`.
            payload_format: `json` or `msgpack`.
            mode: a start is recorded `before` or `behind` the run.
            tenant: whose job it is: up to 128 bytes without spaces and '|', not `-` or `*`; empty for nobody's.
            requires: the class of workers that may run it: sorted capabilities, then `;` and sorted resources with
                amounts of up to three decimals, as `gpu,region:eu;cpu=2,mem=0.5`; no `;` without resources; empty for
                every worker.
            limit_key: what it shares a limit with, written as a tenant is; empty for none.
            cost: what its tenant is charged for it, in thousandths of an ordinary job; 1 to 1,000,000,000.
            deadline_ms: by when it should have run, for the order `deadline`; 0 for no time.

        Raises:
            ValueError: a value cannot be held.
        """

    def like(self, job_id: str, payload: bytes) -> Descriptor:
        """Another job that differs from this one in its id and payload only."""
    @property
    def job_id(self) -> str: ...
    @property
    def job_type(self) -> str: ...
    @property
    def priority(self) -> int: ...
    @property
    def fence(self) -> int: ...
    @property
    def attempts(self) -> int: ...
    @property
    def max_retries(self) -> int: ...
    @property
    def timeout_ms(self) -> int: ...
    @property
    def run_at_ms(self) -> int: ...
    @property
    def payload(self) -> bytes: ...
    @property
    def payload_format(self) -> str: ...
    @property
    def mode(self) -> str: ...
    @property
    def tenant(self) -> str: ...
    @property
    def requires(self) -> str: ...
    @property
    def limit_key(self) -> str: ...
    @property
    def cost(self) -> int: ...
    @property
    def deadline_ms(self) -> int: ...

@final
class Lease:
    """The right to run a job; frozen. `fence` is this lease's own, `attempt` counts from 1."""

    @property
    def key(self) -> tuple[str, int]:
        """`(job_id, fence)`: what names a lease."""
    @property
    def job_id(self) -> str: ...
    @property
    def queue(self) -> str: ...
    @property
    def fence(self) -> int: ...
    @property
    def attempt(self) -> int: ...
    @property
    def job_type(self) -> str: ...
    @property
    def priority(self) -> int: ...
    @property
    def max_retries(self) -> int: ...
    @property
    def timeout_ms(self) -> int: ...
    @property
    def run_at_ms(self) -> int: ...
    @property
    def payload(self) -> bytes: ...
    @property
    def payload_format(self) -> str: ...
    @property
    def mode(self) -> str: ...
    @property
    def tenant(self) -> str: ...
    @property
    def requires(self) -> str:
        """The class that it takes of its worker: what it holds of the resources, as in `Descriptor`."""

@final
class LeaseBatch:
    """What a lease call brought, best priority first; `exhausted`: the queue ran out, and this worker will be woken."""

    @property
    def leases(self) -> list[Lease]: ...
    @property
    def now_ms(self) -> int: ...
    @property
    def next_due_ms(self) -> int:
        """When the next scheduled job is due; -1 for none, or where the queue was not exhausted."""
    @property
    def exhausted(self) -> bool: ...

@final
class Pushed:
    """What became of pushed jobs: counts."""

    @property
    def ready(self) -> int: ...
    @property
    def scheduled(self) -> int: ...
    @property
    def skipped(self) -> int:
        """Those that are being run already."""
    @property
    def woken(self) -> int:
        """Idle workers."""

@final
class ServerInfo:
    """Who answered; what the server will not tell is `unknown`, 0 or False."""

    @property
    def product(self) -> str:
        """`redis` or `valkey`."""
    @property
    def version(self) -> str: ...
    @property
    def maxmemory_policy(self) -> str: ...
    @property
    def maxmemory(self) -> int: ...
    @property
    def password_set(self) -> bool: ...
    @property
    def loopback(self) -> bool: ...
    @property
    def appendonly(self) -> bool: ...
    @property
    def round_trip_ms(self) -> float: ...
    @property
    def time_ms(self) -> int: ...

@final
class Depths:
    """How many entries each structure of a queue has."""

    @property
    def high(self) -> int: ...
    @property
    def medium(self) -> int: ...
    @property
    def low(self) -> int: ...
    @property
    def scheduled(self) -> int: ...
    @property
    def processing(self) -> int: ...
    @property
    def rescue(self) -> int: ...
    @property
    def dead(self) -> int: ...
    @property
    def jobs(self) -> int: ...
    @property
    def idle(self) -> int: ...
    @property
    def laned(self) -> int:
        """Ready jobs in lanes, whatever their priority: not among `high`, `medium` and `low`."""
    @property
    def parked(self) -> int:
        """Lanes and tenants that wait for a limit of theirs."""

@final
class Lanes:
    """A look at the lanes of a queue; of limits and tenants at most 100."""

    @property
    def classes(self) -> list[tuple[str, int]]:
        """Classes of workers that ready jobs need (`""`: every worker may run them), and how many jobs each."""
    @property
    def limits(self) -> list[tuple[str, int, int]]:
        """What leases count for (`queue`, `type|T`, `tenant|T`, `key|K`), how many count, and how many lanes wait for
        it; or `tenant|T|RESOURCE` and the thousandths that its leases hold.
        """
    @property
    def tenants(self) -> list[tuple[str, int]]:
        """Tenants whose turn may come, and the virtual times at which it does, the next one first."""

@final
class Event:
    """What no call asked for; fields that do not apply are empty or 0."""

    @property
    def kind(self) -> str:
        """`wake`, `cancel`, `lost`, `settled`, `control`, `answer`, `reconnected`, `redis_down` or `no_generation`."""
    @property
    def queue(self) -> str: ...
    @property
    def job_id(self) -> str: ...
    @property
    def fence(self) -> int: ...
    @property
    def text(self) -> str:
        """What `control` asks (asker, id of the question, verb, argument) or `answer` says (id, answer)."""

@final
class Core:
    """One event loop's hot path. Calls submit and return; `drain` completes their futures."""

    def __new__(
        cls,
        url: str,
        *,
        worker_id: str,
        prefix: str = "gap006",
        lease_ms: int = 30_000,
        margin_ms: int = 2_000,
        connect_timeout_ms: int = 5_000,
        command_timeout_ms: int = 5_000,
    ) -> Core:
        """Prepare; nothing is connected yet.

        Args:
            url: `redis://`, `rediss://`, `unix://`.
            worker_id: names the inbox, the heartbeat and the place among the idle.
            prefix: of every key.
            lease_ms: how long a lease lives without a beat.
            margin_ms: how much earlier than that it is no longer trusted.
            connect_timeout_ms: for one try to connect.
            command_timeout_ms: for one command.

        Raises:
            ValueError: a value makes no sense.
        """

    def fileno(self) -> int:
        """A descriptor that is readable while something waits for `drain`."""
    def drain(self) -> list[Event]:
        """Complete the futures of finished calls and return what no call asked for; never waits."""
    def close(self) -> None:
        """Stop everything and fail what is pending, to be seen by a last `drain`; may be called twice."""
    def connect(self, done: Future[ServerInfo]) -> None:
        """Connect; every other call needs it."""
    def enqueue(self, done: Future[Pushed], queue: str, jobs: list[Descriptor]) -> None:
        """Push new jobs and wake idle workers."""
    def requeue(self, done: Future[Pushed], queue: str, jobs: list[Descriptor]) -> None:
        """Push jobs that may sit somewhere already."""
    def rebuild(self, done: Future[Pushed], queue: str, jobs: list[Descriptor]) -> None:
        """As `requeue`, on a queue without a generation."""
    def lease(self, done: Future[LeaseBatch], queue: str, want: int, offers: str = "") -> None:
        """Take up to `want` jobs that fit what the worker offers (its capabilities and free resources, written as
        `Descriptor.requires`; amounts may be 0); they are extended by the heartbeat from here on.
        """
    def acknowledge(self, done: Future[int], queue: str, jobs: list[tuple[str, int]]) -> None:
        """Forget leases (job id, fence) of ended jobs; how many were there."""
    def bury(self, done: Future[int], queue: str, jobs: list[tuple[str, int]]) -> None:
        """Acknowledge, and enter in the dead letter queue."""
    def drop(self, jobs: list[tuple[str, int]]) -> None:
        """Extend these leases no longer; no round trip."""
    def cancel_queued(self, done: Future[int], queue: str, job_ids: list[str]) -> None:
        """Take jobs out of the queue; how many stood in it."""
    def cancel_running(self, done: Future[int], queue: str, job_id: str, fence: int, worker_id: str) -> None:
        """Ask a worker to stop a job; how many inboxes heard it."""
    def rescue(self, done: Future[list[tuple[str, int]]], queue: str, limit: int, grace_ms: int) -> None:
        """Take back expired leases."""
    def promote(self, done: Future[tuple[int, int]], queue: str, limit: int) -> None:
        """Make due jobs ready; how many, and when the next is due (-1: none)."""
    def missing(self, done: Future[list[str]], queue: str, jobs: list[tuple[str, int]]) -> None:
        """Which of these waiting jobs (id, current fence) are not here."""
    def restore(
        self,
        done: Future[int],
        queue: str,
        jobs: list[tuple[str, int]],
        rebuilding: bool,
        lanes: list[Descriptor],
    ) -> None:
        """Give running jobs (id, fence) without a lease one of full length; how many. `lanes`: those that have
        attributes or stand in a queue with limits (payload empty, fence that of the lease), which count for their
        limits again.
        """
    def set_policy(self, done: Future[str], queue: str, fields: dict[str, str], building: bool) -> None:
        """Replace the policy of a queue, whose fields `rust/core/src/policy.rs` lists: `set`; `same` if it stood;
        `rebuild` if nothing was changed because the queue has to be forgotten first, for jobs stand or run that it
        would not count. With `building` the queue need not be built, and what it is built with counts from the first.
        """
    def lanes(self, done: Future[Lanes], queue: str) -> None:
        """What there is in the queue's lanes."""
    def set_generation(self, done: Future[bool], queue: str) -> None:
        """Declare the queue built; False if it was."""
    def pause(self, done: Future[bool], queue: str, paused: bool, building: bool) -> None:
        """Lease nothing of the queue from now on, or again; False if that was so before."""
    def rouse(self, done: Future[int], queue: str, workers: list[str]) -> None:
        """Enter workers as idle that were forgotten, and wake as many as the ready jobs need; how many."""
    def ask(self, done: Future[int], worker_id: str, text: str) -> None:
        """Ask a worker for something; how many heard it, as far as the server knows."""
    def answer(self, done: Future[int], asker: str, text: str) -> None:
        """Answer who asked."""
    def has_generation(self, done: Future[bool], queue: str) -> None:
        """Whether the queue is built."""
    def duty(self, done: Future[int], queue: str, ttl_ms: int) -> None:
        """Take or keep the maintenance duty."""
    def forget_dead(self, done: Future[int], queue: str, job_ids: list[str]) -> None:
        """Take jobs out of the dead letter queue."""
    def forget_queue(self, done: Future[int], queue: str) -> None:
        """Remove all that is here of a queue that PostgreSQL has no jobs of any more; how many keys."""
    def depths(self, done: Future[Depths], queue: str) -> None:
        """How deep the queue is."""
    def ping(self, done: Future[float]) -> None:
        """One round trip in ms."""
    def beats(self, done: Future[dict[str, bytes]], worker_ids: list[str]) -> None:
        """The health samples (JSON) of those workers whose heartbeats live."""
    def watch(self, queue: str, job_id: str) -> None:
        """Tell of this job's end by a `settled` event; a `reconnected` event says when the subscription is in place."""
    def unwatch(self, queue: str, job_id: str) -> None:
        """Tell of it no longer."""
    def listen(self) -> None:
        """Subscribe to the worker's own inbox."""
    def obey(self) -> None:
        """Subscribe to the channel on which the worker is steered."""
    def roster(self, done: Future[list[tuple[str, int]]]) -> None:
        """Every worker that was heard of lately, and how long ago in ms, by Redis' clock."""
    def heard(self, done: Future[tuple[int, list[tuple[str, int]]]]) -> None:
        """Redis' time, ms, and when by it every worker was heard of last."""
    def pass_over(self, done: Future[int], queue: str, worker_ids: list[str]) -> None:
        """Wake these workers for this queue no more until they ask it for jobs again; how many were idle in it."""
    def series(self, done: Future[dict[str, list[str]]], worker_ids: list[str]) -> None:
        """The latest samples of these workers, newest first: JSON arrays."""
    def lead(self, done: Future[int], leadership: str, ttl_ms: int) -> None:
        """Take or keep a leadership of the fleet; 0 if this process has it, else how long another does, ms."""
    def resign(self, done: Future[bool], leadership: str) -> None:
        """Give up a leadership; False if it was another's."""
    def start_heartbeat(self, interval_ms: int, ttl_ms: int, history: int = 60, profile: str = "{}") -> None:
        """Join the heartbeat of the process, or begin it: a thread that beats and extends the leases of all.

        Args:
            interval_ms: between two beats.
            ttl_ms: how long the worker counts as alive after one.
            history: how many samples of it are kept.
            profile: a JSON object, whose fields every sample has besides.

        Raises:
            ValueError: the TTL is not longer than the interval, or the profile is no object.
        """
    def describe(self, profile: str) -> None:
        """Another profile from now on.

        Raises:
            ValueError: it is no JSON object.
        """
    def stop_heartbeat(self) -> None:
        """Leave it and take back the sign of life; waits for a round trip."""
    def tick(self, running: int, capacity: int, ended: int = 0, failed: int = 0) -> None:
        """The event loop turns; without it for three beats the worker counts as wedged.

        Args:
            running: attempts under way.
            capacity: how many there may be.
            ended: attempts since the start.
            failed: those of them that failed.
        """
    def wedged(self) -> bool:
        """Whether the event loop has stopped turning."""
    def score(self) -> int:
        """How well the worker was at its latest beat, 0 to 100, as its sample says; 100 before the first."""
    def silence_ms(self) -> int:
        """Since the latest beat that came through was sent; 0 without a heartbeat."""
    def held(self) -> int:
        """How many leases are being extended."""

def new_ids(count: int) -> list[str]:
    """Rising UUIDv7s."""

def backoff_ms(
    attempt: int, base_ms: int = 1000, factor: float = 2.0, cap_ms: int = 60_000, jitter: str = "full"
) -> int:
    """The delay before retry `attempt` (from 0): `min(base * factor ** attempt + jitter, cap)`.

    Raises:
        ValueError: a value is out of bounds; the message has field, limit and value.
    """

def migrations() -> list[tuple[str, str, str]]:
    """Name, way up and way down of every migration, in their order."""

@final
class Histogram:
    """Durations of 1 us to 1 h with three significant digits (HDR histogram)."""

    def __new__(cls) -> Histogram:
        """An empty histogram."""
    def record(self, seconds: float) -> None:
        """Count one duration."""
    def percentile(self, q: float) -> float:
        """The duration in seconds that `q` percent of all are not longer than."""
    def merge(self, other: Histogram) -> None:
        """Count what another one has counted."""
    def __len__(self) -> int:
        """How many were counted."""
    @property
    def max(self) -> float:
        """Seconds."""
    @property
    def mean(self) -> float:
        """Seconds."""
    def dumps(self) -> bytes:
        """As bytes (HDR V2)."""
    @staticmethod
    def loads(data: bytes) -> Histogram:
        """Read what `dumps` wrote.

        Raises:
            ValueError: it is something else.
        """
