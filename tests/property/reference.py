"""What the scripts must do, in the plainest words: dictionaries, one clock, one call after the other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

NO_GENERATION: Final = ["NO_GENERATION"]
BANDS: Final = ("high", "medium", "low")
Members = dict[str, int]


@dataclass(frozen=True)
class Job:
    """A push of a job."""

    job_id: str
    priority: int
    fence: int
    run_at: int

    @property
    def text(self) -> str:
        """Its descriptor."""
        return f"1 {self.priority} {self.fence} 0 3 0 {self.run_at} json before work\n{{}}"

    @property
    def band(self) -> str:
        """Where it stands when it is ready."""
        return "high" if self.priority >= 4 else "medium" if self.priority >= 2 else "low"

    @property
    def score(self) -> int:
        """Its place there."""
        return (5 - self.priority) * 2**45 + self.run_at

    @property
    def lease(self) -> str:
        """The lease that would be taken next."""
        return f"{self.job_id}:{self.fence + 1}"

    @property
    def last_lease(self) -> str:
        """The lease that was taken last."""
        return f"{self.job_id}:{self.fence}"


def _in_order(members: Members, until: int, limit: int) -> list[str]:
    due = sorted((score, member) for member, score in members.items() if score <= until)
    return [member for _, member in due[:limit]]


@dataclass
class Reference:
    """A queue."""

    now: int
    built: bool = False
    bands: dict[str, Members] = field(default_factory=lambda: {band: {} for band in BANDS})
    scheduled: Members = field(default_factory=dict)
    processing: Members = field(default_factory=dict)
    rescuing: Members = field(default_factory=dict)
    dead: Members = field(default_factory=dict)
    idle: Members = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    cancelled: set[str] = field(default_factory=set)

    def contents(self) -> dict[str, Any]:
        """As `Queue.contents`."""
        return {
            **self.bands,
            "scheduled": self.scheduled,
            "processing": self.processing,
            "rescue": self.rescuing,
            "idle": self.idle,
            "dead": self.dead,
            "jobs": {job_id: job.text for job_id, job in self.jobs.items()},
            "cancelled": self.cancelled,
            "generation": self.built,
        }

    def push(self, jobs: list[Job], *, again: bool, rebuilding: bool = False) -> list[Any]:
        """`enqueue`, and `requeue` where the jobs may sit somewhere already."""
        if not self.built and not rebuilding:
            return NO_GENERATION
        kept = [job for job in jobs if job.lease not in self.processing]
        ready = 0
        for job in kept:
            if again:
                for lost in (self.processing, self.rescuing):
                    lost.pop(job.last_lease, None)
                self._take_out(job.job_id)
            self.jobs[job.job_id] = job
            if job.run_at > self.now:
                self.scheduled[job.job_id] = job.run_at
            else:
                self.bands[job.band][job.job_id] = job.score
                ready += 1
        if not rebuilding:
            self._wake(ready)
        return ["PUSHED", ready, len(kept) - ready, len(jobs) - len(kept), 0]

    def lease(self, want: int, lease_ms: int, worker: str, promote_limit: int) -> list[Any]:
        """`lease`."""
        if not self.built:
            return NO_GENERATION
        promoted = self._promote(promote_limit)
        taken: list[str] = []
        for band in self.bands.values():
            for job_id in _in_order(band, 2**60, want - len(taken)):
                del band[job_id]
                taken.append(job_id)
        leased = [
            job
            for job in map(self.jobs.get, dict.fromkeys(taken))
            if job is not None and job.lease not in self.processing and job.lease not in self.rescuing
        ]
        self.processing |= {job.lease: self.now + lease_ms for job in leased}
        exhausted = len(taken) < want
        if exhausted:
            self.idle[worker] = want - len(leased)
        else:
            self.idle.pop(worker, None)
            self._wake(min(promoted, sum(map(len, self.bands.values()))))
        next_due = self._next_due() if exhausted else -1
        named = [text for job in leased for text in (job.job_id, job.text)]
        return ["LEASED", self.now, next_due, int(exhausted), *named]

    def promote(self, limit: int) -> list[Any]:
        """`promote`."""
        if not self.built:
            return NO_GENERATION
        promoted = self._promote(limit)
        self._wake(promoted)
        return ["PROMOTED", promoted, self._next_due()]

    def extend(self, lease_ms: int, members: list[str]) -> list[Any]:
        """`extend`."""
        if not self.built:
            return NO_GENERATION
        alive = [member for member in members if self.processing.get(member, 0) > self.now]
        self.processing |= dict.fromkeys(alive, self.now + lease_ms)
        lost = [member for member in members if member not in alive]
        return ["EXTENDED", lost, [member for member in members if member in self.cancelled]]

    def rescue(self, limit: int, grace_ms: int) -> list[Any]:
        """`rescue`."""
        if not self.built:
            return NO_GENERATION
        expired = _in_order(self.processing, self.now, limit)
        again = _in_order(self.rescuing, self.now, limit - len(expired))
        for member in expired:
            del self.processing[member]
        self.rescuing |= dict.fromkeys(expired + again, self.now + grace_ms)
        return ["RESCUED", *expired, *again]

    def acknowledge(self, members: list[str], *, bury: bool) -> list[Any]:
        """`acknowledge` and `bury`."""
        if not self.built:
            return NO_GENERATION
        ended, jobs = 0, dict(self.jobs)
        for member in members:
            job_id, _, fence = member.partition(":")
            job = jobs.get(job_id)
            live = self.processing.pop(member, None) is not None
            rescued = not live and self.rescuing.pop(member, None) is not None
            # A descriptor that was pushed since the lease was taken back stays.
            if live or (rescued and job is not None and job.fence < int(fence)):
                self.jobs.pop(job_id, None)
                ended += 1
            self.cancelled.discard(member)
            if bury:
                self.dead[job_id] = self.now
        return ["ACKNOWLEDGED", ended]

    def restore(self, members: list[str], lease_ms: int, *, rebuilding: bool) -> list[Any]:
        """`restore`."""
        if not self.built and not rebuilding:
            return NO_GENERATION
        new = [one for one in members if one not in self.processing and one not in self.rescuing]
        self.processing |= dict.fromkeys(new, self.now + lease_ms)
        return ["RESTORED", len(new)]

    def astray(self, jobs: list[Job]) -> list[Any]:
        """`astray`."""
        if not self.built:
            return NO_GENERATION
        found = []
        for job in jobs:
            stands = [5 - members[job.job_id] // 2**45 for members in self.bands.values() if job.job_id in members]
            if any(priority != job.priority for priority in stands):
                found.append(job.job_id)
        return ["ASTRAY", *found]

    def missing(self, jobs: list[Job]) -> list[Any]:
        """`missing`."""
        if not self.built:
            return NO_GENERATION
        queued = set(self.scheduled).union(*self.bands.values())
        held = self.processing.keys() | self.rescuing.keys()
        return ["MISSING", *(job.job_id for job in jobs if job.job_id not in queued and job.lease not in held)]

    def cancel(self, job_ids: list[str]) -> list[Any]:
        """`cancel`."""
        if not self.built:
            return NO_GENERATION
        removed = 0
        for job_id in job_ids:
            removed += self._take_out(job_id)
            self.jobs.pop(job_id, None)
        return ["CANCELLED", removed]

    def stop(self, member: str) -> list[Any]:
        """`stop`."""
        if not self.built:
            return NO_GENERATION
        self.cancelled.add(member)
        return ["ASKED", 0]

    def _take_out(self, job_id: str) -> int:
        return sum(place.pop(job_id, None) is not None for place in (*self.bands.values(), self.scheduled))

    def _promote(self, limit: int) -> int:
        due = _in_order(self.scheduled, self.now, limit)
        promoted = 0
        for job_id in due:
            del self.scheduled[job_id]
            if (job := self.jobs.get(job_id)) is not None:
                self.bands[job.band][job_id] = job.score
                promoted += 1
        return promoted

    def _next_due(self) -> int:
        return min(self.scheduled.values(), default=-1)

    def _wake(self, jobs: int) -> None:
        """Nobody listens in this test: each idle worker is taken for dead, and the next one is tried."""
        if jobs > 0:
            self.idle.clear()
