"""What a queue with lanes must do, in the plainest words: jobs in a dictionary, and questions to all of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Final

Policy = dict[str, str]
LATEST: Final = 4_000_000_000_000_000


@dataclass(frozen=True)
class LaneJob:
    """A job, and the fence that it was pushed with last."""

    job_id: str
    priority: int = 3
    fence: int = 0
    run_at: int = 0
    job_type: str = "work"
    tenant: str = ""
    requires: str = ""
    key: str = ""
    cost: int = 1000
    deadline: int = 0

    @property
    def text(self) -> str:
        """Its descriptor."""
        words = [self.priority, self.fence, 0, 3, 0, self.run_at, "json", "before", self.job_type]
        attributes = [self.tenant or "-", self.requires or "-", self.key or "-", self.cost, self.deadline]
        laned = attributes != ["-", "-", "-", 1000, 0]
        return " ".join(map(str, [2, *words, *attributes] if laned else [1, *words])) + "\n{}"

    @property
    def arguments(self) -> list[object]:
        """What pushes it."""
        return [self.job_id, self.priority, self.fence, self.run_at, self.text]

    @property
    def lease(self) -> str:
        """The lease that would be taken next."""
        return f"{self.job_id}:{self.fence + 1}"

    @property
    def gates(self) -> list[str]:
        """What its lease counts for."""
        return [
            "queue",
            f"type|{self.job_type}",
            f"tenant|{self.tenant}",
            *([f"key|{self.key}"] if self.key else []),
        ]

    def place(self, policy: Policy, means: dict[str, int]) -> tuple[int, int]:
        """Its band and its order there."""
        match policy.get("order", "priority"):
            case "ageing":
                return 1, self.run_at + (5 - self.priority) * int(policy["ageing_ms"])
            case "deadline":
                return 1, self.deadline or LATEST + self.run_at
            case "shortest":
                factor = Fraction(policy["shortest_factor"])
                return 1, round(self.run_at + means.get(self.job_type, 0) * factor)
        band = 1 if self.priority >= 4 else 2 if self.priority >= 2 else 3
        return band, (5 - self.priority) * 2**45 + self.run_at


def parts(text: str) -> tuple[set[str], dict[str, int]]:
    """Capabilities, and amounts in thousandths."""
    capabilities, _, resources = text.partition(";")
    pairs = [one.split("=") for one in resources.split(",") if one]
    return set(filter(None, capabilities.split(","))), {name: round(float(amount) * 1000) for name, amount in pairs}


def text_of(capabilities: set[str], amounts: dict[str, int]) -> str:
    """The opposite."""
    resources = ",".join(f"{name}={amounts[name] / 1000:g}" for name in sorted(amounts))
    return ",".join(sorted(capabilities)) + (f";{resources}" if resources else "")


@dataclass
class Bucket:
    """A token bucket as one would explain it."""

    amount: int
    period_ms: int
    burst: int
    since: int
    tokens: Fraction = Fraction(0)

    def fill(self, now: int) -> Fraction:
        """The tokens that are there."""
        self.tokens = min(
            Fraction(self.burst), self.tokens + Fraction((now - self.since) * self.amount, self.period_ms)
        )
        self.since = now
        return self.tokens


@dataclass
class Lanes:
    """A queue: what waits, what runs, what its policy says."""

    now: int
    policy: Policy = field(default_factory=dict)
    policy_since: int = 0
    waiting: dict[str, LaneJob] = field(default_factory=dict)
    places: dict[str, tuple[int, int]] = field(default_factory=dict)
    running: dict[str, LaneJob] = field(default_factory=dict)
    buckets: dict[str, Bucket] = field(default_factory=dict)
    means: dict[str, int] = field(default_factory=dict)

    def is_ready(self, job: LaneJob) -> bool:
        """Whether a job that waits has become ready: it was given a place."""
        return job.job_id in self.places

    def get_ready(self) -> None:
        """Due jobs get their places."""
        for job in self.waiting.values():
            if job.run_at <= self.now and job.job_id not in self.places:
                self.places[job.job_id] = job.place(self.policy, self.means)

    def used(self) -> dict[str, int]:
        """What the leases count for."""
        used: dict[str, int] = {}
        for job in self.running.values():
            for gate in job.gates:
                used[gate] = used.get(gate, 0) + 1
            for name, amount in parts(job.requires)[1].items():
                gate = f"tenant|{job.tenant}|{name}"
                used[gate] = used.get(gate, 0) + amount
        return used

    def _said(self, kind: str, gate: str) -> str | None:
        scope, _, name = gate.partition("|")
        if scope in ("tenant", "key") and not name:
            return None
        every = self.policy.get(f"{kind}|{scope}|*") if scope in ("tenant", "key") else None
        return self.policy.get(f"{kind}|{gate}", every)

    def bucket(self, gate: str) -> Bucket | None:
        """The bucket of a gate with a rate."""
        said = self._said("rate", gate)
        if said is None:
            return None
        amount, period, burst = map(int, said.split())
        if gate not in self.buckets:
            self.buckets[gate] = Bucket(amount, period, burst, self.policy_since)
        return self.buckets[gate]

    def limits_allow(self, job: LaneJob, used: dict[str, int]) -> bool:
        """Whether no limit, rate or quota is in the way of one more lease."""
        for gate in job.gates:
            most = self._said("limit", gate)
            if most is not None and used.get(gate, 0) >= int(most):
                return False
            bucket = self.bucket(gate)
            if bucket is not None and bucket.fill(self.now) < 1:
                return False
        if not job.tenant:
            return True
        for name, amount in parts(job.requires)[1].items():
            every = self.policy.get(f"quota|*|{name}")
            quota = self.policy.get(f"quota|{job.tenant}|{name}", every)
            if quota is not None and used.get(f"tenant|{job.tenant}|{name}", 0) + amount > round(float(quota) * 1000):
                return False
        return True

    def eligible(self, capabilities: set[str], left: dict[str, int]) -> list[LaneJob]:
        """The ready jobs that a worker could be given now."""
        used, found = self.used(), []
        for job in self.waiting.values():
            needed, amounts = parts(job.requires)
            fits = needed <= capabilities and all(left.get(name, 0) >= amount for name, amount in amounts.items())
            if fits and self.is_ready(job) and self.limits_allow(job, used):
                found.append(job)
        return found

    def lease(self, job: LaneJob) -> LaneJob:
        """A lease is given."""
        del self.waiting[job.job_id], self.places[job.job_id]
        leased = replace(job, fence=job.fence + 1)
        self.running[f"{job.job_id}:{leased.fence}"] = leased
        for gate in job.gates:
            bucket = self.bucket(gate)
            if bucket is not None:
                bucket.fill(self.now)
                bucket.tokens -= 1
        return leased
