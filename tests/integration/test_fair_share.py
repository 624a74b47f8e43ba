"""How tenants share the slots of several workers, counted by the handlers themselves: by jobs, time, dominant share.

All goes step by step: every slot is taken, one job is let end, and the next has begun before another ends. So the
order of beginnings is that of leases, whatever the machine does, and the bounds are those of `docs/lanes.md`.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.fix_waiting import pushed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tenure import Tenure

_WITHIN: Final = 30.0
_SLOTS: Final = 12  # of three workers together


@dataclass(eq=False)
class Run:
    """One run of a job, with moments of the monotonic clock in seconds.

    Attributes:
        after: its lease was given after this.
        gone: its lease was forgotten before this; 0 while it runs.
    """

    tenant: str
    after: float
    began: float
    go: asyncio.Event = field(default_factory=asyncio.Event)
    ended: float = 0.0
    gone: float = 0.0

    @property
    def least(self) -> float:
        """Seconds that its lease lasted at least."""
        return self.ended - self.began

    @property
    def most(self) -> float:
        """Seconds that its lease lasted at most."""
        return self.gone - self.after


class Steps:
    """Jobs that run until they are let end."""

    def __init__(self, app: Tenure) -> None:
        self.app = app
        self.runs: list[Run] = []
        self.running: list[Run] = []
        self.after = 0.0
        self._begun = asyncio.Condition()

        async def hold(tenant: str) -> None:
            run = Run(tenant, self.after, time.monotonic())
            async with self._begun:
                self.runs.append(run)
                self.running.append(run)
                self._begun.notify_all()
            await run.go.wait()

        self.hold = app.job(name="hold", max_retries=0)(hold)
        self.other = app.job(name="other", max_retries=0)(hold)

    async def enqueue(self, tenant: str, count: int, *, job_type: Any = None, **options: Any) -> None:
        """So many jobs of a tenant, known to Redis when this returns."""
        bound = (job_type or self.hold).options(tenant=tenant, **options)
        await self.app.enqueue_many([bound.request(tenant) for _ in range(count)])
        await pushed(self.app)

    async def forgotten(self, run: Run) -> None:
        """Let one job end, and its lease be forgotten, while nothing is leased."""
        await self.app.admin.queues.pause("default")
        self.running.remove(run)
        run.go.set()
        depths = self.app._open().engine.depths
        async with asyncio.timeout(_WITHIN):
            while (await depths("default")).processing > len(self.running):
                await asyncio.sleep(0.01)

    @asynccontextmanager
    async def workers(self, count: int, slots: int, **offers: Any) -> AsyncIterator[None]:
        """Several workers on a queue that is paused; what still runs at the end is let end."""
        async with AsyncExitStack() as stack:
            for _ in range(count):
                await stack.enter_async_context(self.app.worker(concurrency=slots, **offers))
            try:
                yield
            finally:
                await self.app.admin.queues.pause("default")
                for run in self.running:
                    run.go.set()

    async def fill(self, slots: int) -> None:
        """Let the workers begin: as many run as there are slots."""
        self.after = time.monotonic()
        await self.app.admin.queues.resume("default")
        await self._until(slots)

    async def step(self, run: Run | None = None) -> Run:
        """Let one job end, the one that began first where none is named; the one that took its slot."""
        run = run or self.running[0]
        self.running.remove(run)
        so_many = len(self.runs)
        self.after = run.ended = time.monotonic()
        run.go.set()
        await self._until(so_many + 1)
        successor = self.runs[so_many]
        run.gone = successor.began
        return successor

    async def _until(self, begun: int) -> None:
        async with asyncio.timeout(_WITHIN), self._begun:
            await self._begun.wait_for(lambda: len(self.runs) >= begun)
        assert len(self.runs) == begun, "a slot was given twice"

    def count(self, first: int = 0) -> Counter[str]:
        """Jobs of each tenant that have begun, from this one on."""
        return Counter(run.tenant for run in self.runs[first:])


@pytest.fixture
async def steps(app, open_app) -> Steps:
    """On a queue that is paused."""
    steps = Steps(app)
    await open_app(app)
    await app.admin.queues.pause("default")
    return steps


async def test_a_backlog_of_two_thousand_delays_anothers_ten_by_no_more_than_ten(steps):
    """They come while all slots are the other's; from then on it begins at most as many, and one."""
    await steps.enqueue("large", 2000)
    async with steps.workers(3, _SLOTS // 3):
        await steps.fill(_SLOTS)
        for _ in range(20):
            await steps.step()
        so_far = len(steps.runs)
        assert steps.count() == {"large": so_far}
        await steps.enqueue("small", 10)
        while steps.count(so_far)["small"] < 10:
            await steps.step()
            assert steps.count(so_far)["large"] <= 10 + 1
        # what is left of the time is the other's again
        assert (await steps.step()).tenant == "large"


async def test_by_share_whoever_comes_has_its_half_first(app, steps):
    """From the first lease on, when nobody has told Redis yet what the fleet has."""
    await app.admin.queues.fair("default", "share")
    await steps.enqueue("large", 2000)
    async with steps.workers(3, _SLOTS // 3):
        await steps.fill(_SLOTS)
        await steps.enqueue("small", 10)
        assert [(await steps.step()).tenant for _ in range(_SLOTS // 2)] == ["small"] * (_SLOTS // 2)
        while steps.count()["small"] < 10:
            await steps.step()
            assert steps.count()["large"] <= 2 * _SLOTS, "those that were under way, and as many"


async def test_weights_are_honoured_at_every_moment(app, steps):
    """Three to one in three workers: served by weight, they are never apart by more than a job of each."""
    await app.admin.queues.fair("default", "jobs")
    weights = {"heavy": 3.0, "light": 1.0}
    await app.admin.tenants.set("heavy", weight=3)
    for tenant in weights:
        await steps.enqueue(tenant, 200)
    async with steps.workers(3, _SLOTS // 3):
        await steps.fill(_SLOTS)
        for _ in range(80):
            served = steps.count()
            apart = abs(served["heavy"] / weights["heavy"] - served["light"] / weights["light"])
            assert apart <= 1 / weights["heavy"] + 1 / weights["light"] + 1e-9, served
            await steps.step()
    assert steps.count()["heavy"] >= 3 * 80 / 4


@pytest.mark.parametrize("weight", [1, 3])
@pytest.mark.parametrize("types", ["hold", "other"], ids=["one type", "two types"])
async def test_time_is_shared_whatever_the_jobs_length(app, steps, types, weight):
    """One tenant's jobs take eight times as long as the other's. How long each lease lasted is known within bounds, by
    the steps; what the tenants had may be apart by what is promised, and by what runs and is charged by an estimate.
    """
    lengths = {"long": 0.16, "short": 0.02}
    weights = {"long": 1, "short": weight}
    await app.admin.queues.fair("default", "time")
    await app.admin.tenants.set("short", weight=weight)
    await steps.enqueue("long", 200)
    await steps.enqueue("short", 1000, job_type=app.job_types[types])
    async with steps.workers(3, 1):
        await steps.fill(3)
        while steps.count()["long"] < 25:
            due = {run: run.began + lengths[run.tenant] for run in steps.running}
            run = min(due, key=lambda run: due[run])
            await asyncio.sleep(max(0.0, due[run] - time.monotonic()))
            await steps.step(run)
    ended = [run for run in steps.runs if run.gone]
    least, most, longest = Counter[str](), Counter[str](), Counter[str]()
    for run in ended:
        least[run.tenant] += run.least / weights[run.tenant]
        most[run.tenant] += run.most / weights[run.tenant]
        longest[run.tenant] = max(longest[run.tenant], run.most / weights[run.tenant])
    promised = longest["long"] + longest["short"]
    estimated = 3 * max(longest.values())
    assert least["long"] - most["short"] <= promised + estimated
    assert least["short"] - most["long"] <= promised + estimated


def capacities(raw_redis: Any, prefix: str) -> dict[str, int]:
    """What the fleet has, as Redis knows it."""
    policy = raw_redis.hgetall(f"{prefix}:{{default}}:lane-policy")
    return {name[9:].decode(): int(value) for name, value in policy.items() if name.startswith(b"capacity|")}


async def test_shares_are_those_of_the_fleet_that_there_is(app, steps, eventually, raw_redis, prefix):
    """It grows while one tenant holds all of it: what that holds is a smaller share from then on."""
    await app.admin.queues.fair("default", "share")
    await steps.enqueue("early", 50)
    async with steps.workers(1, 2):
        await eventually(lambda: capacities(raw_redis, prefix) == {"slots": 2}, timeout=_WITHIN)
        await steps.fill(2)
        await app.admin.queues.pause("default")
        async with steps.workers(1, 10):
            await eventually(lambda: capacities(raw_redis, prefix) == {"slots": 12}, timeout=_WITHIN)
            await steps.enqueue("late", 50)
            await steps.fill(12)
            assert steps.count() == {"early": 6, "late": 6}


async def test_dominant_shares_are_equal_while_both_wait(app, steps, eventually, raw_redis, prefix):
    """As in Ghodsi et al. (2011), scaled down: of a fleet of 10 CPUs and 15 GB one tenant's jobs take (2 CPUs, 1 GB),
    the other's (1 CPU, 2 GB), and a worker has room for one of either. Two and three of them hold 2/5 of the CPUs and
    2/5 of the memory.
    """
    await app.admin.queues.fair("default", "share")
    await steps.enqueue("cpu", 40, resources={"cpu": 2, "gb": 1})
    await steps.enqueue("memory", 20, resources={"cpu": 1, "gb": 2})
    async with steps.workers(5, 4, resources={"cpu": 2, "gb": 3}):
        await eventually(lambda: capacities(raw_redis, prefix) == {"cpu": 10, "gb": 15, "slots": 20}, timeout=_WITHIN)
        await steps.fill(5)
        for _ in range(17):
            assert Counter(run.tenant for run in steps.running) == {"cpu": 2, "memory": 3}
            # A lease counts until it is forgotten, a little longer than its job runs.
            await steps.forgotten(steps.running[0])
            await steps.fill(len(steps.runs) + 1)
        # who is alone has all of it
        while steps.count()["memory"] < 20 or any(run.tenant == "memory" for run in steps.running):
            await steps.step()
        assert Counter(run.tenant for run in steps.running) == {"cpu": 5}
